"""The transfer receipt: which tensors went from one model to another, and which did not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from kptk.errors import InputError


def checksum(model: keras.Model, *, trainable_only: bool = False) -> str:
    """Hash of the weights of a model, twelve letters: equal means bit-identical.

    Args:
        model: a built model.
        trainable_only: leave out moving statistics and the like.
    """
    digest = hashlib.sha256()
    for variable in model.trainable_weights if trainable_only else model.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable.value)).tobytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a transfer did.

    Args:
        loaded: tensors that were copied.
        missing: tensors of the target that the origin does not have; they keep their values.
        unused: tensors of the origin that the target does not have.
        frozen: tensors of the target that training will not change.
        parameters: numbers copied.
        before: checksum of the target before.
        after: checksum of the target after.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    parameters: int = 0
    before: str = ""
    after: str = ""
    origin: str = field(default="")

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded ({self.parameters:,} numbers)"]
        for label, names in (("missing", self.missing), ("unused", self.unused), ("frozen", self.frozen)):
            shown = f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
            parts.append(f"{len(names)} {label}{shown}")
        origin = f" from {self.origin}" if self.origin else ""
        return f"Transfer{origin}: {', '.join(parts)}; {self.before} -> {self.after}"

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def transfer(origin: keras.Model, target: keras.Model, *, name: str = "") -> Receipt:
    """Copy weights between models by layer path and shape, and say what happened.

    A tensor is copied when both models have one of the same shape at the same place: the same path below the model's
    own name, such as ``stage0_block1_conv1/kernel``; or the same position, if the two models have the same shapes in
    the same order.

    Args:
        origin: the model with the wanted weights.
        target: the model to write to.
        name: what to call the origin on the receipt.

    Returns:
        The receipt.

    Raises:
        InputError: if not a single tensor fits: a transfer of nothing is an error.

    Example:
        >>> import keras
        >>> make = lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="d")])
        >>> len(transfer(make(), make()).loaded)
        2
    """
    given = _by_place(origin)
    wanted = _by_place(target)
    before = checksum(target)
    if [v.shape for v in given.values()] == [v.shape for v in wanted.values()]:
        # The same architecture, perhaps with Keras' running numbers in the names: order says what belongs together.
        given = dict(zip(wanted, given.values(), strict=True))
    fits = [place for place in wanted if place in given and given[place].shape == wanted[place].shape]
    if not fits:
        raise InputError(
            f"nothing to transfer: none of the {len(given)} tensors of {name or origin.name} fits one of the "
            f"{len(wanted)} tensors of {target.name}. First of each: {next(iter(given), 'none')}, "
            f"{next(iter(wanted), 'none')}. Build the target as the origin was built."
        )
    for place in fits:
        wanted[place].assign(given[place].value)
    frozen = {id(variable) for variable in target.non_trainable_weights}
    return Receipt(
        loaded=tuple(fits),
        missing=tuple(place for place in wanted if place not in fits),
        unused=tuple(place for place in given if place not in fits),
        frozen=tuple(place for place, variable in wanted.items() if id(variable) in frozen),
        parameters=int(sum(np.prod(wanted[place].shape) for place in fits)),
        before=before,
        after=checksum(target),
        origin=name,
    )


def _by_place(model: keras.Model) -> dict[str, Any]:
    """Weights by their path without the model's own name."""
    places: dict[str, Any] = {}
    for variable in model.weights:
        path = variable.path
        place = path.removeprefix(f"{model.name}/")
        while place in places:  # two unnamed layers of one path: tell them apart by order
            place += "'"
        places[place] = variable
    return places
