"""Operations counted layer by layer against counts by hand."""

from __future__ import annotations

import pytest

from kptk.training import backend

keras = backend.import_keras()

from kptk.training.flops import forward_flops

pytestmark = pytest.mark.backends


def model(shape, *layers):
    inputs = outputs = keras.Input(shape)
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def test_dense_and_convolutions_are_counted_by_hand() -> None:
    assert forward_flops(model((10,), keras.layers.Dense(7)), (10,)) == 2 * 10 * 7
    conv = keras.layers.Conv2D(8, 3, padding="same")
    assert forward_flops(model((12, 12, 3), conv), (12, 12, 3)) == 2 * 12 * 12 * 3 * 3 * 3 * 8
    strided = keras.layers.Conv2D(8, 3, strides=2, padding="same")
    assert forward_flops(model((12, 12, 3), strided), (12, 12, 3)) == 2 * 6 * 6 * 3 * 3 * 3 * 8
    separate = keras.layers.DepthwiseConv2D(3, padding="same")
    assert forward_flops(model((12, 12, 3), separate), (12, 12, 3)) == 2 * 12 * 12 * 3 * 3 * 3
    tokens = keras.layers.Dense(5)
    assert forward_flops(model((6, 4), tokens), (6, 4)) == 2 * 6 * 4 * 5


def test_attention_is_projections_and_products() -> None:
    layer = keras.layers.MultiHeadAttention(num_heads=2, key_dim=4)
    inputs = keras.Input((6, 8))
    network = keras.Model(inputs, layer(inputs, inputs))
    projections = 4 * 2 * 6 * 8 * 8
    products = 2 * 2 * 6 * 6 * 8
    assert forward_flops(network, (6, 8)) == projections + products


@pytest.mark.parametrize(("layer", "gates"), [("LSTM", 4), ("GRU", 3), ("SimpleRNN", 1)])
def test_recurrent_layers_count_every_step(layer: str, gates: int) -> None:
    made = getattr(keras.layers, layer)(5)
    assert forward_flops(model((7, 3), made), (7, 3)) == 2 * 7 * gates * (3 * 5 + 5 * 5)


def test_nested_models_and_shared_layers() -> None:
    inner = model((10,), keras.layers.Dense(10))
    shared = keras.layers.Dense(10)
    assert forward_flops(model((10,), inner, shared, shared), (10,)) == 3 * 200


def test_nothing_is_left_behind() -> None:
    plain = keras.layers.Layer.__call__
    with pytest.raises(Exception):  # noqa: B017, PT011
        forward_flops(model((10,), keras.layers.Dense(3)), (9,))
    assert keras.layers.Layer.__call__ is plain


def test_a_resnet_has_the_published_order() -> None:
    """ResNet-18 at 224: 1.8 billion multiplications and additions (He et al., 2016), here twice as many operations."""
    import kptk

    network = kptk.backbone("resnet18", input_shape=(224, 224, 3))
    assert forward_flops(network, (224, 224, 3)) / 2 == pytest.approx(1.82e9, rel=0.02)
