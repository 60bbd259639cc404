"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator
from typing import Any

from kptk import ObjectiveSpec, Option, RecipeSpec, hookimpl

_PAPERS = {
    "byol": "https://arxiv.org/abs/2006.07733",
    "simsiam": "https://arxiv.org/abs/2011.10566",
    "barlow_twins": "https://arxiv.org/abs/2103.03230",
    "vicreg": "https://arxiv.org/abs/2105.04906",
    "dino": "https://arxiv.org/abs/2104.14294",
}
_LOW_TO_ONE: dict[str, Any] = {"low": 0.0, "high": 1.0}


def _width(name: str, default: int, text: str, low: int = 1) -> Option:
    return Option(name=name, type=int, default=default, low=low, help=text)


_SHORT_RUN = {"byol": {"objective.momentum": 0.9}}
"""A teacher that follows fast enough for some hundred steps. Of 0.99 and 0.9, chosen on digits, seeds 100-102."""


@hookimpl
def kptk_objectives() -> Iterator[ObjectiveSpec]:
    """Offer BYOL, SimSiam, Barlow Twins, VICReg and DINO."""
    yield ObjectiveSpec(
        name="byol",
        target="kptk_noncontrastive.byol:BYOL",
        summary="BYOL: predict what a slow teacher makes of the other view.",
        options=(
            Option(name="momentum", default=0.99, help="Share of the teacher that stays at first.", **_LOW_TO_ONE),
            _width("projection_dim", 128, "Length of the compared vectors.", 2),
            _width("hidden_dim", 256, "Width of the heads' hidden layers."),
        ),
        views=2,
        min_batch=2,
        chance="4: predictions at right angles to targets",
        cost="about three times a supervised step: two views trained, two encoded",
        when="Small batches, and no other example that may be called a negative.",
        references=(_PAPERS["byol"],),
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="simsiam",
        target="kptk_noncontrastive.simsiam:SimSiam",
        summary="SimSiam: each view predicts the other's projection, held fixed.",
        options=(
            _width("projection_dim", 256, "Length of the compared vectors.", 2),
            _width("hidden_dim", 256, "Width of the projector's hidden layers."),
            _width("predictor_dim", 64, "Width of the predictor's hidden layer, a bottleneck."),
        ),
        views=2,
        min_batch=2,
        chance="0: predictions at right angles to targets",
        cost="about twice a supervised step: two views, no teacher",
        when="The simplest method without negatives; least memory.",
        references=(_PAPERS["simsiam"],),
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="barlow_twins",
        aliases=("barlow",),
        target="kptk_noncontrastive.barlow_twins:BarlowTwins",
        summary="Barlow Twins: correlations of two views become the identity.",
        options=(
            Option(name="redundancy_weight", default=0.005, low=0.0, help="Weight of what is off the diagonal."),
            _width("projection_dim", 512, "Length of the projections; longer than usual pays.", 2),
            _width("hidden_dim", 512, "Width of the projector's hidden layers."),
        ),
        views=2,
        min_batch=2,
        chance="about D for projections of length D",
        cost="about twice a supervised step, and a D x D matrix",
        when="No teacher, no queue and little to tune; batches of 64 and more.",
        references=(_PAPERS["barlow_twins"],),
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="vicreg",
        target="kptk_noncontrastive.vicreg:VICReg",
        summary="VICReg: views agree, numbers keep their variance and differ.",
        options=(
            Option(name="invariance_weight", default=25.0, low=0.0, help="Weight of the views' agreement."),
            Option(name="variance_weight", default=25.0, low=0.0, help="Weight of each number's variance."),
            Option(name="covariance_weight", default=1.0, low=0.0, help="Weight of the covariances."),
            _width("projection_dim", 512, "Length of the projections; longer than usual pays.", 2),
            _width("hidden_dim", 512, "Width of the projector's hidden layers."),
        ),
        views=2,
        min_batch=2,
        chance="21.875 with the default weights: the least that noise can reach",
        cost="about twice a supervised step, and two D x D matrices",
        when="No teacher and no queue, and collapse is held off by a term of its own.",
        references=(_PAPERS["vicreg"],),
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="dino",
        target="kptk_noncontrastive.dino:DINO",
        summary="DINO: sort views into prototypes as a centred, sharp teacher does.",
        options=(
            Option(name="views", type=int, default=2, low=2, help="Views of each example; the teacher sees two."),
            Option(name="temperature", default=0.1, above=0.0, help="The student's temperature."),
            Option(name="teacher_temperature", default=0.07, above=0.0, help="The teacher's, after its warm-up."),
            Option(name="start_temperature", default=0.04, above=0.0, help="The teacher's in the first step."),
            Option(name="warmup", default=0.3, above=0.0, high=1.0, help="Share of the run until it is reached."),
            Option(name="momentum", default=0.99, help="Share of the teacher that stays at first.", **_LOW_TO_ONE),
            Option(name="centre_momentum", default=0.9, help="Share of the centre that stays a step.", **_LOW_TO_ONE),
            _width("prototypes", 1024, "How many prototypes.", 2),
            _width("hidden_dim", 256, "Width of the head's hidden layers."),
            _width("bottleneck_dim", 64, "Length of the vectors beside the prototypes.", 2),
        ),
        views=2,
        chance="ln K for K prototypes",
        cost="about three times a supervised step with two views; each more adds about half",
        when="Vision transformers, many views (multi-crop), and features for nearest neighbours.",
        references=(_PAPERS["dino"],),
        since="0.1.0",
    )


@hookimpl
def kptk_recipes() -> Iterator[RecipeSpec]:
    """Offer each on the bundled digits with the example CNN; the plugin's own name stands for Barlow Twins."""
    for name, objective, title, expect in (
        ("noncontrastive", "barlow_twins", "Barlow Twins", ""),
        ("byol", "byol", "BYOL", ""),
        ("simsiam", "simsiam", "SimSiam", ""),
        ("barlow_twins", "barlow_twins", "Barlow Twins", ""),
        ("vicreg", "vicreg", "VICReg", ""),
        ("dino", "dino", "DINO", ""),
    ):
        yield RecipeSpec(
            name=name,
            aliases=("barlow",) if name == "barlow_twins" else (),
            summary=f"{title} with a small CNN on the bundled digits.",
            objective=f"noncontrastive/{objective}",
            backbone="vision/example_cnn",
            preprocessor="vision/image_views",
            dataset="vision/mnist10k",
            settings={"train.epochs": 30, "train.batch_size": 256, "probe.data": "holdout", **_SHORT_RUN.get(name, {})},
            expect=expect,
            references=(_PAPERS[objective],),
        )
