"""Which rows of data are used: parts, fractions, limits; and images that are decoded once."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from kptk.caching import Cached, cached
from kptk.data import ArraySource, Source
from kptk.errors import InputError, UsageError
from kptk.parts import Choice, divided, fraction_of, part_called, part_of

RNG = np.random.default_rng(0)


def numbers(rows: int = 100, labels: bool = True) -> ArraySource:
    x = np.arange(rows, dtype="float32")[:, None]
    y = np.where(np.arange(rows) % 10 == 0, "rare", "usual") if labels else None
    return ArraySource(x, y, name="numbers")


def read(source: Source) -> list[int]:
    return [int(value) for value in source.read(np.arange(len(source)))[:, 0]]


def test_words_for_parts() -> None:
    words = ["Train", "val", "DEV", "testing", "cats", ""]
    assert [part_called(word) for word in words] == ["train", "validation", "validation", "test", "", ""]


def test_a_fraction_keeps_the_share_of_each_class_and_is_part_of_a_larger_one() -> None:
    source = numbers()
    small, large = fraction_of(source, 0.2, seed=3), fraction_of(source, 0.5, seed=3)
    assert np.bincount(small.labels).tolist() == [2, 18]
    assert set(read(small)) < set(read(large)) < set(range(100))
    assert read(small) == sorted(read(small))
    assert read(fraction_of(source, 0.2, seed=3)) == read(small)
    assert read(fraction_of(source, 0.2, seed=4)) != read(small)
    assert np.bincount(fraction_of(source, 0.001, seed=0).labels).tolist() == [1, 1]  # no class is lost
    assert len(fraction_of(numbers(labels=False), 0.25, seed=0)) == 25
    assert fraction_of(source, 1.0, seed=0) is source


def test_parts_by_name() -> None:
    source = divided(numbers(), ["train"] * 60 + ["validation"] * 10 + ["test"] * 30)
    assert list(source.parts()) == ["train", "test", "validation"]
    assert read(source) == list(range(60))
    assert read(source.holdout()) == list(range(70, 100))
    assert read(part_of(source, "val")) == list(range(60, 70))
    assert sorted(read(part_of(source, "all"))) == list(range(100))
    assert part_of(source, "test").holdout() is None
    assert part_of(source, "") is source
    assert len({part_of(source, name).fingerprint() for name in ("", "test", "validation", "all")}) == 4
    assert part_of(source, "test").row_name(0) == "70"
    only = divided(numbers(), ["train"] * 90 + ["validation"] * 10)
    assert read(only.holdout()) == list(range(90, 100))
    with pytest.raises(InputError, match=r"has no part 'tset'; it has: train, test, validation\. Did you mean 'test'"):
        part_of(source, "tset")
    with pytest.raises(InputError, match="has no part 'test'; it has: train"):
        part_of(numbers(), "test")
    with pytest.raises(InputError, match="nothing to learn from"):
        divided(numbers(), ["test"] * 100)


def test_all_parts_together_keep_rows_labels_and_names() -> None:
    source = divided(numbers(), ["train", "test"] * 50)
    whole = part_of(source, "all")
    rows = np.array([99, 0, 50])
    assert whole.read(rows)[:, 0].tolist() == [99, 0, 1]  # the test rows come behind the others
    assert whole.class_names == ("rare", "usual")
    assert whole.labels[:2].tolist() == [0, 1]
    assert [whole.row_name(row) for row in rows] == ["99", "0", "1"]


def test_part_then_fraction_then_limit() -> None:
    source = divided(numbers(), ["train"] * 50 + ["test"] * 50)
    rows = read(Choice(part="test", fraction=0.5, limit=10, seed=1).of(source))
    assert len(rows) == 10
    assert min(rows) >= 50
    assert len(read(Choice(limit=10).of(source))) == 10
    assert Choice(limit=10).of(source).holdout() is not None  # the test part stays whole


def test_folders_called_train_and_test_are_parts(tmp_path) -> None:
    from PIL import Image

    from kptk.config import resolve
    from kptk.plugins import Plugins
    from kptk.request import Request, Setting
    from kptk.training.assemble import open_source

    for name in ("train/cat/1", "train/dog/2", "train/dog/3", "val/cat/4", "test/dog/5"):
        path = tmp_path / "pets" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (8, 8, 3)).astype("uint8")).save(path)

    def opened(**options) -> Source:
        settings = tuple(Setting(f"data.{name}", value) for name, value in options.items())
        config = resolve(Plugins(), Request(recipe="contrastive", data=str(tmp_path / "pets"), settings=settings))
        return open_source(config.data, 0)

    source = opened()
    assert (source.class_names, source.labels.tolist()) == (("cat", "dog"), [0, 1, 1])
    assert source.holdout().labels.tolist() == [1]
    names = {part: [rows.row_name(row) for row in range(len(rows))] for part, rows in source.parts().items()}
    assert names["validation"] == ["val/cat/4.png"]
    assert len(opened(part="all")) == 5
    assert opened(part="test").row_name(0) == "test/dog/5.png"
    assert "kept decoded" in opened(cache="memory").describe()


class Counted(ArraySource):
    reads = 0

    def read(self, rows):
        self.reads += len(rows)
        return super().read(rows)


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_cached_rows_are_read_once_and_are_the_same(where) -> None:
    x = RNG.integers(0, 256, (40, 5, 5, 3)).astype("uint8")
    source = Counted(x, np.arange(40) % 2)
    kept = cached(source, where)
    before = source.reads
    orders = [RNG.permutation(40)[:25] for _ in range(8)]
    wrong = []

    def work(order) -> None:
        if not np.array_equal(kept.read(order), x[order]):
            wrong.append(order)

    threads = [threading.Thread(target=work, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    kept.read(np.arange(40))
    done = source.reads
    np.testing.assert_array_equal(kept.read(np.array([7, 7, 3])), x[[7, 7, 3]])
    assert source.reads == done > before
    assert kept.fingerprint() == source.fingerprint()
    assert kept.labels.tolist() == source.labels.tolist()


def test_what_cannot_be_kept_is_refused(monkeypatch) -> None:
    texts = ArraySource(np.array(["a", "b"], dtype=object), inputs="text")
    with pytest.raises(UsageError, match="text rows are kept in a file anyhow"):
        Cached(texts, "memory")
    monkeypatch.setattr("kptk.caching._free_memory", lambda: 100.0)
    with pytest.raises(InputError, match=r"-o data\.cache=disk"):
        Cached(numbers(), "memory")
