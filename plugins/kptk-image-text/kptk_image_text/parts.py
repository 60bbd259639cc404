"""What a run on pairs keeps beside its dual encoder: the encoder of pictures and that of texts, each as a run of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kptk.config import RunConfig
from kptk.data import Source, Subset
from kptk.training.run_parts import RunPart
from kptk_image_text.image_text_views import ImageTextViews
from kptk_image_text.pairs import KIND, Pairs, PairSide
from kptk_image_text.part_options import part_options, told


def parts_of_run(model: Any, config: RunConfig, source: Source) -> Mapping[str, RunPart]:
    """The two encoders of a trained model, with what feeds each of them.

    Args:
        model: the trained objective.
        config: the configuration of its run.
        source: the raw pairs that it was trained on.

    Returns:
        Parts by the names ``image`` and ``text``; none if the pictures or captions do not come from this plugin's parts.
    """
    views = model.views
    if not isinstance(views, ImageTextViews):
        return {}
    found = {}
    for side, layer, network in (
        ("image", views.image_layer, model.towers.image),
        ("text", views.text_layer, model.towers.text),
    ):
        names = {"preprocessor": config.preprocessor.values[side] if config.preprocessor else getattr(views, side)}
        own = part_options("preprocessor", names["preprocessor"], getattr(views, f"{side}_options"), f"{side}_options")
        facts = {"length": views.length, "vocabulary": views.vocabulary, "examples": "texts"} if side == "text" else {}
        options = _dotted("preprocessor", told("preprocessor", names["preprocessor"], own, facts))
        given = config.backbone.values
        if side in given:
            names["backbone"] = given[side]
            own = part_options("backbone", given[side], given.get(f"{side}_options", ""), f"{side}_options")
            options |= _dotted("backbone", own)
        options |= _dotted("data", dict(zip(("pairs", "options"), data_of_run(config), strict=True)))
        options["data.limit"] = config.data.values.get("limit", 0)
        found[side] = RunPart(
            backbone=network,
            names=names | {"data": f"{KIND}/pair_{side}s"},
            options=options,
            preprocessor=layer if layer.fits else None,
            source=_side(source, side),
        )
    return found


def _dotted(section: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{section}.{name}": value for name, value in options.items()}


def data_of_run(config: RunConfig) -> tuple[str, str]:
    """What a run was trained on, as a path or name, and the options of its reader that are not as they always are.

    Args:
        config: the configuration of the run.
    """
    part = config.data
    assert part.offer is not None
    defaults = {option.name: option.default for option in part.offer.spec.options}
    given = {name: part.values[name] for name, default in defaults.items() if part.values[name] != default}
    return str(part.values.get("path") or part.id), ",".join(f"{name}={value}" for name, value in given.items())


def _side(source: Source, side: str) -> Source:
    if isinstance(source, Subset):
        return Subset(_side(source.whole, side), source.rows, source.note)
    assert isinstance(source, Pairs)
    return PairSide(source, side)
