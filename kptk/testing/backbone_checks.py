"""Checks that a backbone is a plain Keras model of the declared form, which loads without any plugin."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kptk.testing.checks import Function, Skip, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator

RANKS = {"vector": (2,), "map": (4,), "sequence": (3,)}
PLAIN = ("keras", "builtins", "tensorflow.keras")


def builds_at_its_smallest_size(subject: Subject) -> None:
    """It builds for the smallest input that the spec allows and gives finite features for 1 and 3 inputs."""
    keras = _keras()
    import numpy as np

    model = _smallest(subject)
    assert isinstance(model, keras.Model), f"the target must return a keras.Model. Received: {type(model).__name__}"
    for count in (1, 3):
        features = keras.ops.convert_to_numpy(model(_inputs(subject, count), training=False))
        assert len(features) == count, f"{count} inputs gave features of shape {features.shape}"
        assert np.isfinite(features).all(), "the features of a new backbone must be finite"


def features_have_the_declared_rank(subject: Subject) -> None:
    """``features`` in the spec says what the backbone returns: a vector, a map or a sequence."""
    declared, shape = subject.spec.features, _smallest(subject).output_shape
    assert declared in RANKS, f"`features` must be one of {', '.join(RANKS)}. Received: {declared!r}"
    assert len(shape) in RANKS[declared], f"the spec says {declared!r}, the output has the shape {shape}"
    assert shape[-1] is not None, f"the length of the features must be known. Received: {shape}"


def batch_size_is_free(subject: Subject) -> None:
    """The batch axis of inputs and outputs has no fixed length."""
    model = _smallest(subject)
    assert model.input_shape[0] is None, f"the input has a fixed batch size: {model.input_shape}"
    assert model.output_shape[0] is None, f"the output has a fixed batch size: {model.output_shape}"


def saves_and_loads_as_plain_keras(subject: Subject) -> None:
    """A saved backbone holds only layers of Keras and of packages in `holds`, loads by bare Keras, and gives equal features."""
    keras = _keras()
    import numpy as np

    model = _smallest(subject)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "backbone.keras"
        model.save(file)
        with zipfile.ZipFile(file) as archive:
            foreign = sorted(set(_foreign_classes(json.loads(archive.read("config.json")))))
        strangers = [name for name in foreign if name.replace(">", ".").partition(".")[0] not in subject.spec.holds]
        assert not strangers, (
            f"the file holds {', '.join(strangers)}; build the backbone of Keras' own layers, or declare `holds` in the "
            "spec if Keras imports the package itself on loading"
        )
        loaded = keras.saving.load_model(file, safe_mode=True)
    inputs = _inputs(subject, 2)
    before, after = (keras.ops.convert_to_numpy(item(inputs, training=False)) for item in (model, loaded))
    assert np.allclose(before, after, rtol=1e-5, atol=1e-6), "the loaded backbone gives other features"


def stages_are_as_declared(subject: Subject) -> None:
    """``patches`` in the spec says whether it has the stages of `kptk.training.patches`; together they make its features."""
    keras = _keras()
    import numpy as np

    from kptk.training.features import pooled
    from kptk.training.patches import find_stages, patchify

    model = _smallest(subject)
    found = find_stages(model)
    if not subject.spec.patches:
        assert found is None, "the backbone has the stages of a patch backbone: say patches=True in the spec"
        return
    assert found is not None, "the spec says patches=True, but the stages are not there; see kptk.training.patches"
    inputs = keras.ops.convert_to_tensor(_inputs(subject, 2))
    tokens = found.encoder(found.embed(patchify(inputs, found.patch)))
    wanted, got = (keras.ops.convert_to_numpy(pooled(item)) for item in (model(inputs, training=False), tokens))
    assert np.allclose(got, wanted, rtol=1e-4, atol=1e-5), "the stages together give other features than the backbone"
    part = found.encoder(tokens[:, :1])
    assert tuple(part.shape) == (2, 1, found.width), f"the encoder must take any number of tokens: 1 gave {part.shape}"


def _smallest(subject: Subject) -> Any:
    """The backbone at its smallest size, built once for all checks."""
    if subject.spec.reads:
        raise Skip("it loads the user's own files; the plugin's tests try it on some")
    _keras()
    from kptk.testing import toys

    kind = toys.toy(subject.spec.inputs)
    own = {option.name for option in subject.spec.options}
    told = {name: value for name, value in kind.options.items() if name in own}
    shape = kind.shape(subject.spec.min_size)
    return subject.once(f"backbone {subject.spec.name}", lambda: subject.spec.build(input_shape=shape, **told))


def _inputs(subject: Subject, count: int) -> Any:
    """Random prepared inputs as the backbone takes them."""
    import numpy as np

    model, rng = _smallest(subject), np.random.default_rng(0)
    shape = (count, *(size or 8 for size in model.input_shape[1:]))  # a length that is free
    dtype = str(getattr((getattr(model, "inputs", None) or [None])[0], "dtype", "float32"))
    return rng.integers(0, 10, shape).astype(dtype) if dtype.startswith("int") else rng.random(shape).astype("float32")


def _foreign_classes(config: Any) -> Iterator[str]:
    """Yield every class in a saved configuration that is not Keras' own."""
    if isinstance(config, dict):
        registered, module = config.get("registered_name"), config.get("module")
        if isinstance(registered, str) and ">" in registered:
            yield registered
        elif isinstance(module, str) and "class_name" in config and module.partition(".")[0] not in PLAIN:
            yield f"{module}.{config['class_name']}"
        if config.get("class_name") == "Lambda":
            yield "a Lambda layer, which Keras refuses to load"
        for value in config.values():
            yield from _foreign_classes(value)
    elif isinstance(config, list):
        for value in config:
            yield from _foreign_classes(value)


def _keras() -> Any:
    from kptk.training import backend

    return backend.import_keras()


CHECKS: tuple[Function, ...] = (
    builds_at_its_smallest_size,
    features_have_the_declared_rank,
    batch_size_is_free,
    saves_and_loads_as_plain_keras,
    stages_are_as_declared,
)
