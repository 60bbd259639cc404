"""Reader, fitted preprocessor and network of the fake plugin."""

from pathlib import Path

import keras
import numpy as np
from keras import ops

from kptk.data import ArraySource
from kptk.training.preprocessor import Preprocessor


def words(rows, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    made = ["".join(rng.choice(list(("aeiou", "bcdfg")[label]), 8)) for label in labels]
    return np.array(made, dtype=object), labels


def vowels():
    x, y = words(400, 0)
    test = words(60, 1)
    holdout = ArraySource(test[0], test[1], inputs="letters", name="test", class_names=("vowels", "consonants"))
    return ArraySource(x, y, inputs="letters", name="vowels", class_names=holdout.class_names, holdout=holdout)


def read_letters(path):
    lines = [line.split("\t") for line in Path(path).read_text().splitlines()]
    x, y = (np.array(column, dtype=object) for column in zip(*lines, strict=True))
    return ArraySource(x, y.astype(str), inputs="letters", name=Path(path).name)


@keras.saving.register_keras_serializable(package="kptk_letters")
class Alphabet(Preprocessor):
    fits = True
    kind = "letters"

    def __init__(self, *, views=2, seed=None, drop=0.2, letters=None, **kwargs):
        super().__init__(views=views, seed=seed, **kwargs)
        self.drop, self.letters = drop, letters

    @property
    def fitted(self):
        return self.letters is not None

    def fit(self, source):
        self.letters = "".join(sorted(set("".join(source.read(np.arange(len(source)))))))

    def prepared_shape(self, row_shape):
        return (len(self.letters),)

    def prepare(self, rows):
        return np.array([[word.count(letter) for letter in self.letters] for word in rows], "float32")

    def call(self, inputs):
        def view():
            keep = keras.random.uniform(ops.shape(inputs), seed=self.seed_generator) >= self.drop
            return inputs * ops.cast(keep, inputs.dtype)

        return tuple(view() for _ in range(self.views))

    def plain(self, inputs):
        return inputs

    def get_config(self):
        return {**super().get_config(), "drop": self.drop, "letters": self.letters}


def net(input_shape):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(16, activation="relu")(inputs), name="letters_net")
