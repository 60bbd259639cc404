"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import ObjectiveSpec, Option, RecipeSpec, hookimpl

_MAE = ("https://arxiv.org/abs/2111.06377",)
_SIMMIM = ("https://arxiv.org/abs/2111.09886",)
_TARGET = {"preprocessor.jitter": 0.0, "preprocessor.grey": 0.0, "preprocessor.noise": 0.0}
"""The views are the target too: noise in them cannot be predicted, and other colours need not be."""
_SMALL_VIT = {
    "backbone.patch": 7,
    "backbone.depth": 2,
    "backbone.width": 64,
    "backbone.heads": 4,
    "train.batch_size": 256,
    "train.weight_decay": 0.05,
    "probe.data": "holdout",
}


@hookimpl
def kptk_objectives() -> Iterator[ObjectiveSpec]:
    """Offer MAE and SimMIM."""
    yield ObjectiveSpec(
        name="masked",
        aliases=("mae",),
        target="kptk_masked.mae:MAE",
        summary="MAE: hides most patches, encodes the rest, paints what is hidden.",
        options=(
            Option(name="mask_ratio", default=0.75, above=0.0, high=0.99, help="Share of the patches that is hidden."),
            Option(
                name="norm_pix", type=bool, default=True, help="Bring each patch of the target to mean 0, variance 1."
            ),
            Option(name="decoder_width", type=int, default=128, low=4, help="Length of the decoder's tokens."),
            Option(name="decoder_depth", type=int, default=2, low=1, help="Blocks of the decoder."),
            Option(name="decoder_heads", type=int, default=4, low=1, help="Attention heads of the decoder."),
        ),
        inputs=("image",),
        features="patches",
        suggests=_TARGET,
        chance="1 - 1/P for P numbers a patch with norm_pix, less for plain patches; else the variance of the pixels",
        cost="less than a supervised step: only the visible patches are encoded",
        when="Vision Transformers that will be fine-tuned whole; no augmentation beyond crops is known.",
        references=_MAE,
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="simmim",
        target="kptk_masked.simmim:SimMIM",
        summary="SimMIM: hides squares and predicts their pixels by one linear layer.",
        options=(
            Option(name="mask_ratio", default=0.6, above=0.0, high=0.99, help="Share of the image that is hidden."),
            Option(
                name="mask_size",
                type=int,
                default=0,
                low=0,
                help="Side of a hidden square in pixels; 0: a seventh of the image.",
            ),
            Option(
                name="norm",
                type=str,
                default="l1",
                choices=("l1", "l2"),
                help="Absolute or squared error; l2 where most pixels are background.",
            ),
        ),
        inputs=("image",),
        suggests=_TARGET,
        chance="mean distance of the hidden pixels from their median",
        cost="about a supervised step: the whole image is encoded",
        when="Masked modelling with a convolutional backbone, or one that needs every patch.",
        references=_SIMMIM,
        since="0.1.0",
    )


@hookimpl
def kptk_recipes() -> Iterator[RecipeSpec]:
    """Offer MAE and SimMIM on the bundled digits with a small Vision Transformer."""
    yield RecipeSpec(
        name="masked",
        aliases=("mae",),
        summary="MAE with a small Vision Transformer on the bundled digits.",
        objective="masked/masked",
        backbone="vision/vit_tiny",
        preprocessor="vision/image_views",
        dataset="vision/mnist10k",
        settings={"train.epochs": 20, "objective.decoder_width": 48, "objective.decoder_depth": 1, **_SMALL_VIT},
        expect="",
        references=_MAE,
    )
    yield RecipeSpec(
        name="simmim",
        summary="SimMIM with a small Vision Transformer on the bundled digits.",
        objective="masked/simmim",
        backbone="vision/vit_tiny",
        preprocessor="vision/image_views",
        dataset="vision/mnist10k",
        settings={"train.epochs": 20, "objective.norm": "l2", **_SMALL_VIT},
        expect="",
        references=_SIMMIM,
    )
