"""Every protocol of `kptk evaluate` against NumPy, scikit-learn or another program, and its intervals against repetition."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from kptk.data import ArraySource
from kptk.errors import UsageError
from kptk.training import backend

keras = backend.import_keras()

from kptk import settings
from kptk.training.features import Encoder
from kptk.training.probes import knn_accuracy
from kptk.training.protocols import MEASURES, Frozen, Options, few_label, interval
from kptk.training.protocols.alignment import alignment, same_class, uniformity
from kptk.training.protocols.lp_ft import Tuned
from kptk.training.protocols.retrieval import average_precision, ranked_relevance
from kptk.training.robustness import folded

ORACLES = Path(__file__).parent / "data" / "align_uniform_oracles.npz"


def blobs(
    rows: int, classes: int = 3, dim: int = 6, apart: float = 1.2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    centres = np.random.default_rng(99).normal(size=(classes, dim))
    return (apart * centres[labels] + rng.normal(size=(rows, dim))).astype("float32"), labels


def frozen(apart: float = 1.2, encoder=None, **more) -> Frozen:
    (train, y), (test, z) = blobs(150, apart=apart), blobs(120, apart=apart, seed=1)
    parts = [ArraySource(x, labels, inputs="table") for x, labels in ((train, y), (test, z))]
    return Frozen("run", encoder, train_part=parts[0], test_part=parts[1], train=train, test=test, seed=0, **more)


def only(name: str, options: Options | None = None, **more) -> list:
    return list(MEASURES[name](frozen(**more), options or Options(k=5)))


def test_every_protocol_has_a_file_and_a_name() -> None:
    assert tuple(MEASURES) == settings.PROTOCOLS
    for name, measure in MEASURES.items():
        assert measure.__module__.rpartition(".")[2] == name.replace("-", "_")


# Intervals ---------------------------------------------------------------------------------------------------------


def test_bootstrap_of_a_share_is_the_binomial_interval() -> None:
    right = np.arange(400) < 300
    low, high = interval.of_mean(right)
    wide = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert low == pytest.approx(0.75 - wide, abs=0.006)
    assert high == pytest.approx(0.75 + wide, abs=0.006)


def test_intervals_of_means_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for repeat in range(200):
        low, high = interval.of_mean(rng.random(60) < 0.7, repeat)
        hits += low <= 0.7 <= high
    assert 0.89 <= hits / 200 <= 0.985


def test_intervals_of_draws_are_wider_when_draws_differ() -> None:
    rng = np.random.default_rng(0)
    rows = rng.random(200) < 0.8
    same = np.repeat(rows[None], 5, axis=0)
    differing = rng.random((5, 200)) < np.array([0.6, 0.7, 0.8, 0.9, 1.0])[:, None]
    width = [np.ptp(interval.of_draws(values)) for values in (same, differing)]
    assert width[1] > 1.5 * width[0]
    assert interval.of_draws(same) == pytest.approx(interval.of_mean(rows), abs=0.012)


def test_all_right_and_all_wrong_have_a_width() -> None:
    assert interval.of_mean(np.ones(100))[0] == pytest.approx(0.025 ** (1 / 100))
    assert interval.of_mean(np.zeros(100))[1] == pytest.approx(1 - 0.025 ** (1 / 100))


def test_halves_of_a_mean_give_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=300)
    low, high = interval.of_halves(lambda rows: float(values[rows].mean()), 300, float(values.mean()), halves=400)
    assert (high - low) / 2 == pytest.approx(1.96 * values.std(ddof=1) / math.sqrt(300), rel=0.12)
    assert (low + high) / 2 == pytest.approx(values.mean())


# Protocols ---------------------------------------------------------------------------------------------------------


def test_knn_is_the_vote_over_all_rows() -> None:
    given = frozen()
    (score,) = MEASURES["knn"](given, Options(k=7))
    wanted = knn_accuracy(given.train, given.train_labels, given.test, given.test_labels, 7)
    assert score.value == pytest.approx(wanted)
    assert score.low < score.value < score.high
    assert (score.k, score.train, score.test) == (7, 150, 120)


def test_linear_is_the_heads_accuracy() -> None:
    given = frozen()
    (score,) = MEASURES["linear"](given, Options())
    assert score.value == pytest.approx(given.head.score(given.test, given.test_labels))


def test_few_labels_draw_nested_rows_and_average_over_draws() -> None:
    from sklearn.linear_model import LogisticRegression

    given = frozen()
    labels = given.train_labels
    one, five = (few_label.drawn(labels, count, [0, 2]) for count in (1, 5))
    assert np.bincount(labels[five]).tolist() == [5, 5, 5]
    assert set(one) <= set(five)
    assert set(five) != set(few_label.drawn(labels, 5, [0, 3]))
    scores = list(MEASURES["few-label"](given, Options(labels_per_class=(1, 20), draws=3)))
    centre = given.train.mean(axis=0)

    def scaled(x):
        return 10 * (x - centre) / np.linalg.norm(x - centre, axis=1, keepdims=True)

    wanted = []
    for draw in range(3):
        rows = few_label.drawn(labels, 20, [0, draw])
        probe = LogisticRegression(C=1.0, max_iter=1000).fit(scaled(given.train[rows]), labels[rows])
        wanted.append(probe.score(scaled(given.test), given.test_labels))
    assert scores[1].value == pytest.approx(np.mean(wanted))
    assert scores[1].value > scores[0].value
    assert (scores[1].train, scores[1].draws, scores[1].labels_per_class) == (60, 3, 20)


def test_few_labels_that_are_not_there_are_refused() -> None:
    labels, names = np.array([0, 0, 0, 1]), ("cat", "dog")
    with pytest.raises(UsageError, match=r"'dog' has 1\. Received: 2"):
        few_label.check(labels, names, Options(labels_per_class=(1, 2)))
    with pytest.raises(UsageError, match=r"at least 1\. Received: 0"):
        few_label.check(labels, names, Options(labels_per_class=(0,)))
    with pytest.raises(UsageError, match="`draws` must be at least 1"):
        few_label.check(labels, names, Options(labels_per_class=(1,), draws=0))


def test_average_precision_is_scikit_learns() -> None:
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(20, 5)), rng.normal(size=(60, 5))
    asked, kept = rng.integers(0, 3, 20), rng.integers(0, 3, 60)
    got = average_precision(ranked_relevance(queries, asked, gallery, kept))
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, gallery)]
    wanted = [average_precision_score(kept == asked[i], row) for i, row in enumerate(unit[0] @ unit[1].T)]
    np.testing.assert_allclose(got, wanted)


def test_recall_counts_queries_with_a_hit() -> None:
    relevant = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], bool)
    np.testing.assert_allclose(average_precision(relevant), [1 / 2, 1, 1 / 3])
    scores = {score.metric: score for score in only("retrieval")}
    assert set(scores) == {"mAP", "recall@1", "recall@5", "recall@10"}
    assert scores["recall@1"].value < scores["recall@10"].value
    far = {score.metric: score for score in only("retrieval", apart=100.0)}
    assert far["mAP"].value == pytest.approx(1)
    none = {score.metric: score for score in only("retrieval", apart=0.0)}
    assert none["mAP"].value == pytest.approx(1 / 3, abs=0.06)


def test_rank_counts_directions_in_either_shape() -> None:
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(40, 4)))[0]
    for rows in (30, 200):
        coordinates = np.linalg.qr(rng.normal(size=(rows, 4)))[0]
        given = frozen()
        given.test = coordinates @ basis.T
        (score,) = MEASURES["rank"](given, Options())
        assert score.value == pytest.approx(4, rel=0.01)
        assert 1 <= score.low <= score.value <= score.high <= min(rows, 40)


def cases() -> list[dict]:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        return json.loads(str(arrays["meta"]))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["id"])
def test_alignment_and_uniformity_equal_another_programs(case: dict) -> None:
    with np.load(ORACLES, allow_pickle=False) as arrays:
        z0, z1 = (arrays[f"{case['id']}|in|{name}"] for name in ("z0", "z1"))
        wanted = float(arrays[f"{case['id']}|out|loss"])
    t, lam, alpha = (case["params"][name] for name in ("t", "lam", "alpha"))
    z0, z1 = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (z0, z1))
    got = lam * alignment(z0, z1, alpha) + (uniformity(z0, t) + uniformity(z1, t)) / 2
    assert got == pytest.approx(wanted, rel=1e-5)


def test_uniformity_pair_by_pair() -> None:
    x = np.random.default_rng(0).normal(size=(7, 3))
    pairs = [math.exp(-2 * ((x[i] - x[j]) ** 2).sum()) for i in range(7) for j in range(i)]
    assert uniformity(x) == pytest.approx(math.log(np.mean(pairs)))


def test_alignment_takes_views_where_there_are_and_classes_elsewhere() -> None:
    by_class, even = only("alignment")
    assert "another of its class" in by_class.words
    assert even.metric == "uniformity"
    assert even.low < even.value < even.high < 0

    def views(rows):
        return rows, rows + 1e-3

    by_view, _ = only("alignment", views=views)
    assert "two random views" in by_view.words
    assert by_view.value < 1e-5 < by_class.value
    identical, _ = only("alignment", views=lambda rows: (rows, rows))
    assert identical.value == pytest.approx(by_class.value)  # views that do not differ say nothing


def test_partners_are_other_rows_of_the_class() -> None:
    labels = np.array([0, 1, 0, 1, 2, 0])
    partners = same_class(labels, 0)
    assert partners[4] == -1
    for row in (0, 1, 2, 3, 5):
        assert partners[row] != row
        assert labels[partners[row]] == labels[row]


def dense(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, activation="relu")])


def test_lp_ft_starts_at_the_linear_probe_and_leaves_the_encoder_alone() -> None:
    encoder = Encoder(dense(), None)
    train, _ = blobs(150)
    given = frozen(encoder=encoder)
    given.train, given.test = (np.asarray(encoder(x)) for x in (train, blobs(120, seed=1)[0]))
    tuned = Tuned(encoder, folded(given.head, 3))
    start = np.asarray(tuned(train)).argmax(axis=1)
    np.testing.assert_array_equal(start, given.head.predict(given.train))
    before = [np.array(w) for w in encoder.backbone.get_weights()]
    (score,) = MEASURES["lp-ft"](given, Options())
    for old, new in zip(before, encoder.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert score.value > given.head.score(given.test, given.test_labels) - 0.05
    assert "learning rate" in score.words
    assert not list(MEASURES["lp-ft"](frozen(), Options()))  # the raw inputs have no network to tune
