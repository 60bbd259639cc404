"""The losses and figures of pairs, against another library's numbers and against plain sums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kptk.errors import InputError, UsageError
from kptk.training import backend

keras = backend.import_keras()

from kptk.testing.gradients import value_and_gradients
from kptk_text_tasks.scored_rows import POSITIVE
from kptk_text_tasks.similarity import Similarity
from kptk_text_tasks.similarity_figures import correlations, places, search_figures
from kptk_text_tasks.similarity_losses import cosent, cosine_errors, multiple_negatives

pytestmark = pytest.mark.backends
ORACLE = Path(__file__).parent / "data" / "mnrl_oracle.npz"
"""sentence-transformers 6.2.0, MultipleNegativesRankingLoss(scale=20).compute_loss_from_embeddings([anchor, positive])."""


def numpy(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def tensor(array):
    return keras.ops.convert_to_tensor(np.asarray(array, "float32"))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def pairs(rows: int, seed: int = 0, dim: int = 5):
    return unit(np.random.default_rng(seed).normal(size=(rows, 2, dim))).astype("float32")


def test_multiple_negatives_are_those_of_sentence_transformers() -> None:
    with np.load(ORACLE) as case:
        sides = np.stack([case["anchor"], case["positive"]], axis=1).astype("float32")
        losses = numpy(multiple_negatives(tensor(sides), 1 / float(case["scale"])))
        np.testing.assert_allclose(losses.mean(), case["loss"], rtol=2e-5)


def test_pairs_with_a_common_input_are_no_negatives() -> None:
    """Of four pairs, 0 and 1 share their first input, and the second input of 2 is the first of 3."""
    sides = pairs(4)
    numbers = np.array([[0, 1], [0, 2], [3, 4], [4, 5]], "float32")
    allowed = np.array([[1, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 1]], bool)
    exp = np.where(allowed, np.exp(sides[:, 0] @ sides[:, 1].T / 0.1), 0)
    wanted = -np.log(np.diag(exp) / exp.sum(axis=1))
    np.testing.assert_allclose(
        numpy(multiple_negatives(tensor(sides), 0.1, tensor(numbers))), wanted, rtol=1e-4, atol=1e-5
    )
    _, (gradient,) = value_and_gradients(
        lambda x: keras.ops.sum(multiple_negatives(x, 0.1, tensor(numbers))[:2]), sides
    )
    assert np.abs(gradient[2:, 1]).max() > 1e-3  # the others' second inputs are negatives
    alone = multiple_negatives(tensor(sides[:2]), 0.1, tensor(numbers[:2]))
    np.testing.assert_allclose(numpy(alone), 0, atol=1e-6)  # nothing is left to tell apart


def test_cosine_errors_and_cosent_by_plain_sums() -> None:
    sides, scores = pairs(5), np.array([0.0, 0.5, 0.5, 1.0, 0.25], "float32")
    cosine = (sides[:, 0] * sides[:, 1]).sum(-1)
    np.testing.assert_allclose(
        numpy(cosine_errors(tensor(scores), tensor(sides))), (cosine - scores) ** 2, rtol=1e-4, atol=1e-6
    )
    wanted = 1.0
    for i in range(5):
        for j in range(5):
            if scores[i] > scores[j]:
                wanted += np.exp((cosine[j] - cosine[i]) / 0.05)
    assert float(numpy(cosent(tensor(scores), tensor(sides), 0.05))) == pytest.approx(np.log(wanted), rel=1e-4)
    unknown = np.where(np.arange(5) == 1, np.nan, scores).astype("float32")
    fewer = cosent(tensor(np.delete(scores, 1)), tensor(np.delete(sides, 1, axis=0)), 0.05)
    assert float(numpy(cosent(tensor(unknown), tensor(sides), 0.05))) == pytest.approx(float(numpy(fewer)), rel=1e-5)
    assert float(numpy(cosent(tensor(np.ones(5)), tensor(sides), 0.05))) == pytest.approx(0.0, abs=1e-6)


def test_scores_are_scaled_and_predicted_in_their_own_unit() -> None:
    task = Similarity(row_shape=(2, 4))
    scores = np.array([0.0, 2.5, 5.0])
    task.adapt(scores)
    assert (task.loss_name, task.highest, task.metric, task.least_batch) == ("cosine", 5.0, "spearman", 1)
    sides = pairs(3)
    cosine = (sides[:, 0] * sides[:, 1]).sum(-1)
    np.testing.assert_allclose(
        numpy(task.row_loss(tensor(scores), tensor(sides))), (cosine - scores / 5) ** 2, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(numpy(task.activate(tensor(sides)))[:, 0], 5 * cosine, rtol=1e-4, atol=1e-5)
    again = Similarity.from_config(task.get_config())
    assert (again.loss_name, again.highest) == ("cosine", 5.0)


def test_correlations_are_by_hand() -> None:
    scores, cosine = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.1, 0.4, 0.2, 0.9])
    found = correlations(scores, cosine)
    assert found["pearson"] == pytest.approx(np.corrcoef(scores, cosine)[0, 1])
    assert found["spearman"] == pytest.approx(1 - 6 * 2 / (4 * 15))  # 1 - 6 sum(d^2) / (n (n^2 - 1))
    assert correlations(scores, np.ones(4)) == {"spearman": 0.0, "pearson": 0.0}


def test_a_search_counts_each_question_and_answer_once() -> None:
    """Question 0 has two answers, 1 and 2; answers that are as near as the right one stand before it."""
    axes = np.eye(3, dtype="float32")
    embeddings = np.stack([[axes[0], axes[1]], [axes[0], axes[0]], [axes[1], axes[1]]])
    numbers = np.array([[0, 1], [0, 2], [3, 4]])
    # 0 finds 2 at once; 3 finds its answer, 4, behind 1, which has the same vector.
    assert places(embeddings, numbers).tolist() == [1, 2]
    found = search_figures(embeddings, numbers)
    assert found == {"mrr": 0.75, "recall@1": 0.5, "recall@5": 1.0, "recall@10": 1.0}
    same = np.tile(axes[0], (4, 2, 1))
    assert places(same, np.arange(8).reshape(4, 2)).tolist() == [4, 4, 4, 4]


def test_labels_that_cannot_be_meant() -> None:
    task = Similarity()
    with pytest.raises(InputError, match=r"a score for each pair.*shape \(2, 2\)"):
        task.check_labels(np.zeros((2, 2)))
    with pytest.raises(InputError, match="infinity"):
        task.check_labels(np.array([1.0, np.inf]))
    with pytest.raises(InputError, match=r"between `lowest` and `highest`, 0\.\.1\. Received: -1\.\.1"):
        task.adapt(np.array([-1.0, 1.0]))
    with pytest.raises(InputError, match="takes no scores"):
        Similarity(loss="mnrl").adapt(np.array([0.0, 1.0]))
    with pytest.raises(InputError, match="have none"):
        Similarity(loss="cosent").adapt(np.full(3, POSITIVE))
    with pytest.raises(UsageError, match="see its labels"):
        Similarity().row_loss(np.zeros(2), pairs(2))
    with pytest.raises(UsageError, match="`loss` must be one of"):
        Similarity(loss="l2")
