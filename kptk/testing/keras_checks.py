"""Checks that an objective is a good `keras.Model`: configuration, saving, compiling, precision, batches."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kptk.errors import KptkError
from kptk.testing.checks import Function, Skip, Subject
from kptk.testing.fresh import run_warm_module
from kptk.testing.temporary import is_temporary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kptk.spec import Option

BATCH = 8
ODD_BATCH = 5


def config_round_trips(subject: Subject) -> None:
    """``from_config(get_config())`` gives the same model, with defaults and with another value of each option."""
    keras = _keras()
    from kptk.testing import toys

    assert_config_round_trips(keras, toys.build_objective(subject), {})
    for option in subject.spec.options:
        for value in other_values(option):
            try:
                model = toys.build_objective(subject, **{option.name: value})
            except (KptkError, ValueError):
                continue  # not every value goes with the other options' defaults
            kept = {} if option.name == "views" else {option.name: value}
            assert_config_round_trips(keras, model, kept)
            break


def registered_under_its_package(subject: Subject) -> None:
    """The class is registered under the import name of its package: `kptk.load_model` finds it by that."""
    assert_registered(_keras(), subject)


def saves_and_loads_in_a_fresh_process(subject: Subject) -> None:
    """A saved model loads where nothing of the plugin was imported, equal in all weights, and trains on."""
    if subject.found is not None and is_temporary(subject.found):
        raise Skip("a temporary plugin exists in this process only")
    outcome = subject.once("fresh process", lambda: _load_all_in_a_fresh_process(subject))[subject.spec.name]
    if isinstance(outcome, Skip):
        raise outcome
    assert outcome == "equal", outcome


def all_weights_exist_after_init(subject: Subject) -> None:
    """No weight is made by the first call: a saved model could not be loaded without data."""
    _keras()
    from kptk.testing import toys

    model = toys.build_objective(subject)
    before = [weight.path for weight in model.weights]
    model(training_data(subject, BATCH)[0], training=True)
    later = [weight.path for weight in model.weights if weight.path not in before]
    assert len(model.weights) == len(before), f"the first call made {', '.join(later)}; make every weight in __init__"


def call_is_jittable(subject: Subject) -> None:
    """A training step compiles with XLA."""
    _keras()
    from kptk.training import backend

    if reason := backend.refuses_jit():
        raise Skip(reason)
    from kptk.testing import toys

    model = toys.build_objective(subject, plain_views=True)
    assert_finite(_losses(subject, model, jit_compile=True))


def mixed_bfloat16(subject: Subject) -> None:
    """A step works under the policy ``mixed_bfloat16``, with finite weights and a loss in full precision."""
    keras = _keras()
    from kptk.testing import toys

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = toys.build_objective(subject)
        assert_finite(_losses(subject, model, run_eagerly=True))
        x, y = training_data(subject, BATCH)
        loss = model.objective_loss(model(x, training=True), y)
    finally:
        keras.config.set_dtype_policy(before)
    dtype = keras.backend.standardize_dtype(loss.dtype)
    assert dtype == "float32", f"the loss must be computed in float32: bfloat16 has 3 digits. Received: {dtype}"


def odd_and_single_batch(subject: Subject) -> None:
    """A step works with an odd number of examples and with the smallest batch that the spec allows."""
    _keras()
    from kptk.testing import toys

    model = toys.build_objective(subject)
    for size in sorted({subject.spec.min_batch, max(ODD_BATCH, subject.spec.min_batch)}):
        losses = _losses(subject, model, batch_size=size, run_eagerly=True)
        assert all(map(math.isfinite, losses)), f"with {size} examples the loss is {losses[-1]}"


def training_data(subject: Subject, count: int) -> tuple[Any, Any]:
    """Toy inputs for an objective, with labels if it learns from labels.

    Args:
        subject: the objective.
        count: how many examples.
    """
    from kptk.testing import toys

    x, y = toys.toy_inputs(toys.kind_of(subject.spec), count)
    return x, (y if subject.spec.labels else None)


def assert_finite(losses: list[float]) -> None:
    """Raise if a loss is not a finite number.

    Args:
        losses: the losses.
    """
    assert losses, "nothing was trained"
    assert all(map(math.isfinite, losses)), f"the loss must be finite. Received: {losses}"


def assert_registered(keras: Any, subject: Subject) -> None:
    """Raise unless the target is registered under its own package.

    Args:
        keras: the module.
        subject: the offer.
    """
    target = subject.spec.load()
    package = subject.spec.target.partition(":")[0].partition(".")[0]
    name = keras.saving.get_registered_name(target)
    wanted = f"{package}>{target.__name__}"
    assert name == wanted, (
        f"{subject.spec.target} must be registered as {wanted}, not {name}: "
        f'@keras.saving.register_keras_serializable(package="{package}")'
    )


def assert_config_round_trips(keras: Any, item: Any, kept: dict[str, Any]) -> None:
    """Raise unless an object can be rebuilt from its configuration, which holds certain values.

    Args:
        keras: the module.
        item: a model or layer.
        kept: values that the configuration must hold.
    """
    config = item.get_config()
    for name, value in kept.items():
        assert name in config, f"get_config() of {type(item).__name__} does not return `{name}`"
        assert config[name] == value, f"`{name}` was {value!r} and get_config() says {config[name]!r}"
    document = keras.saving.serialize_keras_object(item)
    rebuilt = keras.saving.deserialize_keras_object(json.loads(json.dumps(document)))
    again = keras.saving.serialize_keras_object(rebuilt)
    assert type(rebuilt) is type(item)
    assert json.dumps(again, sort_keys=True) == json.dumps(document, sort_keys=True), (
        f"{type(item).__name__} rebuilt from its configuration has another configuration"
    )


def other_values(option: Option) -> Iterator[Any]:
    """Yield values of an option that are not its default and keep its rule, the most harmless first.

    Args:
        option: the option.
    """
    default = option.default
    candidates: list[Any] = []
    if option.choices:
        candidates = list(option.choices)
    elif option.type is bool:
        candidates = [not default]
    elif option.type is int and default is not None:
        candidates = [
            default * 2,
            default // 2,
            default + 1,
            default - 1,
        ]  # doubling keeps what must divide another
    elif option.type is float and default is not None:
        candidates = [default / 2, default * 1.5, default + 0.25]
    for value in candidates:
        try:
            checked = option.check(value)
        except KptkError:
            continue
        if checked != default:
            yield checked


def _losses(subject: Subject, model: Any, *, batch_size: int = BATCH, **compile_options: Any) -> list[float]:
    """Train one step and return the losses that `fit` reports."""
    keras = _keras()
    x, y = training_data(subject, batch_size)
    model.compile(optimizer=keras.optimizers.SGD(0.01), **compile_options)
    history = model.fit(x, y, batch_size=batch_size, epochs=1, verbose=0)
    return [float(loss) for loss in history.history["loss"]]


def _load_all_in_a_fresh_process(subject: Subject) -> Any:
    """Save every objective and load them all in one other process: starting a backend takes seconds."""
    keras = _keras()
    import numpy as np

    from kptk.testing import toys

    with tempfile.TemporaryDirectory() as folder:
        outcome: dict[str, Any] = {}
        for offer in subject.offers:
            if offer.spec.kind != "objective":
                continue
            own = Subject(subject.plugin, subject.plugins, offer, subject.cache)
            try:
                model = toys.build_objective(own)
                model.compile(optimizer="sgd")
                x, y = training_data(own, BATCH)
                plain = model.views.plain(x)
                arrays = {f"weight{i}": keras.ops.convert_to_numpy(w) for i, w in enumerate(model.weights)}
                arrays |= {"x": x, "plain": keras.ops.convert_to_numpy(plain)} | ({} if y is None else {"y": y})
                arrays["features"] = keras.ops.convert_to_numpy(model.encode(plain))
                np.savez(Path(folder) / f"{offer.spec.name}.npz", **arrays)
                model.save(Path(folder) / f"{offer.spec.name}.keras")
            except Skip as skip:
                outcome[offer.spec.name] = skip
            except Exception as error:  # one objective that cannot be saved must not hide the others
                outcome[offer.spec.name] = f"cannot be saved: {type(error).__name__}: {error}"
        return outcome | run_warm_module("kptk.testing.saving_report", folder)


def _keras() -> Any:
    from kptk.training import backend

    return backend.import_keras()


CHECKS: tuple[Function, ...] = (
    config_round_trips,
    registered_under_its_package,
    saves_and_loads_in_a_fresh_process,
    all_weights_exist_after_init,
    call_is_jittable,
    mixed_bfloat16,
    odd_and_single_batch,
)
