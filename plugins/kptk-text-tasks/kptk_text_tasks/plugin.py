"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import DatasetSpec, Option, TaskSpec, hookimpl

_PACKED = ("", ".gz", ".xz")
_TEXT = ("text",)
_WORDS, _QUESTIONS, _PAIRS, _SCORED = "tagged_words", "questions", "text_pairs", "scored_pairs"
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
_WRITING = (
    Option(
        name="sampler",
        type=str,
        default="greedy",
        choices=("greedy", "beam", "random", "top_k", "top_p"),
        help="How a token is chosen, by KerasHub.",
    ),
    Option(name="new_tokens", type=int, default=32, low=1, help="Tokens of a continuation at most."),
    Option(name="temperature", default=1.0, above=0.0, help="The logits are divided by it."),
    Option(name="k", type=int, default=20, low=1, help="Tokens from which top_k draws."),
    Option(name="p", default=0.9, above=0.0, high=1.0, help="Probability of the tokens from which top_p draws."),
    Option(name="beams", type=int, default=4, low=1, help="Texts that beam keeps."),
    Option(name="seed", type=int, default=0, low=0, help="Of the draws."),
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
    yield TaskSpec(
        name="generation",
        aliases=("language_model",),
        target="kptk_text_tasks.generation:Generation",
        summary="Goes on with a language model's training, and continues texts.",
        options=_WRITING,
        inputs=_TEXT,
        labels="",
        features="sequence",
        references=("https://arxiv.org/abs/1805.04833", "https://arxiv.org/abs/1904.09751"),
        since="0.1.0",
    )
    yield TaskSpec(
        name="seq2seq",
        aliases=("translation", "summarisation"),
        target="kptk_text_tasks.seq2seq:Seq2Seq",
        summary="A text from a text, by a decoder on the encoder.",
        options=(
            Option(name="target_length", type=int, default=32, low=3, help="Tokens of a target with its start token."),
            Option(name="label_smoothing", default=0.0, low=0.0, high=0.9, help="Weight of the uniform target."),
            Option(
                name="sampler", type=str, default="greedy", choices=("greedy", "beam"), help="How texts are written."
            ),
            Option(name="beams", type=int, default=4, low=1, help="Texts that beam keeps."),
        ),
        inputs=_TEXT,
        labels="text",
        form=_PAIRS,
        features="target",
        references=("https://arxiv.org/abs/1907.12461", "https://arxiv.org/abs/1706.03762"),
        since="0.1.0",
    )
    yield TaskSpec(
        name="similarity",
        aliases=("sts", "sentence_embeddings"),
        target="kptk_text_tasks.similarity:Similarity",
        summary="How alike two texts are, and embeddings to search by.",
        options=(
            Option(
                name="loss",
                type=str,
                default="auto",
                choices=("auto", "cosine", "cosent", "mnrl"),
                help="By scores, by their order, or in-batch negatives; auto: as the data says.",
            ),
            Option(name="dim", type=int, default=0, low=0, help="Length of an embedding; 0: that of the features."),
            Option(name="temperature", default=0.05, above=0.0, help="Of cosent and mnrl."),
            Option(name="lowest", default=0.0, help="Score of two inputs with nothing in common."),
            Option(name="highest", default=0.0, help="Score of two that say the same; 0: the highest there is."),
        ),
        inputs=("text", "image"),
        labels="score",
        form=_SCORED,
        features="pair",
        references=("https://arxiv.org/abs/1908.10084", "https://arxiv.org/abs/1705.00652"),
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
    yield DatasetSpec(
        name="text_pairs",
        target="kptk_text_tasks.text_pairs:text_pairs",
        summary="A table of texts to read and texts to write.",
        options=(
            Option(name="source", type=str, default="", help="Column of texts to read; by default source, text ..."),
            Option(
                name="target", type=str, default="", help="Column of texts to write; by default target ...; - for none."
            ),
            *_COMMON,
        ),
        inputs="text",
        labels=True,
        form=_PAIRS,
        reads=(*_endings(".tsv", ".csv", ".jsonl", ".ndjson"), ".parquet"),
        since="0.1.0",
    )
    yield DatasetSpec(
        name="scored_pairs",
        target="kptk_text_tasks.scored_pairs:scored_pairs",
        summary="A table of pairs of texts, with a score or without.",
        options=(
            Option(name="first", type=str, default="", help="Column of first texts; by default first, sentence1 ..."),
            Option(
                name="second", type=str, default="", help="Column of second texts; by default second, sentence2 ..."
            ),
            Option(name="score", type=str, default="", help="Column of scores; by default score ...; - for none."),
            Option(name="delimiter", type=str, default="auto", help="Of a CSV file; auto looks at the header."),
            *_COMMON,
        ),
        inputs="text",
        labels=True,
        form=_SCORED,
        reads=(*_endings(".csv", ".tsv", ".jsonl", ".ndjson"), ".parquet"),
        references=("https://arxiv.org/abs/1708.00055",),
        since="0.1.0",
    )
