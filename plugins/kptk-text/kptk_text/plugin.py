"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import BackboneSpec, DatasetSpec, Option, PreprocessorSpec, hookimpl
from kptk.endings import TEXTS

_PACKED = ("", ".gz", ".xz")
_COMMON = (
    Option(name="encoding", type=str, default="utf-8", help="Encoding, unless a byte order mark says otherwise."),
    Option(
        name="duplicates",
        type=str,
        default="keep",
        choices=("keep", "drop"),
        help="Count texts that came before, or leave them out.",
    ),
    Option(
        name="on_bad_input",
        type=str,
        default="error",
        choices=("error", "skip"),
        help="Refuse what is no text, or leave it out and list it.",
    ),
)


def _unit(default: str) -> Option:
    return Option(
        name="unit",
        type=str,
        default=default,
        choices=("line", "paragraph", "file"),
        help="What a document is; a paragraph goes up to an empty line.",
    )


def _endings(*suffixes: str) -> tuple[str, ...]:
    return tuple(suffix + packed for suffix in suffixes for packed in _PACKED)


def _sizes(pool: str, *pools: str, segments: bool) -> tuple[Option, ...]:
    """Options of a Transformer for text."""
    kinds = Option(name="segments", type=int, default=2, low=0, help="Kinds of segments that have a vector.")
    return (
        Option(name="vocabulary", type=int, default=0, low=0, help="Tokens; 0: what the preprocessor learned."),
        Option(name="layers", type=int, default=2, low=1, help="How many."),
        Option(name="heads", type=int, default=2, low=1, help="Attention heads of a layer."),
        Option(name="width", type=int, default=128, low=2, help="Length of the vectors; a multiple of the heads."),
        Option(name="mlp_ratio", type=int, default=4, low=1, help="Hidden width of a perceptron, in widths."),
        Option(name="positions", type=int, default=0, low=0, help="Positions that have a vector; 0: the rows' length."),
        *((kinds,) if segments else ()),
        Option(name="dropout", default=0.1, low=0.0, high=0.9, help="Fraction dropped behind every part."),
        Option(name="pool", type=str, default=pool, choices=(pool, *pools), help="Features: of which tokens."),
    )


@hookimpl
def kptk_backbones() -> Iterator[BackboneSpec]:
    """Offer Transformers that read both ways, and from left to right."""
    yield BackboneSpec(
        name="bert",
        target="kptk_text.bert:bert",
        summary="BERT's encoder of any size, new or from a local folder.",
        options=(
            *_sizes("mean", "cls", "none", segments=True),
            Option(name="weights", type=str, default="", help="Local folder in Hugging Face's layout, with its sizes."),
        ),
        references=("https://arxiv.org/abs/1810.04805",),
        inputs="text",
        since="0.2.0",
    )
    yield BackboneSpec(
        name="causal_transformer",
        aliases=("gpt",),
        target="kptk_text.causal_transformer:causal_transformer",
        summary="A Transformer that reads from left to right, like GPT-2.",
        options=_sizes("last", "mean", "none", segments=False),
        inputs="text",
        since="0.2.0",
    )


@hookimpl
def kptk_preprocessors() -> Iterator[PreprocessorSpec]:
    """Offer tokenisers."""
    yield PreprocessorSpec(
        name="text_tokens",
        target="kptk_text.text_tokens:TextTokens",
        summary="Pieces of words as numbers; vocabulary learned or loaded.",
        options=(
            Option(name="tokenizer", type=str, default="wordpiece", help="wordpiece, bpe, or a local folder."),
            Option(name="vocabulary", type=int, default=8000, low=10, help="Tokens at most, of a trained one."),
            Option(name="length", type=int, default=64, low=8, high=4096, help="Tokens of a row."),
            Option(name="lowercase", type=bool, default=True, help="Make capital letters small."),
            Option(
                name="examples",
                type=str,
                default="windows",
                choices=("windows", "texts", "sentences", "next", "order"),
                help="What pre-training reads; next and order are pairs.",
            ),
        ),
        references=("https://arxiv.org/abs/1609.08144", "https://arxiv.org/abs/1508.07909"),
        inputs="text",
        views=1,
        fits=True,
        refuses="kptk_text.corpus:refuse_corpus",
        since="0.2.0",
    )


@hookimpl
def kptk_datasets() -> Iterator[DatasetSpec]:
    """Offer readers of text files, folders and tables, and four small corpora."""
    yield DatasetSpec(
        name="text_file",
        target="kptk_text.text_file:text_file",
        summary="Plain text, a document a line, a paragraph or a file.",
        options=(_unit("line"), *_COMMON),
        inputs="text",
        reads=_endings(*TEXTS),
        since="0.2.0",
    )
    yield DatasetSpec(
        name="text_folder",
        target="kptk_text.text_folder:text_folder",
        summary="A folder of text files, with or without a sub-folder for each class.",
        options=(_unit("file"), *_COMMON),
        inputs="text",
        labels=True,
        reads=("folder",),
        full_of=((*TEXTS, ".gz", ".xz"),),
        since="0.2.0",
    )
    yield DatasetSpec(
        name="text_table",
        target="kptk_text.text_table:text_table",
        summary="A column of texts, and one of labels, of CSV, JSON lines or Parquet.",
        options=(
            Option(name="text", type=str, default="", help="Column of texts; by default one called text, sentence ..."),
            Option(
                name="label", type=str, default="", help="Column of labels; by default label, class ...; - for none."
            ),
            *_COMMON,
        ),
        inputs="text",
        labels=True,
        reads=(*_endings(".csv", ".tsv", ".jsonl", ".ndjson"), ".parquet", "folder"),
        refuses="kptk_text.text_table:refuse_other_folders",
        needs=("text",),
        since="0.2.0",
    )
    yield DatasetSpec(
        name="wiki_mini",
        target="kptk_text.wiki_mini:wiki_mini",
        summary="103 Wikipedia articles as 8,183 paragraphs, 2.8 MB.",
        options=(
            Option(
                name="rows",
                type=str,
                default="paragraph",
                choices=("paragraph", "article"),
                help="What a row is; articles keep their paragraphs together.",
            ),
        ),
        inputs="text",
        samples=8183,
        licence="CC BY-SA 3.0",
        since="0.2.0",
    )
    yield DatasetSpec(
        name="bible",
        target="kptk_text.bible:bible",
        summary="31,081 verses: 29,380 and 1,701 for tests, two translations.",
        options=(
            Option(
                name="translation",
                type=str,
                default="web",
                choices=("web", "kjv"),
                help="World English Bible, or King James Version.",
            ),
        ),
        inputs="text",
        samples=29380,
        licence="public domain",
        since="0.2.0",
    )
    yield DatasetSpec(
        name="home_intents",
        target="kptk_text.home_intents:home_intents",
        summary="5,628 commands to a house, 37 intents: 4,503 and 1,125 for tests.",
        inputs="text",
        labels=True,
        samples=4503,
        licence="Apache-2.0",
        since="0.2.0",
    )
    yield DatasetSpec(
        name="movie_snippets",
        target="kptk_text.movie_snippets:movie_snippets",
        summary="10,568 film review sentences, 2 classes: 8,568 and 2,000 for tests.",
        options=(
            Option(
                name="predict",
                type=str,
                default="polarity",
                choices=("polarity", "valence"),
                help="Negative or positive, or a rating of -4 to 4.",
            ),
        ),
        inputs="text",
        labels=True,
        samples=8568,
        licence="MIT",
        since="0.2.0",
    )
