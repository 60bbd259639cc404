"""Robustness probe: what is left of a linear head's accuracy when pixels are changed against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError, UsageError
from kptk.training.attacks import pgd
from kptk.training.encoder import raw_features
from kptk.training.features import Encoder, pooled
from kptk.training.probes import Labels, at_most
from kptk.types import Tensor

STEPS = 20
"""Gradient steps of the attack, each of 2.5 epsilon / 20."""
ROWS = 1000
"""Test rows that are attacked at most: each costs 20 passes there and back for every epsilon."""
BATCH = 250

Images = NDArray[np.float32]


def check_epsilons(epsilons: Sequence[float]) -> None:
    """Refuse sizes of an attack that mean nothing.

    Args:
        epsilons: largest changes of a pixel.

    Raises:
        UsageError: if one is not above 0 and at most 1.
    """
    for epsilon in epsilons:
        if not 0 < epsilon <= 1:
            raise UsageError(
                f"`epsilon` must be above 0 and at most 1, on the scale of 0..1 images. Received: {epsilon:g}."
            )


def check_images(source: Source) -> None:
    """Refuse data whose numbers are not pixels.

    Args:
        source: labelled data.

    Raises:
        InputError: if the rows are not images.
    """
    if source.inputs != "image" or len(source.row_shape) != 3:
        raise InputError(
            f"{source.describe()}: the robustness probe changes pixels of images, these rows are {source.inputs}."
        )


def prepared(encoder: Encoder, source: Source) -> Images:
    """Images as the backbone takes them, which is where the attack changes them.

    Args:
        encoder: the network behind its preprocessor.
        source: the rows.

    Raises:
        InputError: if they are not 0..1.
    """
    parts = []
    for start in range(0, len(source), BATCH):
        batch = source.read(np.arange(start, min(start + BATCH, len(source))))
        plain = batch if encoder.preprocessor is None else encoder.preprocessor.plain(batch)
        parts.append(np.asarray(ops.convert_to_numpy(plain), dtype=np.float32))
    images = np.concatenate(parts)
    if images.min() < -1e-6 or images.max() > 1 + 1e-6:
        raise InputError(
            f"the robustness probe changes pixels within 0..1, but the backbone takes {images.min():g}..{images.max():g}."
        )
    return images


def folded(head: Any, classes: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A linear probe as one matrix on plain features, its scaler folded in.

    Args:
        head: what `kptk.training.probes.linear_head` returned.
        classes: number of classes; those that the head does not know are never predicted.

    Returns:
        Kernel, shape ``(dim, classes)``, and bias.
    """
    scaler, logistic = head
    coefficients, intercept = logistic.coef_, logistic.intercept_
    if len(logistic.classes_) == 2:  # scikit-learn keeps one row for two classes
        coefficients, intercept = (
            np.concatenate([-coefficients, coefficients]) / 2,
            np.concatenate([-intercept, intercept]) / 2,
        )
    kernel = np.zeros((coefficients.shape[1], classes), np.float32)
    bias = np.full(classes, -1e9, np.float32)
    kernel[:, logistic.classes_] = (coefficients / scaler.scale_).T
    bias[logistic.classes_] = intercept - (coefficients / scaler.scale_) @ scaler.mean_
    return kernel, bias


class Victim(keras.Model):
    """A linear head on a frozen network, one step of the attack on it, and what it predicts.

    The attack raises the margin: the largest logit of a wrong class minus that of the right one. Unlike a cross entropy, its
    gradient does not vanish where the head is certain.

    Args:
        network: from images of 0..1 to features.
        head: what `kptk.training.probes.linear_head` returned.
        classes: number of classes; those that the head does not know are never predicted.
    """

    def __init__(self, network: keras.Model, head: Any, classes: int) -> None:
        super().__init__()
        self.network = network
        kernel, bias = folded(head, classes)
        for name, value in (("kernel", kernel), ("bias", bias)):
            weight = self.add_weight(shape=value.shape, trainable=False, dtype="float32", name=name)
            weight.assign(value)
            setattr(self, name, weight)
        self.built = True

    def logits(self, images: Tensor) -> Tensor:
        """What the head says of images, shape ``(batch, classes)``."""
        features = ops.cast(pooled(self.network(images, training=False)), "float32")
        return ops.matmul(features, self.kernel) + self.bias

    def call(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Predict, and go one step on.

        Args:
            inputs: ``images`` as changed so far, the ``origin``, the right ``labels``, and the attack's ``epsilon`` and
                ``step_size``, each with an axis for the batch.
        """
        origin, epsilon, size = inputs["origin"], inputs["epsilon"], inputs["step_size"]
        right = ops.one_hot(inputs["labels"], self.bias.shape[0], dtype="float32")

        def margin(images: Tensor) -> Tensor:
            logits = self.logits(images)
            best_wrong = ops.max(logits - 1e9 * right, axis=-1)
            return ops.sum(best_wrong - ops.sum(logits * right, axis=-1))

        further = pgd(margin, inputs["images"], self, origin=origin, epsilon=epsilon, steps=1, step_size=size)
        return {"further": further, "predicted": ops.argmax(self.logits(inputs["images"]), axis=-1)}


def accuracy_under_attack(
    victim: Victim,
    images: Images,
    labels: Labels,
    epsilon: float,
    *,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> float:
    """Accuracy of `right_under_attack`.

    Args:
        victim: what is attacked.
        images: of 0..1, shape ``(rows, height, width, channels)``.
        labels: their classes.
        epsilon: largest change of a pixel; 0 for none.
        seed: of the random start.
        progress: called after each batch, or None.

    Returns:
        A share of 0..1.
    """
    return float(right_under_attack(victim, images, labels, epsilon, seed=seed, progress=progress).mean())


def right_under_attack(
    victim: Victim,
    images: Images,
    labels: Labels,
    epsilon: float,
    *,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> NDArray[np.bool_]:
    """Which rows stay right after projected gradient descent against them, in the maximum norm, from a random start.

    Args:
        victim: what is attacked.
        images: of 0..1, shape ``(rows, height, width, channels)``.
        labels: their classes.
        epsilon: largest change of a pixel; 0 for none.
        seed: of the random start.
        progress: called after each batch, or None.

    Returns:
        Shape ``(rows,)``.

    References:
        https://arxiv.org/abs/1706.06083
    """
    rng = np.random.default_rng([seed, 23])
    right = []
    for start in range(0, len(images), BATCH):
        origin, wanted = images[start : start + BATCH], labels[start : start + BATCH]
        count = len(origin)
        filler = ((0, BATCH - count), *((0, 0),) * (origin.ndim - 1))  # one shape, so that it is compiled once
        inputs = {"origin": np.pad(origin, filler), "labels": np.pad(wanted, filler[:1]).astype("int32")}
        scale = (BATCH, *(1,) * (origin.ndim - 1))
        inputs["epsilon"] = np.full(scale, epsilon, np.float32)
        inputs["step_size"] = np.full(scale, 2.5 * epsilon / STEPS, np.float32)
        noise = rng.uniform(-epsilon, epsilon, inputs["origin"].shape).astype(np.float32)
        inputs["images"] = np.clip(inputs["origin"] + noise, 0.0, 1.0)
        for _ in range(STEPS if epsilon else 0):
            inputs["images"] = np.asarray(victim.predict_on_batch(inputs)["further"])
        predicted = np.asarray(victim.predict_on_batch(inputs)["predicted"])[:count]
        right.append(predicted == wanted)
        if progress:
            progress()
    return np.concatenate(right)


def victim_of(encoder: Encoder | None, source: Source, head: Any, seed: int) -> tuple[Victim, Images, Labels]:
    """Put a head on an encoder, and take the rows that are attacked.

    Args:
        encoder: the network behind its preprocessor; None for the raw pixels.
        source: labelled test rows.
        head: a linear head fitted on its features.
        seed: decides which rows, if there are more than 1,000.

    Returns:
        The victim, images and labels.
    """
    rows = at_most(source, ROWS, seed)
    assert rows.labels is not None
    if encoder is None:
        network = keras.Sequential([keras.Input(source.row_shape), keras.layers.Flatten()])
        images = raw_features(rows).reshape(len(rows), *source.row_shape)
    else:
        network, images = encoder.backbone, prepared(encoder, rows)
    return Victim(network, head, len(source.class_names)), images, rows.labels
