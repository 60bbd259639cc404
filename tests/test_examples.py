"""Tasks whose examples are more than a row with an answer: what the core does for them."""

from __future__ import annotations

import numpy as np
import pytest

from kptk import DatasetSpec, TaskSpec
from kptk.data import ArraySource, Subset, content_hash
from kptk.errors import InputError
from kptk.locating import locate
from kptk.testing import temporary_plugins
from kptk.training.examples import Examples, count_examples, grouped, is_raw, makes_rows, objects
from kptk.training.labelled import split


class Windows(ArraySource):
    """Three rows of each of ten examples, whose note is the number of the example."""

    def __init__(self) -> None:
        super().__init__(np.arange(30).reshape(30, 1))
        self.groups = np.repeat(np.arange(10), 3)

    def notes(self, rows):
        return [int(self.groups[row]) for row in rows]


class Plain(Examples):
    """Examples that are rows."""

    def score(self, labels, predictions):
        return {"share": float((labels == predictions).mean())}

    def columns(self, predictions):
        return {"prediction": predictions}


class Own(Plain):
    name = "own"

    def examples(self, source, preprocessor):
        return source

    def targets(self, source):
        return np.zeros((len(source), 4), int)

    def has_label(self, labels):
        return np.arange(len(labels)) != 0  # the first window of the first example has none

    def strata(self, labels):
        return None


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_one_example_are_never_parted(seed) -> None:
    source = Windows()
    parts = split(Own(), source, labels_per_class=0, validation=0.3, seed=seed)
    train, held = parts.train.source, parts.validation.source
    assert not set(train.groups) & set(held.groups)
    assert sorted([*train.rows, *held.rows]) == list(range(1, 30))
    assert parts.validation.examples == 3 and parts.train.examples == 7
    assert str(parts).startswith("7 rows to learn from, 3 to choose the epoch by")
    assert held.notes(np.arange(len(held))) == held.groups.tolist()
    assert parts.train.labels.shape == (len(train), 4)


def test_groups_of_rows() -> None:
    source = Windows()
    assert [rows.tolist() for rows in grouped(source)][:2] == [[0, 1, 2], [3, 4, 5]]
    assert count_examples(source) == 10 and count_examples(ArraySource(np.zeros((4, 1)))) == 4
    some = Subset(source, np.array([1, 2, 9]), "some")
    assert [rows.tolist() for rows in grouped(some)] == [[0, 1], [2]] and some.notes(np.array([2])) == [3]
    assert [rows.tolist() for rows in grouped(ArraySource(np.zeros((2, 1))))] == [[0], [1]]


def test_objects_are_not_taken_apart() -> None:
    assert objects([["a", "b"], ["c", "d"]]).shape == (2,) and objects([]).shape == (0,)
    # Arrays of objects hold addresses; what is hashed is their content.
    assert content_hash(objects([("a", 1)])) == content_hash(objects([("a", 1)])) != content_hash(objects([("a", 2)]))


def test_which_rows_are_examples_of_a_task() -> None:
    words = [["a", "b"], ["c"]]
    assert makes_rows(Own()) and not makes_rows(Plain())
    assert is_raw(words, Own()) and is_raw(objects(words), Own())
    assert not is_raw(words, Plain()) and not is_raw(np.zeros((2, 3), int), Own()) and not is_raw([np.zeros(3)], Own())


def test_a_form_chooses_among_the_readers_of_a_path(tmp_path) -> None:
    path = tmp_path / "a.rows"
    path.write_text("x")
    common = {"target": "kptk.data:ArraySource", "summary": "Rows.", "inputs": "sound", "reads": (".rows",)}
    plain, boxes = DatasetSpec(name="plain", **common), DatasetSpec(name="boxes", form="boxes", **common)
    task = TaskSpec(name="find_boxes", target="kptk.data:ArraySource", summary="Boxes.", form="boxes")
    with temporary_plugins(plain, boxes, task) as plugins:
        assert locate(plugins, str(path))[0].spec.name == "plain"
        assert locate(plugins, str(path), form="boxes")[0].spec.name == "boxes"
        assert locate(plugins, str(path), form="other")[0].spec.name == "plain"
    with temporary_plugins(boxes, task) as plugins:
        assert locate(plugins, str(path), any_reader=True)[0].spec.name == "boxes"
        with pytest.raises(InputError, match="temporary/boxes reads them for --task find_boxes"):
            locate(plugins, str(path))
