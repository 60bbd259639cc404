"""Ordinary supervised pre-training: cross entropy on labels, on augmented inputs."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.training.labels import check_classes, check_labels, require_labels
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer, with_head
from kptk.types import Tensor


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross entropy with label smoothing, the mean over the batch.

    The target of an example of class `y` among `C` gives every class `k` the probability

        q(k) = (1 - e) [k = y] + e / C

    Args:
        logits: shape ``(batch, C)``.
        labels: class numbers, shape ``(batch,)``.
        smoothing: `e`, at least 0 and below 1.

    Returns:
        A scalar; ``ln C`` where all logits of an example are equal.

    References:
        https://arxiv.org/abs/1512.00567, section 7.
    """
    log_probabilities = ops.log_softmax(logits, axis=-1)
    of_the_label = ops.take_along_axis(log_probabilities, labels[:, None], axis=-1)[:, 0]
    return -ops.mean((1 - smoothing) * of_the_label + smoothing * ops.mean(log_probabilities, axis=-1))


@keras.saving.register_keras_serializable(package="kptk_supervised")
class Supervised(Pretrainer):
    """A backbone and a linear head learn the labels; the first random view of each example is the augmentation.

    Args:
        backbone: any `keras.Model` from inputs to features.
        views: a preprocessor whose first view is trained on, or None.
        num_classes: number of classes of the labels, at least 2.
        label_smoothing: share of the target that is spread evenly over all classes, 0 to below 1.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if there are fewer than two classes.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("supervised", backbone=backbone, num_classes=10)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> images, labels = np.zeros((64, 28, 28, 1), "uint8"), np.arange(64) % 10
        >>> history = model.fit(images, labels, batch_size=32, verbose=0)
        >>> sorted(history.history)
        ['accuracy', 'loss']

    References:
        Label smoothing: Szegedy et al., Rethinking the Inception Architecture for Computer Vision,
        https://arxiv.org/abs/1512.00567
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        num_classes: int,
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.num_classes = check_classes(num_classes)
        self.label_smoothing = label_smoothing
        self.head = keras.layers.Dense(num_classes, name="head")
        self.head.build((None, self.feature_dim))
        self.accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Classify the first view."""
        features = self.encode(views[0], training=training)
        return {"embeddings": ops.cast(features, "float32"), "logits": ops.cast(self.head(features), "float32")}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `smoothed_cross_entropy`."""
        require_labels(labels, "supervised")
        labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
        return smoothed_cross_entropy(outputs["logits"], labels, self.label_smoothing)

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor = None) -> Any:
        """Count how many training examples were classified rightly."""
        self.accuracy.update_state(ops.reshape(y, (-1,)), y_pred["logits"])
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train, after a look at the labels if they are an array."""
        check_labels(y, self.num_classes)
        return super().fit(x, y, *args, **kwargs)

    def classifier(self) -> keras.Model:
        """The backbone and the head as one model, sharing their weights."""
        return with_head(self.backbone, self.head)

    def chance_loss(self, batch_size: int) -> float:
        """``ln C``: every class is as likely as the label."""
        del batch_size
        return math.log(self.num_classes)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "label_smoothing": self.label_smoothing,
        }
