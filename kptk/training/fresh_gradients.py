"""`FreshGradients`: on PyTorch, each step starts without the gradients of the last one."""

from __future__ import annotations

from typing import Any


class FreshGradients:
    """Mixin for models that are trained and are made of several networks.

    Keras' train step on PyTorch calls `zero_grad`, which finds weights by the paths in the whole model and in the networks that
    are its attributes. Of two networks in a list whose layers have the same names only one is found, and the gradients of the
    other add up from step to step.
    """

    variables: list[Any]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of the last step, of every weight. Nothing calls it on other backends.

        Args:
            set_to_none: as PyTorch has it; they are always dropped.
        """
        del set_to_none
        for variable in self.variables:
            variable.value.grad = None
