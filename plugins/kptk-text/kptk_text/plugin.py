"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import DatasetSpec, Option, hookimpl

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


@hookimpl
def kptk_datasets() -> Iterator[DatasetSpec]:
    """Offer readers of text files, folders and tables, and four small corpora."""
    yield DatasetSpec(
        name="text_file",
        target="kptk_text.text_file:text_file",
        summary="Plain text, a document a line, a paragraph or a file.",
        options=(_unit("line"), *_COMMON),
        inputs="text",
        reads=_endings(".txt", ".text", ".md", ".rst"),
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
        reads=(*_endings(".csv", ".tsv", ".jsonl", ".ndjson"), ".parquet"),
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
