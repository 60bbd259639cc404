"""`Architecture`: a published network as a class of another library and its arguments. Keeps Keras out."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kptk.spec import BackboneSpec

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A network that is built by calling it, for plugins that offer another library's networks by name.

    Args:
        name: name of the backbone.
        summary: one line, as in a spec.
        network: ``"package.module:function"`` that is called with `family`, `arguments`, the shape of the images and
            ``name=``, and returns the backbone.
        family: class in the library, such as ``"ResNetBackbone"``.
        arguments: what the class is called with, besides the shape of the images.
        reference: address of the paper.
        min_size: smallest side in pixels.
        holds: as in `kptk.BackboneSpec`.

    Example:
        >>> lenet = Architecture(
        ...     name="lenet",
        ...     summary="LeNet-5 from a library.",
        ...     network="my_package.library:network",
        ...     family="LeNet",
        ...     arguments={"filters": [6, 16]},
        ...     reference="https://doi.org/10.1109/5.726791",
        ... )
        >>> lenet.spec("my_package.architectures").target
        'my_package.architectures:lenet'
    """

    name: str
    summary: str
    network: str
    family: str
    arguments: Mapping[str, Any]
    reference: str
    min_size: int = 32
    holds: tuple[str, ...] = ()

    def __call__(self, input_shape: tuple[int, ...]) -> keras.Model:
        """Build the network with fresh weights.

        Args:
            input_shape: ``(height, width, channels)`` of the images.

        Returns:
            A functional model from images of 0..1 to features ``(batch, length)``.

        Raises:
            UsageError: if it cannot be built for such images.
        """
        module, _, function = self.network.partition(":")
        made: keras.Model = getattr(importlib.import_module(module), function)(
            self.family, self.arguments, input_shape, name=self.name
        )
        return made

    def spec(self, module: str, since: str = "0.1.0") -> BackboneSpec:
        """The spec to yield.

        Args:
            module: where this object is found under its own name.
            since: version of the plugin that first had it.
        """
        return BackboneSpec(
            name=self.name,
            target=f"{module}:{self.name}",
            summary=self.summary,
            references=(self.reference,),
            min_size=self.min_size,
            holds=self.holds,
            since=since,
        )
