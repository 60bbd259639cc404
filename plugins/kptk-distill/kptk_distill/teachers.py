"""Finding a teacher, whatever it was given as, and refusing one that cannot teach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from kptk import errors, runfolder
from kptk.errors import InputError, UsageError
from kptk.plugins import Plugins
from kptk.training.api import backbone as build_backbone
from kptk.training.features import pooled
from kptk.training.pretrainer import Pretrainer
from kptk.training.saving import load_model
from kptk.types import Tensor

RULE = "a .keras file, a run folder, the name of a backbone, a keras.Model, or empty for the student's own average"


def open_teacher(teacher: Any, *, logits: bool, input_shape: tuple[int, ...]) -> keras.Model:
    """Turn what the user gave into a model.

    Args:
        teacher: a path to a ``.keras`` file or a run folder, the name of a backbone, or a model.
        logits: whether class logits are wanted; otherwise features.
        input_shape: what the student takes, for a backbone by name.

    Returns:
        The model. A kptk pretrainer gives its backbone, with its head where logits are wanted.

    Raises:
        InputError: if there is no such file, or it holds no model or no head.
        UsageError: if it is nothing of the kind.
    """
    if isinstance(teacher, keras.Model):
        return _inside(teacher, logits, "the teacher")
    if not isinstance(teacher, str):
        raise errors.bad_value("teacher", RULE, teacher)
    path = Path(teacher).expanduser()
    if path.is_dir():
        name = runfolder.PRETRAINER if logits else runfolder.BACKBONE
        if not (path / name).exists():
            raise InputError(f"{path.absolute()} holds no {name}, so it is no finished run and cannot be a teacher.")
        path = path / name
    if path.is_file():
        return _inside(load_model(path, compile=False), logits, str(path))
    if path.suffix or teacher.startswith((".", "/", "~")):
        raise InputError(f"no teacher file at {path.absolute()}. `teacher` must be {RULE}.")
    plugins = Plugins()
    offers = plugins.offers("backbone")
    if not any(teacher in (offer.id, offer.spec.name, *offer.spec.aliases) for offer in offers):
        hint = errors.did_you_mean(teacher, [offer.spec.name for offer in offers] + [offer.id for offer in offers])
        raise errors.bad_value("teacher", RULE, teacher, hint)
    return build_backbone(teacher, input_shape)


def _inside(model: keras.Model, logits: bool, origin: str) -> keras.Model:
    """The part of a kptk pretrainer that teaches; any other model is taken whole."""
    if not isinstance(model, Pretrainer):
        return model
    if not logits:
        return model.backbone
    classifier = model.classifier()
    if classifier is None:
        raise InputError(
            f"{origin} was trained by {type(model).__name__}, which has no class head, so it gives no logits to distil. "
            "Distil its features (--objective feature_distill), or train a teacher on labels: "
            "kptk train --plugin supervised"
        )
    return classifier


class GivenTeacher(keras.layers.Layer):
    """A teacher that somebody gave: frozen and in inference mode, or learning beside the student if told so.

    The model is used as it is, not copied: it takes no memory twice, and freezing it freezes the caller's.

    Args:
        model: from inputs to features or logits.
        student_shape: shape of one input of the student.
        learns: whether its weights are trained.
        resize: whether inputs are scaled to the size that it takes.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        UsageError: if it cannot take what the student takes.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        student_shape: tuple[int | None, ...],
        learns: bool = False,
        resize: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "teacher")
        super().__init__(**kwargs)
        self.model = model
        self.learns = learns
        self.model.trainable = learns
        self.size = _size(model, student_shape, resize)
        example = [side or 32 for side in (*self.size, student_shape[-1])] if self.size else student_shape
        sample = np.random.default_rng(0).uniform(0, 1, (4, *(side or 32 for side in example))).astype("float32")
        answer = ops.convert_to_numpy(ops.cast(pooled(self.model(sample, training=False)), "float32"))
        # Looking is surer than asking the last layer, which may be nested or somebody's own.
        self.gives_probabilities = bool((answer >= 0).all() and np.allclose(answer.sum(axis=-1), 1, atol=1e-2))
        self.answer_dim = int(answer.shape[-1])
        self.built = True

    @property
    def trainable(self) -> bool:
        """Whether it learns, which nothing can change afterwards."""
        return getattr(self, "learns", True)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        """Ignore what a model sets on all its layers: a frozen teacher stays frozen."""

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """What the teacher says of inputs that are as the student takes them.

        Args:
            inputs: shape ``(batch, ...)``.
            training: whether batch statistics and dropout are on, if it learns; never if it is frozen.

        Returns:
            Its whole output, in float32.
        """
        if self.size:
            inputs = ops.image.resize(inputs, self.size, antialias=True, data_format="channels_last")
        return ops.cast(self.model(inputs, training=training and self.learns), "float32")


def as_logits(answer: Tensor, probabilities: bool) -> Tensor:
    """Logits of what a classifier says, from probabilities up to a constant that no softmax sees.

    Args:
        answer: logits or probabilities, shape ``(batch, classes)``.
        probabilities: which of the two.
    """
    return ops.log(ops.maximum(answer, 1e-7)) if probabilities else answer


def looks_like_features(model: keras.Model) -> bool:
    """Whether the last layer makes features and not logits: pooling, dropout, normalisation, a rectifier.

    Args:
        model: the teacher.
    """
    layers = getattr(model, "layers", None)
    if not layers:
        return False
    last = layers[-1]
    if isinstance(last, keras.Model):
        return looks_like_features(last)
    if isinstance(last, keras.layers.Dense):
        return getattr(last.activation, "__name__", "") not in ("linear", "softmax")
    return not (
        isinstance(last, keras.layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax
    )


def cut_at(model: keras.Model, layer: str, whose: str) -> keras.Model:
    """A model up to one of its layers, sharing its weights; the whole model if no layer is named.

    Args:
        model: a functional or sequential model.
        layer: name of the layer.
        whose: ``"teacher"`` or ``"student"``, for messages.

    Raises:
        UsageError: if it has no such layer.
    """
    if not layer:
        return model
    names = [inner.name for inner in getattr(model, "layers", [])]
    if layer not in names or not getattr(model, "inputs", None):
        hint = (
            errors.did_you_mean(layer, names) or f"Its layers: {', '.join(names[-12:]) or 'none that can be reached'}"
        )
        raise UsageError(f"the {whose} '{model.name}' has no layer '{layer}'. {hint}")
    return keras.Model(model.inputs, model.get_layer(layer).output, name=model.name)


def _size(model: keras.Model, student_shape: tuple[int | None, ...], resize: bool) -> tuple[int, int] | None:
    """The size that inputs must be scaled to, None if they fit."""
    try:
        shape = tuple(model.input_shape[1:])
    except (AttributeError, ValueError, TypeError):
        raise UsageError(
            f"the teacher '{model.name}' does not say what it takes. Build it with an Input, or call it once."
        ) from None
    if any(side is not None and not isinstance(side, int) for side in shape):
        raise UsageError(
            f"the teacher '{model.name}' takes several inputs; a teacher must take what the student takes."
        )
    pairs = list(zip(shape, student_shape, strict=False))
    if len(shape) == len(student_shape) and all(a is None or b is None or a == b for a, b in pairs):
        return None
    taken = " x ".join(map(str, student_shape))
    said = f"the teacher '{model.name}' takes inputs of {' x '.join(map(str, shape))} but the student takes {taken}"
    if len(shape) == len(student_shape) == 3 and shape[-1] == student_shape[-1] and None not in shape:
        if resize:
            return int(shape[0]), int(shape[1])
        raise UsageError(
            f"{said}. Scale them for the teacher: -o objective.teacher_resize=true; or train the student at that size: "
            f"-o preprocessor.size={shape[0]}"
        )
    raise UsageError(f"{said}. Use a teacher for inputs of that form.")
