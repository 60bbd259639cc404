"""Encoder-decoder: a new decoder on a pre-trained encoder, with skip connections for images, with cross-attention for texts."""

from __future__ import annotations

from typing import Any

import keras

from kptk.errors import UsageError
from kptk.training.phases import Phase
from kptk.training.preprocessor import Preprocessor
from kptk.training.rates import layerwise
from kptk.training.sequence_decoder import sequence_decoder
from kptk.training.strategy import Strategy
from kptk.training.task import Task


def taps(backbone: keras.Model) -> list[Any]:
    """The last map of each size within a backbone, the largest first; the input itself is the first.

    Args:
        backbone: a functional model of images.

    Raises:
        UsageError: if it is no functional model, or has no map smaller than its input.
    """
    if not hasattr(backbone, "operations") or len(backbone.input_shape) != 4:
        raise UsageError(
            f"encoder_decoder needs a functional backbone of images. Received: {type(backbone).__name__} "
            f"{backbone.name} with inputs {backbone.input_shape}."
        )
    found = {tuple(backbone.input.shape[1:3]): backbone.input}
    for operation in backbone.operations:
        output = operation.output
        if hasattr(output, "shape") and len(output.shape) == 4 and min(output.shape[1:3]) > 1:
            found[tuple(output.shape[1:3])] = output
    found[tuple(backbone.input.shape[1:3])] = found[tuple(backbone.input.shape[1:3])]
    ordered = sorted(found.items(), key=lambda entry: -entry[0][0] * entry[0][1])
    if len(ordered) < 2:
        raise UsageError(f"encoder_decoder needs a backbone with maps of several sizes; {backbone.name} has one.")
    return [tensor for _, tensor in ordered]


def decoder(backbone: keras.Model, filters: int) -> keras.Model:
    """A network from images to a map of their own size, through the backbone and back up.

    Args:
        backbone: a functional model of images.
        filters: channels of the largest map; each smaller one has twice as many, up to eight times.

    Returns:
        A functional model that shares the backbone's layers.

    References:
        Ronneberger et al. 2015, U-Net, https://arxiv.org/abs/1505.04597
    """
    maps = taps(backbone)
    image = backbone.input
    x = maps[-1]
    skips = [tensor for tensor in maps[:-1] if tensor is not image]
    for level, skip in reversed(list(enumerate([image, *skips]))):
        width = filters * 2 ** min(level, 3)
        x = keras.layers.Resizing(skip.shape[1], skip.shape[2], interpolation="bilinear", name=f"up{level}")(x)
        x = keras.layers.Concatenate(name=f"join{level}")([x, skip])
        for number in (1, 2):
            x = keras.layers.Conv2D(width, 3, padding="same", activation="relu", name=f"decoder{level}_{number}")(x)
    return keras.Model(image, x, name=f"{backbone.name}_with_decoder")


@keras.saving.register_keras_serializable(package="kptk_finetune")
class EncoderDecoder(Strategy):
    """A new decoder on the pre-trained backbone; for tasks with an answer for each pixel, or with a text as answer.

    For images it is a U-Net whose way down is the backbone. For texts it is a Transformer that sees what it has written, and by
    cross-attention the backbone's vector of each token that was read.

    In the first phase the new decoder and the head train on the frozen encoder; in the second everything does, the encoder
    more slowly. Layers of the backbone above its smallest map, such as a dense layer, are not used and keep their bits.

    Args:
        backbone: a functional `keras.Model` of images, or a token backbone.
        task: a task that takes a map, such as segmentation, or one that writes texts, such as seq2seq.
        preprocessor: prepares raw inputs, or None.
        augment: must be off, since random views would not fit the answers.
        filters: channels of the decoder's largest map, at least 4.
        decoder_share: fraction of the epochs that the decoder has for itself.
        encoder_rate: factor on the encoder's learning rate in the second phase, at most 1.
        layers: blocks of a decoder for texts, at least 1.
        heads: attention heads of a decoder for texts; they must divide the backbone's width.
        dropout: fraction dropped in a decoder for texts, 0 <= dropout < 1.
        **kwargs: passed to `keras.Model`.

    References:
        Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597; Rothe et al. 2020, https://arxiv.org/abs/1907.12461
    """

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        filters: int = 16,
        decoder_share: float = 0.5,
        encoder_rate: float = 0.1,
        layers: int = 2,
        heads: int = 2,
        dropout: float = 0.1,
        **kwargs: Any,
    ) -> None:
        if augment:
            raise UsageError("`augment` must be off: a random view of an image does not fit its mask.")
        if task.features not in ("map", "target"):
            raise UsageError(
                "encoder_decoder is for tasks that take a map, such as segmentation, or write a text, such as seq2seq. "
                f"Received: {task.name}."
            )
        network = (
            decoder(backbone, filters)
            if task.features == "map"
            else sequence_decoder(backbone, task.target_length, layers=layers, heads=heads, dropout=dropout)
        )
        super().__init__(backbone, task, preprocessor, network=network, **kwargs)
        self.filters = filters
        self.decoder_share = decoder_share
        self.encoder_rate = encoder_rate
        self.layers_of_decoder = layers
        self.heads = heads
        self.dropout = dropout

    def parts(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The encoder's weights that the decoder's answer depends on, and the new ones."""
        inside = {id(variable) for variable in self.backbone.variables}
        used = {id(variable) for variable in self.network.variables}
        encoder = tuple(v for v in self.tunable if id(v) in inside and id(v) in used)
        return encoder, self.head_weights()

    def phases(self) -> tuple[Phase, ...]:
        """The decoder, then everything."""
        encoder, new = self.parts()
        return (
            Phase(name="decoder", weights=new, share=self.decoder_share),
            Phase(name="all", weights=(*encoder, *new), share=1 - self.decoder_share, live=True),
        )

    def optimizer_for(self, phase: Phase, optimizer: Any) -> Any:
        """In the second phase, one with a slower rate for the encoder."""
        if phase.name != "all" or self.encoder_rate == 1:
            return optimizer
        return layerwise(optimizer, {variable.path: self.encoder_rate for variable in self.parts()[0]})

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("filters", "decoder_share", "encoder_rate", "heads", "dropout")
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own, "layers": self.layers_of_decoder}
