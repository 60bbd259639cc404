"""Offers one good part of each kind, and many that are wrong in one way each."""

from kptk import (
    BackboneSpec,
    CommandSpec,
    ComparisonSpec,
    DatasetSpec,
    ObjectiveSpec,
    Option,
    PreprocessorSpec,
    RecipeSpec,
    StrategySpec,
    TaskSpec,
    TrackerSpec,
    hookimpl,
)

PAPER = ("https://arxiv.org/abs/2005.10242",)
SCALE = (Option(name="scale", default=1.0, above=0.0, help="Scale."),)


def _objective(name, target, **fields):
    fields = {"summary": "Wrong in one way.", "options": SCALE, "references": PAPER, "views": 2} | fields
    return ObjectiveSpec(name=name, target=f"kptk_wrong.{target}", min_batch=2, **fields)


@hookimpl
def kptk_objectives():
    yield _objective("good", "objectives:Good")
    for name in (
        *("ForgetsConfig", "Unregistered", "OtherPackage", "LateWeights", "NotJittable", "HalfPrecision"),
        *(
            "EvenBatches",
            "InfiniteLoss",
            "DeadWeight",
            "NeverLearns",
            "Unseeded",
            "TakesAnything",
            "Undocumented",
        ),
        *("Abstract", "not_a_class"),
    ):
        yield _objective(name.lower(), f"objectives:{name}")
    yield ObjectiveSpec(name="nowhere", target="kptk_missing.nothing:Here", summary="Missing.", views=2)
    yield _objective("other_default", "objectives:Good", options=(Option(name="scale", default=2.0, help="Scale."),))
    yield _objective("other_name", "objectives:Good", options=(Option(name="size", default=1.0, help="Scale."),))
    yield _objective("no_paper", "objectives:Good", references=())
    yield _objective("ill_formed", "objectives:Good", summary="no full stop", references=("a book",))


@hookimpl
def kptk_backbones():
    for name in ("good_net", "fixed_batch", "not_finite", "own_layer", "rank_three"):
        yield BackboneSpec(name=name, target=f"kptk_wrong.parts:{name}", summary="A backbone.", min_size=4)
    yield BackboneSpec(
        name="no_stages", target="kptk_wrong.parts:good_net", summary="A backbone.", min_size=4, patches=True
    )


@hookimpl
def kptk_preprocessors():
    for name in (
        *(
            "GoodViews",
            "OneTooMany",
            "WrongShape",
            "RandomPlain",
            "SameViews",
            "UnseededViews",
            "ForgetfulViews",
        ),
        *("UnregisteredViews", "NumpyViews", "FitsUnsaid"),
    ):
        options = (Option(name="stddev", default=0.1, low=0.0, help="Noise."),)
        yield PreprocessorSpec(name=name.lower(), target=f"kptk_wrong.parts:{name}", summary="Views.", options=options)


@hookimpl
def kptk_datasets():
    for name in ("good_rows", "not_a_source", "too_few", "wrong_rows", "nameless_class", "new_every_time"):
        yield DatasetSpec(
            name=name,
            target=f"kptk_wrong.parts:{name}",
            summary="Rows.",
            samples=8,
            labels=True,
            licence="CC0",
        )


@hookimpl
def kptk_strategies():
    yield StrategySpec(name="a_strategy", target="kptk_wrong.parts:good_rows", summary="Not built by the kit.")
    for name in ("GoodWay", "Thaws", "Idle"):
        target = f"kptk_wrong.finetuning:{name}"
        yield StrategySpec(name=name.lower(), target=target, summary="A strategy.", references=PAPER)


@hookimpl
def kptk_tasks():
    yield TaskSpec(name="a_task", target="kptk_wrong.parts:CLASSES", summary="Not even callable.")
    for name in ("GoodTask", "CountsMissing", "ShortColumns", "OtherMetric", "TurnsNames", "DeafTask"):
        yield TaskSpec(name=name.lower(), target=f"kptk_wrong.finetuning:{name}", summary="A task.", references=PAPER)


@hookimpl
def kptk_recipes():
    parts = {
        "objective": "wrong/good",
        "backbone": "wrong/good_net",
        "preprocessor": "wrong/goodviews",
        "dataset": "wrong/good_rows",
    }
    settings = {"train.batch_size": 4, "objective.scale": 2.0}
    yield RecipeSpec(name="good", summary="A recipe.", settings=settings, **parts)
    yield RecipeSpec(name="part_is_missing", summary="A recipe.", **parts | {"backbone": "wrong/none"})
    yield RecipeSpec(name="setting_is_unknown", summary="A recipe.", settings={"objective.scael": 2.0}, **parts)


@hookimpl
def kptk_commands():
    for name in ("goodcommand", "no_command", "silent", "heavy"):
        module = "heavy_command" if name == "heavy" else "commands"
        yield CommandSpec(name=name, target=f"kptk_wrong.{module}:{name}", summary="A command.")


@hookimpl
def kptk_comparisons():
    arms = {"objective": {"objective": "contrastive/contrastive"}, "scratch": {"objective": "scratch"}}
    for name, some in (("good", arms), ("unknown_arm", arms | {"objective": {"objective": "wrong/nothing"}})):
        yield ComparisonSpec(
            name=name, summary="Compares.", arms=some, objective="contrastive/contrastive", data="vision/mnist10k"
        )


@hookimpl
def kptk_trackers():
    options = (Option(name="separator", type=str, default=",", help="Between figures."),)
    needs = {"needs": ("sqlite3",), "install": "kptk-wrong[sqlite3]"}
    for name in ("GoodTracker", "Strays", "Calls", "OnlyOnce"):
        target = f"kptk_wrong.trackers:{name}"
        yield TrackerSpec(name=name.lower(), target=target, summary="A tracker.", options=options, **needs)
    yield TrackerSpec(
        name="eager", target="kptk_wrong.eager_tracker:Eager", summary="A tracker.", options=options, **needs
    )
    yield TrackerSpec(
        name="unsaid",
        target="kptk_wrong.trackers:GoodTracker",
        summary="A tracker.",
        options=options,
        needs=("sqlite3",),
    )
