"""The report of a run: complete, self-contained, harmless whatever the data is called, and never the end of a run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

from kptk import runfolder
from kptk.config import Part, resolve
from kptk.data import ArraySource, BadInput
from kptk.errors import RunError
from kptk.plugins import Plugins
from kptk.request import Request, Setting
from kptk.runfolder import RunFolder
from kptk.training import report
from kptk.training.pictures import data_uri, grid, is_picture, picture, sheet, to_pixels
from kptk.training.report import charts, rows
from kptk.training.report import map as feature_map
from kptk.training.report.html import Html, join, number, tag
from kptk.training.reporter import Reporter
from kptk.training.run import Run

VOID = {"meta", "br", "img", "link", "input", "hr"}
HOSTILE = '<script>alert("1")</script>'


class Page(HTMLParser):
    """What a page holds, and that its tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
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


class Lines(Reporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str = "") -> None:
        self.lines.append(text)


def make_run(data: Path, *settings: tuple[str, object]) -> Run:
    keras.utils.set_random_seed(0)
    options = {"train.epochs": 1, "train.batch_size": 32, "backbone.units": 16, "objective.hidden_dim": 16}
    # TensorFlow's determinism cannot be switched off again and would keep XLA from later tests of this process.
    options = options | {"train.deterministic": False}
    chosen = tuple(Setting(key, value) for key, value in (options | dict(settings)).items())
    plugins = Plugins()
    return Run(resolve(plugins, Request(recipe="contrastive", data=str(data), settings=chosen)), plugins, Lines())


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "digits & <b>.npz"
    images = np.random.default_rng(0).integers(0, 256, (96, 12, 12, 1)).astype("uint8")
    names = np.array(["plain", HOSTILE, "a&b"])[np.arange(96) % 3]
    np.savez(path, x=images, y=names)
    return path


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory):
    """One tiny run of a single epoch, with a kNN check, and its folder."""
    run = make_run(digits, ("probe.data", str(digits)))
    result = run.start(tmp_path_factory.mktemp("runs") / "run <i>")
    return run, RunFolder.open(result.folder), result.summary


def rewritten(finished, tmp_path, **changes) -> tuple[Page, list[str]]:
    """The page of the same run with something changed about it."""
    run, folder, summary = finished
    stub = SimpleNamespace(
        **{
            name: getattr(run, name)
            for name in ("model", "config", "source", "probe_source", "train", "labels", "probe_callbacks")
        }
    )
    stub.reporter = Lines()
    records = changes.pop("records", folder.metrics())
    summary = summary | changes.pop("summary", {})
    for name, value in changes.items():
        setattr(stub, name, value)
    other = RunFolder(tmp_path)
    for name in (runfolder.CONFIG, runfolder.ENVIRONMENT):
        other.write(name, (folder.path / name).read_bytes())
    other.write(runfolder.METRICS, "".join(json.dumps(record) + "\n" for record in records))
    report.write_report(stub, other, summary)
    return Page((tmp_path / runfolder.REPORT).read_text(encoding="utf-8")), stub.reporter.lines


@pytest.fixture(scope="module")
def page(finished) -> Page:
    return Page((finished[1].path / runfolder.REPORT).read_text(encoding="utf-8"))


def test_every_section_is_there_once_and_was_made(page, finished) -> None:
    anchors = [attributes["id"] for attributes in page.all("h2")]
    # SimCLR draws no pictures of its own; nobody has judged the run yet; what takes time is left to kptk report.
    absent = {"reconstructions", "evaluation", "looks", "attention"}
    assert anchors == [anchor for anchor, _, _ in report.SECTIONS if anchor not in absent]
    assert "could not be made" not in page.words
    assert len(page.all("h1")) == 1
    assert not [line for line in finished[0].reporter.lines if line.startswith("report")]


def test_anchors_and_labels_resolve(page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    targets += [a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a]
    assert targets
    assert set(targets) <= set(ids)


def test_loads_nothing_from_anywhere(page, finished) -> None:
    for name, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on")]
        if "src" in attributes:
            assert name == "img"
            assert attributes["src"].startswith("data:image/png;base64,")
        href = attributes.get("href") or "#"
        assert href.startswith(("#", "data:image/png;base64,")) or name == "a"
    text = (finished[1].path / runfolder.REPORT).read_text(encoding="utf-8")
    assert not page.all("link")
    assert not re.search(r"@import|url\((?!data:)", text)
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "script-src 'sha256-" in policy
    assert len(text) < 3_000_000


def test_references_are_the_only_outside_links(page, finished) -> None:
    outside = {a["href"] for a in page.all("a") if not a["href"].startswith("#")}
    spec = finished[0].config.objective.offer.spec
    assert set(spec.references) <= outside
    assert all(address.startswith("https://") for address in outside)


def test_hostile_names_are_text(page) -> None:
    assert len(page.all("script")) == 1
    assert page.all("script") == [{}]
    assert not page.all("b") or all("alert" not in str(attributes) for attributes in page.all("b"))
    assert HOSTILE in page.words
    assert "digits & <b>.npz" in page.words
    assert "run <i>" in page.words
    assert not page.all("i")


def test_pictures_have_words(page) -> None:
    images = page.all("img")
    # 8 originals with two views each; 8 queries with 6 neighbours each.
    assert len(images) == 8 * 3 + 8 * 7
    assert all(image["alt"] for image in images)
    charts = [svg for svg in page.all("svg") if svg["role"] == "img"]
    assert len(charts) == 7
    assert all(svg["aria-label"] for svg in charts)


def test_figures_come_with_their_protocol(page, finished) -> None:
    for words in (
        "k = 20, cosine",
        "48 rows of the separate labelled data vote, 48 others are tested, seed 0",
        "96 training rows, seed 0, without augmentation",
        "fitted to the same rows",
        "all 96 rows of the separate labelled data",
        "by chance it would be",
        f"{finished[0].model.chance_loss(32):.3f}",
        finished[2]["backbone_checksum"],
        "kptk train --plugin contrastive --data",
        "kptk evaluate",
        finished[0].source.fingerprint(),
    ):
        assert words in page.words, words


def test_the_model_is_left_as_it_is(finished, tmp_path) -> None:
    run = finished[0]
    before = [keras.ops.convert_to_numpy(v) for v in (*run.model.variables, run.model.views.seed_generator.state)]
    rewritten(finished, tmp_path)
    after = [keras.ops.convert_to_numpy(v) for v in (*run.model.variables, run.model.views.seed_generator.state)]
    for first, second in zip(before, after, strict=True):
        np.testing.assert_array_equal(first, second)


def test_diverged_run(finished, tmp_path) -> None:
    record = finished[1].metrics()[0]
    lost = record | {"epoch": 2, "loss": None, "knn_accuracy": None, "feature_spread": None, "effective_rank": None}
    sentence = "The run diverged: the loss became nan."
    summary = {"status": "diverged", "verdict": sentence, "loss": None, "knn_accuracy": None, "first_loss": None}
    page, lines = rewritten(finished, tmp_path, records=[record, lost], summary=summary)
    assert lines == []
    assert "Diverged" in page.words
    assert sentence in page.words
    assert page.words.count("not a number from epoch 2") == 4


def test_features_that_are_not_finite(finished, tmp_path, monkeypatch) -> None:
    broken = np.full((96, 16), np.nan, "float32")
    monkeypatch.setattr(rows, "extract", lambda *_, **__: broken)
    page, lines = rewritten(finished, tmp_path)
    assert lines == []
    assert page.words.count("The features are not finite numbers") == 2


def test_run_without_a_single_whole_epoch(finished, tmp_path) -> None:
    page, lines = rewritten(finished, tmp_path, records=[], summary={"loss": None, "epochs": 0, "steps": 3})
    assert lines == []
    assert "could not be made" not in page.words


def test_unlabelled_data_without_a_probe(finished, tmp_path) -> None:
    run = finished[0]
    source = ArraySource(run.source.read(np.arange(40)), name="mine")
    source.skipped = tuple(BadInput(f"{HOSTILE}/{n}.png", "not an <image>") for n in range(150))
    config = replace(run.config, probe=Part(None, {**run.config.probe.values, "data": ""}))
    page, lines = rewritten(finished, tmp_path, source=source, config=config, probe_source=None, probe_callbacks=list)
    assert lines == []
    assert not page.all("button")
    assert "the first 100 of 150" in page.words
    assert "99.png" in page.words
    assert "100.png" not in page.words
    assert len(page.all("script")) == 1
    assert "all 40 rows of the training data" in page.words
    assert "LABELLED_DATA" in page.words


def test_inputs_that_are_no_images(finished, tmp_path) -> None:
    run = finished[0]
    rng = np.random.default_rng(0)
    source = ArraySource(rng.normal(size=(50, 7)).astype("float32"), inputs="table", name="numbers")
    features = keras.Sequential([keras.Input((7,)), keras.layers.Dense(5)])
    model = SimpleNamespace(
        backbone=features,
        views=None,
        feature_dim=5,
        trainable_weights=features.trainable_weights,
        weights=features.weights,
    )
    page, lines = rewritten(finished, tmp_path, source=source, model=model, probe_source=None, probe_callbacks=list)
    assert lines == []
    assert not page.all("img")
    assert not page.all("image")
    assert "these inputs are table of 7" in page.words
    assert len(page.all("circle")) > 50
    assert run.source is not source


def test_one_broken_section_leaves_the_others(finished, tmp_path, monkeypatch) -> None:
    def fail(page):
        raise ValueError(f"no luck with {HOSTILE}")

    broken = [(a, h, fail if a == "views" else make) for a, h, make in report.SECTIONS]
    monkeypatch.setattr(report, "SECTIONS", tuple(broken))
    page, lines = rewritten(finished, tmp_path)
    assert lines == [f"report: 'What the model is shown' could not be made: ValueError: no luck with {HOSTILE}"]
    assert "This part could not be made" in page.words
    assert len(page.all("script")) == 1
    assert page.all("button")


def test_pictures_that_the_objective_makes_are_drawn(finished, tmp_path, monkeypatch) -> None:
    seen = []

    def pictures(self, views):
        seen.extend(keras.ops.convert_to_numpy(view) for view in views)
        return {"original": views[0], "half <as bright>": 0.5 * views[0]}

    monkeypatch.setattr(type(finished[0].model), "pictures", pictures)
    page, lines = rewritten(finished, tmp_path)
    assert lines == []
    assert "reconstructions" in [attributes["id"] for attributes in page.all("h2")]
    assert "#reconstructions" in [attributes["href"] for attributes in page.all("a")]
    drawn = [image for image in page.all("img") if "half <as bright>" in image["alt"]]
    assert len(drawn) == 8
    assert all(image["src"].startswith("data:image/png;base64,") for image in drawn)
    assert len({image["src"] for image in drawn}) == 8
    # Two views were asked for: the same plain images twice, on the 0..1 scale.
    assert len(seen) == 2
    np.testing.assert_array_equal(*seen)
    assert 0.5 < seen[0].max() <= 1.0


def test_pictures_that_fail_leave_the_other_sections(finished, tmp_path, monkeypatch) -> None:
    def pictures(self, views):
        raise ValueError("no luck")

    monkeypatch.setattr(type(finished[0].model), "pictures", pictures)
    page, lines = rewritten(finished, tmp_path)
    assert lines == ["report: 'Reconstructions' could not be made: ValueError: no luck"]
    assert "Key figures" in page.words


def test_further_figures_of_an_objective_get_a_chart_and_a_column(finished, tmp_path) -> None:
    record = finished[1].metrics()[0]
    records = [record | {"epoch": epoch, "psnr": 20.0 + epoch, "positive_share": None} for epoch in (1, 2)]
    page, lines = rewritten(finished, tmp_path, records=records)
    assert lines == []
    charts_of = {a["aria-label"].partition(":")[0]: a["aria-label"] for a in page.all("svg") if "aria-label" in a}
    assert "22.000 at epoch 2" in charts_of["PSNR"]
    assert "no epoch has a number" in charts_of["Positive share"]
    assert "images_per_second" not in page.words
    assert page.words.index("PSNR") < page.words.index("Learning rate")


def test_a_report_that_fails_is_a_line_and_not_an_error(finished, tmp_path, monkeypatch) -> None:
    def fail(page):
        raise ValueError("no luck")

    monkeypatch.setattr(report, "render", fail)
    stub = SimpleNamespace(reporter=Lines())
    report.write_report(stub, RunFolder(tmp_path), finished[2])
    assert stub.reporter.lines == ["report could not be written: ValueError: no luck"]
    assert not (tmp_path / runfolder.REPORT).exists()


def test_a_full_disk_is_an_error(finished, tmp_path, monkeypatch) -> None:
    def full(path, content):
        raise OSError(28, "No space left on device")

    write = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda p, c: (full if p.name.startswith("report") else write)(p, c))
    with pytest.raises(RunError, match="could not write"):
        rewritten(finished, tmp_path)


def test_names_that_are_not_text_are_written(finished, tmp_path) -> None:
    source = ArraySource(finished[0].source.read(np.arange(40)), name="caf\udce9")
    page, lines = rewritten(finished, tmp_path, source=source, probe_source=None, probe_callbacks=list)
    assert lines == []
    assert "caf?" in page.words


# Parts -----------------------------------------------------------------------------------------------------------


def test_only_markup_is_not_escaped() -> None:
    made = tag("p", "<b>", tag("i", "a & b"), None, title='"><script>', hidden=True, lang=None)
    assert made == '<p title="&quot;&gt;&lt;script&gt;" hidden>&lt;b&gt;<i>a &amp; b</i></p>'
    assert join(["<", Html("<br>")]) == "&lt;<br>"
    assert number(None) == number(float("nan")) == "not a number"


def test_curve_with_gaps_and_levels() -> None:
    curve = charts.Curve(
        title="Loss",
        points=[(1, 2.0), (2, None), (3, 1.0), (4, float("inf"))],
        show=lambda v: f"{v:.1f}",
        level=charts.Level(value=3.0, name="chance"),
        start=2.5,
    )
    assert curve.broken_at == 2
    assert curve.in_words() == (
        "Loss: 2.5 at epoch 0, 1.0 at epoch 3; lowest 1.0, highest 2.5; chance: 3.0; not a number from epoch 2."
    )
    drawn = charts.draw(curve)
    path = re.search(r'd="([^"]*)"', drawn).group(1)
    assert path.count("M") == 2
    assert "nan" not in drawn
    assert "inf" not in drawn


@pytest.mark.parametrize("values", [[], [None], [0.0], [5.0], [5.0, 5.0], [1e-9, 2e-9], [1e12, -1e12]])
def test_curve_of_any_values(values) -> None:
    points = list(enumerate(values, 1))
    drawn = charts.draw(charts.Curve(title="x", points=points, show=str))
    numbers = [float(n) for n in re.findall(r' (?:x|y|x1|y1|cx|cy)="([^"]*)"', drawn)]
    assert all(0 <= n <= charts.WIDTH for n in numbers)


def test_nearest_leaves_out_the_row_itself_even_among_equals() -> None:
    features = np.array([[1, 0], [1, 0], [0, 1], [0.1, 1]], "float32")
    order, cosine = rows.nearest(features, 6)
    assert order.shape == (4, 3)
    assert order[:, 0].tolist() == [1, 0, 3, 2]
    assert all(row not in near for row, near in enumerate(order.tolist()))
    assert cosine[0, 0] == pytest.approx(1)


def test_agreement_against_chance() -> None:
    same, chance = rows.agreement(np.array([0, 0, 1, 1]), np.array([[1], [0], [0], [1]]))
    assert same == pytest.approx(0.5)
    assert chance == pytest.approx(1 / 3)


def test_queries_are_of_all_classes() -> None:
    labels = np.array([0] * 50 + [1] * 3 + [2] * 3)
    assert sorted(labels[rows.queries(labels, 56, 3, 0)].tolist()) == [0, 1, 2]
    assert len(rows.queries(None, 5, 8, 0)) == 5


def test_projection_needs_something_to_see() -> None:
    assert rows.project(np.ones((20, 4), "float32")) is None
    assert rows.project(np.ones((2, 4), "float32")) is None
    places, share = rows.project(np.random.default_rng(0).normal(size=(20, 2)).astype("float32"))
    assert places.shape == (20, 2)
    assert share == pytest.approx(1)


def test_map_with_more_classes_than_colours() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(30), 3)
    content = feature_map.Map(
        places=rng.normal(size=(90, 2)),
        words=["row"] * 90,
        labels=labels,
        class_names=[f"c{n}" for n in range(30)],
        pictures={},
    )
    drawn, legend = feature_map.draw_map(content)
    assert legend.count("<button") == 30
    assert drawn.count('class="other"') == 20
    assert "<text" not in drawn  # too many for direct labels; the legend names them


def test_pixels_of_every_kind() -> None:
    assert to_pixels(np.full((1, 2, 2, 1), 300, "int32")).max() == 255
    assert to_pixels(np.full((1, 2, 2, 3), 0.5, "float32"))[0, 0, 0].tolist() == [128] * 3
    assert to_pixels(np.linspace(-3, 3, 4).reshape(1, 2, 2, 1)).ravel().tolist() == [0, 85, 170, 255]
    assert to_pixels(np.full((1, 2, 2, 1), np.nan)).max() == 0
    assert to_pixels(np.zeros((1, 2, 2, 5), "float32")).shape == (1, 2, 2, 1)
    assert is_picture("image", (8, 8, 3))
    assert not is_picture("image", (8,))
    assert not is_picture("text", (8, 8, 3))


def test_pictures_are_small_and_hold_their_tiles() -> None:
    pixels = np.zeros((5, 40, 20, 3), "uint8")
    pixels[3] = 200
    whole, columns = sheet(pixels, 10)
    assert (whole.size, columns) == ((30, 20), 3)
    assert np.asarray(whole)[15, 5].tolist() == [200] * 3
    assert picture(pixels[0], 16).size == (8, 16)
    assert data_uri(whole).startswith("data:image/png;base64,")
    drawn = grid("t" * 200, "note " * 60, ["original"], [("row 1", "x" * 99)], [[pixels[0]]])
    assert isinstance(drawn, Image.Image)
