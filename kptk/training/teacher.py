"""`Teacher`: a second copy of a student's networks, whose weights are a moving average of the student's."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.features import pooled, run_backbone
from kptk.types import Tensor


def moving_average(old: Tensor, new: Tensor, momentum: float | Tensor) -> Tensor:
    """One step of an exponential moving average: ``momentum * old + (1 - momentum) * new``.

    Args:
        old: the average so far.
        new: what it moves towards, of the same shape.
        momentum: 0 takes the new value, 1 keeps the old one.

    Returns:
        The same shape. Where old and new are equal, so is the result: nothing drifts by rounding.
    """
    return old + (1.0 - momentum) * (new - old)


class Teacher(keras.layers.Layer):
    """Copies of a backbone and of the heads behind it; no gradient reaches them, they follow the student instead.

    An objective makes one in ``__init__``, moves it in ``forward_views`` while training, and calls it there for its
    targets. Moved there, before the call, it has seen the optimiser's last step, as in the code of the papers' authors;
    moved in ``update_state`` it would lag one step behind.

    What to rely on:

    - Its weights are not trainable, one by one, whatever happens to ``trainable`` of the model around it, and after
      loading. The layers themselves stay trainable, because batch normalisation in a frozen layer would leave off
      using the statistics of the batch.
    - Everything that a student learns by gradient is followed. Batch statistics are not: the teacher keeps its own.
      Counters and random states are not either.
    - Averages are made in the weights' own precision, also inside a model's ``call`` under a mixed policy.
    - It is saved with the model that owns it, and holds the student without saving it twice.

    Args:
        *students: the backbone, then the heads that work on its pooled features, one after the other. Each must be
            built, and `get_config` must describe it whole.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        UsageError: if a network cannot be rebuilt from its own configuration.

    Example:
        >>> import keras, numpy as np
        >>> student = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> teacher = Teacher(student)
        >>> student.set_weights([weight + 1 for weight in student.get_weights()])
        >>> teacher.follow(0.9)  # a tenth of the way
        >>> difference = student.get_weights()[0] - teacher.networks[0].get_weights()[0]
        >>> round(float(difference.mean()), 3), len(teacher.trainable_weights)
        (0.9, 0)

    References:
        https://arxiv.org/abs/1911.05722, section 3.2
    """

    def __init__(self, *students: keras.Model, **kwargs: Any) -> None:
        kwargs.setdefault("name", "teacher")
        super().__init__(**kwargs)
        with keras.name_scope(self.name):  # so that the copies' weights have paths of their own
            self.networks = [_copy(student) for student in students]
        pairs = []
        for network, student in zip(self.networks, students, strict=True):
            learned = {id(v) for layer in network._flatten_layers() for v in layer._trainable_variables}
            for own, theirs in zip(network.weights, student.weights, strict=True):
                own.assign(ops.copy(theirs.value))  # JAX gives a step each buffer to overwrite: none may be shared
                own.trainable = False
                if id(own) in learned and keras.backend.is_float_dtype(own.dtype):
                    pairs.append((own, theirs))
        self._mover = _Mover(pairs)
        self.built = True

    @property
    def trainable(self) -> bool:
        """Always true, so that batch normalisation inside uses the batch; the weights never are."""
        return True

    @trainable.setter
    def trainable(self, value: bool) -> None:
        """Ignore what a model sets on all its layers: a teacher has nothing to switch."""

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Run the copies, without a gradient.

        Args:
            inputs: what the backbone takes, shape ``(batch, ...)``.
            training: whether batch statistics and dropout are on.

        Returns:
            Output of the last network, shape ``(batch, dim)``.
        """
        vectors = pooled(run_backbone(self.networks[0], inputs, training))
        for head in self.networks[1:]:
            vectors = head(vectors, training=training)
        return ops.stop_gradient(vectors)

    def follow(self, momentum: float | Tensor) -> None:
        """Move every followed weight towards the student's.

        Args:
            momentum: share of the old weight that stays, 0 to 1; 0 makes an exact copy, such as after new weights were
                loaded into the student.
        """
        self._mover(ops.convert_to_tensor(momentum, dtype="float32"))


class _Untracked:
    """Holds objects out of sight of Keras, which would save what it sees twice."""

    def __init__(self, content: Any) -> None:
        self.content = content


class _Mover(keras.layers.Layer):
    """Moves weights in full precision.

    A layer of its own without autocast: inside the ``call`` of a model with a mixed policy, weights are read in 16 bits,
    where ``old + 0.001 * difference`` is ``old``.
    """

    def __init__(self, pairs: list[tuple[Any, Any]]) -> None:
        super().__init__(name="mover", dtype="float32", autocast=False)
        self._pairs = _Untracked(pairs)
        self.built = True

    def call(self, momentum: Tensor) -> Tensor:
        for own, student in self._pairs.content:
            own.assign(moving_average(own.value, ops.stop_gradient(student.value), momentum))
        return momentum


def _copy(network: keras.Model) -> keras.Model:
    """Rebuild a network from its configuration, with weights of its own."""
    config = network.get_config()
    if "name" in config:
        config["name"] = f"teacher_{network.name}"
    try:
        copy = type(network).from_config(config)
        if not copy.built:
            copy.build_from_config(network.get_build_config())
    except Exception as error:
        raise UsageError(_cannot_copy(network, f"{type(error).__name__}: {error}")) from error
    shapes, wanted = ([tuple(weight.shape) for weight in model.weights] for model in (copy, network))
    if shapes != wanted:
        raise UsageError(_cannot_copy(network, f"the copy has {len(shapes)} weights and the original {len(wanted)}"))
    return copy


def _cannot_copy(network: keras.Model, why: str) -> str:
    return (
        f"model '{network.name}' cannot be copied for a teacher: from_config(get_config()) does not give the same model "
        f"({why}). Give it a get_config that returns every argument, and create its weights in __init__."
    )
