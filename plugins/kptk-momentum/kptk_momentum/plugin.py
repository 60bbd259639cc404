"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import ObjectiveSpec, Option, RecipeSpec, hookimpl

_MOCO = ("https://arxiv.org/abs/1911.05722", "https://arxiv.org/abs/2003.04297")
_MOCO_V3 = ("https://arxiv.org/abs/2104.02057",)

_SHORT_RUN = {
    "train.epochs": 30,
    "train.batch_size": 256,
    "probe.data": "holdout",
    # Of 0.2 (the papers') and 0.5, and of 0.99 and 0.95: chosen on digits, seeds 100-102; see docs/objectives/momentum.md.
    "objective.temperature": 0.5,
    "objective.momentum": 0.95,
}
# Its keys must not outlive their teacher, 1 / (1 - momentum) = 20 steps: 2,048 keys, 16 steps of 128, end in collapse.
_SHORT_QUEUE = {"objective.queue_size": 512}


@hookimpl
def kptk_objectives() -> Iterator[ObjectiveSpec]:
    """Offer MoCo v2 and v3."""
    yield ObjectiveSpec(
        name="momentum",
        aliases=("moco", "mocov2"),
        target="kptk_momentum.moco_v2:MoCoV2",
        summary="MoCo v2: find an example's key in a queue made by a slow teacher.",
        options=(
            Option(name="temperature", default=0.2, above=0.0, help="Softmax temperature."),
            Option(name="momentum", default=0.99, low=0.0, high=1.0, help="Share of the teacher that stays a step."),
            Option(name="queue_size", type=int, default=2048, low=1, help="Keys kept; at most a quarter of the data."),
            Option(name="projection_dim", type=int, default=128, low=2, help="Length of the compared vectors."),
            Option(name="hidden_dim", type=int, default=256, low=1, help="Width of the projector's hidden layer."),
            Option(name="batch_norm", type=bool, default=False, help="Batch normalisation in the projector."),
        ),
        views=2,
        chance="ln(1 + K) for K keys in the queue",
        cost="about a supervised step and a third: one view trained, one encoded",
        when="Small batches: the negatives come from the queue and not from the batch.",
        references=_MOCO,
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="moco_v3",
        aliases=("mocov3",),
        target="kptk_momentum.moco_v3:MoCoV3",
        summary="MoCo v3: predict a slow teacher's vectors, against the batch.",
        options=(
            Option(name="temperature", default=0.2, above=0.0, help="Softmax temperature."),
            Option(name="momentum", default=0.99, low=0.0, high=1.0, help="Share of the teacher that stays at first."),
            Option(name="projection_dim", type=int, default=128, low=2, help="Length of the compared vectors."),
            Option(name="hidden_dim", type=int, default=256, low=1, help="Width of the heads' hidden layers."),
        ),
        views=2,
        min_batch=2,
        chance="4t ln N for temperature t and N examples a step",
        cost="about three times a supervised step: two views trained, two encoded",
        when="Large batches, transformers, and runs long enough for a teacher to pay.",
        references=_MOCO_V3,
        since="0.1.0",
    )


@hookimpl
def kptk_recipes() -> Iterator[RecipeSpec]:
    """Offer both on the bundled digits with the example CNN."""
    yield RecipeSpec(
        name="momentum",
        aliases=("moco", "mocov2"),
        summary="MoCo v2 with a small CNN on the bundled digits.",
        objective="momentum/momentum",
        backbone="vision/example_cnn",
        preprocessor="vision/image_views",
        dataset="vision/mnist10k",
        settings=_SHORT_RUN | _SHORT_QUEUE,
        expect="",
        references=_MOCO,
    )
    yield RecipeSpec(
        name="moco_v3",
        aliases=("mocov3",),
        summary="MoCo v3 with a small CNN on the bundled digits.",
        objective="momentum/moco_v3",
        backbone="vision/example_cnn",
        preprocessor="vision/image_views",
        dataset="vision/mnist10k",
        settings=_SHORT_RUN,
        expect="",
        references=_MOCO_V3,
    )
