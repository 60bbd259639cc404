"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import DatasetSpec, Option, TaskSpec, hookimpl

_PACKED = ("", ".gz", ".xz")
_TEXT = ("text",)
_WORDS, _QUESTIONS = "tagged_words", "questions"
_COMMON = (
    Option(name="encoding", type=str, default="utf-8", help="Encoding, unless a byte order mark says otherwise."),
    Option(
        name="on_bad_input",
        type=str,
        default="error",
        choices=("error", "skip"),
        help="Refuse what cannot be used, or leave it out and list it.",
    ),
)


def _endings(*suffixes: str) -> tuple[str, ...]:
    return tuple(suffix + packed for suffix in suffixes for packed in _PACKED)


@hookimpl
def kptk_tasks() -> Iterator[TaskSpec]:
    """Offer the tasks."""
    yield TaskSpec(
        name="tagging",
        aliases=("ner", "pos"),
        target="kptk_text_tasks.tagging:Tagging",
        summary="A tag for each word: names, parts of speech.",
        options=(
            Option(name="overlap", type=int, default=16, low=0, help="Pieces that windows have in common."),
            Option(name="dropout", default=0.1, low=0.0, high=0.95, help="Fraction of the vectors dropped."),
        ),
        inputs=_TEXT,
        labels="tags",
        form=_WORDS,
        features="sequence",
        references=("https://arxiv.org/abs/1810.04805",),
        since="0.1.0",
    )
    yield TaskSpec(
        name="question_answering",
        aliases=("qa", "squad"),
        target="kptk_text_tasks.question_answering:QuestionAnswering",
        summary="The part of a text that answers a question.",
        options=(
            Option(name="overlap", type=int, default=32, low=0, help="Pieces that windows have in common."),
            Option(name="longest", type=int, default=30, low=1, help="Pieces of an answer at most."),
            Option(name="unanswerable", type=bool, default=False, help="Whether an answer may be empty."),
            Option(name="null_threshold", default=0.0, help="By how much none must be better for an empty answer."),
        ),
        inputs=_TEXT,
        labels="span",
        form=_QUESTIONS,
        features="sequence",
        references=("https://arxiv.org/abs/1810.04805", "https://arxiv.org/abs/1806.03822"),
        since="0.1.0",
    )


@hookimpl
def kptk_datasets() -> Iterator[DatasetSpec]:
    """Offer the readers of their examples."""
    yield DatasetSpec(
        name="tagged_words",
        target="kptk_text_tasks.tagged_words:tagged_words",
        summary="Words with tags: CoNLL files, or JSON lines with tokens and tags.",
        options=(
            Option(name="words", type=str, default="", help="Field of words; by default tokens or words."),
            Option(name="tags", type=str, default="", help="Field of tags; by default tags, ner_tags ...; - for none."),
            Option(name="tag_column", type=int, default=0, low=0, help="Column of the tags in CoNLL; 0 for the last."),
            *_COMMON,
        ),
        inputs="text",
        labels=True,
        form=_WORDS,
        reads=(
            *_endings(".conll", ".iob", ".iob2", ".bio", ".tsv", ".jsonl", ".ndjson"),
            ".parquet",
        ),
        since="0.1.0",
    )
    yield DatasetSpec(
        name="questions",
        target="kptk_text_tasks.questions:questions",
        summary="Questions with the text that answers them: SQuAD's JSON, or a table.",
        options=(
            Option(name="question", type=str, default="", help="Column of questions; by default question or query."),
            Option(name="context", type=str, default="", help="Column of texts; by default context, passage ..."),
            Option(name="answer", type=str, default="", help="Column of answers; by default answer ...; - for none."),
            Option(name="answer_start", type=str, default="", help="Column of the answer's first character."),
            *_COMMON,
        ),
        inputs="text",
        labels=True,
        form=_QUESTIONS,
        reads=(*_endings(".json", ".jsonl", ".ndjson", ".csv", ".tsv"), ".parquet"),
        references=("https://arxiv.org/abs/1606.05250",),
        since="0.1.0",
    )
