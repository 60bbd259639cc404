"""The published networks that are offered by name. Read at discovery: no import of Keras."""

from __future__ import annotations

from typing import Any

from kptk.architecture import Architecture

_NETWORK = "kptk_keras_nlp.hub:network"
_HUB = ("keras_hub",)
FAMILY = "VGG"
ARGUMENTS = '{"stackwise_num_repeats": [1, 1, 2], "stackwise_num_filters": [32, 64, 128]}'
"""What the backbone ``hub`` builds unless it is told something else: four convolutions."""


def _resnet(kind: str, blocks: list[int]) -> dict[str, Any]:
    """Arguments of a ResNet with pre-activation."""
    return {
        "input_conv_filters": [64],
        "input_conv_kernel_sizes": [7],
        "stackwise_num_filters": [64, 128, 256, 512],
        "stackwise_num_strides": [1, 2, 2, 2],
        "stackwise_num_blocks": blocks,
        "block_type": kind,
        "use_pre_activation": True,
    }


_PRE_ACTIVATION = "https://arxiv.org/abs/1603.05027"

resnet18_v2 = Architecture(
    name="resnet18_v2",
    summary="ResNet-18 with pre-activation; 11.2 million parameters.",
    network=_NETWORK,
    family="ResNetBackbone",
    arguments=_resnet("basic_block", [2, 2, 2, 2]),
    reference=_PRE_ACTIVATION,
)
resnet50_v2 = Architecture(
    name="resnet50_v2",
    summary="ResNet-50 with pre-activation; 23.5 million parameters.",
    network=_NETWORK,
    family="ResNetBackbone",
    arguments=_resnet("bottleneck_block", [3, 4, 6, 3]),
    reference=_PRE_ACTIVATION,
)
vgg16 = Architecture(
    name="vgg16",
    summary="VGG-16 without its dense layers; 14.7 million parameters.",
    network=_NETWORK,
    family="VGGBackbone",
    arguments={
        "stackwise_num_repeats": [2, 2, 3, 3, 3],
        "stackwise_num_filters": [64, 128, 256, 512, 512],
    },
    reference="https://arxiv.org/abs/1409.1556",
)
densenet121 = Architecture(
    name="densenet121",
    summary="DenseNet-121: every layer sees all earlier ones; 7.0 million.",
    network=_NETWORK,
    family="DenseNetBackbone",
    arguments={"stackwise_num_repeats": [6, 12, 24, 16]},
    reference="https://arxiv.org/abs/1608.06993",
)
xception = Architecture(
    name="xception",
    summary="Xception: separable convolutions; 20.9 million parameters.",
    network=_NETWORK,
    family="XceptionBackbone",
    arguments={
        "stackwise_conv_filters": [
            *([32, 64], [128, 128], [256, 256], [728, 728]),
            *[[728, 728, 728]] * 8,
            *([728, 1024], [1536, 2048]),
        ],
        "stackwise_pooling": [False, True, True, True, *[False] * 8, True, False],
    },
    reference="https://arxiv.org/abs/1610.02357",
)
efficientnet_b0 = Architecture(
    name="efficientnet_b0",
    summary="EfficientNet-B0; 4.0 million parameters.",
    network=_NETWORK,
    family="EfficientNetBackbone",
    arguments={
        "stackwise_width_coefficients": [1.0] * 7,
        "stackwise_depth_coefficients": [1.0] * 7,
        "stackwise_kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
        "stackwise_num_repeats": [1, 2, 2, 3, 3, 4, 1],
        "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
        "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
        "stackwise_expansion_ratios": [1, 6, 6, 6, 6, 6, 6],
        "stackwise_squeeze_and_excite_ratios": [0.25] * 7,
        "stackwise_strides": [1, 2, 2, 2, 1, 2, 1],
        "stackwise_block_types": ["v1"] * 7,
        "min_depth": None,
        "use_depth_divisor_as_min_depth": True,
        "cap_round_filter_decrease": True,
        "dropout": 0.0,
    },
    reference="https://arxiv.org/abs/1905.11946",
)
csp_darknet53 = Architecture(
    name="csp_darknet53",
    summary="CSPDarkNet-53, the trunk of many detectors; 26.6 million.",
    network=_NETWORK,
    family="CSPNetBackbone",
    arguments={
        "stem_filters": 32,
        "stem_kernel_size": 3,
        "stem_strides": 1,
        "stackwise_depth": [1, 2, 8, 8, 4],
        "stackwise_strides": [2, 2, 2, 2, 2],
        "stackwise_num_filters": [64, 128, 256, 512, 1024],
        "block_type": "dark_block",
        "stage_type": "csp",
        "bottle_ratio": [0.5, 1.0],
        "block_ratio": [1.0, 0.5],
        "expand_ratio": [2.0, 1.0],
        "stem_padding": "same",
        "down_growth": True,
    },
    reference="https://arxiv.org/abs/1911.11929",
)
mobilenet_v3_small = Architecture(
    name="mobilenet_v3_small",
    summary="MobileNetV3-Small for weak machines; 0.9 million parameters.",
    network=_NETWORK,
    family="MobileNetBackbone",
    arguments={
        "stackwise_num_blocks": [2, 3, 2, 3],
        "stackwise_expansion": [[72, 88], [96, 240, 240], [120, 144], [288, 576, 576]],
        "stackwise_num_filters": [[24, 24], [40, 40, 40], [48, 48], [96, 96, 96]],
        "stackwise_kernel_size": [[3, 3], [5, 5, 5], [5, 5], [5, 5, 5]],
        "stackwise_num_strides": [[2, 1], [2, 1, 1], [1, 1], [2, 1, 1]],
        "stackwise_se_ratio": [[None, None], [0.25] * 3, [0.25] * 2, [0.25] * 3],
        "stackwise_activation": [["relu"] * 2, ["hard_swish"] * 3, ["hard_swish"] * 2, ["hard_swish"] * 3],
        "stackwise_padding": [[1, 1], [2, 2, 2], [2, 2], [2, 2, 2]],
        "input_num_filters": 16,
        "input_activation": "hard_swish",
        "output_num_filters": 1024,
        "output_activation": "hard_swish",
        "depthwise_filters": 16,
        "depthwise_stride": 2,
        "depthwise_residual": False,
        "squeeze_and_excite": 0.5,
        "last_layer_filter": 576,
    },
    reference="https://arxiv.org/abs/1905.02244",
    holds=_HUB,
)
mit_b0 = Architecture(
    name="mit_b0",
    summary="Mix Transformer B0 for square images; 3.3 million parameters.",
    network=_NETWORK,
    family="MiTBackbone",
    arguments={
        "layerwise_depths": [2, 2, 2, 2],
        "num_layers": 4,
        "layerwise_num_heads": [1, 2, 5, 8],
        "layerwise_sr_ratios": [8, 4, 2, 1],
        "max_drop_path_rate": 0.1,
        "layerwise_patch_sizes": [7, 3, 3, 3],
        "layerwise_strides": [4, 2, 2, 2],
        "hidden_dims": [32, 64, 160, 256],
    },
    reference="https://arxiv.org/abs/2105.15203",
    min_size=64,
    holds=_HUB,
)
deit_tiny = Architecture(
    name="deit_tiny",
    summary="DeiT-Tiny with patches of 16 pixels; 5.5 million at 224 / 16.",
    network=_NETWORK,
    family="DeiTBackbone",
    arguments={"patch_size": 16, "num_layers": 12, "num_heads": 3, "hidden_dim": 192, "intermediate_dim": 768},
    reference="https://arxiv.org/abs/2012.12877",
    holds=_HUB,
)

ARCHITECTURES = (
    *(resnet18_v2, resnet50_v2, vgg16, densenet121, xception, efficientnet_b0, csp_darknet53),
    *(mobilenet_v3_small, mit_b0, deit_tiny),
)
