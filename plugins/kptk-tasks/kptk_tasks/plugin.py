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
