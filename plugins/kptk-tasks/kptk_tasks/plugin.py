"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import Option, TaskSpec, hookimpl

_CLASS_WEIGHT = Option(
    name="class_weight", type=str, default="none", choices=("none", "balanced"), help="Weigh rare classes up."
)
_DROPOUT = Option(name="dropout", default=0.0, low=0.0, high=0.95, help="Fraction of the features dropped.")


@hookimpl
def kptk_tasks() -> Iterator[TaskSpec]:
    """Offer the tasks."""
    yield TaskSpec(
        name="classification",
        target="kptk_tasks.classification:Classification",
        summary="One class a row, with probabilities.",
        options=(
            _CLASS_WEIGHT,
            Option(name="label_smoothing", default=0.0, low=0.0, high=0.9, help="Weight of the uniform target."),
            _DROPOUT,
        ),
        labels="class",
        since="0.1.0",
    )
    yield TaskSpec(
        name="multi_label",
        target="kptk_tasks.multi_label:MultiLabel",
        summary="Several labels a row, each there or not; NaN for unknown.",
        options=(
            Option(name="labels", type=int, default=0, low=0, help="Number of labels, if they have no names."),
            _CLASS_WEIGHT,
        ),
        labels="number",
        since="0.1.0",
    )
    yield TaskSpec(
        name="regression",
        target="kptk_tasks.regression:Regression",
        summary="One or several numbers a row.",
        options=(
            Option(name="outputs", type=int, default=1, low=1, help="Numbers a row."),
            Option(name="loss", type=str, default="mse", choices=("mse", "mae", "huber"), help="On unit variance."),
        ),
        labels="number",
        since="0.1.0",
    )
    yield TaskSpec(
        name="several",
        aliases=("hard_sharing", "multi_task"),
        target="kptk_tasks.several:Several",
        summary="Several tasks on one trunk, a head each; labels may be missing.",
        options=(
            Option(
                name="tasks", type=str, default="", help="Columns of y: digit:10,slant:number; empty: told from them."
            ),
            Option(
                name="weighting",
                type=str,
                default="equal",
                choices=("equal", "uncertainty", "gradnorm_features"),
                help="How much each task counts: the same, or learned.",
            ),
            Option(name="alpha", default=1.5, low=0.0, help="Of GradNorm: how much a task that lags is hurried."),
        ),
        labels="number",
        several=True,
        references=(
            "https://doi.org/10.1023/A:1007379606734",
            "https://arxiv.org/abs/1705.07115",
            "https://arxiv.org/abs/1711.02257",
        ),
        since="0.1.0",
    )
    yield TaskSpec(
        name="segmentation",
        target="kptk_tasks.segmentation:Segmentation",
        summary="A class for each pixel.",
        options=(Option(name="ignore", type=int, default=255, help="Class number of pixels without a label."),),
        inputs=("image",),
        labels="mask",
        features="map",
        since="0.1.0",
    )
    yield TaskSpec(
        name="denoising",
        target="kptk_tasks.denoising:Denoising",
        summary="The clean image from a noisy one; no labels needed.",
        options=(
            Option(name="stddev", default=0.1, above=0.0, high=1.0, help="Noise on the 0..1 scale."),
            Option(name="seed", type=int, default=0, low=0, help="Of the noise."),
        ),
        inputs=("image",),
        labels="",
        features="map",
        references=("https://arxiv.org/abs/1608.03981",),
        since="0.1.0",
    )
    yield TaskSpec(
        name="verification",
        target="kptk_tasks.verification:Verification",
        summary="Embeddings that say whether two rows are of one class.",
        options=(
            Option(name="dim", type=int, default=64, low=2, help="Length of the embedding."),
            Option(name="loss", type=str, default="arcface", choices=("arcface", "triplet"), help="What trains it."),
            Option(name="margin", default=0.3, low=0.0, high=1.5, help="Radians for ArcFace, distance for triplets."),
            Option(name="scale", default=16.0, above=0.0, help="Of ArcFace's logits."),
        ),
        labels="class",
        references=("https://arxiv.org/abs/1801.07698", "https://arxiv.org/abs/1503.03832"),
        since="0.1.0",
    )
