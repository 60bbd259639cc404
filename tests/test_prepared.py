"""Rows that are no numbers: a preprocessor that is fitted goes with the run, to every command that follows."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import kptk
from kptk.data import ArraySource
from kptk.errors import InputError, UsageError
from kptk.plugins import Plugins
from kptk.training.prepared import Prepared, load_preprocessor

pytestmark = pytest.mark.backends
FAKES = Path(__file__).parent / "fakes" / "letters"


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(FAKES))
    yield
    for name in [name for name in sys.modules if name.startswith("kptk_letters")]:
        if name != "kptk_letters.parts":  # Keras keeps the registered class for the whole process
            sys.modules.pop(name)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return kptk.train("letters", out=tmp_path / "run").folder


def test_a_run_keeps_what_was_learned_of_its_rows(run: Path) -> None:
    config = json.loads((run / "preprocessor.json").read_text())
    assert config["config"]["letters"] == "abcdefgiou"
    layer = load_preprocessor(kptk.runfolder.RunFolder(run), Plugins())
    assert layer.fitted
    np.testing.assert_array_equal(layer.prepare(np.array(["abba"], dtype=object))[0, :2], [2, 2])


def test_every_command_that_follows_prepares_rows_in_the_same_way(run: Path, tmp_path: Path) -> None:
    scores = {(s.encoder, s.protocol): s.value for s in kptk.evaluate(run, "vowels").scores}
    assert scores["raw", "linear"] == 1.0  # vowels and consonants are told apart by counts
    assert scores["run", "knn"] > 0.95
    other = tmp_path / "other.letters"
    other.write_text("aeae\tv\nbcbc\tc\nxyzx\tc\n")  # x, y and z were in no training row
    kptk.embed(run, str(other), tmp_path / "features.npz")
    features = np.load(tmp_path / "features.npz")["features"]
    assert features.shape == (3, 16) and not np.array_equal(features[0], features[1])
    assert os.listdir(run).count("preprocessor.json") == 1


def test_a_fine_tuned_model_holds_its_preprocessor(run: Path, tmp_path: Path) -> None:
    from kptk.finetuning import resolve_finetune
    from kptk.request import Request
    from kptk.training.finetune import FineTune

    request = Request(recipe=str(run), names={"task": "classification"}, data="vowels")
    result = FineTune(resolve_finetune(Plugins(), request), Plugins()).start(tmp_path / "tuned")
    other = tmp_path / "other.letters"
    other.write_text("aeiouaei\tv\nbcdfgbcd\tc\n")
    kptk.predict(str(result.folder), str(other), str(tmp_path / "out.csv"))
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert "vowels" in lines[1] and "consonants" in lines[2]


def test_the_recipe_stands_in_for_the_one_of_images(run: Path, tmp_path: Path) -> None:
    from kptk.config import resolve
    from kptk.request import Request

    path = tmp_path / "some.letters"
    path.write_text("ab\tx\n")
    assert resolve(Plugins(), Request(recipe="contrastive", data=str(path))).backbone.id == "letters/letters_net"
    assert resolve(Plugins(), Request(recipe="contrastive", data="vowels")).recipe == "letters/letters"
    assert resolve(Plugins(), Request(recipe="contrastive", data="mnist10k")).recipe == "contrastive/contrastive"
    assert resolve(Plugins(), Request(recipe="contrastive")).recipe == "contrastive/contrastive"


def test_too_few_rows_for_a_batch_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "few.letters"
    path.write_text("ab\tx\ncd\ty\n")
    with pytest.raises(InputError, match="makes 2 examples to train on, fewer than one batch of 32"):
        kptk.train("letters", data=str(path), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_fit_takes_raw_rows(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    layer = kptk.preprocessor("alphabet", views=2, seed=0)
    data = kptk.dataset("vowels")
    texts = data.read(np.arange(len(data)))
    with pytest.raises(UsageError, match="has not seen any rows"):
        layer.numbers(texts)
    layer.fit(data)
    backbone = kptk.backbone("letters_net", input_shape=layer.prepared_shape(()))
    model = kptk.objective("contrastive", backbone=backbone, views=layer)
    model.compile(keras.optimizers.Adam(1e-3))
    assert np.isfinite(model.fit(texts, epochs=1, batch_size=50, verbose=0).history["loss"]).all()
    tuned = kptk.finetune("lp-ft", backbone, task="classification", class_names=data.class_names, preprocessor=layer)
    tuned.compile(keras.optimizers.Adam(1e-3))
    tuned.fit(list(texts), data.labels, epochs=20, verbose=0)
    assert (tuned.predict(texts, verbose=0).argmax(axis=1) == data.labels).mean() > 0.95
    tuned.save(tmp_path / "tuned.keras")
    again = kptk.load_model(tmp_path / "tuned.keras")
    np.testing.assert_allclose(again.predict(texts, verbose=0), tuned.predict(texts, verbose=0), rtol=1e-5)


def test_prepared_rows_keep_labels_and_test_part() -> None:
    layer = kptk.preprocessor("alphabet")
    data = kptk.dataset("vowels")
    with pytest.raises(ValueError, match="must be fitted"):
        Prepared(data, layer)
    layer.fit(data)
    rows = layer.prepared(data)
    assert rows.row_shape == (10,) and len(rows.holdout()) == 60
    np.testing.assert_array_equal(rows.labels, data.labels)
    assert rows.fingerprint() == data.fingerprint()


def test_texts_have_a_fingerprint_of_their_content() -> None:
    def made(text: str) -> str:
        return ArraySource(np.array([text, "".join(["b", "c"])], dtype=object)).fingerprint()

    assert made("".join(["a", "x"])) == made("ax") != made("ay")
