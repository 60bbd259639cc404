"""Sections of a report about what the model sees: views, the map of its features, nearest neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kptk.training import pictures
from kptk.training.report.html import Html, join, number, percent, tag
from kptk.training.report.map import Map, draw_map, in_order, spaced
from kptk.training.report.rows import (
    PERPLEXITY,
    TSNE_ROWS,
    Sample,
    agreement,
    nearest,
    neighbourhoods,
    project,
    queries,
)
from kptk.training.report.views import Comparison, compare, draw_views

if TYPE_CHECKING:
    from kptk.training.report.page import Page

EXAMPLES = 8
COMPARED = 64
MOST_VIEWS = 6
VIEW_SIDE = 96
QUERIES, NEIGHBOURS = 8, 6
THUMBNAIL = 56
SPRITE_SIDE = 28


def _image(pixels: Any, alt: str, longest: int, *, small: bool = False) -> Html:
    image = pictures.picture(pixels, longest)
    return tag("img", src=pictures.data_uri(image, small=small), alt=alt, width=image.width, height=image.height)


def _only_numbers(page: Page, what: str) -> Html:
    shape = " x ".join(map(str, page.run.source.row_shape))
    return tag(
        "p",
        f"{what} are drawn for images only; these inputs are {page.run.source.inputs} of {shape}.",
        class_="note",
    )


def views(page: Page) -> Html:
    """A few examples as they are, and as the model is shown them.

    Args:
        page: the run.
    """
    if not page.pictures:
        return _only_numbers(page, "Views")
    run = page.run
    preprocessor = run.config.preprocessor
    count = min(len(run.source), COMPARED)
    rows = np.random.default_rng([page.seed, 19]).choice(len(run.source), size=count, replace=False)
    batch = run.source.read(rows)
    originals = pictures.to_pixels(batch[:EXAMPLES])
    drawn = draw_views(run.config, batch)
    shown = [view for view in drawn[0] if view.ndim == 4][:MOST_VIEWS] if drawn else []
    as_pixels = [pictures.to_pixels(view[:EXAMPLES]) for view in shown]
    cards = []
    for index, original in enumerate(originals):
        row = f"row {rows[index]:,}"
        tiles = [_tile(original, f"{row}, original", "original")]
        tiles += [_tile(view[index], f"{row}, view {n}", f"view {n}") for n, view in enumerate(as_pixels, 1)]
        cards.append(tag("li", *tiles))
    if preprocessor is None:
        words = "No preprocessor: the model is shown the inputs as they are."
    else:
        options = ", ".join(f"{key}={value}" for key, value in preprocessor.values.items())
        words = f"Made by {preprocessor.id} with {options}."
        if not all(pictures.in_unit_range(view) for view in shown):
            words += " Values outside of 0..1 are stretched to it for the picture."
        if len(drawn[0]) > len(shown):
            words += f" The first {len(shown)} of {len(drawn[0])} views are shown."
    which = f"{len(originals)} training rows and one draw of their views, seed {page.seed}."
    remarks = _remarks(compare(drawn, batch)) if shown else []
    return join((tag("p", which, " ", words), *remarks, tag("ul", *cards, class_=f"views of{len(shown) + 1}")))


def _tile(pixels: Any, alt: str, caption: str) -> Html:
    return tag("figure", _image(pixels, alt, VIEW_SIDE), tag("figcaption", caption))


def _remarks(compared: Comparison) -> list[Html]:
    """How different the views are, and what is wrong with them."""
    remarks = []
    if compared.difference is not None and compared.between is not None:
        remarks.append(
            f"Mean absolute difference between {compared.what} of one example: {number(compared.difference)}; "
            f"of different examples: {number(compared.between)} (on the scale of the views, "
            f"{compared.rows} examples)."
        )
    said = [tag("p", remark, class_="note") for remark in remarks]
    return [*said, *(tag("p", f"Warning: {warning}", class_="warning") for warning in compared.warnings)]


def feature_map(page: Page) -> Html:
    """The features in two dimensions: by principal components, and by t-SNE where there is time for it.

    Args:
        page: the run.
    """
    sample = page.sample
    if not sample.finite:
        return tag("p", "The features are not finite numbers, so there is no map.")
    projected = project(sample.features)
    if projected is None:
        return tag("p", "There are too few different features for a map.")
    places, share = projected
    use = ""
    if sample.labels is not None and not sample.separate:
        use = "" if page.run.labels else " Their labels colour this picture and were not used in training."
    note = (
        f"Principal components (PCA) of the features, fitted to the same rows: {sample.protocol}. The two axes "
        f"keep {percent(share)} of the variance.{use} What overlaps here may still be apart in all "
        f"{sample.features.shape[1]:,} dimensions."
    )
    maps = [_map(page, places, np.arange(len(places)), note)]
    if page.thorough:
        rows = np.arange(min(len(places), TSNE_ROWS))  # the sample's rows are in the order of the data
        if len(places) > TSNE_ROWS:
            chosen = np.random.default_rng([page.seed, 29]).choice(len(places), TSNE_ROWS, replace=False)
            rows = np.sort(chosen)
        near = neighbourhoods(sample.features[rows], page.seed)
        if near is not None:
            said = (
                f"{len(rows):,} of these rows by t-SNE (perplexity {PERPLEXITY:g}, seed {page.seed}), which keeps "
                "near rows near. Distances between groups, and their sizes, mean nothing."
            )
            maps.append(_map(page, near, rows, said))
    if len(maps) == 1:
        return maps[0]
    return join((tag("h3", "PCA"), maps[0], tag("h3", "t-SNE", class_="next"), maps[1]))


def _map(page: Page, places: Any, rows: Any, note: str) -> Html:
    """One map with its legend, and the rows' thumbnails to look at."""
    sample = page.sample
    labels = None if sample.labels is None else sample.labels[rows]
    order = in_order(labels, len(places))
    words = [_row(sample, int(index)) for index in rows]
    pixels = pictures.to_pixels(sample.source.read(np.asarray(rows))) if page.pictures else None
    thumbs = {}
    if pixels is not None and labels is None:
        thumbs = {i: pictures.data_uri(pictures.picture(pixels[i], SPRITE_SIDE), small=True) for i in spaced(places)}
    drawn, legend = draw_map(
        Map(places=places, words=words, labels=labels, class_names=sample.source.class_names, pictures=thumbs)
    )
    hint = "Point at a dot, or use the arrow keys on the map, to see the row."
    sprite = _peek(pixels[order]) if pixels is not None else None
    peek = tag("div", sprite, tag("output", hint), class_="peek")
    return tag("div", tag("p", note), legend, drawn, peek, class_="map")


def _peek(pixels: Any) -> Html:
    """One picture with every thumbnail, of which the page shows one at a time."""
    sheet, columns = pictures.sheet(pixels, SPRITE_SIDE)
    rows = sheet.height // SPRITE_SIDE
    size = f"{100 * columns}% {100 * rows}%"
    style = f"background-image:url({pictures.data_uri(sheet, small=True)});background-size:{size}"
    return tag("span", class_="sprite", style=style, data_columns=columns, data_rows=rows, aria_hidden="true")


def _row(sample: Sample, index: int) -> str:
    name = sample.class_name(index)
    text = f": {sample.texts[index]}" if sample.texts else ""
    return f"row {sample.rows[index]:,}" + (f", class {name}" if name else "") + text


def neighbours(page: Page) -> Html:
    """A few rows with those that the model finds most like them.

    Args:
        page: the run.
    """
    sample = page.sample
    if not sample.finite:
        return tag("p", "The features are not finite numbers, so there are no nearest neighbours.")
    if len(sample.rows) < 2:
        return tag("p", "One row has no neighbours.")
    order, cosine = nearest(sample.features, NEIGHBOURS)
    note = f"By cosine similarity of the features, among {sample.protocol}; the row itself is left out."
    if sample.labels is not None:
        same, chance = agreement(sample.labels, order)
        note += (
            f" Over all of them, {percent(same)} of the {order.shape[1]} nearest have the class of their "
            f"row; by chance it would be {percent(chance)}."
        )
    asked = queries(sample.labels, len(sample.rows), QUERIES, page.seed)
    rows = []
    for index in asked:
        near = [_near(page, index, int(i), float(c)) for i, c in zip(order[index], cosine[index], strict=True)]
        rows.append(tag("li", _asked(page, index), *near))
    form = "neighbours" if page.pictures else "neighbours texts" if sample.texts else "neighbours plain"
    return join((tag("p", note), tag("ul", *rows, class_=form)))


def _asked(page: Page, index: int) -> Html:
    name = page.sample.class_name(index)
    text = f" {page.sample.texts[index]}" if page.sample.texts else None
    caption = tag("figcaption", tag("b", name or f"row {page.sample.rows[index]:,}"), text)
    return tag("figure", _thumb(page, index, f"Asked: {_row(page.sample, index)}"), caption, class_="asked")


def _near(page: Page, index: int, other: int, cosine: float) -> Html:
    sample = page.sample
    name, state, sign = sample.class_name(other), "", ""
    if name:
        same = name == sample.class_name(index)
        state, sign = ("same", "✓ ") if same else ("other", "✗ ")
    caption = tag(
        "figcaption",
        tag("span", f"{sign}{name}" if name else f"row {sample.rows[other]:,}"),
        f"{cosine:.2f}",
        f" {sample.texts[other]}" if sample.texts else None,
    )
    alt = f"{_row(sample, other)}, cosine {cosine:.2f}"
    return tag("figure", _thumb(page, other, alt), caption, class_=state or None)


def _thumb(page: Page, index: int, alt: str) -> Html | None:
    if not page.pictures:
        return None
    return _image(pictures.to_pixels(page.sample.source.read(np.array([index])))[0], alt, THUMBNAIL, small=True)
