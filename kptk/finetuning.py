"""`FineTuneConfig`: what a fine-tuning is, whole, resolved without importing Keras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kptk import errors, runfolder, settings
from kptk.config import Part, RunConfig, fill, find_option, locate, resolve, tracker_offers
from kptk.discovery import Offer
from kptk.plugins import Plugins
from kptk.request import TRACKERS, Request, from_run, from_table, is_tracker, read_toml
from kptk.runfolder import RunFolder
from kptk.spec import Option

PARTS = {"strategy": "strategy", "task": "task", "preprocessor": "preprocessor", "data": "dataset"}
"""The sections that name an offer of a plugin, with the kind of offer."""

SECTIONS = (*PARTS, "train")
DEFAULT_STRATEGY = "lp_ft"
IMAGE_SIZES = {"image_size", "channels", "on_bad_input"}
"""Options of readers of images that a fine-tuning does not take over from the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneConfig:
    """A complete, checked configuration of one fine-tuning.

    Args:
        origin: a run folder or a ``.keras`` file, absolute.
        strategy: the strategy and its options.
        task: the task and its options.
        preprocessor: what prepares the inputs, or None where the origin has its own or needs none.
        data: the labelled data and its options.
        train: options of the training loop.
        trackers: who else keeps the figures of the run, by section; nobody by default.
    """

    origin: str
    strategy: Part
    task: Part
    preprocessor: Part | None
    data: Part
    train: Part
    trackers: Mapping[str, Part] = field(default_factory=dict)

    def sections(self) -> Iterator[tuple[str, Part]]:
        """Yield each section's name and content, in the order in which they are written."""
        for name in SECTIONS:
            part = getattr(self, name)
            if part is not None:
                yield name, part
        yield from self.trackers.items()

    def to_toml(self) -> str:
        """Write the whole configuration, every option with what it means."""
        from kptk.spellings import write_toml

        return write_toml({"origin": self.origin}, self.sections(), settings.FINETUNE)


def read(path: str | Path) -> Request:
    """Read the configuration of a fine-tuning.

    Args:
        path: as `FineTuneConfig.to_toml` writes it.

    Returns:
        What it says; the origin is the request's `recipe`.
    """
    return from_table(read_toml(path), str(path), sections=(*SECTIONS, TRACKERS), parts=PARTS, head="origin")


def resolve_finetune(plugins: Plugins, request: Request) -> FineTuneConfig:
    """Look up every name, fill in every default and check every option.

    Args:
        plugins: the registry.
        request: what the user said; its `recipe` is the origin.

    Returns:
        The whole configuration. Nothing of Keras has been imported.

    Raises:
        UsageError: if a name, option or value is wrong, or the parts do not fit.
        InputError: if the origin or the data does not exist.
    """
    origin, trained = _origin(plugins, request.recipe)
    names = request.names
    if "task" not in names:
        offered = ", ".join(offer.spec.name for offer in plugins.offers("task")) or "none installed"
        raise errors.UsageError(f"no task was named. Say what to learn: --task NAME, one of: {offered}")
    inputs = trained.backbone.offer.spec.inputs if trained and trained.backbone.offer else ""
    offers: dict[str, Offer | None] = {
        "strategy": plugins.find("strategy", names.get("strategy") or DEFAULT_STRATEGY),
        "task": plugins.find("task", names["task"]),
    }
    assert offers["task"] is not None
    offers["data"], path = _data(plugins, request, inputs, offers["task"].spec.form)
    offers["preprocessor"] = _preprocessor(plugins, names.get("preprocessor", ""), trained, origin, offers["data"])
    offers |= tracker_offers(plugins, request)
    available: dict[str, tuple[Option, ...]] = {
        section: offer.spec.options if offer else () for section, offer in offers.items()
    }
    available["data"] = (*settings.DATA, *available["data"])
    available["train"] = settings.FINETUNE
    values = {section: {o.name: o.default for o in options} for section, options in available.items()}
    same = trained and trained.preprocessor and offers["preprocessor"] == trained.preprocessor.offer
    if trained and trained.preprocessor and same:
        values["preprocessor"].update(trained.preprocessor.values)
    elif offers["data"]:
        fill(values, available, offers["data"].spec.suggests, only={"preprocessor"})
    if trained and trained.data.offer == offers["data"] and offers["data"]:
        own = {option.name for option in settings.DATA}
        own |= IMAGE_SIZES if offers["data"].spec.inputs == "image" else set()
        # The same columns, read in the same way; how large images are, the reader finds out as it did then.
        values["data"].update({key: value for key, value in trained.data.values.items() if key not in own})
    for setting in request.settings:
        section, option = find_option(setting.key, available, offers)
        values[section][option.name] = option.parse(setting.value) if setting.text else option.check(setting.value)
    if path:
        values["data"]["path"] = str(path)
    parts = {section: Part(offers.get(section), values[section]) for section in available}
    config = FineTuneConfig(
        origin=str(origin),
        strategy=parts["strategy"],
        task=parts["task"],
        preprocessor=parts["preprocessor"] if offers["preprocessor"] else None,
        data=parts["data"],
        train=parts["train"],
        trackers={section: part for section, part in parts.items() if is_tracker(section)},
    )
    misfits = list(_misfits(plugins, config, trained))
    if misfits:
        raise errors.UsageError("\n".join(misfits))
    return config


def _origin(plugins: Plugins, name: str) -> tuple[Path, RunConfig | None]:
    if not name:
        raise errors.UsageError("no model was named. Give a run folder or a .keras file: kptk finetune RUN --task NAME")
    path = Path(name).expanduser()
    if path.is_dir():
        folder = RunFolder.open(path)
        _ = folder.backbone  # an unfinished run, or a fine-tuning, says so
        return path.resolve(), resolve(plugins, from_run(folder.path / runfolder.CONFIG))
    if not path.exists():
        raise errors.InputError(f"no run folder or .keras file at {name}. Make one: kptk train --plugin contrastive")
    return path.resolve(), None


def _data(plugins: Plugins, request: Request, inputs: str, form: str) -> tuple[Offer, Path | None]:
    if request.data:
        return locate(plugins, request.data, inputs, given=request.given_data, form=form)
    path = next((str(s.value) for s in reversed(request.settings) if s.key == "data.path" and s.value), "")
    name = request.names.get("data")
    if path:
        offer, found = locate(
            plugins, path, inputs, force_path=True, given=request.given_data, any_reader=bool(name), form=form
        )
        return (plugins.find("dataset", name) if name else offer), found
    if name:
        return plugins.find("dataset", name, "--data"), None
    raise errors.UsageError("no data was named. Give labelled data, a folder, a file or a data set: --data PATH|NAME")


def _preprocessor(
    plugins: Plugins, name: str, trained: RunConfig | None, origin: Path, data: Offer | None
) -> Offer | None:
    """The named one; or the run's own; or, for a plain model, what recipes use for such inputs."""
    if name:
        return None if name == "none" else plugins.find("preprocessor", name)
    if trained:
        return trained.preprocessor.offer if trained.preprocessor else None
    del origin
    return usual_preprocessor(plugins, data.spec.inputs if data else "image")


def recorded_data(plugins: Plugins, request: Request) -> Part:
    """The data of a fine-tuning that has been, as its configuration says: its origin need not exist any more.

    Args:
        plugins: the registry.
        request: the configuration, see `read`.
    """
    offer = plugins.find("dataset", request.names["data"])
    known = {option.name: option for option in (*settings.DATA, *offer.spec.options)}
    values = {option.name: option.default for option in known.values()}
    for setting in request.settings:
        section, _, name = setting.key.partition(".")
        if section == "data" and name in known:
            values[name] = known[name].check(setting.value)
    return Part(offer, values)


def usual_preprocessor(plugins: Plugins, inputs: str) -> Offer | None:
    """The preprocessor that most installed recipes use for a kind of input, None if there is none.

    Args:
        plugins: the registry.
        inputs: the kind of input.
    """
    fits = {offer.id: offer for offer in plugins.offers("preprocessor") if offer.spec.inputs == inputs}
    counts: dict[str, int] = dict.fromkeys(fits, 0)
    for recipe in plugins.offers("recipe"):
        for key, offer in fits.items():
            counts[key] += recipe.spec.preprocessor in (key, offer.spec.name)
    return fits[max(counts, key=lambda key: counts[key])] if counts else None


def _misfits(plugins: Plugins, config: FineTuneConfig, trained: RunConfig | None) -> Iterator[str]:
    assert config.task.offer and config.strategy.offer and config.data.offer
    task, strategy, data = config.task.offer, config.strategy.offer, config.data.offer
    kind = data.spec.inputs
    for name in strategy.spec.needs:
        if not config.strategy.values[name]:
            meaning = strategy.spec.option(name).help
            yield f"strategy {strategy.id} needs its option '{name}'. {meaning} Say: -o strategy.{name}=VALUE"
    if strategy.spec.several and not task.spec.several:
        yield (
            f"strategy {strategy.id} is for several tasks on the same rows, task {task.id} is one. Use --task several, "
            "with labels of one column a task (NaN where a label is missing)."
        )
    for part, offer in (("task", task), ("strategy", strategy)):
        if offer.spec.inputs and kind not in offer.spec.inputs:
            yield f"{part} {offer.id} works on {' or '.join(offer.spec.inputs)} but data {data.id} holds {kind}."
    if data.spec.form != task.spec.form:
        wanted = [offer.spec.name for offer in plugins.offers("dataset") if offer.spec.form == task.spec.form]
        what = f"examples of the form {task.spec.form}" if task.spec.form else "plain rows"
        yield (
            f"task {task.id} learns from {what} but data {data.id} holds "
            f"{data.spec.form or 'plain rows'}. Data for it: {', '.join(wanted)}; see: kptk show NAME"
        )
    elif task.spec.labels and not data.spec.labels:
        yield f"task {task.id} learns from labels but data {data.id} has none."
    backbone = trained.backbone.offer if trained else None
    if backbone and backbone.spec.inputs not in ("", kind):  # a model file may take anything
        yield f"the backbone {backbone.id} takes {backbone.spec.inputs} but data {data.id} holds {kind}."
    gives = strategy.spec.features or (backbone.spec.features if backbone else "")
    # Whether a backbone has a vector for each token only the loaded model tells.
    if task.spec.features == "target":
        if not strategy.spec.writes:
            yield f"task {task.id} writes texts, which takes a decoder: --strategy encoder_decoder"
    elif gives and task.spec.features not in ("vector", "pair", "sequence", gives):
        yield (
            f"task {task.id} needs a {task.spec.features} of features but {backbone.id if backbone else strategy.id} "
            f"returns a {gives}. Use another backbone, or a strategy that adds a decoder: --strategy encoder_decoder"
        )


def shown(values: Mapping[str, Any]) -> str:
    """Options as ``name=value`` words for one line.

    Args:
        values: values by option.
    """
    return ", ".join(f"{key}={value}" for key, value in values.items())
