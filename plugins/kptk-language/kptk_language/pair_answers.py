"""What a preprocessor of pairs says about each pair, for the objectives that predict it."""

from __future__ import annotations

from kptk.errors import UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor


def refuse_no_pairs(views: Preprocessor | None, owner: str) -> None:
    """Raise if the rows are no pairs of segments.

    Args:
        views: the preprocessor.
        owner: the objective.

    Raises:
        UsageError: if it makes single texts.
    """
    if not getattr(views, "pairs", False):
        raise UsageError(
            f"objective {owner} learns from pairs of segments, and the preprocessor makes single texts. Ask it for pairs: "
            "-o preprocessor.examples=next, or order for sentence order"
        )


def answers(inputs: Tensor) -> Tensor:
    """The answer of each pair, shape ``(batch,)``: 1 for a false or swapped pair.

    Args:
        inputs: rows with the three channels tokens, segments, answer, shape ``(batch, 3, length)``.

    Raises:
        UsageError: if there are other channels.
    """
    if len(inputs.shape) != 3 or inputs.shape[1] != 3:
        raise UsageError(
            f"pairs must come with tokens, segments and the answer, shape (batch, 3, length). Received: {tuple(inputs.shape)}."
        )
    return inputs[:, 2, 0]
