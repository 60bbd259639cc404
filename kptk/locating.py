"""Finds the data set or reader that ``--data`` means. Needs no Keras."""

from __future__ import annotations

import importlib
import itertools
import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from kptk import errors, settings
from kptk.discovery import Offer
from kptk.plugins import Plugins

FILES_LOOKED_AT = 2000
"""Files of a folder at which we look to choose among its readers."""


def locate(
    plugins: Plugins,
    data: str,
    inputs: str = "",
    *,
    force_path: bool = False,
    given: Collection[str] = (),
    any_reader: bool = False,
    form: str = "",
) -> tuple[Offer, Path | None]:
    """Find the data set or reader that ``--data`` means.

    Args:
        plugins: the registry.
        data: the name of a data set, or a path.
        inputs: the kind of input wanted, to choose among readers of the same paths; empty for any.
        force_path: never take `data` for a name.
        given: the options that the user set for the data, to choose among readers of the same paths: one is taken that has
            most of them, and one that `needs` some only if they are set.
        any_reader: take the first of several readers, for a look at whether there is one.
        form: the form of example that a task learns from: its readers go before those of plain rows.

    Returns:
        The offer, and the absolute path if it is a reader.

    Raises:
        InputError: if it is a path that does not exist or that no reader takes.
        UsageError: if it is a name that nobody offers.
    """
    named = {name for o in plugins.offers("dataset") if not o.spec.reads for name in (o.spec.name, o.id)}
    path = Path(data)
    looks_like_path = (
        force_path or path.exists() or "\\" in data or path.suffix != "" or data.startswith((".", "/", "~"))
    )
    if data in named and not force_path:
        return plugins.find("dataset", data, "--data"), None
    path = path.expanduser()
    if not path.exists():
        if looks_like_path or not plugins.offers("dataset"):
            raise errors.InputError(f"no file or folder at {data}. Data sets by name: {_listed(named)}")
        short = data.rpartition("/")[2]
        if any(short in (offer.spec.name, *offer.spec.aliases) for offer in plugins.offers("dataset")):
            return plugins.find("dataset", data, "--data"), None
        hint = errors.did_you_mean(data, named) or f"Data sets by name: {_listed(named)}"
        raise errors.InputError(f"no file, folder or data set called '{data}'. {hint}")
    readers = [
        offer
        for offer in plugins.offers("dataset")
        if _reads(offer, path) and (not inputs or offer.spec.inputs == inputs)
    ]
    if not any_reader:
        others = readers
        own = [offer for offer in readers if offer.spec.form == form]
        readers = own or [offer for offer in readers if not offer.spec.form]
        if others and not readers:
            tasks = [o.spec.name for o in plugins.offers("task") if o.spec.form in {r.spec.form for r in others}]
            raise errors.InputError(
                f"{data} holds examples for a task of their own, not plain {inputs or 'rows'}: {others[0].id} reads them for "
                f"--task {' or '.join(tasks) or 'NAME'}."
            )
    readers = _by_content(plugins, _fitting(readers, given), path, given)
    if not readers:
        kinds = sorted({kind for offer in plugins.offers("dataset") for kind in offer.spec.reads})
        raise errors.InputError(
            f"no installed plugin reads {data} as {inputs or 'data'}. Readable: {', '.join(kinds) or 'nothing'}"
        )
    if len(readers) > 1 and path.is_dir():
        readers = _suiting(readers, path)
    if len(readers) > 1 and not any_reader:
        rows = "\n".join(f"  {o.id}: {', '.join(option.name for option in o.spec.options)}" for o in readers)
        raise errors.UsageError(
            f"{data} can be read in {len(readers)} ways, by these readers with these options:\n{rows}\n"
            "Say which by an option that the others do not have, such as -o data.label=COLUMN"
        )
    return readers[0], path.resolve()


def locate_like(
    plugins: Plugins, data: str, inputs: str, *, given: Collection[str] = (), form: str = ""
) -> tuple[Offer, Path | None]:
    """Find data for a model that exists: a reader of its own kind of input goes before all others.

    Args:
        plugins: the registry.
        data: the name of a data set, or a path.
        inputs: the kind of input that the model takes; empty for any.
        given: the options for the data that have a value.
        form: the form of example wanted.
    """
    try:
        return locate(plugins, data, inputs, given=given, form=form)
    except errors.InputError:
        if inputs != "image":  # what arrays of any shape are called
            raise
        return locate(plugins, data, given=given, form=form)


def _by_content(plugins: Plugins, readers: list[Offer], path: Path, given: Collection[str]) -> list[Offer]:
    """The readers for which a file is meant, going by a look into it.

    Raises:
        InputError: if it is for none of them, with what each says.
    """
    refusals: dict[str, errors.InputError] = {}
    for offer in readers:
        try:
            refuse(offer, path, given)
        except errors.InputError as error:
            refusals[offer.id] = error
    left = [offer for offer in readers if offer.id not in refusals]
    if left or not readers:
        return left
    said = list(dict.fromkeys(map(str, refusals.values())))
    others = [
        offer
        for offer in plugins.offers("dataset")
        if offer.id not in refusals and offer.spec.refuses and _reads(offer, path) and _takes(offer, path, given)
    ]
    said += [
        f"It can be read as {o.spec.inputs} ({o.id}): choose parts that take it, see kptk list recipes." for o in others
    ]
    raise errors.InputError(" ".join(said))


def refuse(offer: Offer, path: Path, given: Collection[str] = ()) -> None:
    """Raise if a file is not for a reader, going by the reader's own quick look into it.

    Args:
        offer: the reader.
        path: the file.
        given: the options that the user set for the data.

    Raises:
        InputError: with the reason.
    """
    if offer.spec.refuses:
        module, _, name = offer.spec.refuses.partition(":")
        getattr(importlib.import_module(module), name)(str(path), given)


def _takes(offer: Offer, path: Path, given: Collection[str]) -> bool:
    try:
        refuse(offer, path, given)
    except errors.InputError:
        return False
    return True


def _reads(offer: Offer, path: Path) -> bool:
    """Whether the end of a path is one that a reader reads."""
    suffix = "folder" if path.is_dir() else "".join(path.suffixes[-2:]).lower()
    return any(suffix.endswith(kind) for kind in offer.spec.reads)


def _fitting(readers: list[Offer], given: Collection[str]) -> list[Offer]:
    """The readers that the user's own options mean, among those of a path."""
    options = set(given) - {option.name for option in settings.DATA}
    count = {offer.id: len(options & {option.name for option in offer.spec.options}) for offer in readers}
    having = [offer for offer in readers if count[offer.id] == max(count.values())]
    usable = [offer for offer in having if set(offer.spec.needs) <= options]
    asked = [offer for offer in usable if offer.spec.needs]
    return asked or usable or having


def _suiting(readers: list[Offer], folder: Path) -> list[Offer]:
    """The readers that would read most of a folder's files; one of two kinds of files wants about as many of both."""
    count = Counter(
        Path(name).suffix.lower().partition("-")[0] for name in itertools.islice(_names_below(folder), FILES_LOOKED_AT)
    )

    def read(offer: Offer) -> int:
        sizes = [sum(count[suffix] for suffix in kind) for kind in offer.spec.full_of]
        return sum(sizes) if min(sizes, default=0) > max(sizes, default=0) / 2 else 0

    most = max(map(read, readers))
    return [offer for offer in readers if read(offer) == most]


def _names_below(folder: Path) -> Iterator[str]:
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        yield from names


def stand_in(plugins: Plugins, recipe: Offer, data: str, given: Collection[str] = ()) -> Offer:
    """The recipe that a name means for some data: another one stands in for it where the data is of another kind.

    Args:
        plugins: the registry.
        recipe: what the user named.
        data: what the user wants it to learn from, a path or a name; empty for the recipe's own.
        given: the options that the user set for the data.

    Returns:
        The recipe itself, or one that says ``instead_of`` of it and whose data set is of the kind of `data`.
    """
    others = [offer for offer in plugins.offers("recipe") if offer.spec.instead_of in (recipe.id, recipe.spec.name)]
    if not data or not others:
        return recipe
    second: Offer | None = None
    for offer in (recipe, *others):
        kind = plugins.find("dataset", offer.spec.dataset).spec.inputs if offer.spec.dataset else ""
        try:
            found, _ = locate(plugins, data, kind, given=given)
        except errors.KptkError:
            continue
        options = {option.name for option in (*settings.DATA, *found.spec.options)}
        if found.spec.inputs == kind and options.issuperset(given):
            if set(found.spec.needs) <= set(given):
                return offer
            second = second or offer  # a table may hold texts, if nothing reads it as a table
    return second or recipe


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(name for name in names if "/" not in name)) or "none"
