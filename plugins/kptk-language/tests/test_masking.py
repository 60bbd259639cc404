"""Masks: the same as transformers makes of the same draws, and the shares that BERT's authors' code has."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from kptk.training import backend

sys.path.insert(0, str(Path(__file__).parent))
from oracles import cases

pytestmark = pytest.mark.backends
VOCABULARY = 1000


def masking(length: int = 64, **arguments):
    keras = backend.import_keras()
    from kptk.training.tokens import TokenFacts
    from kptk_language.masking import TokenMasking

    keras.utils.set_random_seed(0)
    continues = np.arange(VOCABULARY) % 4 == 3
    continues[:5] = False
    facts = TokenFacts(vocabulary=VOCABULARY, mask=4, start=2, end=3, specials=(0, 1, 2, 3, 4), continues=continues)
    return TokenMasking(facts, length, **arguments), continues


def rows(count: int, length: int, used: int | None = None) -> np.ndarray:
    ids = np.random.default_rng(1).integers(5, VOCABULARY, (count, length)).astype("int32")
    used = used or length
    ids[:, 0], ids[:, used - 1], ids[:, used:] = 2, 3, 0
    return ids


def drawn(layer, ids):
    import keras

    return {name: keras.ops.convert_to_numpy(value) for name, value in layer(ids).items()}


@pytest.mark.parametrize("case", cases("mlm_mask"), ids=lambda case: case.id)
def test_the_same_draws_give_the_same_rows_as_transformers(case) -> None:
    keras = backend.import_keras()
    from kptk_language.masking import corrupt

    given = {name: keras.ops.convert_to_tensor(value) for name, value in case.inputs.items()}
    seen = corrupt(
        given["input_ids"],
        given["selected"],
        given["replace_draw"],
        given["random_draw"],
        given["random_words"],
        case.params["mask_id"],
    )
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(seen), case.outputs["input_ids"])
    np.testing.assert_array_equal(case.outputs["labels"] != -100, case.inputs["selected"])


def test_shares_are_those_of_transformers_and_of_berts_authors() -> None:
    (case,) = cases("mlm_stats")
    layer, _ = masking()
    ids = rows(600, 64)
    out = drawn(layer, ids)
    changed = np.take_along_axis(out["ids"], out["places"], axis=1)
    keep = out["weights"] > 0
    hidden = (changed == 4)[keep].mean()
    same = (changed == out["targets"])[keep].mean()
    assert keep.sum() / (ids >= 5).sum() == pytest.approx(0.15, abs=0.006)  # 9 of 62
    for name, value in (("frac_mask", hidden), ("frac_same", same), ("frac_random", 1 - hidden - same)):
        assert value == pytest.approx(float(case.outputs[name]), abs=0.02), name


@pytest.mark.parametrize("used", [3, 4, 10, 33, 64])
def test_as_many_places_as_berts_code_takes_and_none_of_them_special(used) -> None:
    layer, _ = masking()
    ids = rows(40, 64, used)
    out = drawn(layer, ids)
    wanted = max(1, round(0.15 * (used - 2)))
    np.testing.assert_array_equal(out["weights"].sum(axis=1), wanted)
    chosen = np.take_along_axis(ids, out["places"], axis=1)[out["weights"] > 0]
    assert (chosen >= 5).all()
    np.testing.assert_array_equal(np.take_along_axis(ids, out["places"], axis=1), out["targets"])
    for places, weights in zip(out["places"], out["weights"], strict=True):
        kept = places[weights > 0]
        assert len(set(kept.tolist())) == len(kept)
    unchosen = np.ones_like(ids, dtype=bool)
    for row, (places, weights) in enumerate(zip(out["places"], out["weights"], strict=True)):
        unchosen[row, places[weights > 0]] = False
    np.testing.assert_array_equal(out["ids"][unchosen], ids[unchosen])


def test_a_row_of_padding_has_nothing_to_predict() -> None:
    layer, _ = masking()
    out = drawn(layer, np.zeros((3, 64), "int32"))
    assert not out["weights"].any()
    assert not out["ids"].any()


def test_each_step_draws_anew_and_all_places_get_their_turn() -> None:
    layer, _ = masking()
    ids = rows(1, 64)
    seen = [drawn(layer, ids)["places"][0] for _ in range(150)]
    assert not np.array_equal(seen[0], seen[1])
    assert set(np.concatenate(seen).tolist()) == set(range(1, 63))


def test_whole_words_are_chosen_whole() -> None:
    layer, continues = masking(whole_words=True, hidden=1.0, replaced=0.0)
    ids = rows(300, 64)
    out = drawn(layer, ids)
    cut, words = 0, 0
    for line, seen in zip(ids, out["ids"], strict=True):
        word = np.cumsum(~continues[line])
        for number in np.unique(word[1:-1]):
            places = np.flatnonzero(word == number)
            places = places[line[places] >= 5]
            chosen = seen[places] == 4
            words += chosen.any()
            cut += chosen.any() and not chosen.all()
    assert words > 1000
    assert cut == 0
    assert 0.10 < (out["weights"].sum() / (ids >= 5).sum()) <= 0.15
