"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import BackboneSpec, ObjectiveSpec, Option, RecipeSpec, hookimpl

PAPER = "https://arxiv.org/abs/1511.01432"

_SIZES = (
    Option(name="vocabulary", type=int, default=0, low=0, help="Tokens; 0: what the preprocessor learned."),
    Option(name="embedding_dim", type=int, default=64, low=1, help="Length of the vectors of tokens."),
    Option(name="units", type=int, default=128, low=1, help="Length of the state of each layer."),
    Option(name="layers", type=int, default=1, low=1, help="How many."),
    Option(name="dropout", default=0.0, low=0.0, high=0.9, help="Fraction dropped before every layer."),
    Option(name="pool", type=str, default="last", choices=("last", "mean", "none"), help="Features: of which states."),
)


@hookimpl
def kptk_objectives() -> Iterator[ObjectiveSpec]:
    """Offer the two proxy tasks of Dai and Le."""
    yield ObjectiveSpec(
        name="recurrent",
        aliases=("rnn_lm",),
        target="kptk_recurrent.recurrent:Recurrent",
        summary="Language model: a recurrent network predicts each next step.",
        inputs=("text",),
        chance="ln V for V tokens",
        cost="one pass; steps of a sequence cannot run in parallel",
        when="A recurrent classifier is to learn from few labels, or over hundreds of steps.",
        suggests={"train.clip_norm": 1.0},
        references=(PAPER,),
        since="0.2.0",
    )
    yield ObjectiveSpec(
        name="sequence_autoencoder",
        target="kptk_recurrent.sequence_autoencoder:SequenceAutoencoder",
        summary="A recurrent network reads a sequence and says it again.",
        inputs=("text",),
        chance="ln V for V tokens",
        cost="twice the language model: the sequence is read and written",
        when="The whole of a short sequence matters, as in a sentence.",
        suggests={"train.clip_norm": 1.0},
        references=(PAPER,),
        since="0.2.0",
    )


@hookimpl
def kptk_backbones() -> Iterator[BackboneSpec]:
    """Offer networks that read from left to right."""
    for name, summary, reference in (
        ("lstm", "LSTM of any size, for tokens or sequences of numbers.", "https://doi.org/10.1162/neco.1997.9.8.1735"),
        ("gru", "GRU of any size, for tokens or sequences of numbers.", "https://arxiv.org/abs/1406.1078"),
    ):
        yield BackboneSpec(
            name=name,
            target=f"kptk_recurrent.{name}:{name}",
            summary=summary,
            options=_SIZES,
            inputs="text",
            references=(reference,),
            since="0.2.0",
        )


@hookimpl
def kptk_recipes() -> Iterator[RecipeSpec]:
    """Offer both on the bundled film reviews."""
    for name, task in (("recurrent", "Language model"), ("sequence_autoencoder", "Sequence autoencoder")):
        yield RecipeSpec(
            name=name,
            summary=f"{task} with an LSTM on the bundled film reviews.",
            objective=f"recurrent/{name}",
            backbone="recurrent/lstm",
            preprocessor="text/text_tokens",
            dataset="text/movie_snippets",
            settings={
                "preprocessor.examples": "texts",
                "preprocessor.length": 32,
                "train.batch_size": 64,
                "train.epochs": 10,
                "train.learning_rate": 2e-3,
                "train.lr_scaling": "none",
            },
            references=(PAPER,),
            since="0.2.0",
        )
