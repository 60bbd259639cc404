"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import ObjectiveSpec, Option, RecipeSpec, hookimpl

_PROJECTOR = (
    Option(name="projection_dim", type=int, default=128, low=2, help="Length of the compared vectors."),
    Option(name="hidden_dim", type=int, default=256, low=1, help="Width of the projector's hidden layer."),
    Option(name="batch_norm", type=bool, default=True, help="Batch normalisation in the projector."),
)
_SUPCON = "https://arxiv.org/abs/2004.11362"
_CMC = "https://arxiv.org/abs/1906.05849"


@hookimpl
def kptk_objectives() -> Iterator[ObjectiveSpec]:
    """Offer the contrast of many views at once, and SupCon."""
    yield ObjectiveSpec(
        name="simultaneous",
        aliases=("multiview",),
        target="kptk_simultaneous.simultaneous:Simultaneous",
        summary="All V views of an example agree at once, all others differ.",
        options=(
            Option(
                name="form",
                type=str,
                default="all-positives",
                choices=("all-positives", "pairs", "full-graph"),
                help="How several positives share the softmax.",
            ),
            Option(name="views", type=int, default=4, low=2, high=32, help="Views of each example, V."),
            Option(name="temperature", default=0.5, above=0.0, help="Softmax temperature."),
            *_PROJECTOR,
        ),
        views=4,
        min_batch=2,
        chance="ln(VN - 1), ln(VN - V + 1) or ln(2N - 1), by form",
        cost="about V supervised steps; less with small local views",
        when="As contrastive, with time for more views and batches that are small.",
        references=(_SUPCON, _CMC, "https://arxiv.org/abs/2002.05709"),
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="supcon",
        aliases=("supervised_contrastive",),
        target="kptk_simultaneous.supcon:SupCon",
        summary="Supervised contrast: examples of one class agree.",
        options=(
            Option(name="views", type=int, default=2, low=2, high=32, help="Views of each example."),
            Option(name="temperature", default=0.1, above=0.0, help="Softmax temperature."),
            *_PROJECTOR,
        ),
        views=2,
        labels=True,
        min_batch=2,
        chance="ln(VN - 1) for N examples of V views a step",
        cost="about twice a supervised step: two views",
        when="All data is labelled and the features are to serve other tasks too.",
        references=(_SUPCON,),
        since="0.1.0",
    )


_SETTINGS = {"train.batch_size": 256, "probe.data": "holdout"}


@hookimpl
def kptk_recipes() -> Iterator[RecipeSpec]:
    """Offer both on the bundled digits with the example CNN."""
    yield RecipeSpec(
        name="simultaneous",
        aliases=("multiview",),
        summary="Four views at once with a small CNN on the bundled digits.",
        objective="simultaneous/simultaneous",
        backbone="vision/example_cnn",
        preprocessor="vision/image_views",
        dataset="vision/mnist10k",
        settings={"train.epochs": 10} | _SETTINGS,
        expect="",
        references=(_SUPCON,),
    )
    yield RecipeSpec(
        name="supcon",
        aliases=("supervised_contrastive",),
        summary="SupCon with a small CNN on the bundled digits and their labels.",
        objective="simultaneous/supcon",
        backbone="vision/example_cnn",
        preprocessor="vision/image_views",
        dataset="vision/mnist10k",
        settings={"train.epochs": 10} | _SETTINGS,
        expect="",
        references=(_SUPCON,),
    )
