"""Checks of strategies and tasks: phases keep what they freeze, models save and load, heads learn."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kptk.testing.checks import Function, Skip, Subject, only_for

if TYPE_CHECKING:
    from kptk.training.strategy import Strategy
    from kptk.training.task import Task

ROWS = 32
EPOCHS = 8


def phases_change_only_their_weights(subject: Subject) -> None:
    """After each phase every weight that it does not name has its bits, and one that it names has not."""
    model, x, y = _ready(subject)
    for phase in model.phases():
        before = _values(model)
        trained = {id(variable) for variable in phase.weights}
        part = model.begin(phase, 2)
        rows = model.cached_features(x) if phase.cached else x
        if phase.cached:
            model.enter(phase, rows, y)
            before |= {key: entry for key, entry in _values(model).items() if not phase.rate}
        _fit(part, rows, y)
        after = _values(model)
        tunable = {id(variable) for variable in model.tunable}
        moved = 0
        for key, (variable, value) in before.items():
            same = np.array_equal(value, after[key][1])
            if key in trained:
                moved += not same
            elif key in tunable:
                assert same, f"phase {phase.name} does not name {variable.path} and changed it"
            elif not phase.live and "seed" not in variable.path and not _owned_by_strategy(model, variable):
                assert same, f"phase {phase.name} is not live and changed {variable.path}"
        assert moved or not phase.rate, f"phase {phase.name} changed none of its {len(trained)} weights"


def saves_and_loads(subject: Subject) -> None:
    """A fitted model predicts the same after it was saved and loaded, and knows its class names."""
    import keras

    import kptk

    model, x, _, _ = _fitted(subject)
    wanted = keras.ops.convert_to_numpy(model.predictions(x))
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        loaded: Any = kptk.load_model(Path(folder) / "model.keras", subject.plugins)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loaded.predictions(x)), wanted, rtol=1e-5, atol=1e-6)
    assert loaded.task.class_names == model.task.class_names


def fit_learns(subject: Subject) -> None:
    """Plain ``fit`` brings the loss of easy rows down."""
    model, x, y, before = _fitted(subject)
    after = _loss(model, x, y)
    assert np.isfinite(after) and after < before, f"the loss went from {before:.4f} to {after:.4f}"


def same_seed_same_loss(subject: Subject) -> None:
    """Built and fitted again from one seed, a model has the same loss."""
    model, x, y, _ = _fitted(subject)
    again, _, _ = _ready(subject)
    again.fit(x, y, batch_size=16, epochs=EPOCHS, shuffle=False, verbose=0)
    losses = [_loss(one, x, y) for one in (model, again)]
    assert losses[0] == losses[1], f"losses {losses[0]} and {losses[1]} differ"


@only_for("task")
def missing_labels_do_not_count(subject: Subject) -> None:
    """The loss of rows without a label is left out: a NaN or -1 changes nothing but the mean."""
    from keras import ops

    model, x, y, _ = _fitted(subject)
    task: Task = model.task
    if not task.learns_from_labels or task.has_label(_without_labels(y)).any():
        raise Skip("its labels cannot be missing")
    outputs = ops.convert_to_numpy(model(x, training=False))
    half = ROWS // 2
    some = np.concatenate([y[:half], _without_labels(y[half:])])
    got, wanted = (
        float(ops.convert_to_numpy(task.loss(*map(ops.convert_to_tensor, pair))))
        for pair in ((some, outputs), (y[:half], outputs[:half]))
    )
    assert abs(got - wanted) < 1e-5 * max(1.0, abs(wanted)), f"{got} with missing labels, {wanted} without those rows"


@only_for("task")
def predictions_have_columns_and_a_score(subject: Subject) -> None:
    """Predictions become columns of one length, and are scored by the task's own metric."""
    from keras import ops

    model, x, y, _ = _fitted(subject)
    predictions = ops.convert_to_numpy(model.predictions(x))
    columns = model.task.columns(predictions)
    assert columns, "there are no columns"
    for name, column in columns.items():
        assert len(column) == ROWS, f"column {name} has {len(column)} rows for {ROWS}"
    labels = y
    if labels is None:
        labels = ops.convert_to_numpy(model.task.input_targets(model.preprocessor.plain(x)))
    scores = model.task.score(labels, predictions)
    assert model.task.metric in scores, f"`score` gives {', '.join(scores)}, not {model.task.metric}"
    assert all(isinstance(value, float) for value in scores.values()), "scores must be floats"


def build_strategy(subject: Subject, **options: Any) -> Strategy:
    """A strategy around a tiny backbone with batch normalisation and dropout, on an easy classification.

    Args:
        subject: the strategy.
        **options: its options.
    """
    import keras

    from kptk.testing import toys

    keras.utils.set_random_seed(0)
    if missing := set(getattr(subject.spec, "needs", ())) - set(options):
        raise Skip(f"it needs {', '.join(sorted(missing))}; the plugin's tests give it some")
    kind = toys.kind_of(subject.spec)
    task = _task(subject, kind, "map" if subject.spec.features == "map" else "vector")
    made: Strategy = subject.spec.build(
        backbone=_backbone(kind), task=task, preprocessor=toys.toy(kind).views(1), **options
    )
    return made


def _backbone(kind: str, features: str = "vector") -> Any:
    import keras

    from kptk.testing import toys

    plain = toys.toy(kind).backbone(features)
    x = keras.layers.BatchNormalization(name="norm")(plain.output)
    x = keras.layers.Dropout(0.1, seed=7, name="drop")(x)
    return keras.Model(plain.input, x, name="tiny_with_norm")


def _task(subject: Subject, kind: str, features: str) -> Task:
    """The first installed task of those features."""
    from kptk.testing import toys

    shape = tuple(toys.toy_inputs(kind, 1)[0].shape[1:])
    names = ("a", "b", "c", "d")
    several = getattr(subject.spec, "several", False)
    labels = "number" if several else "class" if features == "vector" else "mask"
    for offer in sorted(subject.plugins.offers("task"), key=lambda offer: offer.spec.name != "classification"):
        if (offer.spec.features, offer.spec.labels, offer.spec.several) == (features, labels, several):
            made: Task = offer.spec.build(class_names=names, row_shape=shape, name=offer.spec.name)
            return made
    raise Skip(f"no installed task takes a {features} of features{' and holds several' if several else ''}")


def _ready(subject: Subject) -> tuple[Any, Any, Any]:
    """A compiled model with rows and labels that suit it."""
    import keras

    from kptk.testing import toys

    kind = toys.kind_of(subject.spec)
    x, classes = toys.toy_inputs(kind, ROWS)
    if subject.spec.kind == "strategy":
        model = build_strategy(subject)
    else:
        keras.utils.set_random_seed(0)
        task = subject.spec.build(class_names=("a", "b", "c", "d"), row_shape=x.shape[1:], name=subject.spec.name)
        from kptk.testing.whole import Whole

        if subject.spec.features == "target":
            model, x = _writing(task, x)
        elif subject.spec.features == "pair":
            x, classes = _paired(x, classes)
            task.row_shape = tuple(x.shape[1:])
            model = Whole(_backbone(kind, "vector"), task, toys.toy(kind).views(1))
        else:
            model = Whole(_backbone(kind, subject.spec.features), task, toys.toy(kind).views(1))
    y = model.task.example_labels(x, classes)
    if y is not None:
        model.task.adapt(y)
    model.compile(keras.optimizers.Adam(3e-3), metrics=None)
    return model, x, y


def _paired(rows: Any, classes: Any) -> tuple[Any, Any]:
    """Pairs of rows, and for each 1 if both are of one class and 0 if not, half of them each."""
    partner = np.empty(len(rows), dtype=np.int64)
    for place in range(len(rows)):
        same = classes == classes[place]
        wanted = same if place % 2 else ~same
        wanted[place] = False
        choices = np.flatnonzero(wanted)
        partner[place] = choices[place % len(choices)]
    return np.stack([rows, rows[partner]], axis=1), (classes == classes[partner]).astype("int64")


def _writing(task: Task, rows: Any) -> tuple[Any, Any]:
    """A model with a decoder, and rows of a text and the same text to write."""
    from kptk.testing import toys
    from kptk.testing.whole import WholeWithDecoder

    backbone, ids = toys.toy("text").backbone("vector"), rows[:, 0]
    room = task.target_length + 1 - ids.shape[1]
    targets = np.pad(ids, ((0, 0), (0, room))) if room > 0 else ids[:, : task.target_length + 1]
    return WholeWithDecoder(backbone, task), np.concatenate([ids, targets], axis=1)


def _fitted(subject: Subject) -> tuple[Any, Any, Any, float]:
    """A fitted model, its rows and labels, and the loss before: made once for all checks."""

    def make() -> tuple[Any, Any, Any, float]:
        model, x, y = _ready(subject)
        before = _loss(model, x, y)
        model.fit(x, y, batch_size=16, epochs=EPOCHS, shuffle=False, verbose=0)
        return model, x, y, before

    made: tuple[Any, Any, Any, float] = subject.once(f"fitted {subject.spec.kind} {subject.spec.name}", make)
    return made


def _fit(part: Any, rows: Any, y: Any) -> None:
    import keras

    keras.Model.fit(part, rows, y, batch_size=16, epochs=1, verbose=0)


def _values(model: Any) -> dict[int, tuple[Any, Any]]:
    from keras import ops

    return {id(v): (v, np.array(ops.convert_to_numpy(v.value))) for v in model.variables}


def _owned_by_strategy(model: Any, variable: Any) -> bool:
    inside = {id(v) for v in (*model.backbone.variables, *model.task.variables)}
    return id(variable) not in inside


def _loss(model: Any, x: Any, y: Any) -> float:
    from keras import ops

    return float(ops.convert_to_numpy(model.compute_loss(x, y, model(x, training=False))))


def _without_labels(y: Any) -> Any:
    return np.full_like(y, np.nan) if y.dtype.kind == "f" else np.full_like(y, -1)


CHECKS: tuple[Function, ...] = (
    phases_change_only_their_weights,
    saves_and_loads,
    fit_learns,
    same_seed_same_loss,
    missing_labels_do_not_count,
    predictions_have_columns_and_a_score,
)
