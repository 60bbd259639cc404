"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator
from typing import Any

from kptk import ObjectiveSpec, Option, RecipeSpec, hookimpl

_HINTON = ("https://arxiv.org/abs/1503.02531",)
_FITNETS = ("https://arxiv.org/abs/1412.6550",)
_RELATIONAL = ("https://arxiv.org/abs/1904.05068",)

_TEACHER = (
    Option(
        name="teacher",
        type=str,
        default="",
        objects=True,
        help="A .keras file, run folder or backbone; empty: the student's average.",
    ),
    Option(name="teacher_learns", type=bool, default=False, help="The teacher learns the labels beside the student."),
    Option(name="teacher_resize", type=bool, default=False, help="Scale inputs to the size that the teacher takes."),
)
_TEACHER_LAYER = Option(name="teacher_layer", type=str, default="", help="The teacher's layer; empty for its output.")
_MOMENTUM = Option(name="momentum", default=0.99, low=0.0, high=1.0, help="Of the student's average; rises to 1.")
_TWO_VIEWS = Option(name="views", type=int, default=2, low=1, high=2, help="Of each example; 1 suits a given teacher.")
_COMMON: dict[str, Any] = {"labels": True, "labels_optional": True, "classes": True, "since": "0.1.0"}
_COST = "a supervised step and a forward pass of the teacher, for each view"


@hookimpl
def kptk_objectives() -> Iterator[ObjectiveSpec]:
    """Offer distillation of classes, of features and of relations."""
    yield ObjectiveSpec(
        name="distill",
        aliases=("knowledge_distillation",),
        target="kptk_distill.distill:Distill",
        summary="A small student imitates the class probabilities of a teacher.",
        options=(
            *_TEACHER,
            Option(name="temperature", default=4.0, above=0.0, help="Softens both probabilities."),
            Option(name="hard_weight", default=0.1, low=0.0, high=1.0, help="Weight of the labels, if there are any."),
            _MOMENTUM,
            Option(name="views", type=int, default=1, low=1, high=2, help="Of each example; 2 for an own average."),
        ),
        chance="none with a trained teacher; else a ln C, and ln C more if the teacher learns",
        cost=_COST,
        when="A large classifier is good and a small one must do its work, also on data without labels.",
        references=_HINTON,
        **_COMMON,
    )
    yield ObjectiveSpec(
        name="feature_distill",
        aliases=("fitnets", "hints"),
        target="kptk_distill.feature_distill:FeatureDistill",
        summary="The student predicts a teacher's features, or its own average's.",
        options=(
            *_TEACHER,
            Option(
                name="form",
                type=str,
                default="cosine",
                choices=("cosine", "hint"),
                help="Compare directions, or squared distances.",
            ),
            Option(name="hidden_dim", type=int, default=256, low=0, help="Of the regressor; 0 for a linear one."),
            Option(name="student_layer", type=str, default="", help="The layer that learns; empty for the output."),
            _TEACHER_LAYER,
            _MOMENTUM,
            _TWO_VIEWS,
        ),
        min_batch=2,
        chance="none: it depends on the teacher's features",
        cost=_COST,
        when="A pre-trained backbone is to be made smaller without labels; or no teacher and no labels at all.",
        references=_FITNETS,
        **_COMMON,
    )
    yield ObjectiveSpec(
        name="relational_distill",
        aliases=("rkd",),
        target="kptk_distill.relational_distill:RelationalDistill",
        summary="Examples lie to one another as they do for the teacher.",
        options=(
            *_TEACHER,
            _TEACHER_LAYER,
            Option(name="distance_weight", default=1.0, low=0.0, help="Of the distances of pairs."),
            Option(name="angle_weight", default=2.0, low=0.0, help="Of the angles of triples."),
            Option(name="angle_examples", type=int, default=64, low=3, high=512, help="Of a batch that make triples."),
            _MOMENTUM,
            _TWO_VIEWS,
        ),
        min_batch=3,
        chance="none: it depends on the teacher's features",
        cost=_COST,
        when="The student is for search or clustering, and its features may be shorter than the teacher's.",
        references=_RELATIONAL,
        **_COMMON,
    )


def _recipe(name: str, references: tuple[str, ...], summary: str, settings: dict[str, Any], expect: str) -> RecipeSpec:
    return RecipeSpec(
        name=name,
        summary=summary,
        objective=f"distill/{name}",
        backbone="vision/example_cnn",
        preprocessor="vision/image_views",
        dataset="vision/mnist10k",
        settings={"train.epochs": 20, "train.batch_size": 256, "probe.data": "holdout", **settings},
        expect=expect,
        references=references,
    )


# A student of a tenth of the teacher's size.
_SMALL = {"backbone.filters": 8, "backbone.units": 50}
_BESIDE = {"objective.teacher": "vision/example_cnn", "objective.teacher_learns": True}


@hookimpl
def kptk_recipes() -> Iterator[RecipeSpec]:
    """Offer each on the bundled digits: two with a teacher that learns beside the student, one without labels."""
    yield _recipe(
        "distill",
        _HINTON,
        "A tenth of the example CNN learns from the whole in one run.",
        {**_SMALL, **_BESIDE},
        "",
    )
    yield _recipe(
        "feature_distill",
        _FITNETS,
        "The example CNN predicts the features of its own average, no labels.",
        {},
        "",
    )
    yield _recipe(
        "relational_distill",
        _RELATIONAL,
        "A tenth of the example CNN learns the relations that the whole sees.",
        {**_SMALL, **_BESIDE, "objective.views": 1},
        "",
    )
