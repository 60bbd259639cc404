"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import BackboneSpec, DatasetSpec, Option, PreprocessorSpec, hookimpl

_RESNET = (
    Option(
        name="stem",
        type=str,
        default="auto",
        choices=("auto", "small", "imagenet"),
        help="3x3 without pooling, or 7x7 with; auto: small below 64 pixels.",
    ),
    Option(name="width", type=int, default=64, low=4, help="Filters of the first stage."),
)
_PAPER_RESNET = ("https://arxiv.org/abs/1512.03385",)


@hookimpl
def kptk_backbones() -> Iterator[BackboneSpec]:
    """Offer the example CNN, ResNets, AlexNet, a pre-trained SqueezeNet, and whatever is in a .keras file."""
    yield BackboneSpec(
        name="example_cnn",
        target="kptk_vision.example_cnn:example_cnn",
        summary="Conv 32, pool, dense 128: small and fast, for digits and tests.",
        options=(
            Option(name="filters", type=int, default=32, low=1, help="Filters of the convolution."),
            Option(name="units", type=int, default=128, low=1, help="Length of the features."),
            Option(name="dropout", default=0.2, low=0.0, high=0.95, help="Fraction of the features dropped."),
        ),
        min_size=4,
        since="0.1.0",
    )
    for depth, millions in ((18, 11.2), (34, 21.3), (50, 23.5)):
        yield BackboneSpec(
            name=f"resnet{depth}",
            target=f"kptk_vision.resnet:resnet{depth}",
            summary=f"ResNet-{depth} with either stem; {millions} million parameters.",
            options=_RESNET,
            references=_PAPER_RESNET,
            min_size=8,
            since="0.1.0",
        )
    yield BackboneSpec(
        name="alexnet",
        target="kptk_vision.alexnet:alexnet",
        summary="AlexNet with or without its two towers; 57 million parameters.",
        options=(
            Option(
                name="groups", type=int, default=2, choices=(1, 2), help="2 for the paper's two towers, 1 for none."
            ),
            Option(
                name="stem",
                type=str,
                default="auto",
                choices=("auto", "small", "imagenet"),
                help="5x5 stride 1 or 2, or 11x11 stride 4; auto: small below 67 pixels.",
            ),
            Option(name="units", type=int, default=4096, low=1, help="Width of each dense layer."),
            Option(name="dropout", default=0.5, low=0.0, high=0.95, help="Fraction of the dense outputs dropped."),
        ),
        references=("https://proceedings.neurips.cc/paper/2012/hash/c399862d3b9d6b76c8436e924a68c45b-Abstract.html",),
        min_size=15,
        since="0.1.0",
    )
    yield BackboneSpec(
        name="squeezenet",
        target="kptk_vision.squeezenet:squeezenet",
        summary="SqueezeNet 1.1 with ImageNet weights; 0.7 million parameters.",
        options=(
            Option(
                name="weights",
                type=str,
                default="imagenet",
                choices=("imagenet", "none"),
                help="Bundled ImageNet weights, or fresh ones.",
            ),
        ),
        references=("https://arxiv.org/abs/1602.07360",),
        min_size=31,
        since="0.1.0",
    )
    yield BackboneSpec(
        name="keras_file",
        target="kptk_vision.keras_file:keras_file",
        summary="Any Keras model of yours from a file: --backbone my_model.keras.",
        options=(
            Option(name="path", type=str, default="", help="The file, as model.save('NAME.keras') writes it."),
            Option(name="layer", type=str, default="", help="Layer whose output are the features; cuts off a head."),
        ),
        inputs="",
        features="",
        reads=(".keras",),
        since="0.1.0",
    )


@hookimpl
def kptk_preprocessors() -> Iterator[PreprocessorSpec]:
    """Offer random image views."""
    yield PreprocessorSpec(
        name="image_views",
        target="kptk_vision.image_views:ImageViews",
        summary="Crop, flip, rotate, colour jitter, grey, blur, solarise, noise.",
        options=(
            Option(name="size", type=int, default=0, low=0, help="Side of the views in pixels; 0 keeps the size."),
            Option(name="crop", default=0.2, above=0.0, high=1.0, help="Smallest area of a crop; 1 for no crop."),
            Option(name="flip", default=0.5, low=0.0, high=1.0, help="Probability of a left-right flip."),
            Option(name="rotation", default=0.0, low=0.0, high=180.0, help="Largest rotation in degrees."),
            Option(name="jitter", default=0.5, low=0.0, high=1.0, help="Strength of the colour changes."),
            Option(name="grey", default=0.2, low=0.0, high=1.0, help="Probability of no colour."),
            Option(name="blur", default=0.0, low=0.0, high=1.0, help="Probability of a blur of 0.1-2 pixels."),
            Option(name="solarise", default=0.0, low=0.0, high=1.0, help="Probability of inverted highlights."),
            Option(name="noise", default=0.0, low=0.0, high=1.0, help="Standard deviation of Gaussian noise."),
        ),
        references=("https://arxiv.org/abs/2002.05709",),
        since="0.1.0",
    )


_READER = (
    Option(
        name="image_size",
        type=int,
        default=0,
        low=0,
        high=1024,
        help="Side in pixels; 0: the files' own size if they agree, else 64.",
    ),
    Option(
        name="channels",
        type=int,
        default=0,
        choices=(0, 1, 3),
        help="1 grey, 3 colour, 0: what the files have.",
    ),
    Option(
        name="on_bad_input",
        type=str,
        default="error",
        choices=("error", "skip"),
        help="Refuse an unreadable image, or leave it out and list it.",
    ),
)


@hookimpl
def kptk_datasets() -> Iterator[DatasetSpec]:
    """Offer the bundled digits and emoji, image folders and arrays."""
    yield DatasetSpec(
        name="mnist10k",
        target="kptk_vision.mnist10k:mnist10k",
        summary="10,000 handwritten digits, 28 x 28, grey: 8,000 and 2,000 for tests.",
        labels=True,
        samples=8000,
        licence="CC BY-SA 3.0",
        suggests={
            "preprocessor.flip": 0.0,
            "preprocessor.crop": 0.6,
            "preprocessor.rotation": 20.0,
            "preprocessor.noise": 0.1,
        },
        since="0.1.0",
    )
    yield DatasetSpec(
        name="emoji48",
        target="kptk_vision.emoji48:emoji48",
        summary="1,906 emoji in colour, 48 x 48, 9 classes: 1,524 and 382 for tests.",
        labels=True,
        samples=1524,
        licence="Apache-2.0",
        suggests={"preprocessor.crop": 0.4, "preprocessor.jitter": 0.2, "preprocessor.grey": 0.1},
        since="0.1.0",
    )
    yield DatasetSpec(
        name="image_folder",
        target="kptk_vision.image_folder:image_folder",
        summary="A folder of images, with or without a sub-folder for each class.",
        options=_READER,
        labels=True,
        reads=("folder",),
        since="0.1.0",
    )
    yield DatasetSpec(
        name="image_array",
        target="kptk_vision.image_array:image_array",
        summary="Images in an .npz (x, and y where labelled) or .npy file.",
        options=(_READER[2],),
        labels=True,
        reads=(".npz", ".npy"),
        since="0.1.0",
    )
