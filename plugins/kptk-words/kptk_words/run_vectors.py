"""Reads the word vectors of a run."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from kptk.errors import InputError
from kptk.plugins import Plugins
from kptk.training.encoder import TrainedEncoder
from kptk_words.keyed_vectors import KeyedVectors
from kptk_words.tables import embedding_layer
from kptk_words.vocabulary import FIRST
from kptk_words.words import Words


def run_vectors(path: str | Path, plugins: Plugins | None = None) -> KeyedVectors:
    """The words of a run and their vectors.

    Args:
        path: the run folder.
        plugins: the registry; a new one if None.

    Raises:
        InputError: if the run has no words or no vectors of them.
    """
    encoder = TrainedEncoder(path, plugins)
    known = encoder.fitted
    if not isinstance(known, Words) or known.vocabulary is None:
        made = encoder.config.preprocessor.id if encoder.config and encoder.config.preprocessor else "none"
        raise InputError(
            f"{path} has no word vectors: its preprocessor is {made}, and words come from words/words. "
            "Make some: kptk train --plugin words --data TEXT"
        )
    table = np.asarray(keras.ops.convert_to_numpy(embedding_layer(encoder.backbone).embeddings), np.float32)
    return KeyedVectors(known.vocabulary.words, table[FIRST:])
