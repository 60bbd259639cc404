"""The formulas against other programs' numbers: values, and gradients by replaying their updates."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
ORACLES = Path(__file__).parent / "data" / "word_oracles.npz"


def case(name: str) -> SimpleNamespace:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        meta = next(item for item in json.loads(str(arrays["meta"])) if item["id"] == name)
        read = {side: {key: arrays[f"{name}|{short}|{key}"] for key in meta[side]} for side, short in SIDES}
    return SimpleNamespace(**read, params=meta["params"])


SIDES = (("inputs", "in"), ("outputs", "out"))


def gradients(function, *arrays):
    backend.import_keras()
    from kptk.testing.gradients import value_and_gradients

    return value_and_gradients(function, *arrays)


@pytest.mark.parametrize(("name", "records"), [("sgns", 60), ("cbow_ns", 60)])
def test_gradients_replay_the_updates_of_gensim(name, records) -> None:
    """Each record's step by our gradient, beside the same recursion in NumPy that ends at gensim's tables."""
    backend.import_keras()
    from kptk_words.negative_sampling import negative_sampling_loss

    oracle = case(name)
    w, c = oracle.inputs["W"].astype(np.float64), oracle.inputs["C"].astype(np.float64)
    rate = oracle.params["alpha"]
    rows = zip(oracle.inputs["inputs"], oracle.inputs["target"], oracle.inputs["negatives"], strict=True)
    for number, (given, target, drawn) in enumerate(rows):
        inputs = given[given >= 0]
        words = np.array([target, *(n for n in drawn if n >= 0 and n != target)])
        h = w[inputs].mean(axis=0)
        label = (np.arange(len(words)) == 0).astype(np.float64)
        if number < records:

            def loss(hidden, output, words=words):
                from keras import ops

                scores = ops.matmul(output, hidden)
                return negative_sampling_loss(scores[:1], ops.ones(1), scores[1:], ops.ones(len(words) - 1))

            value, (for_h, for_c) = gradients(loss, h, c[words])
            sigmoid = 1 / (1 + np.exp(-(c[words] @ h)))
            assert value == pytest.approx(-np.log(np.where(label == 1, sigmoid, 1 - sigmoid)).sum(), rel=1e-5)
            np.testing.assert_allclose(for_h, -(label - sigmoid) @ c[words], rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(for_c, -np.outer(label - sigmoid, h), rtol=1e-4, atol=1e-6)
        step = np.zeros_like(h)
        for word, wanted in zip(words, label, strict=True):  # one after the other: a word may be drawn twice
            g = rate * (wanted - 1 / (1 + np.exp(-(c[word] @ h))))
            step += g * c[word]
            c[word] += g * h
        np.add.at(w, inputs, step)
    # The recursion is gensim's own: it ends at the tables that gensim's updates with an exact sigmoid end at.
    np.testing.assert_allclose(w, oracle.outputs["W_exact"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(c, oracle.outputs["C_exact"], rtol=1e-6, atol=1e-9)


def test_noise_distribution_and_subsampling_equal_gensim() -> None:
    from kptk_words.negative_sampling import noise_distribution
    from kptk_words.subsampling import keep_probability

    noise, keep = case("neg_distribution"), case("keep_probability")
    np.testing.assert_allclose(noise_distribution(noise.inputs["counts"]), noise.outputs["p"], rtol=1e-5, atol=1e-8)
    ours = keep_probability(keep.inputs["counts"], keep.params["sample"])
    np.testing.assert_allclose(ours, keep.outputs["keep"], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", ["cooccur/sym1", "cooccur/sym0"])
@pytest.mark.parametrize("kept", [10**6, 20])
@pytest.mark.parametrize("stretch", [1000, 26, 7])
def test_counted_pairs_equal_the_c_program(name, kept, stretch) -> None:
    from kptk_words.cooccurrence import count

    oracle = case(name)
    x = oracle.outputs["X"]
    lines = oracle.inputs["tokens"]
    flat = np.concatenate([np.append(line[line >= 0] + 2, 0) for line in lines]).astype(np.int32)
    stretches = [flat[start : start + stretch] for start in range(0, len(flat), stretch)]
    ours = np.zeros((len(x) + 2, len(x) + 2))
    for i, j, sums in count(
        stretches, len(x) + 2, window=oracle.params["window"], symmetric=oracle.params["symmetric"], kept=kept
    ):
        assert not ours[i, j].any(), "a pair came twice"
        ours[i, j] = sums
    # The C program counts the commonest word beside itself twice; by its own rule, and the paper's, it counts once.
    assert x[0, 0] == pytest.approx(2 * ours[2, 2])
    x[0, 0] /= 2
    np.testing.assert_allclose(ours[2:, 2:], x, rtol=1e-9, atol=1e-8)


def glove_parts(oracle):
    x = oracle.inputs["X"]
    i, j = np.nonzero(x)
    return i, j, x[i, j]


def test_glove_value_and_gradient_equal_mittens() -> None:
    """The loss before each step is half the paper's J, and AdaGrad on our gradient ends at mittens' tables."""
    backend.import_keras()
    from kptk_words.glove import glove_cost, glove_weight

    oracle = case("glove")
    i, j, x = glove_parts(oracle)
    tables = [oracle.inputs[name].astype(np.float64) for name in ("W", "C", "bw", "bc")]
    squares = [np.full_like(table, 0.1) for table in tables]
    options = (oracle.params["x_max"], oracle.params["alpha"])

    def half_j(w, c, bw, bc):
        from keras import ops

        scores = ops.sum(ops.take(w, i, axis=0) * ops.take(c, j, axis=0), axis=1)
        scores = scores + ops.take(bw, i, axis=0)[:, 0] + ops.take(bc, j, axis=0)[:, 0]
        return 0.5 * ops.sum(glove_cost(scores, ops.convert_to_tensor(x.astype("float32")), *options))

    weight = np.asarray(backend.import_keras().ops.convert_to_numpy(glove_weight(x.astype("float32"), *options)))
    np.testing.assert_allclose(weight, oracle.outputs["weight"][i, j], rtol=1e-5)
    for step in range(10):
        value, slopes = gradients(half_j, *tables)
        assert value == pytest.approx(oracle.outputs["losses"][step], rel=1e-4)
        if step == 0:
            assert 2 * value == pytest.approx(float(oracle.outputs["J_paper"]), rel=1e-4)
        for which, slope in enumerate(slopes):
            squares[which] += slope.astype(np.float64) ** 2
            tables[which] -= oracle.params["learning_rate"] * slope / np.sqrt(squares[which])
        if step in (0, 1, 9):
            for table, name in zip(tables, ("W", "C", "bw", "bc"), strict=True):
                np.testing.assert_allclose(table, oracle.outputs[f"{name}{step + 1}"], rtol=2e-3, atol=2e-5)


def test_glove_objective_makes_the_steps_of_mittens() -> None:
    """The whole objective with Keras' AdaGrad, all pairs in one batch."""
    keras = backend.import_keras()
    from kptk_words.glove import GloVe
    from kptk_words.word_vectors import word_vectors

    oracle = case("glove")
    i, j, x = glove_parts(oracle)
    words, dim = oracle.inputs["W"].shape
    model = GloVe(word_vectors((None,), vocabulary=words + 2, dim=dim), x_max=oracle.params["x_max"])
    pad = np.zeros((2, dim))
    model.table.embeddings.assign(np.concatenate([pad, oracle.inputs["W"]]))
    model.contexts.assign(np.concatenate([pad, oracle.inputs["C"]]))
    model.word_bias.assign(np.concatenate([[0, 0], oracle.inputs["bw"][:, 0]]))
    model.context_bias.assign(np.concatenate([[0, 0], oracle.inputs["bc"][:, 0]]))
    rows = np.stack([i + 2, j + 2, x], axis=1).astype("float32")
    model.compile(optimizer=keras.optimizers.Adagrad(oracle.params["learning_rate"], initial_accumulator_value=0.1))
    history = model.fit(rows, batch_size=len(rows), epochs=10, shuffle=False, verbose=0)
    np.testing.assert_allclose(np.array(history.history["loss"]) * len(rows), oracle.outputs["losses"], rtol=1e-3)
    table = keras.ops.convert_to_numpy(model.final_backbone().get_layer("vectors").embeddings)[2:]
    np.testing.assert_allclose(table, oracle.outputs["embedding10"], rtol=5e-3, atol=1e-4)


def test_glove_cost_equals_the_c_program_before_training() -> None:
    keras = backend.import_keras()
    from kptk_words.glove import glove_cost

    oracle = case("glove_sgd")
    i, j, x, table = (oracle.inputs[name] for name in ("i", "j", "x", "init"))
    table = table.astype(np.float64).copy()
    half = len(table) // 2
    squares = np.ones_like(table)
    scores = []
    for a, b, count in zip(i, j, x, strict=True):  # the C program's own order and steps
        w, c = table[a], table[half + b]
        scores.append(w[:-1] @ c[:-1] + w[-1] + c[-1])
        weight = min(1.0, (count / oracle.params["x_max"]) ** oracle.params["alpha"])
        f = weight * (scores[-1] - np.log(count))
        for row, other in ((a, c.copy()), (half + b, w.copy())):
            g = np.append(np.clip(f * other[:-1], -100, 100) * oracle.params["eta"], f)
            table[row] -= g / np.sqrt(squares[row])
            squares[row] += g**2
    cost = 0.5 * keras.ops.convert_to_numpy(
        glove_cost(np.array(scores, "float32"), x.astype("float32"), oracle.params["x_max"], oracle.params["alpha"])
    )
    assert cost.mean() == pytest.approx(float(oracle.outputs["cost_per_record"][0]), rel=1e-4)
