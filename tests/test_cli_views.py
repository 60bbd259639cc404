"""`kptk views`: a picture of what the model is shown, and words for views that cannot teach anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from kptk.cli import views as module
from kptk.cli.main import cli
from kptk.errors import UsageError
from kptk.training.report.views import compare


def run(*arguments: str):
    return CliRunner().invoke(cli, ["views", *arguments])


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("data") / "images.npz"
    images = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3)).astype("uint8")
    np.savez(path, x=images, y=np.array(["cat", "dog"] * 6))
    return str(path)


def test_draws_examples_and_their_views(data, tmp_path) -> None:
    out = tmp_path / "views.png"
    out.write_text("an earlier picture")
    done = run("--plugin", "contrastive", "--data", data, "--count", "3", "--out", str(out), "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert f"Wrote {out}: 3 examples and 3 draws of 2 views by vision/image_views" in done.stderr
    assert "Mean absolute difference between two views of one example: 0." in done.stderr
    assert result["comparison"]["rows"] == 12
    assert 0 < result["comparison"]["difference"] < result["comparison"]["between"] + 0.2
    assert result["warnings"] == []
    with Image.open(out) as image:
        assert image.format == "PNG"
        assert image.width > 7 * 112
    assert list(tmp_path.iterdir()) == [out]


def test_same_seed_draws_the_same_picture(data, tmp_path) -> None:
    pictures = []
    for seed in ("1", "1", "2"):
        out = tmp_path / "views.png"
        assert run("--plugin", "contrastive", "--data", data, "--seed", seed, "--out", str(out)).exit_code == 0
        pictures.append(out.read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_says_when_views_are_not_augmented(data, tmp_path) -> None:
    off = [word for name in ("flip=0", "jitter=0", "grey=0", "crop=1") for word in ("-o", f"preprocessor.{name}")]
    done = run("--plugin", "contrastive", "--data", data, "--out", str(tmp_path / "v.png"), *off)
    assert done.exit_code == 0, done.output
    assert "two views of an example are identical for 12 of 12 examples" in done.output


def test_says_when_views_show_nothing() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (10, 8, 8, 1))
    first = rng.random((10, 8, 8, 1))
    second = np.concatenate([rng.random((7, 8, 8, 1)), np.full((3, 8, 8, 1), 0.5)])
    assert compare([(first, second)], rows).warnings == [
        "15 % of the views are nearly one value and show nothing. Weaken the preprocessor's options, for example with "
        "larger crops."
    ]
    blank = np.zeros((10, 8, 8, 1), "uint8")
    assert compare([(first, first + 0.1)], blank).warnings == [
        "100 % of the originals are nearly one value and show nothing."
    ]


def test_views_that_cannot_be_compared() -> None:
    rows = np.zeros((2, 4, 4, 1), "uint8")
    assert compare([(np.ones((2, 4, 4, 1)), np.ones((2, 2, 2, 1)))], rows).difference is None
    single = [(np.zeros((2, 4, 4, 1)),), (np.ones((2, 4, 4, 1)),)]
    assert compare(single, rows).what == "two draws"
    assert compare(single, rows).difference == 1


def test_a_class_of_its_own_beside_each_row() -> None:
    source = SimpleNamespace(labels=np.array([1, 0]), class_names=("cat", "dog"))
    assert module._class_name(source, 0) == "class dog"
    assert module._class_name(SimpleNamespace(labels=None, class_names=()), 0) == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--out", "{folder}"], "which is a folder"),
        (["--out", "{folder}/none/views.png"], "no folder"),
        (["--out", "{folder}/views.jpg"], "must end with .png"),
        (["--data", "{folder}/missing.npz"], "no file or folder at"),
        (["--data", "{folder}/bad.npz"], "not a NumPy file"),
        (["--preprocessor", "image_viewz"], "Did you mean 'image_views'"),
        (["--count", "0"], "--count"),
        (["-o", "crop=0"], "above 0"),
    ],
)
def test_refuses_without_importing_keras(arguments, says, tmp_path) -> None:
    (tmp_path / "bad.npz").write_text("no numbers")
    words = [word.format(folder=tmp_path) for word in arguments]
    if "--out" not in words:
        words += ["--out", str(tmp_path / "views.png")]
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('KERAS' if 'keras' in sys.modules else 'LIGHT'))\n"
        "from kptk.__main__ import main\nmain()"
    )
    command = [sys.executable, "-c", code, "views", "--plugin", "contrastive", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "LIGHT" in done.stdout
    assert not (tmp_path / "views.png").exists()


def test_data_without_pictures_is_refused() -> None:
    spec = SimpleNamespace(inputs="text")
    config = SimpleNamespace(data=SimpleNamespace(id="words/novels", offer=SimpleNamespace(spec=spec)))
    with pytest.raises(UsageError, match="words/novels holds text"):
        module._check_images(config)


def test_no_preprocessor_shows_the_inputs() -> None:
    result = {
        "path": "v.png",
        "examples": 8,
        "draws": 0,
        "views": 1,
        "preprocessor": "no preprocessor",
        "comparison": None,
    }
    assert "the inputs as they are" in module._sentences(result)[-1]


def test_a_picture_that_cannot_be_written_leaves_nothing(data, tmp_path, monkeypatch) -> None:
    def full(image, path, *arguments, **options):
        Path(path).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    done = run("--plugin", "contrastive", "--data", data, "--out", str(tmp_path / "views.png"))
    assert done.exit_code == 1
    assert "views.png: No space left on device" in done.output
    assert not list(tmp_path.iterdir())
