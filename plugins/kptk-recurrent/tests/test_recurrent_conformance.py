"""The plugin keeps every rule of kptk."""

from __future__ import annotations

import pytest

from kptk.testing import plugin_checks

pytestmark = pytest.mark.backends
FIXED = (
    "the kit's token backbone has a fixed length, and the autoencoder reads twice as far; test_recurrent.py has an LSTM"
)
TRAINED = (
    "config_round_trips",
    "saves_and_loads_in_a_fresh_process",
    "all_weights_exist_after_init",
    "call_is_jittable",
    "mixed_bfloat16",
    "odd_and_single_batch",
    "loss_is_finite",
    "gradient_reaches_every_trainable_weight",
    "loss_falls_in_20_steps_on_toy_data",
    "same_seed_same_loss",
)


@plugin_checks("recurrent", {f"recurrent-objective-sequence_autoencoder-{name}": FIXED for name in TRAINED})
def test_recurrent(check) -> None:
    check()
