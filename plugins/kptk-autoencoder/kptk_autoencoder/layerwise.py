"""Greedy layer-wise pre-training by stacked denoising autoencoders (Bengio et al., 2007; Vincent et al., 2010)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.types import Tensor
from kptk_autoencoder.chain import Block, find_blocks
from kptk_autoencoder.corruption import NOISES, Seed, corrupt
from kptk_autoencoder.decoder import decoder
from kptk_autoencoder.reconstruction import as_images, cross_entropy, squared_error

EPSILON = 1e-7


def unexplained(errors: Tensor, errors_of_mean: Tensor) -> Tensor:
    """Error of a reconstruction as a share of the error of the mean: 1 for nothing learned, 0 for perfect.

    Layers differ in the size of their activations; as shares, their losses can be compared and averaged.

    Args:
        errors: error of each number of the batch.
        errors_of_mean: the same with `batch_mean` as the reconstruction.
    """
    return ops.mean(errors) / (ops.mean(errors_of_mean) + EPSILON)


def batch_mean(targets: Tensor) -> Tensor:
    """Mean of each number over the batch; of a single example, which is its own mean, the mean of all its numbers.

    Args:
        targets: shape ``(batch, ...)``.
    """
    several = ops.cast(ops.shape(targets)[0] > 1, targets.dtype)
    return several * ops.mean(targets, axis=0, keepdims=True) + (1.0 - several) * ops.mean(targets)


def squared_share(raw: Tensor, targets: Tensor) -> Tensor:
    """`unexplained` for squared errors.

    Args:
        raw: the reconstruction, shape ``(batch, ...)``.
        targets: what was to be reconstructed, the same shape.
    """
    return unexplained(squared_error(raw, targets), squared_error(batch_mean(targets), targets))


def cross_entropy_share(raw: Tensor, targets: Tensor) -> Tensor:
    """`unexplained` for cross entropies; it ends above 0 where targets are not exactly 0 or 1.

    Args:
        raw: logits, shape ``(batch, ...)``.
        targets: numbers of 0..1, the same shape.
    """
    mean = ops.clip(batch_mean(targets), EPSILON, 1.0 - EPSILON)
    of_mean = -targets * ops.log(mean) - (1.0 - targets) * ops.log(1.0 - mean)
    return unexplained(cross_entropy(raw, targets), of_mean)


@keras.saving.register_keras_serializable(package="kptk_autoencoder")
class Layerwise(Pretrainer):
    """Trains a chain of layers one at a time, each as a denoising autoencoder of what the layers before it give.

    In stage l the inputs of layer l are computed by the finished layers, spoilt, and encoded by layer l with its own
    normalisation, activation and pooling; a small decoder must give the clean inputs. Nothing but layer l and its decoder
    changes. `fit` runs the stages one after the other, ``epochs`` divided over them, each with a fresh optimiser; in
    between and afterwards the loss is the mean over all layers. The decoders have weights of their own (the papers tie
    them to the encoder's).

    Args:
        backbone: a functional or `Sequential` model whose Dense and Conv2D layers form a chain.
        views: a preprocessor that makes one view.
        noise: ``"mask"``, ``"gaussian"`` or ``"salt_pepper"``.
        amount: the probability that a number is hit, or the standard deviation; 0 for plain autoencoders, at most 1.
        error: ``"auto"`` takes cross entropy for a layer whose inputs are between 0 and 1 (images, sigmoid layers), as the
            papers do, and the squared error for the others; ``"mse"`` and ``"cross_entropy"`` take one for all.
        decoder_filters: width of the decoders of convolutions at their output, at least 1.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the layers form no chain, or cross entropy cannot be used on them.

    Example:
        >>> import keras, kptk, numpy as np
        >>> backbone = kptk.backbone("mlp", input_shape=(28, 28, 1), units=32, depth=3, activation="sigmoid")
        >>> model = kptk.objective("layerwise", backbone=backbone)
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> history = model.fit(np.zeros((64, 28, 28, 1), "uint8"), batch_size=32, epochs=6, verbose=0)
        >>> model.stages, len(history.history["loss"])
        (3, 6)

    References:
        Bengio et al., Greedy Layer-Wise Training of Deep Networks, NeurIPS 2006; Vincent et al., Stacked Denoising
        Autoencoders, JMLR 11, 2010
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        noise: str = "mask",
        amount: float = 0.25,
        error: str = "auto",
        decoder_filters: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.noise = noise
        self.amount = amount
        self.error = error
        self.decoder_filters = decoder_filters
        self.seed_generator = keras.random.SeedGenerator()
        self.blocks = _Untracked(find_blocks(backbone))
        for block in self.blocks.items:
            if not block.unit_inputs and error == "cross_entropy":
                raise UsageError(
                    f"`error` must be 'auto' or 'mse' for {backbone.name}: cross entropy needs inputs of 0..1, and those of "
                    f"layer {block.name} may not be. Received: 'cross_entropy'."
                )
            if not block.unit_inputs and noise == "salt_pepper":
                raise UsageError(
                    f"`noise` must be one of {NOISES[:2]} for {backbone.name}: salt and pepper are 0 and 1, and the inputs "
                    f"of layer {block.name} need not lie between them. Received: 'salt_pepper'."
                )
        self.decoders = [_decoder(block, decoder_filters) for block in self.blocks.items]

    @property
    def stages(self) -> int:
        """One for each layer with weights."""
        return len(self.blocks.items)

    def stage_weights(self, stage: int) -> list[Any]:
        """Layer and decoder of the stage."""
        return [*self.blocks.items[stage].weights, *self.decoders[stage].weights]

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Clean inputs and reconstruction of the current layer; of all layers outside a stage."""
        images = as_images(views[0])
        outputs = {}
        for stage in range(self.stages) if self.stage is None else (self.stage,):
            block = self.blocks.items[stage]
            # Finished layers run as at inference: their statistics and dropout rest.
            clean = ops.stop_gradient(ops.cast(block.before(images, training=False), "float32"))
            spoilt = self._spoil(clean, self.seed_generator)
            raw = self.decoders[stage](block.encode(spoilt, training=training))
            outputs[f"clean{stage}"], outputs[f"raw{stage}"] = clean, ops.cast(raw, "float32")
        return outputs

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """What the reconstruction leaves unexplained, averaged over the layers there are."""
        del labels
        losses = []
        for stage in range(self.stages):
            if f"raw{stage}" in outputs:
                share = cross_entropy_share if self._has_sigmoid(stage) else squared_share
                losses.append(share(outputs[f"raw{stage}"], outputs[f"clean{stage}"]))
        return ops.mean(ops.stack(losses))

    def chance_loss(self, batch_size: int) -> float:
        """1: every number is reconstructed as its mean."""
        del batch_size
        return 1.0

    def pictures(self, views: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Input, what layer 1 saw of it, and the reconstruction from each layer down through all decoders below it."""
        images = as_images(views[0])
        first = self.blocks.items[0]
        flat = first.before(images, training=False)
        if math.prod(flat.shape[1:]) != math.prod(images.shape[1:]):
            return {}  # something before the first layer changes the size: what comes back is no image
        rows = {"input": images, "corrupted": _as_images(self._spoil(flat, 0), images)}
        for stage in range(self.stages):
            drawn = self._drawn(images, stage)
            if drawn is not None:
                rows[f"from layer {stage + 1}"] = _as_images(drawn, images)
        return rows

    def _drawn(self, images: Tensor, stage: int) -> Tensor | None:
        """What the decoders make of a layer's code, one after the other; None where averaging lost the places."""
        block = self.blocks.items[stage]
        values = block.encode(block.before(images, training=False), training=False)
        for lower in reversed(range(stage + 1)):
            shape = self.blocks.items[lower].code_shape
            if math.prod(values.shape[1:]) != math.prod(shape):
                return None
            values = self.decoders[lower](ops.reshape(values, (-1, *shape)))
            values = ops.sigmoid(values) if self._has_sigmoid(lower) else values
        return values

    def _spoil(self, values: Tensor, seed: Seed) -> Tensor:
        return corrupt(values, self.noise, self.amount, seed) if self.amount else values

    def _has_sigmoid(self, stage: int) -> bool:
        """Whether the stage's decoder ends in a sigmoid and is judged by cross entropy."""
        return self.error == "cross_entropy" or (self.error == "auto" and self.blocks.items[stage].unit_inputs)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("noise", "amount", "error", "decoder_filters")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class _Untracked:
    """Holds the blocks out of Keras' sight: their weights are the backbone's and must not be saved twice."""

    def __init__(self, items: tuple[Block, ...]) -> None:
        self.items = items


def _decoder(block: Block, filters: int) -> keras.Model:
    """From a block's code to its inputs: one dense layer, or sub-pixel convolutions."""
    name = f"decoder_{block.name}"
    if len(block.input_shape) == 3 and len(block.code_shape) == 3:
        return decoder(block.code_shape, block.input_shape, filters=filters, name=name)
    layers = [keras.Input(block.code_shape), keras.layers.Dense(block.input_shape[-1])]
    return keras.Sequential(layers, name=name)


def _as_images(values: Tensor, images: Tensor) -> Tensor:
    """Numbers in the shape of the images, between 0 and 1."""
    return ops.clip(ops.reshape(ops.cast(values, "float32"), (-1, *images.shape[1:])), 0.0, 1.0)
