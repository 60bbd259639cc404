"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import ObjectiveSpec, Option, RecipeSpec, hookimpl

_PAPERS = ("https://arxiv.org/abs/1512.00567",)


@hookimpl
def kptk_objectives() -> Iterator[ObjectiveSpec]:
    """Offer ordinary labelled training."""
    yield ObjectiveSpec(
        name="supervised",
        target="kptk_supervised.supervised:Supervised",
        summary="Ordinary training on labels, the baseline that others must beat.",
        options=(
            Option(name="label_smoothing", default=0.0, low=0.0, high=0.9, help="Share of the target spread evenly."),
        ),
        labels=True,
        classes=True,
        chance="ln C for C classes",
        cost="one supervised step",
        when="All or most of the data has labels; and always, to see what the labels alone are worth.",
        references=_PAPERS,
        since="0.1.0",
    )


@hookimpl
def kptk_recipes() -> Iterator[RecipeSpec]:
    """Offer supervised training on the bundled digits with the example CNN."""
    yield RecipeSpec(
        name="supervised",
        summary="A small CNN trained on the labels of the bundled digits.",
        objective="supervised/supervised",
        backbone="vision/example_cnn",
        preprocessor="vision/image_views",
        dataset="vision/mnist10k",
        settings={"train.epochs": 20, "train.batch_size": 256, "probe.data": "holdout"},
        expect="kNN 97.5 %, linear probe 97.8 % on the digits (random encoder 90.0, 89.0) in 2 to 6 min on one core",
        references=_PAPERS,
    )
