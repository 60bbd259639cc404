"""Few-shot: each class is the mean of its features; nothing is trained."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.errors import UsageError
from kptk.training.phases import Phase
from kptk.training.preprocessor import Preprocessor
from kptk.training.strategy import Strategy
from kptk.training.task import Task
from kptk.training.tensors import unit_length
from kptk.types import Tensor

Array = NDArray[Any]


def prototypes(features: Array, labels: Array, classes: int) -> Array:
    """Mean of the features of each class.

    Args:
        features: shape ``(rows, dim)``.
        labels: class numbers, shape ``(rows,)``.
        classes: number of classes.

    Returns:
        Shape ``(classes, dim)``; NaN for a class without a row.

    References:
        Snell et al. 2017, equation 1, https://arxiv.org/abs/1703.05175
    """
    sums = np.zeros((classes, features.shape[1]))
    np.add.at(sums, labels, features)
    with np.errstate(invalid="ignore"):
        return sums / np.bincount(labels, minlength=classes)[:, None]


def linear_head(centres: Array, metric: str, temperature: float) -> tuple[Array, Array]:
    """The nearest prototype as a linear layer.

    For the squared distance, ``-|f - c|^2 = 2 f.c - |c|^2 - |f|^2``, and the last term is the same for every class.

    Args:
        centres: the prototypes, shape ``(classes, dim)``.
        metric: ``"euclidean"`` or ``"cosine"`` (the features then have length 1).
        temperature: divides the logits.

    Returns:
        Kernel ``(dim, classes)`` and bias ``(classes,)``; a class without a row is never chosen.
    """
    seen: Any = np.isfinite(centres).all(axis=1)
    centres = np.where(seen[:, None], centres, 0.0)
    if metric == "cosine":
        kernel = centres / np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
        bias = np.zeros(len(centres))
    else:
        kernel, bias = 2 * centres, -np.sum(centres**2, axis=1)
    bias = np.where(seen, bias / temperature, -1e9)
    return (kernel.T / temperature).astype("float32"), bias.astype("float32")


def episodes(
    features: Array,
    labels: Array,
    *,
    ways: int,
    shots: int,
    queries: int = 15,
    count: int = 600,
    metric: str = "euclidean",
    seed: int = 0,
) -> tuple[float, float]:
    """Accuracy of prototypes over many small random tasks.

    Args:
        features: shape ``(rows, dim)``.
        labels: class numbers.
        ways: classes of an episode.
        shots: rows of each class that make its prototype.
        queries: rows of each class that are classified, at most.
        count: episodes.
        metric: ``"euclidean"`` or ``"cosine"``.
        seed: of the draws.

    Returns:
        Mean accuracy and the half-width of its 95 % interval.

    Raises:
        UsageError: if there are too few classes with enough rows.
    """
    counts = np.bincount(labels)
    usable = np.flatnonzero(counts > shots)
    if len(usable) < ways:
        raise UsageError(
            f"`ways` must be at most {len(usable)}, the classes with more than {shots} rows. Received: {ways}."
        )
    rng = np.random.default_rng(seed)
    if metric == "cosine":
        features = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    by_class = {label: np.flatnonzero(labels == label) for label in usable}
    scores = []
    for _ in range(count):
        support, asked, answers = [], [], []
        for place, label in enumerate(rng.choice(usable, ways, replace=False)):
            rows = rng.permutation(by_class[label])[: shots + queries]
            support.append(features[rows[:shots]])
            asked.append(features[rows[shots:]])
            answers += [place] * (len(rows) - shots)
        kernel, bias = linear_head(np.stack([part.mean(axis=0) for part in support]), metric, 1.0)
        scores.append(float(((np.concatenate(asked) @ kernel + bias).argmax(axis=1) == answers).mean()))
    return float(np.mean(scores)), float(1.96 * np.std(scores, ddof=1) / np.sqrt(count)) if count > 1 else 0.0


@keras.saving.register_keras_serializable(package="kptk_finetune")
class FewShot(Strategy):
    """Prototypes: a class is the mean of the features of its few rows, and the nearest one is predicted.

    Nothing is trained: the prototypes are written into the head, which stays. The backbone keeps its bits. A run also
    prints the accuracy over 600 random episodes of the test part with its 95 % interval.

    Args:
        backbone: any `keras.Model` from inputs to features.
        task: the head, with its loss and metrics.
        preprocessor: prepares raw inputs, or None.
        augment: whether a training step sees a random view.
        metric: ``"cosine"`` or ``"euclidean"``.
        temperature: divides the logits; changes the probabilities, not the predictions.
        **kwargs: passed to `keras.Model`.

    References:
        Snell et al. 2017, https://arxiv.org/abs/1703.05175
    """

    most_epochs = 1

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        metric: str = "cosine",
        temperature: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, task, preprocessor, augment=augment, **kwargs)
        self.metric = metric
        self.temperature = temperature
        if not isinstance(getattr(task, "head", None), keras.layers.Dense) or not task.class_names:
            raise UsageError(
                f"few_shot needs a task with one class a row, such as classification. Received: {task.name}."
            )

    def encode(self, inputs: Tensor, training: bool) -> Tensor:
        """Features, of length 1 for the cosine."""
        features = super().encode(inputs, training)
        return unit_length(ops.cast(features, "float32")) if self.metric == "cosine" else features

    def phases(self) -> tuple[Phase, ...]:
        """One look at the features; the learning rate is 0."""
        return (Phase(name="prototypes", weights=self.head_weights(), rate=0.0, cached=True),)

    def enter(self, phase: Phase, rows: Any, labels: Any) -> None:
        """Write the prototypes into the head."""
        del phase
        labels = np.asarray(labels).reshape(-1).astype(int)
        known = labels >= 0
        centres = prototypes(np.asarray(rows)[known], labels[known], len(self.task.class_names))
        kernel, bias = linear_head(centres, self.metric, self.temperature)
        self.task.head.kernel.assign(kernel)
        self.task.head.bias.assign(bias)

    def fit(self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, **kwargs: Any) -> Any:
        """As of every strategy; the rows must be arrays, since all of them are looked at together."""
        if not hasattr(x, "shape"):
            raise UsageError("few_shot looks at all rows together: pass arrays to fit, not a generator.")
        return super().fit(x, y, batch_size, epochs, **kwargs)

    def report(self, split: Any) -> dict[str, Any]:
        """Accuracy over episodes of the test part."""
        if split.test is None:
            return {}
        labels = np.asarray(split.test.labels)
        features = self.cached_features(split.test.source.read(np.arange(len(labels))))
        ways = min(5, int((np.bincount(labels) > 1).sum()))
        mean, half = episodes(features, labels, ways=ways, shots=1, metric=self.metric)
        return {"episodes": {"accuracy": mean, "interval": half, "ways": ways, "shots": 1, "count": 600}}

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "metric": self.metric, "temperature": self.temperature}
