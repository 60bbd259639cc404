"""Adversarial contrastive learning (Kim, Tack and Hwang, 2020; Jiang, Chen, Chen and Wang, 2020)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.training.attacks import pgd
from kptk.training.losses import nt_xent
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer, mlp
from kptk.types import Tensor

STEP_SHARE = 2.5
"""Steps of 2.5 epsilon / steps reach any corner of the ball from any start, with some to spare (Madry et al., 2017)."""


def adversarial_contrast(clean: Tensor, partner: Tensor, attacked: Tensor, temperature: float, weight: float) -> Tensor:
    """NT-Xent of the clean pair and of the attacked view with the same partner, as a weighted mean.

    With `L` for NT-Xent, `z` and `z'` for two views, `z_adv` for the attacked first view and `w` for the weight:

        ( L(z, z') + w * L(z_adv, z') ) / (1 + w)

    Args:
        clean: projections of the first views, shape ``(N, dim)``.
        partner: projections of the second views, shape ``(N, dim)``.
        attacked: projections of the first views after the attack, shape ``(N, dim)``.
        temperature: softmax temperature, above 0.
        weight: `w`, above 0.

    Returns:
        A scalar. Where the projections say nothing, it is near ``ln(2N - 1)``.

    References:
        https://arxiv.org/abs/2006.07589, https://arxiv.org/abs/2010.13812
    """
    natural = nt_xent(clean, partner, temperature)
    adversarial = nt_xent(attacked, partner, temperature)
    return (natural + weight * adversarial) / (1.0 + weight)


@keras.saving.register_keras_serializable(package="kptk_adversarial")
class AdversarialContrastive(Pretrainer):
    """The first view of each example is also shown after an attack that makes it hard to find the second one.

    The attack needs no labels: projected gradient ascent of the contrastive loss itself, within `epsilon` of the view in
    the maximum norm and within 0..1. Its gradient leaves no trace on the model.

    Args:
        backbone: any `keras.Model` from images to features.
        views: a preprocessor that makes two views of 0..1.
        epsilon: largest change of a pixel by the attack, above 0, on the scale of 0..1 images.
        steps: gradient steps of the attack, at least 1; 1 is the fast gradient sign method (FGSM).
        step_size: change of each pixel by a step; 0 takes `epsilon` for one step and ``2.5 * epsilon / steps`` for several.
        random_start: whether the attack starts at a random place within `epsilon` instead of at the view.
        weight: weight of the adversarial term, above 0; that of the clean one is 1.
        temperature: softmax temperature, above 0.
        projection_dim: length of the vectors that are compared, at least 2.
        hidden_dim: width of the projector's hidden layer.
        batch_norm: whether the projector has batch normalisation.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("adversarial", backbone=backbone, epsilon=0.1, steps=1)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((32, 28, 28, 1), "uint8"), batch_size=16, verbose=0)

    References:
        Adversarial Self-Supervised Contrastive Learning, https://arxiv.org/abs/2006.07589;
        Robust Pre-Training by Adversarial Contrastive Learning, https://arxiv.org/abs/2010.13812
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        epsilon: float = 0.2,
        steps: int = 3,
        step_size: float = 0.0,
        random_start: bool = True,
        weight: float = 1.0,
        temperature: float = 0.5,
        projection_dim: int = 128,
        hidden_dim: int = 256,
        batch_norm: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.epsilon = epsilon
        self.steps = steps
        self.step_size = step_size
        self.random_start = random_start
        self.weight = weight
        self.temperature = temperature
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        self.batch_norm = batch_norm
        self.projector = mlp((hidden_dim, projection_dim), self.feature_dim, batch_norm=batch_norm, name="projector")
        # The seed follows from Keras' own, so that one seed decides a run.
        self.seed_generator = keras.random.SeedGenerator()

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Project both views, attack the first one, and project it again.

        The attacked images pass on their own, so that batch normalisation does not mix the two kinds.
        """
        projections = self._project(views, training)
        _, partner = ops.split(projections, 2, axis=0)
        attacked = self.attack(views[0], partner, training)
        return {"embeddings": projections, "attacked": self._project((attacked,), training)}

    def attack(self, view: Tensor, partner: Tensor, training: bool) -> Tensor:
        """Change a view so that it is hard to find its partner by it.

        Args:
            view: images of 0..1, shape ``(batch, height, width, channels)``.
            partner: projections of the other views of the same examples, shape ``(batch, dim)``.
            training: whether batch statistics and dropout are on.

        Returns:
            Images within `epsilon` of `view` and within 0..1.
        """
        partner = ops.stop_gradient(partner)
        usual = self.epsilon if self.steps == 1 else STEP_SHARE * self.epsilon / self.steps
        return pgd(
            lambda images: nt_xent(self._project((images,), training), partner, self.temperature),
            view,
            self,
            epsilon=self.epsilon,
            steps=self.steps,
            step_size=self.step_size or usual,
            seed=self.seed_generator if self.random_start else None,
        )

    def _project(self, views: tuple[Tensor, ...], training: bool) -> Tensor:
        projections = self.projector(self.encode_views(views, training), training=training)
        return ops.cast(projections, "float32")

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `adversarial_contrast`."""
        del labels
        clean, partner = ops.split(outputs["embeddings"], 2, axis=0)
        return adversarial_contrast(clean, partner, outputs["attacked"], self.temperature, self.weight)

    def chance_loss(self, batch_size: int) -> float:
        """``ln(2N - 1)``: every other projection is as likely as the partner."""
        return math.log(2 * batch_size - 1)

    def pictures(self, views: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """The first view before and after the attack, and what was added."""
        attacked = self.attack(views[0], self._project((views[1],), training=False), training=False)
        change = 0.5 + (attacked - views[0]) / (2 * self.epsilon)
        return {"view": views[0], "attacked": attacked, "change": change, "partner": views[1]}

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("epsilon", "steps", "step_size", "random_start", "weight", "temperature")
        own = (*names, "projection_dim", "hidden_dim", "batch_norm")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
