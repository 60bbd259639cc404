"""Checks that a preprocessor makes the views asked for, at random from its seed, and prepares inputs plainly."""

from __future__ import annotations

from typing import Any

from kptk.errors import KptkError
from kptk.testing.checks import Function, Skip, Subject
from kptk.testing.keras_checks import assert_config_round_trips, assert_registered, other_values

ROWS = 6


def makes_the_number_of_views(subject: Subject) -> None:
    """It makes the declared number of views, or any number if the spec leaves that to the objective."""
    for count in _counts(subject):
        views = _build(subject, views=count)(_inputs(subject))
        assert isinstance(views, tuple), f"call must return a tuple of views. Received: {type(views).__name__}"
        assert len(views) == count, f"{count} views were asked for and {len(views)} made"


def views_are_what_a_backbone_takes(subject: Subject) -> None:
    """Each view is finite and has the rows, rank, channels and type of what `plain` makes."""
    keras = _keras()
    import numpy as np

    layer = _build(subject)
    plain = keras.ops.convert_to_numpy(layer.plain(_inputs(subject)))
    for view in map(keras.ops.convert_to_numpy, layer(_inputs(subject))):
        assert view.ndim == plain.ndim, f"a view has the shape {view.shape}, plain inputs have {plain.shape}"
        free = view.ndim == 2 and view.dtype.kind == "i"  # tokens, of which a view may have fewer
        assert len(view) == ROWS and (free or view.shape[-1] == plain.shape[-1]), f"a view has the shape {view.shape}"
        assert view.dtype == plain.dtype, f"a view is {view.dtype}, plain inputs are {plain.dtype}"
        assert np.isfinite(np.asarray(view, dtype="float64")).all(), "a view holds NaN or infinity"


def plain_is_deterministic(subject: Subject) -> None:
    """`plain` has no randomness: what a model sees at inference is a function of the input."""
    keras = _keras()
    import numpy as np

    layer = _build(subject)
    first, second = (keras.ops.convert_to_numpy(layer.plain(_inputs(subject))) for _ in range(2))
    assert np.array_equal(first, second), "two calls of plain differ"


def views_differ(subject: Subject) -> None:
    """Two views of an example differ, and so do two calls."""
    keras = _keras()
    import numpy as np

    if max(_counts(subject)) < 2:
        raise Skip("it makes a single view")
    layer = _build(subject)
    calls = [[keras.ops.convert_to_numpy(view) for view in layer(_inputs(subject))] for _ in range(2)]
    assert not np.array_equal(calls[0][0], calls[0][1]), "the views of one call are the same"
    assert not np.array_equal(calls[0][0], calls[1][0]), "two calls give the same view"


def same_seed_same_views(subject: Subject) -> None:
    """Two layers with one seed make the same views, and another seed makes others."""
    keras = _keras()
    import numpy as np

    layer = _build(subject)
    view, plain = (keras.ops.convert_to_numpy(x) for x in (layer(_inputs(subject))[0], layer.plain(_inputs(subject))))
    if subject.spec.views == 1 and np.array_equal(view, plain):
        raise Skip("its only view is the plain input: nothing is random")
    views = [keras.ops.convert_to_numpy(_build(subject, seed=seed)(_inputs(subject))[0]) for seed in (3, 3, 4)]
    assert np.allclose(views[0], views[1], atol=1e-6), "one seed gave different views"
    assert not np.array_equal(views[0], views[2]), "another seed gave the same views"


def config_round_trips(subject: Subject) -> None:
    """``from_config(get_config())`` gives the same layer, with defaults and with another value of each option."""
    keras = _keras()
    for count in _counts(subject):
        assert_config_round_trips(keras, _build(subject, views=count, seed=7), {"views": count, "seed": 7})
    for option in subject.spec.options:
        for value in other_values(option):
            try:
                layer = _build(subject, **{option.name: value})
            except (KptkError, ValueError):
                continue  # not every value goes with the other options' defaults
            assert_config_round_trips(keras, layer, {option.name: value})
            break


def registered_under_its_package(subject: Subject) -> None:
    """The class is registered under the import name of its package: `kptk.load_model` finds it by that."""
    assert_registered(_keras(), subject)


def call_is_jittable(subject: Subject) -> None:
    """The views can be made inside a function that XLA compiles."""
    keras: Any = _keras()
    from kptk.training import backend

    if reason := backend.refuses_jit():
        raise Skip(reason)
    layer = _build(subject)
    inputs = _inputs(subject)

    class Views(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer
            self.built = True

        def call(self, inputs: Any) -> Any:
            return self.layer(inputs)

    model = Views()
    model.compile(jit_compile=True)
    assert len(model.predict_on_batch(inputs)) == layer.views


def _counts(subject: Subject) -> tuple[int, ...]:
    return (subject.spec.views,) if subject.spec.views else (1, 2, 3)


def fits_what_it_says(subject: Subject) -> None:
    """One that `fits` says so in its spec, is not ready before, prepares row by row, and keeps what it learned when saved."""
    keras = _keras()
    import numpy as np

    fresh = subject.spec.build(views=subject.spec.views or 2, seed=0)
    assert fresh.fits == subject.spec.fits, f"the spec says fits={subject.spec.fits}, the class {fresh.fits}"
    if not fresh.fits:
        raise Skip("it learns nothing from the rows")
    assert not fresh.fitted, "it says that it is fitted before it has seen a row"
    layer = _build(subject)
    raw = _raw(subject)
    rows = raw.read(np.arange(ROWS))
    prepared = layer.prepare(rows)
    shape = tuple(layer.prepared_shape(tuple(raw.row_shape)))
    assert prepared.shape == (ROWS, *shape), f"prepared_shape says {shape}, {ROWS} rows came as {prepared.shape}"
    assert np.array_equal(prepared[2:3], layer.prepare(rows[2:3]), equal_nan=True), "a row depends on its neighbours"
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.fitted, "what it learned is not in get_config()"
    assert np.array_equal(again.prepare(rows), prepared, equal_nan=True), "a saved layer prepares rows in another way"
    plain = keras.ops.convert_to_numpy(layer.plain(prepared))
    assert plain.shape[1:] == tuple(layer.view_shape(shape)), f"view_shape is wrong: plain makes {plain.shape[1:]}"


def _build(subject: Subject, **arguments: Any) -> Any:
    _keras()
    layer = subject.spec.build(**{"views": subject.spec.views or 2, "seed": 0} | arguments)
    if layer.fits:
        layer.fit(_raw(subject))
    return layer


def _raw(subject: Subject) -> Any:
    from kptk.testing import toys

    raw = toys.toy(subject.spec.inputs).raw
    assert raw is not None, (
        f"the kit knows no raw rows of {subject.spec.inputs}; register a Toy with raw=: kptk.testing.toys.register_toy"
    )
    return raw(64, 0)


def _inputs(subject: Subject) -> Any:
    from kptk.testing import toys

    if not subject.spec.fits:
        return toys.toy_inputs(subject.spec.inputs, ROWS)[0]
    import numpy as np

    return _build(subject).prepare(_raw(subject).read(np.arange(ROWS)))


def _keras() -> Any:
    from kptk.training import backend

    return backend.import_keras()


CHECKS: tuple[Function, ...] = (
    makes_the_number_of_views,
    views_are_what_a_backbone_takes,
    plain_is_deterministic,
    views_differ,
    same_seed_same_views,
    config_round_trips,
    registered_under_its_package,
    call_is_jittable,
    fits_what_it_says,
)
