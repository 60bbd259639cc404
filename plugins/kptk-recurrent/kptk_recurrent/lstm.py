"""The backbone `lstm`."""

from __future__ import annotations

import keras

from kptk_recurrent.recurrent_backbone import recurrent_backbone


def lstm(
    input_shape: tuple[int, ...],
    *,
    vocabulary: int = 0,
    embedding_dim: int = 64,
    units: int = 128,
    layers: int = 1,
    dropout: float = 0.0,
    pool: str = "last",
) -> keras.Model:
    """Long short-term memory, with a forget gate whose bias starts at 1.

    Args:
        input_shape: ``(length,)`` for tokens, or ``(length, channels)`` for sequences of numbers.
        vocabulary: how many tokens; `kptk train` sets it to what the preprocessor learned. Not used for numbers.
        embedding_dim: length of the vectors of tokens.
        units: length of the state of each layer.
        layers: how many.
        dropout: fraction dropped before every layer.
        pool: the features: the ``"last"`` state, the ``"mean"`` of all, or ``"none"`` for all of them.

    Returns:
        A model from sequences to features, with the stages of `kptk.training.tokens`.

    Raises:
        UsageError: if the shape is neither, or tokens have no vocabulary.

    Example:
        >>> lstm((64,), vocabulary=1000, units=32).output_shape
        (None, 32)

    References:
        https://doi.org/10.1162/neco.1997.9.8.1735
    """
    return recurrent_backbone(
        keras.layers.LSTM,
        input_shape,
        vocabulary=vocabulary,
        embedding_dim=embedding_dim,
        units=units,
        layers=layers,
        dropout=dropout,
        pool=pool,
        name="lstm",
    )
