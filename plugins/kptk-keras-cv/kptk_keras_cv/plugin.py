"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import BackboneSpec, Option, PreprocessorSpec, hookimpl
from kptk_keras_cv.architectures import ARCHITECTURES, ARGUMENTS, FAMILY


@hookimpl
def kptk_backbones() -> Iterator[BackboneSpec]:
    """Offer published networks by name, and the classes of KerasCV that work."""
    for item in ARCHITECTURES:
        yield item.spec("kptk_keras_cv.architectures")
    yield BackboneSpec(
        name="cv",
        target="kptk_keras_cv.cv:cv",
        summary="A backbone of KerasCV by its class, with your arguments.",
        options=(
            Option(name="family", type=str, default=FAMILY, help="Class in keras_cv.models: ResNetV2, MiT, ..."),
            Option(
                name="arguments",
                type=str,
                default=ARGUMENTS,
                help="Its arguments without the image shape: JSON, or a .json file.",
            ),
        ),
        references=("https://github.com/keras-team/keras-cv",),
        min_size=32,
        holds=("keras_cv",),
        since="0.1.0",
    )


@hookimpl
def kptk_preprocessors() -> Iterator[PreprocessorSpec]:
    """Offer views by KerasCV's layers."""
    yield PreprocessorSpec(
        name="cv_views",
        target="kptk_keras_cv.cv_views:CvViews",
        summary="Views by KerasCV's layers: RandAugment, AugMix, cutout, ...",
        options=(
            Option(
                name="layers", type=str, default="crop,flip,rand_augment", help="Augmentations in order, with commas."
            ),
            Option(name="strength", default=0.4, low=0.0, high=1.0, help="Strength of all of them."),
            Option(name="size", type=int, default=0, low=0, help="Side of the views in pixels; 0 keeps the size."),
        ),
        references=("https://arxiv.org/abs/1909.13719",),
        since="0.1.0",
    )
