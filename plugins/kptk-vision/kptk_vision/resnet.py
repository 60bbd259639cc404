"""ResNet (He, Zhang, Ren and Sun, 2015) with the ImageNet stem or the small-image stem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

Block = Callable[..., Any]


def resnet(
    input_shape: tuple[int, ...],
    *,
    blocks: tuple[int, int, int, int],
    bottleneck: bool,
    stem: str = "auto",
    width: int = 64,
    name: str = "resnet",
) -> keras.Model:
    """Build a residual network that ends in a global average.

    Args:
        input_shape: ``(height, width, channels)``.
        blocks: residual blocks in each of the four stages.
        bottleneck: whether a block is 1x1-3x3-1x1 with four times the filters, else 3x3-3x3.
        stem: ``"imagenet"`` (7x7, stride 2, then max-pooling 3x3, stride 2), ``"small"`` (3x3, stride 1, no
            pooling) or ``"auto"``: small for sides below 64 pixels. The wrong stem on small images costs many
            points of accuracy.
        width: filters of the first stage, doubled in each next one.
        name: name of the model.

    Returns:
        A functional `keras.Model` from images of 0..1 to features ``(batch, 8 * width)``, or four times that with
        bottlenecks.

    References:
        https://arxiv.org/abs/1512.03385
    """
    inputs = keras.Input(input_shape, name="images")
    small = stem == "small" or (stem == "auto" and min(input_shape[:2]) < 64)
    x = _small_stem(inputs, width) if small else _imagenet_stem(inputs, width)
    block = _bottleneck_block if bottleneck else _basic_block
    for stage, count in enumerate(blocks):
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            x = block(x, width * 2**stage, stride, name=f"stage{stage}_block{index}")
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(inputs, x, name=name)


def resnet18(input_shape: tuple[int, ...], *, stem: str = "auto", width: int = 64) -> keras.Model:
    """Build ResNet-18.

    Args:
        input_shape: ``(height, width, channels)``.
        stem: ``"imagenet"``, ``"small"`` or ``"auto"``, see `resnet`.
        width: filters of the first stage.

    Example:
        >>> resnet18((32, 32, 3), stem="small").output_shape
        (None, 512)
    """
    return resnet(input_shape, blocks=(2, 2, 2, 2), bottleneck=False, stem=stem, width=width, name="resnet18")


def resnet34(input_shape: tuple[int, ...], *, stem: str = "auto", width: int = 64) -> keras.Model:
    """Build ResNet-34.

    Args:
        input_shape: ``(height, width, channels)``.
        stem: ``"imagenet"``, ``"small"`` or ``"auto"``, see `resnet`.
        width: filters of the first stage.
    """
    return resnet(input_shape, blocks=(3, 4, 6, 3), bottleneck=False, stem=stem, width=width, name="resnet34")


def resnet50(input_shape: tuple[int, ...], *, stem: str = "auto", width: int = 64) -> keras.Model:
    """Build ResNet-50.

    Args:
        input_shape: ``(height, width, channels)``.
        stem: ``"imagenet"``, ``"small"`` or ``"auto"``, see `resnet`.
        width: filters of the first stage.
    """
    return resnet(input_shape, blocks=(3, 4, 6, 3), bottleneck=True, stem=stem, width=width, name="resnet50")


def _imagenet_stem(x: Any, width: int) -> Any:
    x = keras.layers.ZeroPadding2D(3, name="stem_pad")(x)
    x = _conv_norm(x, width, 7, 2, name="stem", padding="valid")
    x = keras.layers.ReLU(name="stem_relu")(x)
    x = keras.layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
    return keras.layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)


def _small_stem(x: Any, width: int) -> Any:
    return keras.layers.ReLU(name="stem_relu")(_conv_norm(x, width, 3, 1, name="stem"))


def _conv_norm(x: Any, filters: int, size: int, stride: int, *, name: str, padding: str = "same") -> Any:
    if stride == 2 and size == 3:
        # 'same' with stride 2 pads unevenly in Keras; the paper's networks pad one pixel on every side.
        x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        padding = "valid"
    x = keras.layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding=padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)


def _shortcut(x: Any, filters: int, stride: int, name: str) -> Any:
    if stride == 1 and x.shape[-1] == filters:
        return x
    return _conv_norm(x, filters, 1, stride, name=f"{name}_shortcut")


def _basic_block(x: Any, filters: int, stride: int, *, name: str) -> Any:
    """Two 3x3 convolutions and the shortcut."""
    y = _conv_norm(x, filters, 3, stride, name=f"{name}_conv1")
    y = keras.layers.ReLU(name=f"{name}_relu1")(y)
    y = _conv_norm(y, filters, 3, 1, name=f"{name}_conv2")
    y = keras.layers.Add(name=f"{name}_add")([y, _shortcut(x, filters, stride, name)])
    return keras.layers.ReLU(name=f"{name}_relu2")(y)


def _bottleneck_block(x: Any, filters: int, stride: int, *, name: str) -> Any:
    """1x1, 3x3 (with the stride) and 1x1 to four times the filters, and the shortcut."""
    y = _conv_norm(x, filters, 1, 1, name=f"{name}_conv1")
    y = keras.layers.ReLU(name=f"{name}_relu1")(y)
    y = _conv_norm(y, filters, 3, stride, name=f"{name}_conv2")
    y = keras.layers.ReLU(name=f"{name}_relu2")(y)
    y = _conv_norm(y, 4 * filters, 1, 1, name=f"{name}_conv3")
    y = keras.layers.Add(name=f"{name}_add")([y, _shortcut(x, 4 * filters, stride, name)])
    return keras.layers.ReLU(name=f"{name}_relu3")(y)
