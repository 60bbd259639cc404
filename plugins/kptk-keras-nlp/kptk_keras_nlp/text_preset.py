"""A pre-trained text backbone from a local folder: a KerasHub preset, or a model in Hugging Face's layout."""

from __future__ import annotations

from typing import Any

import keras
import keras_nlp

from kptk import modelfile
from kptk.errors import UsageError
from kptk.training.adopted import built
from kptk_keras_nlp.text_stages import token_backbone


def text_preset(
    input_shape: tuple[int, ...], *, path: str = "", vocabulary: int = 0, pool: str = "mean"
) -> keras.Model:
    """Load a text backbone with its weights from a folder. Nothing is downloaded: a name of KerasHub's is refused.

    Args:
        input_shape: ``(length,)``, or ``(2, length)`` with a channel of segments.
        path: the folder, as ``backbone.save_to_preset(path)`` or ``task.save_to_preset(path)`` writes it, or as a model in
            Hugging Face's layout is kept (``config.json``, ``model.safetensors``).
        vocabulary: how many tokens the preprocessor knows; `kptk train` sets it. It must be the model's own tokeniser, so that
            the numbers mean the same.
        pool: the features: ``"mean"`` of the tokens; ``"cls"``, the first token behind the network's own dense layer, if it
            has one; ``"none"``, all of them.

    Returns:
        A functional `keras.Model` from token numbers, 0 for padding, to features, with the stages of `kptk.training.tokens`.

    Raises:
        InputError: if there is no such folder.
        UsageError: if it holds no text backbone, or one of another vocabulary or of shorter rows.

    Example:
        >>> import tempfile
        >>> from kptk_keras_nlp.hub_text import hub_text
        >>> network = keras_nlp.models.DistilBertBackbone(50, 1, 2, 8, 16, max_sequence_length=32)
        >>> folder = tempfile.mkdtemp()
        >>> network.save_to_preset(folder)
        >>> text_preset((16,), path=folder, vocabulary=50).output_shape
        (None, 8)
    """
    folder = modelfile.existing(path, ("folder",))
    network: Any = built(lambda: keras_nlp.models.Backbone.from_preset(str(folder)), f"the preset in {folder}")
    table = getattr(network, "token_embedding", None)
    if table is None:
        raise UsageError(
            f"{folder} holds {type(network).__name__}, which has no table of tokens: it is no text backbone."
        )
    size = int(table.input_dim)
    if vocabulary not in (0, size):
        raise UsageError(
            f"the model in {folder} knows {size:,} tokens and the preprocessor makes {vocabulary:,}. Use the model's own "
            f"tokeniser: -o preprocessor.tokenizer={folder}"
        )
    positions = int(getattr(network, "max_sequence_length", 0) or 0)
    if positions and positions < input_shape[-1]:
        raise UsageError(
            f"the model in {folder} reads rows of at most {positions} tokens. Received: {input_shape[-1]}. Use shorter rows: "
            f"-o preprocessor.length={positions}"
        )
    name = type(network).__name__.removesuffix("Backbone").lower()
    what = f"the preset in {folder}"
    return built(lambda: token_backbone(network, input_shape, pool=pool, name=name), what)
