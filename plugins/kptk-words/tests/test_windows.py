"""Pairs, subsampling and the scores of the two models against loops over words."""

from __future__ import annotations

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
WINDOW, NEGATIVES, SHARED = 3, 4, 3


@pytest.fixture(scope="module")
def keras():
    return backend.import_keras()


def array(tensor) -> np.ndarray:
    return np.asarray(backend.import_keras().ops.convert_to_numpy(tensor))


def rows(seed: int = 0, words: int = 23) -> np.ndarray:
    """Word numbers with the ends of documents, padding and unknown words among them."""
    ids = np.random.default_rng(seed).integers(2, 9, (3, words)).astype("int32")
    ids[0, 7], ids[1, 0], ids[2, -4:], ids[1, 11] = 0, 0, 0, 1
    return ids


@pytest.mark.parametrize("size", [1, 4, 16, 23, 40])
def test_every_pair_is_found_once_and_no_other(keras, size) -> None:
    from kptk_words.windows import make_groups

    ids = rows()
    groups = make_groups(keras.ops.convert_to_tensor(ids), size, WINDOW, keras.random.SeedGenerator(0))
    pairs, centre, context = array(groups.pairs), array(groups.centre), array(groups.context)
    count = -(-ids.shape[1] // size)
    pairs = pairs.reshape(3, count, size, -1)
    reached = dict.fromkeys(range(1, WINDOW + 1), 0)
    for row in range(3):
        for t in range(ids.shape[1]):
            group, i = divmod(t, size)
            assert centre.reshape(3, count, size)[row, group, i] == ids[row, t]
            found = {}
            for j in np.flatnonzero(pairs[row, group, i]):
                other = group * size + j - WINDOW
                assert context.reshape(3, count, -1)[row, group, j] == ids[row, other]
                found[other - t] = ids[row, other]
            reach = max(map(abs, found), default=0)
            for offset in range(-reach, reach + 1):
                inside = 0 <= t + offset < ids.shape[1]
                between = ids[row, min(t, t + offset) : max(t, t + offset) + 1] if inside else np.zeros(1)
                allowed = (
                    offset != 0 and inside and not (between == 0).any() and ids[row, t] > 1 and ids[row, t + offset] > 1
                )
                assert (offset in found) == allowed, (row, t, offset)
            if reach:
                reached[reach] += 1
    assert all(reached.values()), "every window from 1 to the largest is drawn"


def model(keras, name: str, seed: int = 0, **options):
    from kptk_words.cbow import CBOW
    from kptk_words.skipgram import SkipGram
    from kptk_words.word_vectors import word_vectors

    keras.utils.set_random_seed(seed)
    kind = {"skipgram": SkipGram, "cbow": CBOW}[name]
    options = {"window": WINDOW, "negatives": NEGATIVES, "group": 4, "shared": SHARED} | options
    made = kind(word_vectors((None,), vocabulary=9, dim=5), **options)
    rng = np.random.default_rng(1)
    made.table.embeddings.assign(rng.normal(size=(9, 5)))
    made.output_vectors.assign(rng.normal(size=(9, 5)))
    return made


def log_sigmoid(x):
    return -np.log1p(np.exp(-x))


@pytest.mark.parametrize("name", ["skipgram", "cbow"])
def test_loss_is_that_of_a_loop_over_pairs(keras, name) -> None:
    """The same windows and drawn words, summed pair by pair as the papers write it; shared words count k / m times."""
    from kptk_words.windows import make_groups

    made = model(keras, name)
    groups = make_groups(keras.ops.convert_to_tensor(rows()), 4, WINDOW, keras.random.SeedGenerator(3))
    drawn = np.random.default_rng(2).integers(2, 9, (len(array(groups.centre)), SHARED)).astype("int32")
    outputs = made.scores(groups, keras.ops.convert_to_tensor(drawn))
    loss = float(array(made.objective_loss(outputs, None)))
    w, c = array(made.table.embeddings).astype("float64"), array(made.output_vectors).astype("float64")
    total, count = 0.0, 0
    for centre, context, pairs, noise in zip(
        array(groups.centre), array(groups.context), array(groups.pairs), drawn, strict=True
    ):
        for i, word in enumerate(centre):
            around = context[pairs[i] > 0]
            if not len(around):
                continue
            one = [(w[around].mean(axis=0), word)]
            examples = [(w[word], target) for target in around] if name == "skipgram" else one
            for vector, target in examples:
                count += 1
                total -= log_sigmoid(vector @ c[target])
                for negative in noise:
                    if negative != target:
                        total -= NEGATIVES / SHARED * log_sigmoid(-(vector @ c[negative]))
    assert loss == pytest.approx(total / count, rel=1e-4)


def test_a_step_is_the_sum_of_the_steps_of_all_pairs(keras) -> None:
    """SGD at the learning rate of one pair moves by the sum over pairs, although the loss is shown as their mean."""
    made = model(keras, "skipgram", step_limit=0.0)
    rate = 1e-3
    made.compile(optimizer=keras.optimizers.SGD(rate))
    before = array(made.output_vectors).copy()
    state = [array(value).copy() for value in made.non_trainable_variables]
    ids = rows()
    made.fit(ids, batch_size=3, epochs=1, shuffle=False, verbose=0)
    moved = array(made.output_vectors) - before
    for variable, value in zip(made.non_trainable_variables, state, strict=True):
        variable.assign(value)
    made.output_vectors.assign(before)
    made.table.embeddings.assign(np.random.default_rng(1).normal(size=(9, 5)))
    outputs = made(ids, training=True)
    scores, positive = array(outputs["positive_scores"]), array(outputs["positive"])
    assert positive.sum() > 50
    # One number of an output vector, against the slope of the summed loss by finite differences.
    direction = np.zeros_like(before)
    direction[3, 2] = 1e-2
    losses = []
    for sign in (1, -1):
        for variable, value in zip(made.non_trainable_variables, state, strict=True):
            variable.assign(value)
        made.output_vectors.assign(before + sign * direction)
        losses.append(float(array(made.objective_loss(made(ids, training=True), None))) * positive.sum())
    slope = (losses[0] - losses[1]) / 2e-2
    assert scores.shape[1:] == (4, 4 + 2 * WINDOW)
    assert moved[3, 2] == pytest.approx(-rate * slope, rel=2e-2)


def test_the_step_of_a_frequent_word_is_limited(keras) -> None:
    moves = {}
    for limit in (0.0, 10.0):
        made = model(keras, "skipgram", step_limit=limit)
        made.compile(optimizer=keras.optimizers.SGD(1e-3))
        before = array(made.table.embeddings).copy()
        ids = np.full((4, 64), 2, "int32")
        ids[:, ::2] = np.random.default_rng(0).integers(3, 9, (4, 32))
        ids[0, 1] = 8
        made.fit(ids, batch_size=4, epochs=1, verbose=0)
        moves[limit] = np.linalg.norm(array(made.table.embeddings) - before, axis=1)
    assert moves[10.0][2] < 0.1 * moves[0.0][2]


def test_compaction_keeps_the_order_and_fills_with_zeros(keras) -> None:
    from kptk_words.compaction import compact

    ids = np.array([[5, 6, 7, 8], [2, 3, 0, 4]], "int32")
    keep = np.array([[True, False, True, True], [False, True, True, True]])
    ops = keras.ops
    for length, wanted in ((4, [[5, 7, 8, 0], [3, 0, 4, 0]]), (2, [[5, 7], [3, 0]])):
        assert array(compact(ops.convert_to_tensor(ids), ops.convert_to_tensor(keep), length)).tolist() == wanted


def test_words_are_left_out_as_often_as_the_rule_says(keras) -> None:
    from kptk_words.subsampling import keep_probability
    from kptk_words.vocabulary import Vocabulary
    from kptk_words.words import Words

    layer = Words(sample=1e-2, seed=0)
    counts = (5000, 3000, 1500, 400, 100)
    layer.learn(Vocabulary(tuple("abcde"), counts, sum(counts), 1))
    ids = np.repeat(np.arange(2, 7), np.array(counts)).astype("int32")
    ids = np.random.default_rng(0).permutation(ids).reshape(10, 1000)
    view = array(layer(keras.ops.convert_to_tensor(ids))[0])
    assert view.shape[1] < 700, "places that are rarely needed are left away"
    kept = np.bincount(view.ravel(), minlength=7)[2:]
    wanted = keep_probability(np.array(counts), 1e-2) * counts
    assert np.abs(kept - wanted).max() < 5 * np.sqrt(wanted.max()), (kept, wanted)


def test_negatives_come_from_the_noise_distribution(keras) -> None:
    from kptk_words.negative_sampling import draw, noise_distribution

    probability = noise_distribution(np.array([0, 0, 800, 100, 90, 10]))
    sums = np.cumsum(probability)
    sums[-1] = 1.0
    drawn = array(draw(keras.ops.convert_to_tensor(sums.astype("float32")), (200, 100), keras.random.SeedGenerator(0)))
    share = np.bincount(drawn.ravel(), minlength=6) / drawn.size
    assert np.abs(share - probability).max() < 0.02
    assert share[:2].sum() == 0
