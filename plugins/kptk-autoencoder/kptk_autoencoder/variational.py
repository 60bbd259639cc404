"""The variational autoencoder (Kingma and Welling, 2013), with beta (Higgins and others, 2017)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.training.clock import Clock
from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor
from kptk_autoencoder.corruption import Seed
from kptk_autoencoder.reconstruction import Reconstruction, as_images, cross_entropy, feature_shape, squared_error

SAMPLES = "samples of the prior"


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """``KL(N(m, s²) || N(0, 1)) = (m² + s² - 1 - log s²) / 2``, summed over all but the first axis.

    Args:
        mean: `m`, shape ``(batch, ...)``.
        log_variance: ``log s²``, the same shape.

    Returns:
        Nats, shape ``(batch,)``.

    References:
        https://arxiv.org/abs/1312.6114, appendix B
    """
    return 0.5 * _summed(ops.square(mean) + ops.exp(log_variance) - 1.0 - log_variance)


def bernoulli_nll(logits: Tensor, targets: Tensor) -> Tensor:
    """``-log p(x|z)`` of independent Bernoulli pixels.

    Args:
        logits: the decoder's output, shape ``(batch, ...)``.
        targets: images of 0..1, the same shape.

    Returns:
        Nats, shape ``(batch,)``.
    """
    return _summed(cross_entropy(logits, targets))


def gaussian_nll(means: Tensor, targets: Tensor, stddev: float) -> Tensor:
    """``-log p(x|z)`` of independent Gaussian pixels of one known standard deviation.

    Args:
        means: the decoder's output, shape ``(batch, ...)``.
        targets: images, the same shape.
        stddev: standard deviation, above 0.

    Returns:
        Nats, shape ``(batch,)``; it can be negative, since it is the logarithm of a density.
    """
    constant = 0.5 * math.log(2 * math.pi * stddev**2)
    return _summed(squared_error(means, targets) / (2 * stddev**2) + constant)


def _summed(values: Tensor) -> Tensor:
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))


@keras.saving.register_keras_serializable(package="kptk_autoencoder")
class Variational(Reconstruction):
    """Features give a Gaussian over a code; a draw from it must be enough to draw the image.

    Two linear layers on the features give mean and log-variance of the code (on a map, at each place). The loss is the
    negative evidence lower bound in nats an image, ``-log p(x|z) + beta * KL(q(z|x) || N(0, 1))``. These layers are part
    of the objective: downstream gets the backbone's features. ``kl`` is logged too: near 0 the code is ignored.

    Args:
        backbone: from images to a vector or a map.
        views: a preprocessor that makes one view.
        latent_dim: length of the code, at least 1.
        beta: weight of the KL term; 1 is the bound itself, more forces a simpler code.
        beta_warmup: share of the run in which the weight rises from 0 to `beta`, 0 to 1. Without it the KL term can win
            before the decoder has learned to use the code, which is then ignored for good. No rise where the number of
            steps is not known.
        error: ``"cross_entropy"`` for Bernoulli pixels, ``"mse"`` for Gaussian ones.
        stddev: standard deviation of Gaussian pixels, above 0; not used with cross entropy.
        decoder_filters: width of the decoder at the image's own size, at least 1.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("variational", backbone=backbone, latent_dim=16)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1), "uint8"), batch_size=32, verbose=0)
        >>> sorted(history.history)
        ['kl', 'loss', 'psnr', 'ssim']

    References:
        https://arxiv.org/abs/1312.6114; beta: https://openreview.net/forum?id=Sy2fzU9gl; its rise:
        https://arxiv.org/abs/1511.06349
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        latent_dim: int = 32,
        beta: float = 1.0,
        beta_warmup: float = 0.3,
        error: str = "cross_entropy",
        stddev: float = 0.1,
        decoder_filters: int = 8,
        **kwargs: Any,
    ) -> None:
        code = (*feature_shape(backbone)[:-1], latent_dim)
        super().__init__(backbone, views, error=error, decoder_filters=decoder_filters, code_shape=code, **kwargs)
        self.latent_dim = latent_dim
        self.beta = beta
        self.beta_warmup = beta_warmup
        self.stddev = stddev
        # Small at first, so that the first draws are near the prior and exp(log_variance) cannot run away.
        small = keras.initializers.RandomNormal(stddev=0.01)
        self.to_mean = keras.layers.Dense(latent_dim, name="code_mean")
        self.to_log_variance = keras.layers.Dense(latent_dim, kernel_initializer=small, name="code_log_variance")
        for layer in (self.to_mean, self.to_log_variance):
            layer.build((None, *feature_shape(backbone)))
        self.kl = keras.metrics.Mean(name="kl")
        self.clock = Clock()

    def decode(self, features: Tensor, seed: Seed) -> dict[str, Tensor]:
        """Draw a code by ``m + s e``, ``e ~ N(0, 1)``, through which gradients reach m and s; and decode it."""
        mean = ops.cast(self.to_mean(features), "float32")
        log_variance = ops.cast(self.to_log_variance(features), "float32")
        noise = keras.random.normal(ops.shape(mean), seed=seed)
        code = mean + ops.exp(0.5 * log_variance) * noise
        return {"raw": self.decoder(code), "mean": mean, "log_variance": log_variance}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """The negative bound, averaged over the batch."""
        del labels
        raw, targets = outputs["raw"], outputs["targets"]
        bernoulli = self.error == "cross_entropy"
        nll = bernoulli_nll(raw, targets) if bernoulli else gaussian_nll(raw, targets, self.stddev)
        return ops.mean(nll + self.kl_weight() * kl_to_standard_normal(outputs["mean"], outputs["log_variance"]))

    def kl_weight(self) -> Tensor:
        """`beta`, or what it has risen to at this step."""
        if not self.beta_warmup:
            return self.beta
        known = self.clock.total > 0
        return self.beta * ops.where(known, self.clock.share(self.beta_warmup), 1.0)

    def update_state(self, outputs: dict[str, Tensor]) -> None:
        """Count the step."""
        del outputs
        self.clock.advance()

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor = None) -> dict[str, Tensor]:
        """Add the KL term to the figures."""
        self.kl.update_state(kl_to_standard_normal(y_pred["mean"], y_pred["log_variance"]))
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def pictures(self, views: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Input, reconstruction from the middle of its Gaussian, and as many images drawn from the prior."""
        targets = as_images(views[0])
        means = ops.cast(self.to_mean(self.features(targets, False)), "float32")
        draws = keras.random.normal(ops.shape(means), seed=0)
        reconstruction, samples = (self.images(self.decoder(code)) for code in (means, draws))
        return {"input": targets, "reconstruction": reconstruction, SAMPLES: samples}

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("latent_dim", "beta", "beta_warmup", "stddev")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
