"""`kptk report`: of a run, a fine-tuning, a comparison and several runs; what is refused; and in a real browser."""

from __future__ import annotations

import importlib.util
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.cli.main import cli
from kptk.errors import InputError, UsageError
from kptk.finetuning import resolve_finetune
from kptk.plugins import Plugins
from kptk.reports import kind_of, target
from kptk.request import Request, Setting
from kptk.training.finetune import FineTune
from kptk.training.report import attention, confusion, lines, occlusion, several
from kptk.training.report.comparison import means
from kptk.training.transformer import encoder

VOID = {"meta", "br", "img", "link", "input", "hr"}
HOSTILE = '<script>alert("1")</script>'
_spec = importlib.util.spec_from_file_location("kptk_test_browser", Path(__file__).with_name("browser.py"))
browser = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(browser)


class Page(HTMLParser):
    """What a page holds, and that its tags close in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def anchors(self) -> list[str]:
        return [attributes["id"] for attributes in self.all("h2")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="module")
def data(folder) -> Path:
    path = folder / "digits.npz"
    images = np.random.default_rng(0).integers(0, 120, (120, 12, 12, 1)).astype("uint8")
    labels = np.arange(120) % 3
    for row, label in enumerate(labels):  # a bright bar at a place for each class
        images[row, 4 * label : 4 * label + 3] += 120
    np.savez(path, x=images, y=np.array(["plain", HOSTILE, "a&b"])[labels])
    return path


@pytest.fixture(scope="module")
def run(data, folder) -> Path:
    options = {"backbone.units": 16, "objective.hidden_dim": 16, "train.deterministic": False, "probe.data": str(data)}
    made = kptk.train("contrastive", data=str(data), out=folder / "run", epochs=2, batch_size=32, options=options)
    kptk_evaluate(made.folder, data)
    return made.folder


def kptk_evaluate(run: Path, data: Path) -> None:
    done = CliRunner().invoke(cli, ["evaluate", str(run), "--data", str(data), "--k", "3", "--draws", "2", "--quiet"])
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def tuned(run, data, folder) -> Path:
    settings = (Setting("train.epochs", 3), Setting("train.deterministic", False))
    request = Request(recipe=str(run), names={"task": "classification"}, data=str(data), settings=settings)
    return FineTune(resolve_finetune(Plugins(), request), Plugins()).start(folder / "tuned", "kptk finetune x").folder


@pytest.fixture(scope="module")
def comparison(folder) -> Path:
    path = folder / "comparison"
    path.mkdir()
    rng = np.random.default_rng(0)
    cells = [
        {
            "arm": arm,
            "labels_per_class": labels,
            "seed": seed,
            "validation": 0.5,
            "test": float(base + 0.05 * np.log1p(labels or 50) + 0.01 * rng.normal()),
            "chosen": "C 1",
            "facts": {"seconds": 3.0},
        }
        for arm, base in (("simclr/lp-ft", 0.6), (f"{HOSTILE}/lp-ft", 0.55), ("scratch", 0.5), ("raw", 0.45))
        for labels in (1, 5, 0)
        for seed in range(3)
    ]
    (path / "cells.jsonl").write_text("".join(json.dumps(cell) + "\n" for cell in cells) + '{"arm": "cut o')
    return path


def made(folder: Path, name: str, *paths: Path) -> tuple[Page, Path]:
    out = folder / f"{name}.html"
    done = CliRunner().invoke(cli, ["report", *map(str, paths), "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    assert "could not be made" not in done.stderr
    answer = json.loads(done.stdout)
    assert answer["path"] == str(out)
    assert answer["bytes"] == out.stat().st_size < 3_000_000
    page = Page(out)
    assert len(page.all("script")) == 1
    assert "could not be made" not in page.words
    return page, out


@pytest.fixture(scope="module")
def pages(folder, run, tuned, comparison) -> dict[str, tuple[Page, Path]]:
    return {
        "run": made(folder, "one", run),
        "tuned": made(folder, "fine", tuned),
        "comparison": made(folder, "compared", comparison),
        "several": made(folder, "both", run, tuned),
    }


# Content -----------------------------------------------------------------------------------------------------------


def test_of_a_run_it_is_thorough(pages) -> None:
    page, _ = pages["run"]
    assert {"evaluation", "health", "map", "looks", "neighbours", "references"} <= set(page.anchors)
    assert "t-SNE (perplexity 30, seed 0)" in page.words
    assert "Gradient norm" in page.words
    assert "The doctor found nothing wrong" in page.words or "Likely cause" in page.words
    assert "kNN accuracy" in page.words and "Random encoder" in page.words
    assert "3 nearest labelled rows by cosine" in page.words
    assert HOSTILE in page.words


def test_of_a_fine_tuning(pages, tuned) -> None:
    page, _ = pages["tuned"]
    for anchor in ("figures", "curves", "confusion", "worst", "classes", "looks", "map", "receipt", "commands"):
        assert anchor in page.anchors, anchor
    summary = json.loads((tuned / "summary.json").read_text())
    assert f"Learned from {summary['rows']['train']} rows" in page.words
    assert "validation rows, by which the epoch was chosen" in page.words  # the file has no test part of its own
    assert "tensors, " in page.words and "Checksum of its weights" in page.words
    assert "kptk predict" in page.words
    at_its_end = Page(tuned / "report.html")
    assert "confusion" in at_its_end.anchors
    assert "looks" not in at_its_end.anchors  # that takes time: kptk report adds it


def test_of_a_comparison_that_is_not_done(pages) -> None:
    page, _ = pages["comparison"]
    assert "Not complete" in page.words
    assert page.anchors == ["efficiency", "cells"]
    assert "mean and 95 % interval of Student's t over 3 seeds" in page.words
    (chart,) = [svg for svg in page.all("svg") if "wide" in svg["class"]]
    assert "scratch: " in chart["aria-label"] and "at all" in chart["aria-label"]
    assert "All 36 finished cells" in page.words
    assert "raw inputs" in page.words


def test_of_a_comparison_with_its_summary(comparison, folder, tmp_path) -> None:
    done = tmp_path / "done"
    shutil.copytree(comparison, done)
    difference = {"first": "simclr", "second": "scratch", "labels_per_class": 5, "mean": 0.061, "low": 0.039}
    difference |= {"high": 0.084, "seeds": 3, "p": 0.001, "p_holm": 0.002, "tests": 2}
    row = {"arm": "simclr", "labels_per_class": 5, "mean": 0.7, "low": 0.6, "high": 1.2, "seeds": 3, "control": False}
    summary = {
        "status": "done",
        "verdicts": ["simclr beats scratch by 6.1 points."],
        "accuracy": [row],
        "against_baseline": [difference],
        "costs": [{"arm": "simclr", "seconds": 12.0, "peak_mb": 800, "parameters": 1234}],
        "protocol": "On 500 test rows.",
    }
    (done / "summary.json").write_text(json.dumps(summary))
    page, _ = made(tmp_path, "done", done)
    assert page.anchors == ["efficiency", "differences", "costs", "cells"]
    for words in ("simclr beats scratch by 6.1 points.", "+6.1 points", "[+3.9, +8.4]", "0.002", "800 MB", "1,234"):
        assert words in page.words, words


def test_of_several_runs(pages) -> None:
    page, _ = pages["several"]
    assert page.anchors == ["scores", "evaluation", "curves", "differences", "commands"] or page.anchors == [
        *("scores", "evaluation", "curves", "commands")
    ]
    assert "run" in page.words and "tuned" in page.words
    assert "Pre-training" in page.words and "Fine-tuning" in page.words


def test_loads_nothing_from_anywhere(pages) -> None:
    for page, path in pages.values():
        for name, attributes in page.tags:
            assert not [key for key in attributes if key.startswith("on")]
            assert (attributes.get("src") or "data:").startswith("data:")
            assert name == "a" or (attributes.get("href") or "#").startswith(("#", "data:"))
        text = path.read_text(encoding="utf-8")
        assert "default-src 'none'" in text
        assert "@import" not in text


def test_labels_resolve(pages) -> None:
    for page, _ in pages.values():
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        wanted = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
        assert set(wanted) <= set(ids)
        assert all(image["alt"] for image in page.all("img"))
        assert all(svg["aria-label"] for svg in page.all("svg"))


# What is refused ---------------------------------------------------------------------------------------------------


def test_what_is_no_run_is_refused(run, comparison, tmp_path) -> None:
    with pytest.raises(InputError, match="no run folder"):
        kind_of(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is not a run folder"):
        kind_of(tmp_path)
    assert kind_of(run) == "run"
    assert kind_of(comparison) == "comparison"
    with pytest.raises(UsageError, match="a comparison has a page of its own"):
        target([str(run), str(comparison)], "")
    with pytest.raises(UsageError, match=r"must end with \.html"):
        target([str(run)], "page.pdf")
    with pytest.raises(UsageError, match="no folder /nowhere"):
        target([str(run)], "/nowhere/x.html")
    assert target([str(run)], "") == run / "report.html"
    assert target([str(run), str(run)], "") == Path("report.html")
    unfinished = tmp_path / "unfinished"
    shutil.copytree(run, unfinished)
    for name in ("backbone.keras", "summary.json"):
        (unfinished / name).unlink()
    done = CliRunner().invoke(cli, ["report", str(unfinished)])
    assert done.exit_code == 2
    assert "the run did not end" in done.stderr


def test_python_spells_it_too(comparison, tmp_path) -> None:
    made = kptk.report(comparison, out=tmp_path / "page.html")
    assert made["kind"] == "comparison"
    assert (tmp_path / "page.html").stat().st_size == made["bytes"]


def test_cells_that_are_none_are_refused(tmp_path) -> None:
    (tmp_path / "cells.jsonl").write_text('{"arm": "x"}\n{"arm": "y"}\n')
    done = CliRunner().invoke(cli, ["report", str(tmp_path)])
    assert done.exit_code == 2
    assert "line 1: not a finished cell" in done.stderr
    (tmp_path / "cells.jsonl").write_text("")
    done = CliRunner().invoke(cli, ["report", str(tmp_path)])
    assert "no finished cell yet" in done.stderr
    assert not (tmp_path / "report.html").exists()


# Parts -------------------------------------------------------------------------------------------------------------


def test_confusions_are_counted_and_ordered() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, -1])
    guesses = np.array([0, 1, 1, 1, 2, 2, 0])
    counts = confusion.matrix(labels, guesses, 3)
    assert counts.tolist() == [[1, 2, 0], [0, 1, 1], [0, 0, 1]]
    assert confusion.confusions(counts, 5) == [(0, 1, 2), (1, 2, 1)]
    assert confusion.confusions(np.diag([3, 3]), 5) == []


def test_occlusion_finds_the_pixels_that_count() -> None:
    image = np.zeros((14, 14, 1), "float32")
    image[4:6, 8:10] = 1.0
    found = occlusion.importance(lambda rows: rows[:, 4:6, 8:10].mean(axis=(1, 2, 3)), image)
    assert found.shape == (7, 7)
    assert np.unravel_index(found.argmax(), (7, 7)) == (2, 4)
    assert np.count_nonzero(found > 1e-6) == 1
    assert occlusion.covered(image).shape == (49, 14, 14, 1)
    assert occlusion.importance(lambda rows: rows.sum(axis=(1, 2, 3)), np.ones((3, 5, 1), "float32")).shape == (3, 5)
    drawn = occlusion.overlay(image, found)
    assert drawn.shape == (14, 14, 3)
    assert drawn[4, 8, 0] > drawn[4, 8, 2]  # yellow
    assert drawn[12, 1].max() == 0


def test_attention_is_heard_and_rolled_out() -> None:
    keras.utils.set_random_seed(0)
    pixels = keras.Input((12, 8, 1))
    tokens = keras.layers.Dense(16)(keras.layers.Reshape((6, 16))(pixels))
    tokens = encoder(16, depth=2, heads=2, name="encoder")(tokens)
    backbone = keras.Model(pixels, keras.layers.GlobalAveragePooling1D()(tokens))
    images = np.random.default_rng(0).random((3, 12, 8, 1)).astype("float32")
    wanted = np.asarray(keras.ops.convert_to_numpy(backbone(images, training=False)))
    with attention.recorded(backbone) as heard:
        got = np.asarray(keras.ops.convert_to_numpy(backbone(images, training=False)))
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert [weights.shape for weights in heard] == [(3, 2, 6, 6)] * 2
    flow = attention.rollout(heard)
    first, second = (0.5 * weights.mean(axis=1) + 0.5 * np.eye(6) for weights in heard)
    np.testing.assert_allclose(flow[1], second[1] @ first[1], atol=1e-9)
    np.testing.assert_allclose(flow.sum(axis=-1), 1.0)
    assert attention.on_the_image(flow, 12, 8).shape == (3, 3, 2)
    assert attention.on_the_image(flow, 16, 16) is None
    with_token = attention.on_the_image(np.eye(7)[None] * 0.5 + 0.5 / 7, 12, 8)
    np.testing.assert_allclose(with_token, 0.5 / 7)  # the class token's own share is left out
    backbone(images, training=False)
    assert len(heard) == 2  # nothing is heard any more
    with attention.recorded(kptk.backbone("example_cnn", input_shape=(12, 12, 1))) as heard:
        pass
    assert heard == []


def test_means_over_seeds_have_students_interval() -> None:
    from scipy import stats

    cells = [{"arm": "a", "labels_per_class": 0, "seed": s, "test": t} for s, t in enumerate((0.5, 0.6, 0.7))]
    (row,) = means(cells)
    half = stats.t.ppf(0.975, 2) * 0.1 / 3**0.5
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((0.6, 0.6 - half, 0.6 + half))
    assert (row["labels_per_class"], row["seeds"], row["control"]) == ("all", 3, False)
    assert means(cells[:1])[0]["low"] == 0.5


def test_lines_stay_within_their_axes() -> None:
    points = [lines.Point(x=0, y=50, low=-20, high=130), lines.Point(x=1, y=80)]
    chart = lines.Chart(
        title="t",
        series=[lines.Series(name="a", points=points), lines.Series(name="b", points=points[:1], dashed=True)],
        x_name="labels",
        places=[(0, "1"), (1, "all")],
        show=lambda v: f"{v:.0f}",
        floor=0,
        ceiling=100,
    )
    drawn = lines.draw_lines(chart)
    assert "a: 50 at 1, 80 at all" in drawn
    assert ">100<" in drawn and ">120<" not in drawn
    assert 'class="key c1 dashed"' in drawn


def test_names_tell_paths_apart() -> None:
    assert several.named([Path("x/a"), Path("y/a"), Path("y/b")]) == ["x/a", "y/a", "y/b"]
    assert several.named([Path("x/a"), Path("x/a")]) == ["a (1)", "a (2)"]


# In a browser ------------------------------------------------------------------------------------------------------

needs_browser = pytest.mark.skipif(bool(browser.MISSING), reason=browser.MISSING)


@pytest.fixture(scope="module")
def address():
    with browser.driver() as where:
        yield where


@needs_browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_fits_the_window_without_an_error(address, pages, width, dark) -> None:
    tab = browser.Browser(address, width=width, dark=dark)
    try:
        for name, (_, path) in pages.items():
            tab.open(path)
            assert tab.errors() == [], name
            assert tab.run("return matchMedia('(prefers-color-scheme: dark)').matches") is dark
            assert tab.run("return document.documentElement.scrollWidth <= innerWidth"), (
                f"{name} is wider than the window"
            )
            back = tab.run("return getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, back[4:-1].split(","))) < 384) is dark
            # Nothing is cut off: what is wider than the window scrolls inside itself.
            wide = "return [...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, pre, svg, details') && "
            wide += "e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"
            assert tab.run(wide) == [], name
            broken = "return [...document.images].filter(i => !i.complete || !i.naturalWidth).length"
            assert tab.run(broken) == 0
    finally:
        tab.close()


@needs_browser
def test_the_map_is_used_by_keys_and_by_pointer(address, pages) -> None:
    tab = browser.Browser(address, width=1280, dark=False)
    try:
        tab.open(pages["run"][1])
        said = "return document.querySelector('.map output').textContent"
        hint = tab.run(said)
        tab.keys(".map svg", "\ue014")  # right arrow
        first = tab.run(said)
        assert first != hint
        assert first.startswith("row ")
        assert tab.run("return getComputedStyle(document.querySelector('.map .sprite')).display") != "none"
        tab.keys(".map svg", "\ue014", "\ue014", "\ue012", "\ue012")
        assert tab.run(said) == first
        tab.keys(".map button", "\ue007")  # enter
        assert tab.run("return document.querySelector('.map svg').classList.contains('single')")
        assert tab.run("return document.querySelector('.map button').getAttribute('aria-pressed')") == "true"
        dot = "const c = document.querySelectorAll('.map circle')[7].getBoundingClientRect(); "
        move = "document.querySelector('.map svg').dispatchEvent(new PointerEvent('pointermove', "
        move += "{clientX: c.x + c.width / 2, clientY: c.y + c.height / 2, bubbles: true}))"
        tab.run("document.querySelector('.map button').click()")
        tab.run(dot + move)
        assert tab.run(said).startswith("row ")
        assert tab.errors() == []
    finally:
        tab.close()


@needs_browser
def test_every_control_can_be_reached_by_tab(address, pages) -> None:
    tab = browser.Browser(address, width=1280, dark=False)
    try:
        tab.open(pages["tuned"][1])
        count = "return [...document.querySelectorAll('a[href], button, summary, [tabindex=\"0\"]')].length"
        reached = set()
        for _ in range(tab.run(count) + 2):
            tab._call(
                "POST",
                "/actions",
                {
                    "actions": [
                        {
                            "type": "key",
                            "id": "k",
                            "actions": [{"type": "keyDown", "value": "\ue004"}, {"type": "keyUp", "value": "\ue004"}],
                        }
                    ]
                },
            )
            reached.add(tab.run("return document.activeElement.outerHTML.slice(0, 60)"))
        assert any("skip" in html for html in reached)
        assert any("<svg" in html for html in reached)
        assert any("<button" in html for html in reached)
        assert any("<summary" in html for html in reached)
        assert any('class="scroll"' in html for html in reached)
    finally:
        tab.close()
