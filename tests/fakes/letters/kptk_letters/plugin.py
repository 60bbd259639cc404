"""A plugin whose rows are words: what is learned from the training rows is the alphabet."""

from kptk import BackboneSpec, DatasetSpec, Option, PreprocessorSpec, RecipeSpec, hookimpl


@hookimpl
def kptk_datasets():
    yield DatasetSpec(
        name="letters_file",
        target="kptk_letters.parts:read_letters",
        summary="One word a line, with its class after a tab.",
        inputs="letters",
        labels=True,
        reads=(".letters",),
    )
    yield DatasetSpec(
        name="vowels", target="kptk_letters.parts:vowels", summary="Words.", inputs="letters", labels=True, samples=400
    )


@hookimpl
def kptk_preprocessors():
    yield PreprocessorSpec(
        name="alphabet",
        target="kptk_letters.parts:Alphabet",
        summary="How often each letter of the training words stands in a word.",
        options=(Option(name="drop", default=0.2, low=0.0, high=0.9, help="Fraction of the counts left out."),),
        inputs="letters",
        fits=True,
    )


@hookimpl
def kptk_backbones():
    yield BackboneSpec(name="letters_net", target="kptk_letters.parts:net", summary="Dense.", inputs="letters")


@hookimpl
def kptk_recipes():
    yield RecipeSpec(
        name="letters",
        summary="Contrastive learning of words.",
        objective="contrastive/contrastive",
        backbone="letters/letters_net",
        preprocessor="letters/alphabet",
        dataset="letters/vowels",
        instead_of="contrastive/contrastive",
        settings={"train.epochs": 2, "train.batch_size": 32},
    )
