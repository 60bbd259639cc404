"""The few types that annotations share."""

from __future__ import annotations

from typing import Any, TypeAlias

Tensor: TypeAlias = Any
"""A tensor of whichever backend Keras runs on. `Any`, because naming the classes would import three frameworks."""
