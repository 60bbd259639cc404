"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import BackboneSpec, CommandSpec, DatasetSpec, ObjectiveSpec, Option, PreprocessorSpec, RecipeSpec, hookimpl
from kptk.endings import IMAGES

KIND = "image_text"
CLIP = "https://arxiv.org/abs/2103.00020"
SIGLIP = "https://arxiv.org/abs/2303.15343"
ALBEF = "https://arxiv.org/abs/2107.07651"
_DIM = Option(name="projection_dim", type=int, default=128, low=2, help="Length of the vectors that are compared.")


@hookimpl
def kptk_objectives() -> Iterator[ObjectiveSpec]:
    """Offer CLIP, SigLIP as a variant of it, and image-text matching."""
    yield ObjectiveSpec(
        name="clip",
        target="kptk_image_text.clip:Clip",
        summary="Images and captions find each other in the batch (CLIP, SigLIP).",
        options=(
            Option(
                name="loss",
                type=str,
                default="clip",
                choices=("clip", "siglip"),
                help="Softmax over the batch, or a sigmoid for each pair.",
            ),
            _DIM,
            Option(
                name="scale", default=0.0, low=0.0, high=100.0, help="First factor of the cosines; 0: 14.3, siglip 10."
            ),
            Option(
                name="same_captions",
                type=str,
                default="negatives",
                choices=("negatives", "ignored"),
                help="What equal captions of a batch are to each other.",
            ),
        ),
        inputs=(KIND,),
        min_batch=2,
        chance="ln N; siglip: ln N + (N - 1) ln(N / (N - 1))",
        cost="one pass of an image encoder and one of a text encoder; grows with the square of the batch in the loss only",
        when="Images with captions: a search by text, zero-shot classes, and an encoder of images that knows words.",
        references=(CLIP, SIGLIP),
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="itm",
        target="kptk_image_text.itm:ImageTextMatching",
        summary="Do an image and a caption belong together? With hard negatives.",
        options=(
            _DIM,
            Option(name="hidden_dim", type=int, default=256, low=2, help="Width of the layer that fuses both vectors."),
            Option(
                name="negatives",
                type=str,
                default="hard",
                choices=("hard", "uniform"),
                help="Draw false partners by similarity, or evenly.",
            ),
            Option(
                name="contrast", default=1.0, low=0.0, help="Weight of CLIP's loss beside it; 0 for matching alone."
            ),
        ),
        inputs=(KIND,),
        min_batch=2,
        chance="0.637 + contrast ln N",
        cost="that of clip and a small perceptron on three times the batch",
        when="Beside clip, for a head that judges a pair; the counterpart of next-sentence prediction for images with text.",
        references=(ALBEF, "https://arxiv.org/abs/2201.12086"),
        since="0.1.0",
    )


@hookimpl
def kptk_backbones() -> Iterator[BackboneSpec]:
    """Offer any two backbones as one."""
    yield BackboneSpec(
        name="dual_encoder",
        target="kptk_image_text.dual_encoder:dual_encoder",
        summary="Any image backbone and any text backbone by name, side by side.",
        options=(
            Option(
                name="image", type=str, default="example_cnn", help="Backbone of the images; see: kptk list backbones."
            ),
            Option(name="image_options", type=str, default="", help="Its options: width=16,stem=small."),
            Option(name="text", type=str, default="bert", help="Backbone of the texts."),
            Option(name="text_options", type=str, default="", help="Its options: layers=2,width=64."),
            Option(name="image_shape", type=str, default="", help="48x48x3; empty: what the preprocessor makes."),
            Option(
                name="length", type=int, default=0, low=0, help="Tokens of a caption; 0: what the preprocessor makes."
            ),
            Option(name="vocabulary", type=int, default=0, low=0, help="Tokens; 0: what the preprocessor learned."),
        ),
        references=(CLIP,),
        inputs=KIND,
        since="0.1.0",
    )


@hookimpl
def kptk_preprocessors() -> Iterator[PreprocessorSpec]:
    """Offer views of images with the tokens of their captions."""
    yield PreprocessorSpec(
        name="image_text_views",
        target="kptk_image_text.image_text_views:ImageTextViews",
        summary="Views of the image and tokens of the caption, each by name.",
        options=(
            Option(name="image", type=str, default="image_views", help="Preprocessor of the images."),
            Option(name="image_options", type=str, default="", help="Its options: crop=0.5,flip=0."),
            Option(name="text", type=str, default="text_tokens", help="Preprocessor of the captions."),
            Option(name="text_options", type=str, default="", help="Its options: tokenizer=bpe,lowercase=false."),
            Option(name="length", type=int, default=16, low=8, high=4096, help="Tokens of a caption."),
            Option(name="vocabulary", type=int, default=4000, low=10, help="Tokens at most."),
        ),
        references=(CLIP,),
        inputs=KIND,
        fits=True,
        since="0.1.0",
    )


_PICTURES = (
    Option(
        name="image_size",
        type=int,
        default=0,
        low=0,
        high=1024,
        help="Side in pixels; 0: the files' own size if they agree, else 64.",
    ),
    Option(name="channels", type=int, default=0, choices=(0, 1, 3), help="1 grey, 3 colour, 0: what the files have."),
    Option(name="encoding", type=str, default="utf-8", help="Encoding of the captions."),
    Option(
        name="on_bad_input",
        type=str,
        default="error",
        choices=("error", "skip"),
        help="Refuse an image without a caption or a caption without an image, or leave it out and list it.",
    ),
)
_PAIRS = (
    Option(name="pairs", type=str, default="emoji_captions", help="A path or data set of images with captions."),
    Option(name="options", type=str, default="", help="Options of its reader: image=file,text=caption."),
)
_PACKED = tuple(kind + packed for kind in (".csv", ".tsv", ".jsonl", ".ndjson") for packed in ("", ".gz", ".xz"))


@hookimpl
def kptk_datasets() -> Iterator[DatasetSpec]:
    """Offer readers of images with captions, the bundled emoji with their names, and each side of pairs alone."""
    yield DatasetSpec(
        name="captioned_table",
        target="kptk_image_text.captioned_table:captioned_table",
        summary="Columns of image paths and of captions, of CSV, JSON lines or Parquet.",
        options=(
            Option(name="image", type=str, default="", help="Column of the paths of the images."),
            Option(name="text", type=str, default="", help="Column of the captions."),
            Option(name="label", type=str, default="", help="Column of classes, if there is one."),
            *_PICTURES,
        ),
        inputs=KIND,
        labels=True,
        reads=(*_PACKED, ".parquet"),
        needs=("image", "text"),
        since="0.1.0",
    )
    yield DatasetSpec(
        name="captioned_folder",
        target="kptk_image_text.captioned_folder:captioned_folder",
        summary="A folder of images, each with its caption in a .txt of the same name.",
        options=_PICTURES,
        inputs=KIND,
        labels=True,
        reads=("folder",),
        full_of=(IMAGES, (".txt",)),
        since="0.1.0",
    )
    yield DatasetSpec(
        name="emoji_captions",
        target="kptk_image_text.emoji_captions:emoji_captions",
        summary="1,906 emoji with their names, 48 x 48: 1,528 and 378 for tests.",
        options=(
            Option(
                name="caption",
                type=str,
                default="name",
                choices=("name", "keywords", "both"),
                help="The Unicode name, English keywords, or both.",
            ),
            Option(name="language", type=str, default="en", choices=("en", "de", "fr", "es"), help="Of the names."),
        ),
        inputs=KIND,
        labels=True,
        suggests={"preprocessor.image_options": "crop=0.6,flip=0,jitter=0.2,grey=0"},
        samples=1528,
        licence="Apache-2.0, MIT, Unicode",
        since="0.1.0",
    )
    yield DatasetSpec(
        name="pair_images",
        target="kptk_image_text.pair_sides:pair_images",
        summary="The images of any pairs, without their captions.",
        options=_PAIRS,
        labels=True,
        samples=1528,
        licence="that of the pairs",
        since="0.1.0",
    )
    yield DatasetSpec(
        name="pair_texts",
        target="kptk_image_text.pair_sides:pair_texts",
        summary="The captions of any pairs, without their images.",
        options=_PAIRS,
        inputs="text",
        labels=True,
        samples=1528,
        licence="that of the pairs",
        since="0.1.0",
    )


@hookimpl
def kptk_recipes() -> Iterator[RecipeSpec]:
    """Offer CLIP with small encoders, and matching beside it."""
    shared = {
        "backbone.image_options": "units=256",
        "backbone.text_options": "layers=2,width=128,heads=4,dropout=0.1",
        "train.epochs": 40,
        "train.batch_size": 128,
        "train.learning_rate": 1e-3,
        "train.lr_scaling": "none",
        "train.weight_decay": 0.05,
        "train.clip_norm": 1.0,
    }
    for name, objective, summary in (
        ("image_text", "clip", "CLIP on images with captions, with small encoders."),
        ("image_text_matching", "itm", "Image-text matching beside CLIP's loss, with small encoders."),
    ):
        yield RecipeSpec(
            name=name,
            summary=summary,
            objective=f"image_text/{objective}",
            backbone="image_text/dual_encoder",
            preprocessor="image_text/image_text_views",
            dataset="image_text/emoji_captions",
            settings=shared,
            since="0.1.0",
        )


@hookimpl
def kptk_commands() -> Iterator[CommandSpec]:
    """Offer what only encoders of both kinds can do."""
    yield CommandSpec(
        name="zero-shot",
        target="kptk_image_text.commands:zero_shot",
        summary="Classify images by the names of the classes.",
        since="0.1.0",
    )
    yield CommandSpec(
        name="retrieve",
        target="kptk_image_text.commands:retrieve",
        summary="Search captions by images and images by captions.",
        since="0.1.0",
    )
