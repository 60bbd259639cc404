"""The harness of arms x labels x seeds: same rows for every arm, honest choices, exact resume, exact intervals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kptk.errors import InputError
from kptk.training import backend

keras = backend.import_keras()

from kptk.training import arms, checkpoint, finetuner
from kptk.training.backbones import reinitialised
from kptk.training.experiment import (
    ALL,
    Cell,
    Draw,
    Grid,
    Outcome,
    draw,
    paired_difference,
    table,
)
from kptk.training.preprocessor import Preprocessor

CLASSES = 3
NUMBER = np.arange(180)
Y = np.repeat(np.arange(CLASSES), 60)
# The last column is the row's own number, so that a row can be recognised wherever it turns up.
X = np.concatenate([np.random.default_rng(0).normal(size=(180, 4)) + 3 * np.eye(4)[Y], NUMBER[:, None]], axis=1).astype(
    "float32"
)


def drawn(seed: int = 0, labels: int = 2) -> Draw:
    return draw(X, Y, seed=seed, labels_per_class=labels, test_rows=45, validation_per_class=5)


def rows(x: Any) -> set[int]:
    return {int(number) for number in x[:, -1]}


def cell(arm: str, seed: int, test: float, *, validation: float = 0.5, labels: int = 1) -> Cell:
    return Cell(arm=arm, labels_per_class=labels, seed=seed, validation=validation, test=test)


def filled(path: Path, cells: list[Cell]) -> Grid:
    grid = Grid(path)
    grid.cells.extend(cells)
    return grid


# The draw ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [1, 2, 10, ALL])
def test_parts_are_disjoint_and_complete(labels: int) -> None:
    data = drawn(labels=labels)
    labelled, held, test, pool = rows(data.x), rows(data.validation[0]), rows(data.test[0]), rows(data.pool)
    assert not labelled & held
    assert not test & pool  # what is tested was not even seen without its label
    assert labelled | held <= pool
    assert test | pool == set(NUMBER)
    assert len(test) == len(data.test[0]) == 45
    for x, y in ((data.x, data.y), data.validation, data.test):
        assert np.array_equal(Y[x[:, -1].astype(int)], y)
    assert np.bincount(data.validation[1]).tolist() == [5] * CLASSES
    if labels:
        assert np.bincount(data.y).tolist() == [labels] * CLASSES
    else:
        assert labelled | held == pool


def test_more_labels_of_a_seed_keep_the_fewer_and_everything_else() -> None:
    few, more = drawn(labels=2), drawn(labels=10)
    assert rows(few.x) < rows(more.x)
    assert np.array_equal(few.pool, more.pool)
    assert np.array_equal(few.test[0], more.test[0])
    assert np.array_equal(few.validation[0], more.validation[0])


def test_the_seed_decides_everything() -> None:
    first, again, other = drawn(seed=3), drawn(seed=3), drawn(seed=4)
    for part in ("pool", "x", "y"):
        assert np.array_equal(getattr(first, part), getattr(again, part))
    assert rows(first.x) != rows(other.x)
    assert rows(first.test[0]) != rows(other.test[0])


def test_too_few_rows_of_a_class_are_refused() -> None:
    with pytest.raises(InputError, match=r"class 0 has .* rows in the pool; 65 are needed"):
        drawn(labels=60)


# The grid ------------------------------------------------------------------------------------------------------------


class Recorder:
    """An arm that remembers what it was given."""

    def __init__(self, fails_at: int = 10**9) -> None:
        self.seen: list[Draw] = []
        self.fails_at = fails_at

    def __call__(self, data: Draw) -> Outcome:
        if len(self.seen) == self.fails_at:
            raise KeyboardInterrupt
        self.seen.append(data)
        return Outcome(validation=0.5, test=data.seed / 10, chosen="nothing")

    @property
    def keys(self) -> list[tuple[int, int]]:
        return [(data.seed, data.labels_per_class) for data in self.seen]


def grid_of_draws() -> list[Draw]:
    return [drawn(seed, labels) for seed in (0, 1) for labels in (1, 5)]


def test_every_arm_gets_the_same_rows(tmp_path: Path) -> None:
    first, second = Recorder(), Recorder()
    cells = list(Grid(tmp_path / "cells.jsonl").run({"first": first, "second": second}, grid_of_draws()))
    assert len(cells) == 8
    assert first.keys == second.keys == [(0, 1), (0, 5), (1, 1), (1, 5)]
    for mine, theirs in zip(first.seen, second.seen, strict=True):
        assert mine is theirs  # one draw a cell: no arm can have rows of its own


def test_a_killed_grid_repeats_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "cells.jsonl"
    first, second = Recorder(), Recorder(fails_at=2)
    with pytest.raises(KeyboardInterrupt):
        list(Grid(path).run({"first": first, "second": second}, grid_of_draws()))
    assert len(first.keys) == 3
    assert len(second.keys) == 2
    before = path.read_text(encoding="utf-8")

    first_again, second_again = Recorder(), Recorder()
    new = list(Grid(path).run({"first": first_again, "second": second_again}, grid_of_draws()))
    assert first_again.keys == [(1, 5)]
    assert second_again.keys == [(1, 1), (1, 5)]
    assert len(new) == 3
    assert path.read_text(encoding="utf-8").startswith(before)

    idle = Recorder()
    assert not list(Grid(path).run({"first": idle, "second": idle}, grid_of_draws()))
    assert not idle.seen


def test_a_new_arm_runs_beside_finished_ones(tmp_path: Path) -> None:
    path = tmp_path / "cells.jsonl"
    list(Grid(path).run({"old": Recorder()}, grid_of_draws()))
    old, new = Recorder(), Recorder()
    list(Grid(path).run({"old": old, "new": new}, grid_of_draws()))
    assert not old.seen
    assert len(new.seen) == 4


@pytest.mark.parametrize("lost", [1, 5, 30])
def test_a_line_that_was_cut_off_runs_again(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "cells.jsonl"
    list(Grid(path).run({"arm": Recorder()}, grid_of_draws()))
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[:-lost], encoding="utf-8")
    arm = Recorder()
    list(Grid(path).run({"arm": arm}, grid_of_draws()))
    # One character is only the line's end: the cell itself is whole.
    assert arm.keys == ([] if lost == 1 else [(1, 5)])
    assert path.read_text(encoding="utf-8") == whole


@pytest.mark.parametrize(
    "text",
    [
        "precious notes\n",
        '{"arm": "a"}\n',  # whole, but from another program
        '{"arm": "a", "labels_per_cl\n{"arm": "a"}\n',  # cut off, but not at the end
    ],
)
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"notes\.md, line 1: not a finished cell"):
        Grid(path)
    assert path.read_text(encoding="utf-8") == text


def test_cells_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "cells.jsonl"
    cells = list(Grid(path).run({"arm": Recorder()}, grid_of_draws()))
    assert Grid(path).cells == cells
    assert [json.loads(line)["arm"] for line in path.read_text(encoding="utf-8").splitlines()] == ["arm"] * 4


def test_each_new_cell_is_told(tmp_path: Path) -> None:
    told: list[Cell] = []
    cells = list(Grid(tmp_path / "cells.jsonl").run({"arm": Recorder()}, grid_of_draws(), say=told.append))
    assert told == cells


# Comparison ----------------------------------------------------------------------------------------------------------


def test_the_interval_is_scipys() -> None:
    from scipy import stats

    rng = np.random.default_rng(1)
    for count in (2, 5, 10, 40):
        first, second = rng.normal(0.8, 0.05, count), rng.normal(0.7, 0.05, count)
        ours = paired_difference(dict(enumerate(first)), dict(enumerate(second)))
        low, high = stats.ttest_1samp(first - second, 0).confidence_interval(0.95)
        assert (ours.low, ours.high) == pytest.approx((low, high), abs=1e-12)
        assert ours.mean == pytest.approx((first - second).mean(), abs=1e-12)
        assert ours.seeds == count


def test_only_seeds_of_both_arms_are_pairs() -> None:
    result = paired_difference({0: 0.9, 1: 0.8, 2: 0.1}, {1: 0.7, 0: 0.7, 5: 1.0})
    assert result.seeds == 2
    assert result.mean == pytest.approx(0.15)
    with pytest.raises(InputError, match="at least two seeds"):
        paired_difference({0: 0.9, 1: 0.8}, {1: 0.7, 2: 0.7})


def test_equal_differences_give_a_point() -> None:
    result = paired_difference({0: 0.5, 1: 0.75}, {0: 0.25, 1: 0.5})
    assert (result.low, result.mean, result.high) == (0.25, 0.25, 0.25)


def test_a_planted_pair_without_gain_has_zero_in_its_interval() -> None:
    # Two arms of one accuracy that share the difficulty of the seed, as arms on the same rows do.
    rng = np.random.default_rng(2)
    excluded, experiments, seeds = 0, 400, 10
    for _ in range(experiments):
        difficulty = rng.normal(0.7, 0.05, seeds)
        first, second = (dict(enumerate(difficulty + rng.normal(0, 0.01, seeds))) for _ in range(2))
        result = paired_difference(first, second)
        excluded += not result.low <= 0 <= result.high
    assert 0.02 <= excluded / experiments <= 0.08  # 95 % intervals
    gain = paired_difference({seed: value + 0.05 for seed, value in first.items()}, second)
    assert gain.low > 0


def test_best_of_chooses_by_validation_or_by_test(tmp_path: Path) -> None:
    grid = filled(
        tmp_path / "cells.jsonl",
        [
            cell("a", 0, 0.9, validation=0.1),
            cell("b", 0, 0.2, validation=0.8),
            cell("a", 1, 0.4, validation=0.7),
            cell("b", 1, 0.6, validation=0.7),
            cell("a", 2, 1.0),  # b has not run seed 2
            cell("b", 0, 0.99, validation=0.99, labels=5),
        ],
    )
    assert grid.best_of(("a", "b"), 1, by="validation") == {0: 0.2, 1: 0.4}  # a tie keeps the first
    assert grid.best_of(("a", "b"), 1, by="test") == {0: 0.9, 1: 0.6}


def test_table_is_markdown_with_mean_and_deviation(tmp_path: Path) -> None:
    cells = [cell("a", 0, 0.5), cell("a", 1, 0.7), cell("b", 0, 0.25, labels=ALL), cell("b", 1, 0.25, labels=ALL)]
    lines = table(filled(tmp_path / "cells.jsonl", cells), ("a", "b"), (1, ALL)).splitlines()
    assert lines == [
        "| arm | k = 1 | k = all |",
        "| --- | ---: | ---: |",
        "| a | 60.0 ± 14.1 |  |",
        "| b |  | 25.0 ± 0.0 |",
    ]


# The arms ------------------------------------------------------------------------------------------------------------


class Plain(Preprocessor):
    """Leaves out the row number."""

    def call(self, inputs: Any) -> tuple[Any, ...]:
        return (self.plain(inputs),)

    def plain(self, inputs: Any) -> Any:
        return keras.ops.cast(inputs[:, :4], "float32")


def network() -> Any:
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(8, activation="relu")(inputs))


class Pretraining:
    """Counts its calls, remembers its rows and leaves weights that can be recognised."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, set[int]]] = []

    def __call__(self, backbone: Any, data: Draw) -> dict[str, float]:
        self.calls.append((data.seed, rows(data.pool)))
        backbone.set_weights([weights + 1 for weights in backbone.get_weights()])
        return {"seconds": 2.0 + data.seed}


def setup() -> arms.Setup:
    return arms.Setup(
        build=network,
        preprocessor=Plain(views=1, seed=0),
        pretrain_steps=7,
        finetune_steps=arms.HEAD_STEPS + 20,
        classes=CLASSES,
    )


def test_arms_start_and_train_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each trained arm's first weights, steps and model, without the training itself."""
    starts: list[tuple[Any, list[Any], list[Any], int]] = []

    def record(tuner: finetuner.FineTuner, data: Draw, start: Any, steps: int) -> Outcome:
        checkpoint.restore(tuner.model, tuner._fresh)
        start()
        weights = tuner.model.backbone.get_weights(), tuner.model.head.get_weights()
        starts.append((tuner, *weights, steps))
        # What a real run would leave behind must not reach the next arm.
        tuner.model.set_weights([weight + 5 for weight in tuner.model.get_weights()])
        return Outcome(validation=0.0, test=0.0)

    monkeypatch.setattr(finetuner.FineTuner, "best", record)
    pretrain = Pretraining()
    made = arms.make_arms(setup(), pretrain)
    assert tuple(made) == arms.NAMES
    data = drawn()
    order = ("scratch", "scratch-long", "scratch-long-augmented", "full-ft", "lp-ft")
    for name in order:
        made[name](data)
    by_name = dict(zip(order, starts, strict=True))

    fresh, pretrained = by_name["scratch"][1], by_name["full-ft"][1]
    for name in ("scratch-long", "scratch-long-augmented"):
        assert all(np.array_equal(a, b) for a, b in zip(by_name[name][1], fresh, strict=True))
    # Exactly the initial weights plus what pre-training did; and lp-ft's first phase left the backbone alone.
    for name in ("full-ft", "lp-ft"):
        assert all(np.array_equal(a, b + 1) for a, b in zip(by_name[name][1], fresh, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(by_name["lp-ft"][1], pretrained, strict=True))

    features = np.maximum(data.x[:, :4] @ pretrained[0] + pretrained[1], 0)
    kernel, bias = by_name["lp-ft"][2]
    assert np.array_equal((features @ kernel + bias).argmax(axis=1), data.y)  # a head that was trained
    assert not np.array_equal(kernel, by_name["full-ft"][2][0])

    assert [by_name[name][3] for name in order] == [120, 127, 127, 120, 80]
    assert by_name["scratch-long-augmented"][0].model.augment
    assert not by_name["scratch-long"][0].model.augment
    assert pretrain.calls == [(0, rows(data.pool))]  # once a seed, and never on test rows


def test_pretraining_runs_once_a_seed() -> None:
    pretrain = Pretraining()
    frozen = arms.make_arms(setup(), pretrain)["frozen"]
    for seed in (0, 1):
        for labels in (1, 5):
            frozen(drawn(seed, labels))
    assert [seed for seed, _ in pretrain.calls] == [0, 1]


def test_cells_of_an_objective_carry_what_pretraining_told(tmp_path: Path) -> None:
    bench = arms.Bench(setup())
    made = {**bench.controls(), **bench.transfers(Pretraining(), "mine/")}
    chosen = {name: made[name] for name in ("random", "mine/frozen", "mine/knn")}
    grid = Grid(tmp_path / "cells.jsonl")
    list(grid.run(chosen, [drawn(seed=1)]))
    facts = {cell.arm: dict(cell.facts) for cell in Grid(tmp_path / "cells.jsonl").cells}
    assert facts == {"random": {}, "mine/frozen": {"seconds": 3.0}, "mine/knn": {"seconds": 3.0}}


def test_knn_votes_with_the_labelled_rows_only() -> None:
    from kptk.training.probes import knn_accuracy

    bench, data = arms.Bench(setup()), drawn(labels=5)
    outcome = bench.transfers(Pretraining())["knn"](data)
    expected = knn_accuracy(bench.features(data.x), data.y, bench.features(data.test[0]), data.test[1])
    assert outcome.test == expected
    assert outcome.chosen == "k 15"


def test_a_fine_tuner_forgets_its_last_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same start gives the same result after anything else: weights, optimiser and random layers are reset."""
    monkeypatch.setattr(finetuner, "BATCH", 8)
    keras.utils.set_random_seed(0)
    backbone = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dropout(0.5)])
    model = finetuner.Classifier(backbone, CLASSES, Plain(views=1, seed=0), augment=False)
    tuner = finetuner.FineTuner(model, rates=(1e-2,))
    first = tuner.best(drawn(), lambda: None, 5)
    trained = [weight.copy() for weight in model.get_weights()]
    tuner.best(drawn(seed=1, labels=5), lambda: None, 5)
    assert not np.array_equal(model.get_weights()[0], trained[0])
    assert tuner.best(drawn(), lambda: None, 5) == first
    for again, before in zip(model.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(again, before)
    assert int(model.optimizer.iterations.numpy()) == 5


def test_the_rate_is_chosen_on_validation_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    model = finetuner.Classifier(network(), CLASSES, Plain(views=1, seed=0), augment=False)
    tuner = finetuner.FineTuner(model, rates=(1e-2, 1e-3, 1e-4))
    data = drawn()
    scores = iter([0.5, 0.9, 0.8, 0.1, 0.8, 0.7])  # validation, test of each rate
    monkeypatch.setattr(finetuner.FineTuner, "_accuracy", lambda *_: next(scores))
    monkeypatch.setattr(model, "fit", lambda *_args, **_options: None)
    assert tuner.best(data, lambda: None, 1) == Outcome(validation=0.8, test=0.1, chosen="learning rate 0.001")


def test_the_probe_is_logistic_regression_chosen_on_validation_rows() -> None:
    from sklearn.linear_model import LogisticRegression

    data = drawn(labels=5)
    outcome = arms.probe(lambda x: x[:, :4], data)
    strength = float(outcome.chosen.split()[1])
    assert strength in arms.STRENGTHS
    fits = {c: LogisticRegression(C=c, max_iter=2000).fit(data.x[:, :4], data.y) for c in arms.STRENGTHS}
    validation = {c: fit.score(data.validation[0][:, :4], data.validation[1]) for c, fit in fits.items()}
    assert validation[strength] == max(validation.values()) == outcome.validation
    assert outcome.test == fits[strength].score(data.test[0][:, :4], data.test[1])


def test_a_centred_probe_does_not_mind_a_shift_or_scale() -> None:
    data = drawn(labels=5)
    centre = data.pool[:, :4].mean(axis=0)
    plain = arms.probe(lambda x: x[:, :4], data, centre=centre)
    moved = arms.probe(lambda x: 64 * x[:, :4] + 1024, data, centre=64 * centre + 1024)
    assert moved == plain


def test_prediction_in_batches_is_prediction() -> None:
    x = np.random.default_rng(0).normal(size=(11, 3))
    shapes = []

    def predict(batch: Any) -> Any:
        shapes.append(batch.shape)
        return batch * 2

    assert np.array_equal(finetuner.in_batches(predict, x, size=4), x * 2)
    assert shapes == [(4, 3)] * 3


def test_a_head_for_two_classes_gives_logistic_regressions_probabilities() -> None:
    from sklearn.linear_model import LogisticRegression

    data = drawn(labels=5)
    x, y = data.x[data.y < 2, :4], data.y[data.y < 2]
    kernel, bias = arms.head_on_features(x, y, 2, 0)
    odds = np.exp(x @ kernel + bias)
    expected = LogisticRegression(C=1.0, max_iter=1000).fit(x, y).predict_proba(x)
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), expected, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_raw_rows_are_scaled_by_their_kind(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def look(features: Any, data: Draw, *, centre: Any = None) -> Outcome:
        seen.append(float(features(data.x).max()))
        return Outcome(validation=0.0, test=0.0)

    monkeypatch.setattr(arms, "probe", look)
    x = np.full((180, 5), 255 if dtype == "uint8" else 1, dtype)
    data = draw(x, Y, seed=0, labels_per_class=1, test_rows=45, validation_per_class=5)
    arms.make_arms(setup(), Pretraining())["raw"](data)
    assert seen == [1.0, 1.0]


def test_a_class_without_a_row_is_never_predicted() -> None:
    data = drawn(labels=5)
    kernel, bias = arms.head_on_features(data.x[:, :4], data.y, CLASSES + 1, 0)
    assert kernel.shape == (4, CLASSES + 1)
    assert set((data.test[0][:, :4] @ kernel + bias).argmax(axis=1)) <= set(range(CLASSES))


def test_controls_of_a_pretrained_network_have_fresh_weights() -> None:
    """A network that is built with loaded weights: random and scratch start afresh, pre-training from what was loaded."""

    def loaded() -> Any:
        model = network()
        model.set_weights([np.full_like(weights, 0.5) for weights in model.get_weights()])
        return model

    class Untouched(Pretraining):
        def __call__(self, backbone: Any, data: Draw) -> dict[str, float]:
            self.calls.append((data.seed, rows(data.pool)))
            return {}

    bench = arms.Bench(replace(setup(), build=loaded))
    data = draw(X, Y, seed=3, labels_per_class=2, test_rows=45, validation_per_class=5)
    for fresh, wanted in zip(bench.fresh(data), reinitialised(network(), 3).get_weights(), strict=True):
        np.testing.assert_array_equal(fresh, wanted)
        assert not np.allclose(fresh, 0.5)
    for start in arms.Pretrained(bench, Untouched()).of(data):
        np.testing.assert_array_equal(start, np.full_like(start, 0.5))


def test_fresh_weights_are_those_that_the_builder_makes() -> None:
    import kptk

    for name in ("example_cnn", "resnet18"):
        keras.utils.set_random_seed(3)
        built = kptk.backbone(name, input_shape=(16, 16, 1))
        for fresh, wanted in zip(reinitialised(built, 3).get_weights(), built.get_weights(), strict=True):
            np.testing.assert_array_equal(fresh, wanted)
