"""The published networks that are offered by name. Read at discovery: no import of Keras."""

from __future__ import annotations

from kptk.architecture import Architecture

_NETWORK = "kptk_keras_cv.cv:network"
_CV = ("keras_cv",)
FAMILY = "DenseNet"
ARGUMENTS = '{"stackwise_num_repeats": [2, 4, 4], "growth_rate": 12}'
"""What the backbone ``cv`` builds unless it is told something else: a small DenseNet."""

efficientnet_v2_b0 = Architecture(
    name="efficientnet_v2_b0",
    summary="EfficientNetV2-B0; 5.9 million parameters.",
    network=_NETWORK,
    family="EfficientNetV2Backbone",
    arguments={
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
        "stackwise_kernel_sizes": [3] * 6,
        "stackwise_num_repeats": [1, 2, 2, 3, 5, 8],
        "stackwise_input_filters": [32, 16, 32, 48, 96, 112],
        "stackwise_output_filters": [16, 32, 48, 96, 112, 192],
        "stackwise_expansion_ratios": [1, 4, 4, 4, 6, 6],
        "stackwise_squeeze_and_excite_ratios": [0.0, 0.0, 0.0, 0.25, 0.25, 0.25],
        "stackwise_strides": [1, 2, 2, 2, 1, 2],
        "stackwise_conv_types": ["fused", "fused", "fused", "unfused", "unfused", "unfused"],
    },
    reference="https://arxiv.org/abs/2104.00298",
    holds=_CV,
)
efficientnet_lite_b0 = Architecture(
    name="efficientnet_lite_b0",
    summary="EfficientNet-Lite0 for phones; 3.4 million parameters.",
    network=_NETWORK,
    family="EfficientNetLiteBackbone",
    arguments={
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
        "stackwise_kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
        "stackwise_num_repeats": [1, 2, 2, 3, 3, 4, 1],
        "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
        "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
        "stackwise_expansion_ratios": [1, 6, 6, 6, 6, 6, 6],
        "stackwise_strides": [1, 2, 2, 2, 1, 2, 1],
    },
    reference="https://arxiv.org/abs/1905.11946",
)
csp_darknet_tiny = Architecture(
    name="csp_darknet_tiny",
    summary="CSPDarkNet-Tiny, the trunk of YOLOX-Tiny; 2.4 million.",
    network=_NETWORK,
    family="CSPDarkNetBackbone",
    arguments={"stackwise_channels": [48, 96, 192, 384], "stackwise_depth": [1, 3, 3, 1]},
    reference="https://arxiv.org/abs/2107.08430",
    holds=_CV,
)

ARCHITECTURES = (efficientnet_v2_b0, efficientnet_lite_b0, csp_darknet_tiny)
