"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import ObjectiveSpec, Option, RecipeSpec, hookimpl

_PAPERS = ("https://arxiv.org/abs/1505.05192",)


@hookimpl
def kptk_objectives() -> Iterator[ObjectiveSpec]:
    """Offer relative patch position."""
    yield ObjectiveSpec(
        name="position",
        aliases=("patch_position", "context_prediction"),
        target="kptk_position.position:Position",
        summary="Tells which of eight neighbours one patch is of another.",
        options=(
            Option(name="patch", default=0.22, above=0.0, high=0.33, help="Side of a patch, a share of the image's."),
            Option(name="gap", default=0.5, low=0.0, high=2.0, help="Room between patches, a share of a patch's side."),
            Option(name="jitter", default=0.07, low=0.0, high=0.5, help="Largest shift, a share of a patch's side."),
            Option(
                name="colour",
                type=str,
                default="project",
                choices=("project", "drop", "keep"),
                help="Take green-magenta away, keep one channel, or keep all.",
            ),
            Option(name="hidden_dim", type=int, default=256, low=1, help="Width of the head's hidden layer."),
        ),
        inputs=("image",),
        # A part's place is what is learned: the image stays whole and upright.
        suggests={"preprocessor.crop": 1.0, "preprocessor.flip": 0.0, "preprocessor.rotation": 0.0},
        chance="ln 8",
        cost="about twice a supervised step: two patches, each as large as the backbone's input",
        when="Photos of things with parts that have their places; no labels, small batches.",
        references=_PAPERS,
        since="0.1.0",
    )


@hookimpl
def kptk_recipes() -> Iterator[RecipeSpec]:
    """Offer patch position on the bundled digits with the example CNN."""
    yield RecipeSpec(
        name="position",
        summary="Relative patch position with a small CNN on the bundled digits.",
        objective="position/position",
        backbone="vision/example_cnn",
        preprocessor="vision/image_views",
        dataset="vision/mnist10k",
        settings={
            "objective.patch": 0.3,
            "objective.gap": 0.08,
            "train.epochs": 20,
            "train.batch_size": 256,
            "probe.data": "holdout",
        },
        expect="",
        references=_PAPERS,
    )
