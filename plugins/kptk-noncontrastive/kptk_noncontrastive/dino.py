"""DINO (Caron, Touvron, Misra and others, 2021)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.training.clock import Clock
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.training.teacher import Teacher
from kptk.types import Tensor
from kptk_noncontrastive.prototypes import Prototypes

GLOBAL_VIEWS = 2
"""The teacher sees the first two views only."""


def dino_loss(
    student: Tensor, teacher: Tensor, centre: Tensor, *, temperature: float, teacher_temperature: float | Tensor
) -> Tensor:
    """Cross entropy of the student's distributions to the teacher's, over all pairs of different views.

    With the teacher's ``P_t = softmax((g_t - c) / tau_t)`` and the student's ``P_s = softmax(g_s / tau_s)``:

        mean over t in {0, 1}, s in {0, ..., V - 1}, s != t of  -sum_k P_t[k] log P_s[k]

    Args:
        student: outputs of the student's head for all views, shape ``(V, N, K)``, the teacher's views first.
        teacher: outputs of the teacher's head, shape ``(2, N, K)``; they get no gradient.
        centre: `c`, shape ``(K,)``.
        temperature: `tau_s`, above 0.
        teacher_temperature: `tau_t`, above 0.

    Returns:
        A scalar; ``ln K`` where the student says nothing.

    References:
        https://arxiv.org/abs/2104.14294, equation 3 and algorithm 1.
    """
    targets = ops.stop_gradient(ops.softmax((teacher - centre) / teacher_temperature, axis=-1))
    log_probabilities = ops.log_softmax(student / temperature, axis=-1)
    seen, views, count = teacher.shape[0], student.shape[0], ops.shape(student)[1]
    # t: the teacher's view, s: the student's view, n: example, k: prototype
    pairs = -ops.einsum("tnk,snk->ts", targets, log_probabilities) / ops.cast(count, student.dtype)
    same = ops.eye(seen, views, dtype=pairs.dtype)
    return ops.sum(pairs * (1.0 - same)) / (seen * (views - 1))


def moved_centre(centre: Tensor, teacher: Tensor, momentum: float) -> Tensor:
    """Move the centre towards the mean of the teacher's outputs.

    Args:
        centre: shape ``(K,)``.
        teacher: outputs of the teacher's head, shape ``(2, N, K)``.
        momentum: share of the old centre that stays.
    """
    return momentum * centre + (1.0 - momentum) * ops.mean(teacher, axis=(0, 1))


@keras.saving.register_keras_serializable(package="kptk_noncontrastive")
class DINO(Pretrainer):
    """The student sorts every view of an example as its teacher sorts the other ones.

    What they sort into are prototypes that nobody names. The teacher's outputs are centred, so that no prototype takes
    everything, and sharpened by a low temperature, so that they do not all get the same; the two together prevent
    collapse. The teacher sees the first two views; the student sees these and all further ones, which may be smaller.

    Args:
        backbone: any `keras.Model` from inputs to features.
        views: a preprocessor that makes two or more views of each example. Views of different sizes need a backbone that
            takes them, such as one that ends in a global average.
        temperature: the student's temperature, above 0.
        teacher_temperature: the teacher's temperature after its warm-up, above 0 and below the student's.
        start_temperature: the teacher's temperature in the first step, above 0.
        warmup: share of the run in which the teacher's temperature goes from the one to the other, above 0.
        momentum: share of the teacher's weights that stays in the first step, 0 to 1; it rises to 1 over the run.
        centre_momentum: share of the centre that stays in each step, 0 to 1.
        prototypes: how many prototypes, at least 2.
        hidden_dim: width of the head's two hidden layers.
        bottleneck_dim: length of the vectors that are compared with the prototypes.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("dino", backbone=backbone, views=kptk.preprocessor("image_views", views=4))
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1), "uint8"), batch_size=32, verbose=0)

    References:
        Emerging Properties in Self-Supervised Vision Transformers, https://arxiv.org/abs/2104.14294
    """

    # The teacher sharpens and its centre moves: the loss may stand still or rise while the features improve.
    loss_measures_learning: bool = False

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        temperature: float = 0.1,
        teacher_temperature: float = 0.07,
        start_temperature: float = 0.04,
        warmup: float = 0.3,
        momentum: float = 0.99,
        centre_momentum: float = 0.9,
        prototypes: int = 1024,
        hidden_dim: int = 256,
        bottleneck_dim: int = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.temperature = temperature
        self.teacher_temperature = teacher_temperature
        self.start_temperature = start_temperature
        self.warmup = warmup
        self.momentum = momentum
        self.centre_momentum = centre_momentum
        self.prototypes = prototypes
        self.hidden_dim = hidden_dim
        self.bottleneck_dim = bottleneck_dim
        self.head = keras.Sequential(
            [
                keras.Input((self.feature_dim,)),
                keras.layers.Dense(hidden_dim, activation="gelu"),
                keras.layers.Dense(hidden_dim, activation="gelu"),
                keras.layers.Dense(bottleneck_dim),
                Prototypes(prototypes),
            ],
            name="head",
        )
        self.teacher = Teacher(backbone, self.head)
        self.clock = Clock()
        self.centre = self.add_weight(
            shape=(prototypes,), initializer="zeros", trainable=False, dtype="float32", autocast=False, name="centre"
        )

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Move the teacher; run it on the first two views and the student on all."""
        if training:
            self.teacher.follow(self.clock.cosine(self.momentum, 1.0))
        student = self.head(self.encode_views(views, training), training=training)
        teacher = self.teacher(ops.concatenate(views[:GLOBAL_VIEWS], axis=0), training=training)
        return {
            "student": ops.reshape(student, (len(views), -1, self.prototypes)),
            "teacher": ops.reshape(teacher, (GLOBAL_VIEWS, -1, self.prototypes)),
        }

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `dino_loss` with the centre of the steps before."""
        del labels
        gain = self.teacher_temperature - self.start_temperature
        return dino_loss(
            outputs["student"],
            outputs["teacher"],
            self.centre.value,
            temperature=self.temperature,
            teacher_temperature=self.start_temperature + gain * self.clock.share(until=self.warmup),
        )

    def update_state(self, outputs: dict[str, Tensor]) -> None:
        """Move the centre and count the step."""
        self.centre.assign(moved_centre(self.centre.value, outputs["teacher"], self.centre_momentum))
        self.clock.advance()

    def chance_loss(self, batch_size: int) -> float:
        """``ln K``: the student gives every prototype the same."""
        del batch_size
        return math.log(self.prototypes)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = (
            "temperature",
            "teacher_temperature",
            "start_temperature",
            "warmup",
            "momentum",
            "centre_momentum",
            "prototypes",
            "hidden_dim",
            "bottleneck_dim",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
