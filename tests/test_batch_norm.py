"""The fused kernel computes what Keras computes, forwards and backwards, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kptk.training import backend

keras = backend.import_keras()

import numpy as np

import kptk
from kptk.training.batch_norm import fused

pytestmark = pytest.mark.skipif(backend.name() != "tensorflow", reason="the kernel is TensorFlow's")
RNG = np.random.default_rng(0)


def layer() -> Any:
    made = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    made.build((None, 6, 5, 3))
    made.gamma.assign([0.5, 1.0, 2.0])
    made.beta.assign([0.1, -0.2, 0.3])
    return made


def step(made: Any, x: Any, pull: Any, training: bool = True) -> list[np.ndarray]:
    """Outputs, averages and first and second gradients."""
    import tensorflow as tf

    x = tf.constant(x)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = made(x, training=training)
            loss = tf.reduce_sum(y * y * pull)
        inner = tape.gradient(loss, x)
        norm = tf.reduce_sum(inner * inner)
    found = [y, inner, *tape.gradient(loss, [made.gamma.value, made.beta.value]), outer.gradient(norm, x)]
    return [np.asarray(part) for part in [*found, made.moving_mean.value, made.moving_variance.value]]


@pytest.mark.parametrize("training", [True, False])
def test_it_equals_keras(training: bool) -> None:
    x, pull = (RNG.normal(size=(4, 6, 5, 3)).astype("float32") for _ in range(2))
    usual, ours = layer(), layer()
    wanted = step(usual, 3 * x + 1, pull, training)
    with fused([ours]):
        found = step(ours, 3 * x + 1, pull, training)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4 * np.abs(b).max())


def test_only_training_of_plain_layers_uses_the_kernel_and_nothing_stays() -> None:
    import tensorflow as tf

    made, frozen, renormed = layer(), layer(), keras.layers.BatchNormalization(renorm=True)
    frozen.trainable = False
    renormed.build((None, 6, 5, 3))

    def kernels(norm: Any, x: Any, training: bool) -> int:
        graph = tf.function(lambda: norm(x, training=training)).get_concrete_function().graph
        return sum(node.op == "FusedBatchNormV3" for node in graph.as_graph_def().node)

    maps, rows = np.ones((2, 6, 5, 3), "float32"), np.ones((4, 3), "float32")
    flat = keras.layers.BatchNormalization()
    flat.build((None, 3))
    with fused([made, frozen, renormed, flat]):
        assert kernels(made, maps, True) == 1
        assert kernels(made, maps, False) == 0
        assert kernels(frozen, maps, True) == 0
        assert kernels(renormed, maps, True) == 0
        assert kernels(flat, rows, True) == 0
    assert kernels(made, maps, True) == 0
    with pytest.raises(RuntimeError, match="stop"), fused([made]):
        raise RuntimeError("stop")
    assert "call" not in vars(made)


def test_a_trained_backbone_is_saved_as_plain_keras(tmp_path: Path) -> None:
    backbone = kptk.backbone("resnet18", input_shape=(16, 16, 1), width=4)
    model = kptk.objective("contrastive", backbone=backbone)
    model.compile(optimizer=keras.optimizers.SGD(0.01))
    model.fit(RNG.integers(0, 256, (8, 16, 16, 1)).astype("uint8"), batch_size=4, verbose=0)
    x = RNG.random((2, 16, 16, 1)).astype("float32")
    backbone.save(tmp_path / "backbone.keras")
    again = keras.saving.load_model(tmp_path / "backbone.keras", custom_objects={}, safe_mode=True)
    np.testing.assert_allclose(np.asarray(again(x)), np.asarray(backbone(x)), rtol=1e-5)
    kinds = {type(part) for part in again.layers if "norm" in part.name}
    assert kinds == {keras.layers.BatchNormalization}
