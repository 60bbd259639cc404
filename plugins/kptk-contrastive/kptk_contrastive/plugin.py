"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import ObjectiveSpec, Option, RecipeSpec, hookimpl


@hookimpl
def kptk_objectives() -> Iterator[ObjectiveSpec]:
    """Offer SimCLR."""
    yield ObjectiveSpec(
        name="contrastive",
        aliases=("simclr",),
        target="kptk_contrastive.simclr:SimCLR",
        summary="SimCLR: two views of an example agree, all others differ.",
        options=(
            Option(name="temperature", default=0.5, above=0.0, help="Softmax temperature."),
            Option(name="projection_dim", type=int, default=128, low=2, help="Length of the compared vectors."),
            Option(name="hidden_dim", type=int, default=256, low=1, help="Width of the projector's hidden layer."),
            Option(name="batch_norm", type=bool, default=True, help="Batch normalisation in the projector."),
        ),
        views=2,
        min_batch=2,
        chance="ln(2N - 1) for N examples a step",
        cost="about twice a supervised step: two views",
        when="Enough memory for batches of 128 and more, and augmentations that keep the meaning.",
        references=("https://arxiv.org/abs/2002.05709",),
        since="0.1.0",
    )


@hookimpl
def kptk_recipes() -> Iterator[RecipeSpec]:
    """Offer SimCLR on the bundled digits with the example CNN."""
    yield RecipeSpec(
        name="contrastive",
        aliases=("simclr",),
        summary="SimCLR with a small CNN on the bundled digits.",
        objective="contrastive/contrastive",
        backbone="vision/example_cnn",
        preprocessor="vision/image_views",
        dataset="vision/mnist10k",
        settings={"train.epochs": 30, "train.batch_size": 256, "probe.data": "holdout"},
        expect="",
        references=("https://arxiv.org/abs/2002.05709",),
    )
