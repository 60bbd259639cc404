"""Any text backbone of KerasHub, by the name of its class."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import keras_nlp  # an alias of keras_hub, which the classes in saved files belong to

from kptk import errors
from kptk.errors import UsageError
from kptk.training.adopted import built, read_arguments
from kptk_keras_nlp.text_stages import token_backbone

REFUSED_TEXT = {
    "Bart": "an encoder with a decoder that both read texts",
    "T5": "an encoder with a decoder that both read texts",
    "T5Gemma": "an encoder with a decoder that both read texts",
    "T5Gemma2": "an encoder with a decoder that both read texts",
    "BLIP2": "a network that reads images and texts",
    "CLIP": "a network that reads images and texts",
    "MetaCLIP2": "a network that reads images and texts",
    "SigLIP": "a network that reads images and texts",
    "PaliGemma": "a network that reads images and texts",
    "PARSeq": "a network that reads images and texts",
    "Gemma3": "a network that reads images and texts",
    "Gemma3n": "a network that reads images, sound and texts",
    "Gemma4": "a network that reads images and texts",
    "DebertaV3": "a network whose table of relative positions KerasHub 0.32 cannot load from a saved file",
    "EdRec": "an encoder with a decoder that both read lists of items",
    "VideoPrism": "a network that reads videos and texts",
    "Whisper": "a network that reads sound",
    "Moonshine": "a network that reads sound",
    "XLNet": "a network that reads texts in every order by masks of its own",
    "RWKV7": "a recurrent network whose layers take more than vectors and a mask",
}
"""Classes that read texts and cannot be token backbones, and what they are."""


def text_network(
    family: str,
    input_shape: tuple[int, ...],
    *,
    vocabulary: int,
    layers: int,
    heads: int,
    width: int,
    mlp_ratio: int,
    positions: int,
    dropout: float,
    pool: str,
    arguments: str = "{}",
    name: str,
) -> keras.Model:
    """Build a class of KerasHub for rows of tokens, as a backbone of kptk.

    Args:
        family: the class without its ending, such as ``"Albert"``.
        input_shape: ``(length,)``, or ``(2, length)`` with a channel of segments.
        vocabulary: how many tokens.
        layers: how many.
        heads: attention heads; they must divide the width.
        width: length of the vectors.
        mlp_ratio: hidden width of the perceptrons, as a multiple of the width.
        positions: how many positions have a vector; 0 for the length of the input.
        dropout: fraction dropped.
        pool: the features, as in `token_backbone`.
        arguments: more arguments of the class, as JSON text or the path of a ``.json`` file; they win.
        name: name of the backbone.

    Returns:
        A functional model from token numbers, 0 for padding, to features.

    Raises:
        UsageError: if there is no such class, or it cannot be built so.
    """
    made = _class(family)
    if len(input_shape) not in (1, 2) or (len(input_shape) == 2 and input_shape[0] != 2):
        raise UsageError(
            f"`input_shape` must be (length,) or (2, length) of token numbers. Received: {tuple(input_shape)}. Texts become "
            "numbers by a preprocessor: --preprocessor text_tokens"
        )
    length = int(input_shape[-1])
    if vocabulary < 2:
        raise UsageError(
            f"`vocabulary` must be the number of tokens, such as layer.tokens.vocabulary of a fitted preprocessor. Received: "
            f"{vocabulary}."
        )
    if width % heads:
        raise UsageError(f"`width` must be a multiple of `heads`. Received: width {width}, heads {heads}.")
    if positions and positions < length:
        raise UsageError(f"`positions` must be at least the length of a row, {length}. Received: {positions}.")
    sizes = {
        **dict.fromkeys(("vocabulary_size", "vocab_size"), vocabulary),
        "num_layers": layers,
        **dict.fromkeys(("num_heads", "num_query_heads", "num_key_value_heads", "num_attention_heads"), heads),
        **dict.fromkeys(("hidden_dim", "embedding_dim"), width),
        **dict.fromkeys(("head_size", "head_dim"), width // heads),
        "intermediate_dim": mlp_ratio * width,
        "max_sequence_length": positions or length,
        "dropout": dropout,
    }
    known = inspect.signature(made.__init__).parameters
    values = {key: value for key, value in sizes.items() if key in known}
    what = f"{family}Backbone of KerasHub for rows of {length} tokens"
    given = read_arguments(arguments)
    if unknown := sorted(set(given) - set(known)):  # Keras would take them for its own and forget them
        raise errors.unknown_option(what, unknown[0], [key for key in known if key not in ("self", "kwargs")])
    values |= given
    network = built(lambda: made(**values), what)
    return built(lambda: token_backbone(network, input_shape, pool=pool, name=name), what)


def hub_text(
    input_shape: tuple[int, ...],
    *,
    family: str = "Bert",
    vocabulary: int = 0,
    layers: int = 2,
    heads: int = 2,
    width: int = 128,
    mlp_ratio: int = 4,
    positions: int = 0,
    dropout: float = 0.1,
    pool: str = "mean",
    arguments: str = "{}",
) -> keras.Model:
    """Build a text backbone of KerasHub from the name of its class.

    Args:
        input_shape: ``(length,)``, or ``(2, length)`` with a channel of segments.
        family: a class in ``keras_hub.models``, with or without its ending, such as ``"OPT"``.
        vocabulary: how many tokens; `kptk train` sets it to what the preprocessor learned.
        layers: how many.
        heads: attention heads; they must divide the width.
        width: length of the vectors.
        mlp_ratio: hidden width of the perceptrons, as a multiple of the width.
        positions: how many positions have a vector; 0 for the length of the input.
        dropout: fraction dropped behind every part.
        pool: the features: ``"mean"`` of the tokens, ``"cls"`` or ``"none"``.
        arguments: more arguments of the class, as JSON text or the path of a ``.json`` file.

    Returns:
        A functional `keras.Model` from token numbers, 0 for padding, to features, with the stages of `kptk.training.tokens`.

    Raises:
        InputError: if the file of arguments cannot be read.
        UsageError: if there is no such class, or it cannot be built so.

    Example:
        >>> hub_text((16,), family="Albert", vocabulary=100, width=16).output_shape
        (None, 16)

    References:
        https://keras.io/keras_hub/api/models/
    """
    return text_network(
        family.removesuffix("Backbone"),
        input_shape,
        vocabulary=vocabulary,
        layers=layers,
        heads=heads,
        width=width,
        mlp_ratio=mlp_ratio,
        positions=positions,
        dropout=dropout,
        pool=pool,
        arguments=arguments,
        name=family.removesuffix("Backbone").lower(),
    )


def text_families() -> list[str]:
    """The classes from texts to features, without their ending.

    Example:
        >>> "Albert" in text_families(), "DenseNet" in text_families(), "T5" in text_families()
        (True, False, False)
    """
    names = [name.removesuffix("Backbone") for name in dir(keras_nlp.models) if name.endswith("Backbone")]
    return [name for name in names if name and name not in REFUSED_TEXT and _reads_texts(name)]


def _reads_texts(family: str) -> bool:
    names = inspect.signature(getattr(keras_nlp.models, f"{family}Backbone").__init__).parameters
    return bool({"vocabulary_size", "vocab_size"} & set(names))


def _class(family: str) -> Any:
    known = text_families()
    if what := REFUSED_TEXT.get(family):
        raise UsageError(f"{family}Backbone of KerasHub is {what}. There are: {', '.join(known)}.")
    if family not in known:
        hint = errors.did_you_mean(family, known) or f"There are: {', '.join(known)}."
        raise UsageError(f"KerasHub has no text backbone '{family}'. {hint}")
    return getattr(keras_nlp.models, f"{family}Backbone")
