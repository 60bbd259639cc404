"""Finds the table of vectors in a backbone."""

from __future__ import annotations

import keras

from kptk.errors import UsageError
from kptk.training import tokens


def embedding_layer(backbone: keras.Model) -> keras.layers.Embedding:
    """The one layer of a backbone that turns word numbers into vectors.

    Args:
        backbone: from word numbers to features.

    Raises:
        UsageError: if there is none, or several.
    """
    found = [layer for layer in backbone._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
    # A Transformer also has vectors for positions and segments.
    found = [layer for layer in found if layer.name == tokens.TABLE] or found
    if len(found) != 1:
        raise UsageError(
            f"word vectors are taught to a backbone with one keras.layers.Embedding; '{backbone.name}' has {len(found)}. "
            "Use the backbone word_vectors."
        )
    return found[0]
