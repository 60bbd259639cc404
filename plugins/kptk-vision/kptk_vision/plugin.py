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


def _vit(width: int, heads: int) -> tuple[Option, ...]:
    """Options of a Vision Transformer."""
    return (
        Option(
            name="patch", type=int, default=0, low=0, help="Side of a patch in pixels; 0: 4 below 64 pixels, else 16."
        ),
        Option(name="depth", type=int, default=12, low=1, help="Blocks."),
        Option(
            name="width", type=int, default=width, low=4, help="Length of a token; a multiple of 4 and of the heads."
        ),
        Option(name="heads", type=int, default=heads, low=1, help="Attention heads of a block."),
        Option(
            name="pool",
            type=str,
            default="average",
            choices=("average", "cls", "none"),
            help="Features: mean of the tokens, a class token, or all tokens.",
        ),
    )


def _activation(help_text: str) -> Option:
    kinds = ("relu", "gelu", "tanh", "sigmoid")
    return Option(name="activation", type=str, default="relu", choices=kinds, help=help_text)


_PAPER_RESNET = ("https://arxiv.org/abs/1512.03385",)


@hookimpl
def kptk_backbones() -> Iterator[BackboneSpec]:
    """Offer the networks of this package, and whatever is in a .keras file."""
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
        suggests={"train.learning_rate": 3e-3},  # two layers of weights: learns better than at the usual 1e-3
        since="0.1.0",
    )
    yield BackboneSpec(
        name="mlp",
        target="kptk_vision.mlp:mlp",
        summary="Dense layers on the flattened image, of any depth.",
        options=(
            Option(name="units", type=int, default=256, low=1, help="Width of each layer, length of the features."),
            Option(name="depth", type=int, default=2, low=1, help="Number of dense layers."),
            _activation("After each layer; sigmoid as in the papers on layer-wise pre-training."),
            Option(name="batch_norm", type=bool, default=False, help="Batch normalisation before each activation."),
        ),
        since="0.1.0",
    )
    yield BackboneSpec(
        name="conv_stack",
        target="kptk_vision.conv_stack:conv_stack",
        summary="Convolutions of stride 2 that end in a feature map.",
        options=(
            Option(
                name="filters", type=int, default=16, low=1, help="Filters of the first layer, doubled in each next."
            ),
            Option(name="depth", type=int, default=3, low=1, help="Number of layers; each halves the sides."),
            _activation("After each layer."),
            Option(name="batch_norm", type=bool, default=False, help="Batch normalisation before each activation."),
        ),
        features="map",
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
    for size, short, width, heads, millions in (
        ("tiny", "Ti", 192, 3, 5.5),
        ("small", "S", 384, 6, 21.7),
        ("base", "B", 768, 12, 85.8),
    ):
        yield BackboneSpec(
            name=f"vit_{size}",
            target=f"kptk_vision.vit:vit_{size}",
            summary=f"Vision Transformer ViT-{short}; {millions} million parameters at 224 / 16.",
            options=_vit(width, heads),
            references=("https://arxiv.org/abs/2010.11929",),
            min_size=8,
            patches=True,
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
    """Offer random image views, and images as they are."""
    yield PreprocessorSpec(
        name="plain_images",
        target="kptk_vision.plain_images:PlainImages",
        summary="Images as they are, scaled to 0..1 and resized.",
        options=(Option(name="size", type=int, default=0, low=0, help="Side in pixels; 0 keeps the size."),),
        since="0.1.0",
    )
    yield PreprocessorSpec(
        name="image_views",
        target="kptk_vision.image_views:ImageViews",
        summary="Crop, multi-crop, flip, rotate, jitter, grey, blur, solarise, noise.",
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
            Option(name="local_views", type=int, default=0, low=0, help="How many views, the last, are local crops."),
            Option(name="local_crop", default=0.4, low=0.05, high=1.0, help="Largest area of a local crop, from 0.05."),
            Option(
                name="local_size",
                type=int,
                default=0,
                low=0,
                help="Side of the local views in pixels; 0: that of the global ones.",
            ),
        ),
        references=("https://arxiv.org/abs/2002.05709", "https://arxiv.org/abs/2006.09882"),
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
        summary="1,906 emoji in colour, 48 x 48, 9 classes: 1,528 and 378 for tests.",
        labels=True,
        samples=1528,
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
