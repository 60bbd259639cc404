"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator, Mapping
from typing import Any

from kptk import BackboneSpec, CommandSpec, ObjectiveSpec, Option, PreprocessorSpec, RecipeSpec, hookimpl

SKIP_GRAM, CBOW_PAPER, GLOVE_PAPER = (
    "https://arxiv.org/abs/1310.4546",
    "https://arxiv.org/abs/1301.3781",
    "https://aclanthology.org/D14-1162/",
)

TITLES = {"skipgram": "Skip-gram", "cbow": "CBOW", "glove": "GloVe"}

TRAIN: Mapping[str, Any] = {
    "train.optimizer": "sgd",
    "train.momentum": 0.0,
    "train.learning_rate": 0.025,
    "train.lr_scaling": "none",
    "train.schedule": "linear",
    "train.warmup": 0.0,
    "train.weight_decay": 0.0,
    "train.batch_size": 16,
    "train.epochs": 15,
}
"""Stochastic gradient descent as the C program does it; without momentum and weight decay a step changes only the vectors of its
words. The batch is in blocks of words."""

_NEGATIVE_SAMPLING = (
    Option(
        name="window", type=int, default=5, low=1, high=50, help="Words on each side at most; drawn for each, from 1."
    ),
    Option(name="negatives", type=int, default=5, low=1, help="Drawn words for each pair; 2 to 5 suit large corpora."),
    Option(name="power", default=0.75, low=0.0, help="Exponent of the counts in the distribution of drawn words."),
    Option(name="group", type=int, default=16, low=1, help="Consecutive words that share their drawn words."),
    Option(name="shared", type=int, default=8, low=1, help="Words that such a group draws."),
    Option(name="step_limit", default=200.0, low=0.0, help="Terms a word's steps add up in a batch; 0 for no limit."),
)


# Objectives name `text` for data, and before it what they are tried with by the conformance kit: see toys.py.
@hookimpl
def kptk_objectives() -> Iterator[ObjectiveSpec]:
    """Offer word2vec's two models."""
    yield ObjectiveSpec(
        name="skipgram",
        aliases=("word2vec",),
        target="kptk_words.skipgram:SkipGram",
        summary="word2vec: a word predicts the words around it.",
        options=_NEGATIVE_SAMPLING,
        inputs=("words", "text"),
        suggests=TRAIN,
        chance="(negatives + 1) ln 2",
        cost="some hundred thousand words a second and core",
        when="Vectors of words from your own texts; also of rare ones, and from a small corpus.",
        references=(SKIP_GRAM,),
        since="0.2.0",
    )
    yield ObjectiveSpec(
        name="cbow",
        target="kptk_words.cbow:CBOW",
        summary="word2vec: the words around it predict a word.",
        options=_NEGATIVE_SAMPLING,
        inputs=("words", "text"),
        suggests=TRAIN,
        chance="(negatives + 1) ln 2",
        cost="less than skip-gram",
        when="A large corpus and frequent words; faster than skip-gram.",
        references=(CBOW_PAPER, SKIP_GRAM),
        since="0.2.0",
    )
    yield ObjectiveSpec(
        name="glove",
        target="kptk_words.glove:GloVe",
        summary="GloVe: products of vectors fit the logarithms of counted pairs.",
        options=(
            Option(
                name="x_max", default=10.0, above=0.0, help="Count from which pairs weigh 1; 100 for billions of words."
            ),
            Option(name="alpha", default=0.75, above=0.0, help="Exponent of a pair's weight."),
        ),
        inputs=("pairs", "text"),
        suggests={**TRAIN, "train.optimizer": "adagrad", "train.learning_rate": 0.05, "train.schedule": "constant"}
        | {"train.batch_size": 4096},
        cost="grows with the different pairs of words, not with the text",
        when="A large corpus that is counted once and trained on often.",
        references=(GLOVE_PAPER,),
        since="0.2.0",
    )


@hookimpl
def kptk_backbones() -> Iterator[BackboneSpec]:
    """Offer a table of vectors."""
    yield BackboneSpec(
        name="word_vectors",
        target="kptk_words.word_vectors:word_vectors",
        summary="A vector for each word; a text is the mean of its words.",
        options=(
            Option(name="vocabulary", type=int, default=0, low=0, help="Words; 0: what the preprocessor learned."),
            Option(name="dim", type=int, default=100, low=1, help="Length of a vector."),
        ),
        inputs="text",
        references=(CBOW_PAPER,),
        since="0.2.0",
    )


WORDS = (
    Option(name="min_count", type=int, default=5, low=1, help="A rarer word is unknown."),
    Option(name="max_words", type=int, default=100_000, low=0, help="Words of the vocabulary at most; 0 for any."),
    Option(name="pattern", type=str, default=r"\w+", help="Regular expression of a word; empty: split at white space."),
    Option(name="lowercase", type=bool, default=True, help="Write words small."),
    Option(
        name="unknown",
        type=str,
        default="drop",
        choices=("drop", "keep"),
        help="Leave unknown words out, or number them.",
    ),
    Option(name="sample", default=1e-3, low=0.0, help="Frequency from which words are left out at random; 0: none."),
    Option(name="length", type=int, default=256, low=1, help="Words of a text, other than in pre-training."),
    Option(name="block", type=int, default=512, low=2, help="Words of a training row."),
)


@hookimpl
def kptk_preprocessors() -> Iterator[PreprocessorSpec]:
    """Offer words as numbers."""
    yield PreprocessorSpec(
        name="words",
        target="kptk_words.words:Words",
        summary="Words as numbers, frequent ones left out at random.",
        options=WORDS,
        inputs="text",
        views=1,
        fits=True,
        references=(SKIP_GRAM,),
        since="0.2.0",
    )

    yield PreprocessorSpec(
        name="cooccurrences",
        target="kptk_words.cooccurrences:Cooccurrences",
        summary="How often two words stand near each other, one row a pair.",
        options=(
            *(option for option in WORDS if option.name in ("min_count", "max_words", "pattern", "lowercase")),
            Option(
                name="window", type=int, default=10, low=1, help="Words on each side that count, with 1 / distance."
            ),
            Option(name="symmetric", type=bool, default=True, help="Words behind a word count, too."),
            *(option for option in WORDS if option.name == "length"),
        ),
        inputs="text",
        views=1,
        fits=True,
        references=(GLOVE_PAPER,),
        since="0.2.0",
    )


@hookimpl
def kptk_recipes() -> Iterator[RecipeSpec]:
    """Offer vectors of the bundled Wikipedia articles."""
    for name, aliases, made, paper in (
        ("skipgram", ("words", "word2vec"), "words", SKIP_GRAM),
        ("cbow", (), "words", SKIP_GRAM),
        ("glove", (), "cooccurrences", GLOVE_PAPER),
    ):
        yield RecipeSpec(
            name=name,
            aliases=aliases,
            summary=f"{TITLES[name]} vectors of the bundled Wikipedia articles.",
            objective=f"words/{name}",
            backbone="words/word_vectors",
            preprocessor=f"words/{made}",
            dataset="text/wiki_mini",
            references=(paper,),
            since="0.2.0",
        )


@hookimpl
def kptk_commands() -> Iterator[CommandSpec]:
    """Offer questions to word vectors, and their export."""
    for name, summary in (
        ("neighbours", "List the words whose vectors are nearest to a word's."),
        ("analogy", "Answer an analogy: kptk analogy RUN king - man + woman."),
        ("words", "Export word vectors for gensim, or score them on word tests."),
    ):
        yield CommandSpec(name=name, target=f"kptk_words.commands:{name}", summary=summary, since="0.2.0")
