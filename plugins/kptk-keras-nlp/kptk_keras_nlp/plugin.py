"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import BackboneSpec, Option, hookimpl
from kptk_keras_nlp.architectures import ARCHITECTURES, ARGUMENTS, FAMILY
from kptk_keras_nlp.text_architectures import OPTIONS, TEXT_ARCHITECTURES

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
    for text in TEXT_ARCHITECTURES:
        yield text.spec()
    yield BackboneSpec(
        name="hub_text",
        target="kptk_keras_nlp.hub_text:hub_text",
        summary="Any text backbone of KerasHub by its class, of any size.",
        options=(
            Option(name="family", type=str, default="Bert", help="Class in keras_hub.models: OPT, Bloom, Llama, ..."),
            *OPTIONS,
        ),
        references=("https://keras.io/keras_hub/api/models/",),
        inputs="text",
        holds=_HUB,
        since="0.2.0",
    )
    yield BackboneSpec(
        name="text_preset",
        target="kptk_keras_nlp.text_preset:text_preset",
        summary="A pre-trained text backbone from a local folder, by its path.",
        options=(
            Option(name="path", type=str, default="", help="The folder; nothing is ever downloaded."),
            Option(name="vocabulary", type=int, default=0, low=0, help="Tokens; 0: what the preprocessor knows."),
            Option(
                name="pool",
                type=str,
                default="mean",
                choices=("mean", "cls", "none"),
                help="Features: of which tokens.",
            ),
        ),
        references=("https://keras.io/keras_hub/api/models/",),
        inputs="text",
        reads=("folder",),  # `preset` comes before it: --backbone FOLDER means images
        holds=_HUB,
        since="0.2.0",
    )
