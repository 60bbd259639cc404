"""`Clock`: schedules that know where a run stands."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends


@pytest.fixture
def clock():
    backend.import_keras()
    from kptk.training.clock import Clock

    return Clock()


def value(tensor) -> float:
    return float(np.asarray(backend.import_keras().ops.convert_to_numpy(tensor)))


def test_stands_at_the_start_until_the_number_of_steps_is_known(clock) -> None:
    clock.advance()
    assert value(clock.share()) == 0.0
    assert value(clock.cosine(0.9, 1.0)) == pytest.approx(0.9)


def test_goes_from_start_to_end_along_half_a_cosine(clock) -> None:
    clock.set_total(4)
    seen = []
    for _ in range(6):
        seen.append(value(clock.cosine(0.96, 1.0)))
        clock.advance()
    wanted = [1 - 0.04 * (math.cos(math.pi * k / 4) + 1) / 2 for k in range(5)]
    assert seen == pytest.approx([*wanted, 1.0], abs=1e-6)


def test_share_until_a_part_of_the_run(clock) -> None:
    clock.set_total(10)
    for _ in range(2):
        clock.advance()
    assert value(clock.share()) == pytest.approx(0.2)
    assert value(clock.share(until=0.4)) == pytest.approx(0.5)


def make_counting():
    """An objective that reads a clock, by way of its class."""
    keras = backend.import_keras()
    from kptk.training.clock import Clock
    from kptk.training.pretrainer import Pretrainer

    class Counting(Pretrainer):
        def __init__(self, backbone, views=None, **kwargs) -> None:
            super().__init__(backbone, views, **kwargs)
            self.clock = Clock()

        def forward_views(self, views, training):
            return {"embeddings": self.encode(views[0], training)}

        def objective_loss(self, outputs, labels):
            return keras.ops.mean(keras.ops.square(outputs["embeddings"]))

        def update_state(self, outputs) -> None:
            self.clock.advance()

    backbone = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model = Counting(backbone)
    model.compile(optimizer="sgd")
    return model


def test_fit_counts_the_steps_of_an_array() -> None:
    model = make_counting()
    model.fit(np.ones((10, 3), "float32"), batch_size=4, epochs=2, verbose=0)
    backend.sync_state(model)
    assert (value(model.clock.total), value(model.clock.step)) == (6.0, 6.0)


def test_fit_counts_the_steps_that_it_is_told() -> None:
    model = make_counting()
    batches = (np.ones((4, 3), "float32") for _ in range(100))
    model.fit(((x,) for x in batches), steps_per_epoch=3, epochs=2, verbose=0, shuffle=False)
    backend.sync_state(model)
    assert (value(model.clock.total), value(model.clock.step)) == (6.0, 6.0)


def test_a_run_that_knows_its_length_is_not_overruled_by_fit() -> None:
    model = make_counting()
    model.set_total_steps(50)
    model.fit(np.ones((8, 3), "float32"), batch_size=4, verbose=0)
    backend.sync_state(model)
    assert value(model.clock.total) == 50.0


def test_counts_in_full_precision_inside_a_model_with_a_mixed_policy(clock) -> None:
    keras = backend.import_keras()

    class Reading(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__(dtype="mixed_bfloat16")
            self.clock = clock

        def call(self, x):
            del x
            return self.clock.cosine(0.996, 1.0)

    layer = Reading()
    clock.set_total(1000)
    clock.step.assign(257.0)  # bfloat16 counts to 256
    got = value(layer(np.zeros((1, 1), "float32")))
    assert got == pytest.approx(1 - 0.002 * (1 + math.cos(math.pi * 0.257)), abs=1e-6)
