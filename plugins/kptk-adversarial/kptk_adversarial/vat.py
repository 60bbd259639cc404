"""Virtual adversarial training (Miyato, Maeda, Koyama and Ishii, 2017) of a contrastive similarity distribution."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kptk.training.input_gradient import input_gradient
from kptk.training.losses import nt_xent
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer, mlp
from kptk.training.tensors import unit_length
from kptk.types import Tensor


def kl_divergence(logits: Tensor, other: Tensor) -> Tensor:
    """Kullback-Leibler divergence ``KL(p || q)`` of two categorical distributions, averaged over the rows.

    Args:
        logits: of `p`, shape ``(batch, outcomes)``.
        other: logits of `q`, of the same shape.

    Returns:
        A scalar, 0 if they are the same.
    """
    log_p, log_q = ops.log_softmax(logits, axis=-1), ops.log_softmax(other, axis=-1)
    return ops.mean(ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1))


def virtual_direction(
    logits: Callable[[Tensor], Tensor], inputs: Tensor, start: Tensor, model: keras.Model, *, xi: float, iterations: int
) -> Tensor:
    """The direction in which the predicted distribution changes fastest, by the power method.

    Near an input, ``KL(p(x) || p(x + r))`` is ``r' H r / 2``, and its gradient at ``r = xi d`` is ``xi H d``: taking it and
    scaling it to length 1 turns `d` towards the first eigenvector of `H`.

    Args:
        logits: from inputs to the logits of a distribution, ``(batch, outcomes)``; without randomness.
        inputs: shape ``(batch, ...)``.
        start: random directions, of the same shape.
        model: owns every variable that `logits` touches; none of them changes.
        xi: length of the probe, above 0.
        iterations: steps of the method.

    Returns:
        Directions of length 1 for each example, of the shape of `inputs`.

    References:
        https://arxiv.org/abs/1704.03976, section 3.3.
    """
    here = ops.stop_gradient(logits(inputs))
    direction = _unit(start)
    for _ in range(iterations):
        gradient = input_gradient(lambda probed: kl_divergence(here, logits(probed)), inputs + xi * direction, model)
        direction = _unit(gradient)
    return ops.stop_gradient(direction)


def _unit(batch: Tensor) -> Tensor:
    """Scale each example to length 1; gradients are tiny numbers, so they are brought near 1 first."""
    flat = ops.reshape(batch, (ops.shape(batch)[0], -1))
    flat = flat / (ops.max(ops.abs(flat), axis=-1, keepdims=True) + 1e-30)
    return ops.reshape(unit_length(flat), ops.shape(batch))


def similarity_logits(z: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Which of the keys an example is: logits of the instance distribution of contrastive learning.

    Args:
        z: projections, shape ``(batch, dim)``.
        keys: projections of other views, shape ``(keys, dim)``.
        temperature: softmax temperature, above 0.

    Returns:
        Shape ``(batch, keys)``.
    """
    return ops.matmul(unit_length(z), ops.transpose(unit_length(keys))) / temperature


@keras.saving.register_keras_serializable(package="kptk_adversarial")
class VAT(Pretrainer):
    """SimCLR, and similarities that are smooth around each image in the direction in which they change most.

    VAT needs a distribution over outcomes and no labels. Here the outcomes are the examples of the batch: `p(x)` says
    which of the second views belongs to an image. It is taken in inference mode, since dropout would change it by more
    than the perturbations do.

    Args:
        backbone: any `keras.Model` from images to features.
        views: a preprocessor that makes two views of 0..1.
        epsilon: length of the perturbation of an image, in the L2 norm, above 0.
        xi: length of the probe that finds its direction, above 0. The paper's 1e-6 is rounding error in float32.
        iterations: steps of the power method, at least 1.
        weight: weight of the smoothness term, above 0.
        temperature: softmax temperature of both terms, above 0.
        projection_dim: length of the vectors that are compared, at least 2.
        hidden_dim: width of the projector's hidden layer.
        batch_norm: whether the projector has batch normalisation.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("vat", backbone=backbone, epsilon=1.0)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((32, 28, 28, 1), "uint8"), batch_size=16, verbose=0)

    References:
        Virtual Adversarial Training, https://arxiv.org/abs/1704.03976; SimCLR, https://arxiv.org/abs/2002.05709
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        epsilon: float = 2.0,
        xi: float = 0.1,
        iterations: int = 1,
        weight: float = 1.0,
        temperature: float = 0.5,
        projection_dim: int = 128,
        hidden_dim: int = 256,
        batch_norm: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.epsilon = epsilon
        self.xi = xi
        self.iterations = iterations
        self.weight = weight
        self.temperature = temperature
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        self.batch_norm = batch_norm
        self.projector = mlp((hidden_dim, projection_dim), self.feature_dim, batch_norm=batch_norm, name="projector")
        self.seed_generator = keras.random.SeedGenerator()

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Project both views, and find how the similarities of the first one change at worst."""
        first, second = views
        keys = ops.stop_gradient(self._project((second,), training=False))

        def logits(images: Tensor) -> Tensor:
            return similarity_logits(self._project((images,), training=False), keys, self.temperature)

        start = keras.random.normal(ops.shape(first), dtype=first.dtype, seed=self.seed_generator)
        direction = virtual_direction(logits, first, start, self, xi=self.xi, iterations=self.iterations)
        return {
            "embeddings": self._project(views, training),
            "clean": ops.stop_gradient(logits(first)),
            "perturbed": logits(first + self.epsilon * direction),
        }

    def _project(self, views: tuple[Tensor, ...], training: bool) -> Tensor:
        projections = self.projector(self.encode_views(views, training), training=training)
        return ops.cast(projections, "float32")

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `nt_xent`, and `kl_divergence` with its weight."""
        del labels
        z0, z1 = ops.split(outputs["embeddings"], 2, axis=0)
        contrast = nt_xent(z0, z1, self.temperature)
        return contrast + self.weight * kl_divergence(outputs["clean"], outputs["perturbed"])

    def chance_loss(self, batch_size: int) -> float:
        """``ln(2N - 1)``: every other projection is as likely as the partner, whatever the perturbation."""
        return math.log(2 * batch_size - 1)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("epsilon", "xi", "iterations", "weight", "temperature", "projection_dim", "hidden_dim", "batch_norm")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
