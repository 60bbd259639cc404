"""`kptk data check` finds what was planted, and nothing where nothing is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from kptk.cli.main import cli
from kptk.datacheck.check import check
from kptk.datacheck.duplicates import difference_hash, identical, near, shared
from kptk.plugins import Plugins


def picture(seed: int) -> np.ndarray:
    """A smooth picture: four by four random colours, enlarged."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype("uint8")
    return np.asarray(Image.fromarray(small).resize((32, 32), Image.Resampling.BICUBIC))


def folder(path: Path, count: int = 12) -> Path:
    for row in range(count):
        target = path / ("cat", "dog")[row % 2] / f"{row:02}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(row)).save(target)
    return path


def subjects(report, level: str) -> set[str]:
    return {finding.subject for finding in report.findings if finding.level == level}


def test_a_clean_folder_passes(tmp_path: Path) -> None:
    report = check(Plugins(), str(folder(tmp_path / "clean", 24)))
    assert report.status == "pass", report.findings
    assert report.facts["file sizes"] == "32 x 32 (24)"
    assert report.classes == {"cat": 12, "dog": 12}


def test_planted_faults_of_images_are_found(tmp_path: Path) -> None:
    root = folder(tmp_path / "faulty", 24)
    (root / "cat" / "broken.png").write_bytes((root / "cat" / "00.png").read_bytes()[:100])
    Image.fromarray(picture(0)).save(root / "dog" / "copy-of-a-cat.png")  # the same pixels, another class
    Image.fromarray(np.clip(picture(2).astype(int) + 6, 0, 255).astype("uint8")).save(root / "cat" / "brighter.png")
    Image.new("RGB", (32, 32), (200, 0, 0)).save(root / "cat" / "red.png")
    test = tmp_path / "test"
    for name in ("cat", "dog"):
        (test / name).mkdir(parents=True)
    Image.fromarray(picture(4)).save(test / "cat" / "leaked.png")
    Image.fromarray(picture(101)).save(test / "dog" / "new.png")
    report = check(Plugins(), str(root), test=str(test))
    assert subjects(report, "fail") == {"unreadable", "labels", "leakage"}
    assert {"duplicates", "near duplicates", "contrast"} <= subjects(report, "warn")
    assert report.facts["exact duplicates"] == 1
    assert report.facts["near duplicates"] == 1
    assert report.facts["test images that are in the training part"] == 1
    sentences = " ".join(finding.sentence for finding in report.findings)
    assert "cat/red.png" in sentences
    assert "leaked.png" in sentences


def table(path: Path, **columns: list) -> str:
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return str(path)


def test_planted_faults_of_tables_are_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = 400
    y = np.where(np.arange(rows) % 20 == 0, "yes", "no")
    income = rng.normal(100, 10, rows).round(3)
    income[7] = 1e7
    path = table(
        tmp_path / "t.csv",
        id=list(range(rows)),
        income=income.tolist(),
        same=["x"] * rows,
        hole=["" if i % 3 else i for i in range(rows)],
        person=[f"person {i}" for i in range(rows)],
        answer=np.where(y == "yes", "granted", "refused").tolist(),
        y=y.tolist(),
    )
    report = check(Plugins(), path, options={"label": "y"})
    assert subjects(report, "fail") == {"answer"}
    assert subjects(report, "warn") == {"id", "income", "same", "hole", "person", "labels"}
    assert report.classes == {"no": 380, "yes": 20}
    assert {about["name"]: about["missing"] for about in report.columns}["hole"] == 266


def test_leakage_of_tables_is_judged_beside_their_own_repetition(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(600, 3)).round(4)
    train = table(tmp_path / "a.csv", x=numbers[:400, 0].tolist(), z=numbers[:400, 1].tolist())
    clean = table(tmp_path / "b.csv", x=numbers[400:, 0].tolist(), z=numbers[400:, 1].tolist())
    leaked = table(tmp_path / "c.csv", x=numbers[350:450, 0].tolist(), z=numbers[350:450, 1].tolist())
    assert check(Plugins(), train, test=clean).status == "pass"
    report = check(Plugins(), train, test=leaked)
    assert subjects(report, "fail") == {"leakage"}
    assert report.facts["test rows that are in the training part"] == 50


def test_exit_codes_json_and_page(tmp_path: Path) -> None:
    root = folder(tmp_path / "f", 24)
    page = tmp_path / "page.html"
    done = CliRunner().invoke(cli, ["data", "check", str(root), "--json", "--html", str(page)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["status"] == "pass"
    text = page.read_text()
    assert text.count("data:image/png;base64") == 24
    assert "http://" not in text.replace("http://www.w3.org", "")
    (root / "cat" / "broken.png").write_bytes(b"nothing")
    assert CliRunner().invoke(cli, ["data", "check", str(root)]).exit_code == 1
    assert CliRunner().invoke(cli, ["data", "check", str(tmp_path / "nowhere")]).exit_code == 2


def test_a_page_escapes_what_the_data_says(tmp_path: Path) -> None:
    from kptk.datacheck.page import render

    path = table(tmp_path / "t.csv", a=["<script>alert(1)</script>", "b"] * 20, **{"<b>n</b>": list(range(40))})
    text = render(check(Plugins(), path))
    assert "<script>alert" not in text
    assert "<b>n</b>" not in text
    assert "&lt;b&gt;n&lt;/b&gt;" in text


def test_sample_shows_rows_of_a_table(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", a=[1, 2, 3], b=["x", "y", "x"])
    done = CliRunner().invoke(cli, ["data", "sample", path, "--count", "3"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[1:] == ["0\t\t1\tx", "1\t\t2\ty", "2\t\t3\tx"]


def test_the_hash_forgives_brightness_and_not_another_drawing() -> None:
    images = np.stack([picture(0), np.clip(picture(0) * 0.9, 0, 255).astype("uint8"), picture(1), picture(2)])
    assert near(*difference_hash(images)) == [(0, 1)]
    assert near(*difference_hash(images), split=1) == [(0, 1)]
    assert near(*difference_hash(images), split=2) == []


def test_identical_and_shared() -> None:
    assert identical([b"a", b"b", b"a", b"a"]) == [[0, 2, 3]]
    assert shared([b"a", b"b", b"a"], [b"c", b"a"]) == [(0, 1)]


@pytest.mark.parametrize("words", [["-o", "objective.x=1"], ["--html", "nowhere/page.html"]])
def test_wrong_words_are_refused(tmp_path: Path, words: list[str]) -> None:
    path = table(tmp_path / "t.csv", a=[1, 2])
    assert CliRunner().invoke(cli, ["data", "check", path, *words]).exit_code == 2
