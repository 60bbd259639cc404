"""What this plugin offers. Read at discovery: keep Keras and the tools themselves out."""

from collections.abc import Iterator

from kptk import Option, TrackerSpec, hookimpl


@hookimpl
def kptk_trackers() -> Iterator[TrackerSpec]:
    """Offer three tools for the curves of runs, each without a server."""
    yield TrackerSpec(
        name="tensorboard",
        target="kptk_trackers.tensorboard:TensorBoard",
        summary="Event files for TensorBoard: curves, configuration, result.",
        needs=("tensorboard",),
        install="kptk-trackers[tensorboard]",
        since="0.1.0",
    )
    yield TrackerSpec(
        name="mlflow",
        target="kptk_trackers.mlflow:MLflow",
        summary="A run in an MLflow store, an SQLite file; no server.",
        options=(
            Option(name="experiment", type=str, default="kptk", help="Name of the experiment that the run belongs to."),
            Option(
                name="store",
                type=str,
                default="",
                help="Local folder of a store that several runs share; empty: one of the run's own.",
            ),
        ),
        needs=("mlflow", "sqlalchemy", "alembic"),
        install="kptk-trackers[mlflow]",
        since="0.1.0",
    )
    yield TrackerSpec(
        name="wandb",
        target="kptk_trackers.wandb:WandB",
        summary="An offline run of Weights & Biases; you may sync it, kptk never does.",
        options=(
            Option(name="project", type=str, default="kptk", help="Name of the project that the run belongs to."),
        ),
        needs=("wandb",),
        install="kptk-trackers[wandb]",
        since="0.1.0",
    )
