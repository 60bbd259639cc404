"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import BackboneSpec, Option, hookimpl
from kptk_keras_nlp.architectures import ARCHITECTURES, ARGUMENTS, FAMILY

_HUB = ("keras_hub",)


@hookimpl
def kptk_backbones() -> Iterator[BackboneSpec]:
    """Offer published networks by name, any class of KerasHub, and local presets."""
    for item in ARCHITECTURES:
        yield item.spec("kptk_keras_nlp.architectures")
    yield BackboneSpec(
        name="hub",
        target="kptk_keras_nlp.hub:hub",
        summary="Any image backbone of KerasHub by its class, with your arguments.",
        options=(
            Option(name="family", type=str, default=FAMILY, help="Class in keras_hub.models: ResNet, DINOV2, ..."),
            Option(
                name="arguments",
                type=str,
                default=ARGUMENTS,
                help="Its arguments without the image shape: JSON, or a .json file.",
            ),
        ),
        references=("https://keras.io/keras_hub/api/models/",),
        holds=_HUB,
        since="0.1.0",
    )
    yield BackboneSpec(
        name="preset",
        target="kptk_keras_nlp.preset:preset",
        summary="A pre-trained backbone from a local preset folder: --backbone FOLDER.",
        options=(Option(name="path", type=str, default="", help="The folder; nothing is ever downloaded."),),
        references=("https://keras.io/keras_hub/api/models/",),
        reads=("folder",),
        holds=_HUB,
        since="0.1.0",
    )
