"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import Option, TaskSpec, hookimpl

_DROPOUT = Option(name="dropout", default=0.0, low=0.0, high=0.95, help="Fraction of the features dropped.")


@hookimpl
def kptk_tasks() -> Iterator[TaskSpec]:
    """Offer the tasks."""
    yield TaskSpec(
        name="classification",
        target="kptk_tasks.classification:Classification",
        summary="One class a row, with probabilities.",
        options=(
            Option(
                name="class_weight",
                type=str,
                default="none",
                choices=("none", "balanced"),
                help="Weigh rare classes up.",
            ),
            Option(name="label_smoothing", default=0.0, low=0.0, high=0.9, help="Weight of the uniform target."),
            _DROPOUT,
        ),
        labels="class",
        since="0.1.0",
    )
