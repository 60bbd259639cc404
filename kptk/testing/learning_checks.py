"""Checks that an objective learns: finite losses, gradients everywhere, a loss that falls, seeds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kptk.testing.keras_checks import assert_finite, training_data

if TYPE_CHECKING:
    from kptk.testing.checks import Function, Subject

ROWS = 32
STEPS = 20
TRIES = ((STEPS, 1e-2), (STEPS, 1e-3), (4 * STEPS, 1e-3))
"""Steps and learning rate; the last for tasks that start slowly."""
DRAWS = 8
SIGNIFICANT = 3.0
"""The loss has fallen if it did by this many standard errors over several draws of views."""


def loss_is_finite(subject: Subject) -> None:
    """The loss of a new model is a finite scalar, on usual inputs and on constant ones."""
    keras = _keras()
    from kptk.testing import toys

    model = toys.build_objective(subject)
    x, y = training_data(subject, ROWS)
    for inputs in (x, x[:1].repeat(ROWS, axis=0)):
        loss = model.objective_loss(model(inputs, training=True), y)
        assert tuple(loss.shape) == (), f"objective_loss must return a scalar. Received: shape {tuple(loss.shape)}"
        assert_finite([float(keras.ops.convert_to_numpy(loss))])


def gradient_reaches_every_trainable_weight(subject: Subject) -> None:
    """One step of gradient descent changes every trainable weight, and leaves all of them finite."""
    keras = _keras()
    import numpy as np

    from kptk.testing import toys

    model = toys.build_objective(subject)
    x, y = training_data(subject, ROWS)
    model.compile(optimizer=keras.optimizers.SGD(1.0), run_eagerly=True)
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in model.trainable_weights]
    assert before, "the model has no trainable weights"
    model.fit(x, y, batch_size=ROWS, epochs=1, verbose=0)
    after = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    paths = [weight.path for weight in model.trainable_weights]
    still = [path for path, a, b in zip(paths, before, after, strict=True) if np.array_equal(a, b)]
    assert not still, f"no gradient reaches {', '.join(still)}"
    broken = [path for path, value in zip(paths, after, strict=True) if not np.isfinite(value).all()]
    assert not broken, f"one step made {', '.join(broken)} NaN or infinite"


def loss_falls_in_20_steps_on_toy_data(subject: Subject) -> None:
    """20 steps (or 80) on one small batch of blobs lower its loss by more than the randomness of the views explains.

    Both weights, those before and those after, are measured beside the same state: a queue, a teacher or a centre that
    moved while training would otherwise decide which loss is lower.

    Args:
        subject: the objective.
    """
    keras = _keras()
    from kptk.testing import toys

    x, y = training_data(subject, ROWS)
    tried = []
    for steps, rate in TRIES:
        model = toys.build_objective(subject)
        initial = _values(model.trainable_weights)
        model.compile(optimizer=keras.optimizers.Adam(rate))
        model.fit(x, y, batch_size=ROWS, epochs=steps, verbose=0)
        after, noise_after = _mean_loss(model, x, y)
        for weight, value in zip(model.trainable_weights, initial, strict=True):
            weight.assign(value)
        before, noise_before = _mean_loss(model, x, y)
        if before - after > SIGNIFICANT * math.hypot(noise_before, noise_after) + 1e-6 * abs(before):
            return
        tried.append(f"from {before:.4g} to {after:.4g} in {steps} steps at learning rate {rate:g}")
    raise AssertionError(f"the loss went {'; '.join(tried)}")


def same_seed_same_loss(subject: Subject) -> None:
    """Two runs from one seed have the same losses: nothing draws random numbers outside Keras' seed generators."""
    keras = _keras()
    from kptk.testing import toys

    runs = []
    for _ in range(2):
        model = toys.build_objective(subject)
        x, y = training_data(subject, ROWS)
        model.compile(optimizer=keras.optimizers.SGD(0.01), run_eagerly=True)
        history = model.fit(x, y, batch_size=ROWS // 2, epochs=2, shuffle=False, verbose=0)
        runs.append([float(loss) for loss in history.history["loss"]])
    first, second = runs
    same = all(math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-6) for a, b in zip(first, second, strict=True))
    assert same, f"the losses of two runs from one seed differ: {first} and {second}"


def _mean_loss(model: Any, x: Any, y: Any) -> tuple[float, float]:
    """Mean loss over several draws of the views, and its standard error; no weight and no state changes."""
    import numpy as np

    keras = _keras()
    state = _values(model.non_trainable_weights)
    losses = []
    for _ in range(DRAWS):
        losses.append(float(keras.ops.convert_to_numpy(model.objective_loss(model(x, training=True), y))))
        for weight, value in zip(model.non_trainable_weights, state, strict=True):
            weight.assign(value)
    return float(np.mean(losses)), float(np.std(losses, ddof=1) / math.sqrt(DRAWS))


def _values(weights: Any) -> list[Any]:
    return [_keras().ops.convert_to_numpy(weight).copy() for weight in weights]


def _keras() -> Any:
    from kptk.training import backend

    return backend.import_keras()


CHECKS: tuple[Function, ...] = (
    loss_is_finite,
    gradient_reaches_every_trainable_weight,
    loss_falls_in_20_steps_on_toy_data,
    same_seed_same_loss,
)
