"""Samplers: KerasHub's ways to choose one token after the other."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from kptk.errors import UsageError

NAMES = ("greedy", "beam", "random", "top_k", "top_p")
PACKAGE = "keras_hub"


def build_sampler(
    name: str, *, temperature: float = 1.0, k: int = 20, p: float = 0.9, beams: int = 4, seed: int = 0
) -> Any:
    """Build a sampler of KerasHub.

    Args:
        name: ``"greedy"`` takes the likeliest token; ``"beam"`` keeps the likeliest texts so far; ``"random"`` draws from all
            tokens, ``"top_k"`` from the likeliest `k`, ``"top_p"`` from the fewest that have together a probability of `p`.
        temperature: the logits are divided by it, above 0: below 1 for likelier texts.
        k: tokens for ``"top_k"``.
        p: probability for ``"top_p"``, 0 < p <= 1.
        beams: texts for ``"beam"``.
        seed: of the draws.

    Returns:
        A `keras_hub.samplers.Sampler`: called with a function from a prompt to the logits of its next token.

    Raises:
        UsageError: if there is no such sampler, or KerasHub is not installed.

    References:
        top_k, https://arxiv.org/abs/1805.04833; top_p, https://arxiv.org/abs/1904.09751
    """
    if name not in NAMES:
        raise UsageError(f"`sampler` must be one of {', '.join(NAMES)}. Received: {name!r}.")
    if importlib.util.find_spec(PACKAGE) is None:
        raise UsageError(
            f"texts are written by KerasHub's samplers, and the package {PACKAGE} is not installed: pip install kptk-keras-nlp. "
            "Training and evaluation by loss need none."
        )
    samplers = importlib.import_module(PACKAGE).samplers
    if name == "greedy":
        return samplers.GreedySampler()
    if name == "beam":
        return samplers.BeamSampler(num_beams=beams, temperature=temperature)
    drawn: dict[str, Any] = {"seed": seed, "temperature": temperature}
    if name == "top_k":
        return samplers.TopKSampler(k=k, **drawn)
    return samplers.TopPSampler(p=p, **drawn) if name == "top_p" else samplers.RandomSampler(**drawn)
