"""What a check trains on: a few toy inputs, a tiny backbone and simple views for each kind of input.

Another kind of input is added by one `register_toy` call; a plugin makes it in its ``conftest.py``, or in a module `toys` of its
package, which is imported when rows of that kind are needed.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import UsageError
from kptk.plugins import Plugins
from kptk.testing.checks import Skip
from kptk.training.patches import EMBED, ENCODER
from kptk.training.preprocessor import Preprocessor
from kptk.training.transformer import encoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from kptk.testing.checks import Subject
    from kptk.types import Tensor

SIDE = 16
CLASSES = 4
USUAL_VIEWS = {"image": "vision/image_views"}
"""The preprocessor that an objective gets, if it is installed; otherwise the toy's own views."""

OWN = {"text": "kptk.testing.text_toys"}
"""Modules of the kit that teach it other kinds of input."""

Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    """All that the kit needs to know of a kind of input.

    Args:
        inputs: from a count and a seed to raw inputs and class numbers. The classes are easy to tell apart.
        backbone: from what an objective needs (``"vector"``, ``"map"``, ``"sequence"``, ``"patches"``) to a tiny model.
        views: from a number of views to a `Preprocessor` for raw inputs.
        shape: from a backbone's smallest size to a legal ``input_shape``.
        raw: from a count and a seed to rows that a preprocessor with `fits` learns from and prepares, with labels; None if
            this kind of input needs none.
        options: what a backbone for such inputs is told besides their shape, if it has options of these names.
    """

    inputs: Callable[[int, int], tuple[Array, Array]]
    backbone: Callable[[str], keras.Model]
    views: Callable[[int], Preprocessor]
    shape: Callable[[int], tuple[int, ...]]
    raw: Callable[[int, int], Source] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


_TOYS: dict[str, Toy] = {}


def register_toy(kind: str, toy: Toy) -> None:
    """Teach the kit a kind of input.

    Args:
        kind: as in the specs' ``inputs``.
        toy: what the kit needs to know.
    """
    _TOYS[kind] = toy


def toy(kind: str) -> Toy:
    """Return what the kit knows of a kind of input.

    Args:
        kind: as in the specs' ``inputs``.

    Raises:
        UsageError: if nobody registered that kind.
    """
    if kind not in _TOYS and kind in OWN:
        importlib.import_module(OWN[kind])  # registers it
    if kind not in _TOYS:
        _import_toys(kind)
    if kind not in _TOYS:
        raise UsageError(
            f"`kind` must be one of {', '.join(sorted(_TOYS))}. Received: {kind!r}. "
            "Teach the kit this kind of input: kptk.testing.toys.register_toy(kind, Toy(...))"
        )
    return _TOYS[kind]


def _import_toys(kind: str) -> None:
    """Import the module `toys` of every installed plugin that takes this kind of input, if it has one: it may register some."""
    for offer in Plugins().offers("preprocessor"):
        module = f"{offer.spec.target.partition('.')[0]}.toys"
        if offer.spec.inputs == kind and importlib.util.find_spec(module) is not None:
            importlib.import_module(module)


def toy_inputs(kind: str, count: int = 64, seed: int = 0) -> tuple[Array, Array]:
    """Make raw inputs of a kind, in classes that are easy to tell apart.

    Args:
        kind: as in the specs' ``inputs``; ``"image"`` gives bytes, shape ``(count, 16, 16, 3)``.
        count: how many.
        seed: decides all of them.

    Returns:
        The inputs and their class numbers.
    """
    return toy(kind).inputs(count, seed)


def kind_of(spec: Any) -> str:
    """The kind of input that a spec is tried with: its only or first one, images if it takes any.

    Args:
        spec: a spec with ``inputs``.
    """
    inputs = spec.inputs or "image"
    return inputs if isinstance(inputs, str) else inputs[0]


def build_objective(subject: Subject, *, plain_views: bool = False, **options: Any) -> Any:
    """Build an objective around a tiny backbone, from one seed.

    Args:
        subject: the objective.
        plain_views: use the kit's own views even where ``vision/image_views`` is installed.
        **options: options of the objective.

    Returns:
        The model, not compiled.
    """
    spec = subject.spec
    if missing := set(spec.needs) - set(options):
        raise Skip(f"it needs {', '.join(sorted(missing))}; the plugin's tests give it some")
    kind = kind_of(spec)
    keras.utils.set_random_seed(0)
    backbone = toy(kind).backbone(spec.features)
    count = int(options.pop("views", _default_views(spec)))
    views = _usual_views(subject, kind, count) if not plain_views else None
    if spec.classes:
        options["num_classes"] = CLASSES
    known = {option.name: option for option in spec.options}
    checked = {name: known[name].check(value) if name in known else value for name, value in options.items()}
    # Not by `spec.build`, which would take the layer for the option `views`, a number.
    return spec.load()(backbone, views or toy(kind).views(count), **checked)


def _default_views(spec: Any) -> int:
    """How many views an objective needs: the default of its option ``views`` if it lets the user choose."""
    return next((int(option.default) for option in spec.options if option.name == "views"), int(spec.views))


def _usual_views(subject: Subject, kind: str, count: int) -> Preprocessor | None:
    suggested = {key.removeprefix("preprocessor."): value for key, value in subject.spec.suggests.items()}
    for offer in subject.plugins.offers("preprocessor", USUAL_VIEWS.get(kind, "")):
        own = {option.name: suggested[option.name] for option in offer.spec.options if option.name in suggested}
        made: Preprocessor = offer.spec.build(views=count, seed=0, **own)
        return made
    return None


@keras.saving.register_keras_serializable(package="kptk")
class NoiseViews(Preprocessor):
    """Copies of an image with Gaussian noise: the simplest views there are.

    Args:
        views: how many copies.
        stddev: standard deviation of the noise, on the 0..1 scale.
        seed: seed of the noise; None draws one.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def __init__(self, *, views: int = 2, stddev: float = 0.1, seed: int | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(views=views, seed=seed, **kwargs)
        self.stddev = stddev

    def call(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Make the copies."""
        images = self.plain(inputs)
        return tuple(
            images + self.stddev * keras.random.normal(ops.shape(images), seed=self.seed_generator)
            for _ in range(self.views)
        )

    def plain(self, inputs: Tensor) -> Tensor:
        """Scale bytes to 0..1."""
        return ops.cast(inputs, "float32") / 255.0

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "stddev": self.stddev}


def _images(count: int, seed: int) -> tuple[Array, Array]:
    """Smooth coloured blobs, a different one for each class, with a little noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    # Bilinear interpolation of 4 x 4 random colours, along one axis after the other.
    steps = np.abs(np.linspace(0, 3, SIDE)[:, None] - np.arange(4)[None])
    smooth = np.maximum(0.0, 1.0 - steps)  # (SIDE, 4)
    corners = np.random.default_rng(1234).uniform(0, 1, (CLASSES, 4, 4, 3))
    blobs = np.einsum("ia,nabc,jb->nijc", smooth, corners, smooth)
    images = 0.9 * blobs[labels] + 0.1 * rng.uniform(0, 1, (count, SIDE, SIDE, 3))
    return (255 * images).astype("uint8"), labels.astype("int64")


def _image_backbone(features: str) -> keras.Model:
    if features == "patches":
        return _patch_backbone()
    inputs = keras.Input((SIDE, SIDE, 3), name="images")
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="conv0")(inputs)
    x = keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="conv1")(x)
    if features == "sequence":
        x = keras.layers.Reshape((-1, 16), name="tokens")(x)
    elif features == "vector":
        x = keras.layers.Flatten(name="flatten")(x)
        x = keras.layers.Dense(32, name="features")(x)
    return keras.Model(inputs, x, name="tiny")


def _patch_backbone(patch: int = 4, width: int = 16) -> keras.Model:
    """The smallest model with the stages of `kptk.training.patches`."""
    rows, numbers = SIDE // patch, 3 * patch**2
    patches = keras.Input((rows**2, numbers), name="patches")
    project = keras.layers.EinsumDense("bnp,pd->bnd", (rows**2, width), bias_axes="nd", name="project")
    embed = keras.Model(patches, project(patches), name=EMBED)
    images = keras.Input((SIDE, SIDE, 3), name="images")
    x = keras.layers.Reshape((rows, patch, rows, patch, 3), name="cut")(images)
    x = keras.layers.Permute((1, 3, 2, 4, 5), name="sort")(x)
    x = embed(keras.layers.Reshape((rows**2, numbers), name="patches")(x))
    x = encoder(width, depth=1, heads=2, name=ENCODER)(x)
    return keras.Model(images, keras.layers.GlobalAveragePooling1D(name="average")(x), name="tiny_patches")


def _image_shape(min_size: int) -> tuple[int, ...]:
    side = max(min_size, 1) if min_size else SIDE
    return (side, side, 3)


register_toy(
    "image",
    Toy(
        inputs=_images,
        backbone=_image_backbone,
        views=lambda count: NoiseViews(views=count, seed=0),
        shape=_image_shape,
    ),
)
