"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import ObjectiveSpec, Option, RecipeSpec, hookimpl

_PROJECTOR = (
    Option(name="projection_dim", type=int, default=128, low=2, help="Length of the compared vectors."),
    Option(name="hidden_dim", type=int, default=256, low=1, help="Width of the projector's hidden layer."),
    Option(name="batch_norm", type=bool, default=True, help="Batch normalisation in the projector."),
)
_TEMPERATURE = Option(name="temperature", default=0.5, above=0.0, help="Softmax temperature.")
_ROCL = "https://arxiv.org/abs/2006.07589"
_VAT = "https://arxiv.org/abs/1704.03976"


@hookimpl
def kptk_objectives() -> Iterator[ObjectiveSpec]:
    """Offer adversarial contrast, and contrast with virtual adversarial training."""
    yield ObjectiveSpec(
        name="adversarial",
        aliases=("rocl",),
        target="kptk_adversarial.adversarial_contrastive:AdversarialContrastive",
        summary="Contrast in which a view is changed to be hard to recognise.",
        options=(
            Option(name="epsilon", default=0.2, above=0.0, high=1.0, help="Largest change of a pixel, images 0..1."),
            Option(name="steps", type=int, default=3, low=1, high=100, help="Gradient steps of the attack; 1: FGSM."),
            Option(name="step_size", default=0.0, low=0.0, high=1.0, help="Of each step; 0: 2.5 epsilon / steps."),
            Option(name="random_start", type=bool, default=True, help="Start at random within epsilon."),
            Option(name="weight", default=1.0, above=0.0, help="Weight of the adversarial term; the clean one has 1."),
            _TEMPERATURE,
            *_PROJECTOR,
        ),
        inputs=("image",),
        views=2,
        min_batch=2,
        chance="ln(2N - 1) for N examples a step",
        cost="about (3 + steps) / 2 of a contrastive step",
        when="The features must hold against small malicious changes of the pixels.",
        references=(_ROCL, "https://arxiv.org/abs/2010.13812", "https://arxiv.org/abs/1706.06083"),
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="vat",
        aliases=("virtual_adversarial",),
        target="kptk_adversarial.vat:VAT",
        summary="Contrast with similarities that are smooth around each image.",
        options=(
            Option(name="epsilon", default=2.0, above=0.0, help="Length of the perturbation of an image, L2 norm."),
            Option(name="xi", default=0.1, above=0.0, help="Length of the probe that finds its direction."),
            Option(name="iterations", type=int, default=1, low=1, high=20, help="Of the power method."),
            Option(name="weight", default=1.0, above=0.0, help="Weight of the smoothness term."),
            _TEMPERATURE,
            *_PROJECTOR,
        ),
        inputs=("image",),
        views=2,
        min_batch=2,
        chance="ln(2N - 1) for N examples a step",
        cost="about (3 + iterations) / 2 of a contrastive step",
        when="As contrastive, with augmentations that leave out small changes.",
        references=(_VAT, "https://arxiv.org/abs/2002.05709"),
        since="0.1.0",
    )


@hookimpl
def kptk_recipes() -> Iterator[RecipeSpec]:
    """Offer both on the bundled digits with the example CNN."""
    for name, alias, summary, reference in (
        ("adversarial", "rocl", "Adversarial contrast with a small CNN on the bundled digits.", _ROCL),
        ("vat", "virtual_adversarial", "SimCLR and VAT with a small CNN on the bundled digits.", _VAT),
    ):
        yield RecipeSpec(
            name=name,
            aliases=(alias,),
            summary=summary,
            objective=f"adversarial/{name}",
            backbone="vision/example_cnn",
            preprocessor="vision/image_views",
            dataset="vision/mnist10k",
            settings={"train.epochs": 10, "train.batch_size": 256, "probe.data": "holdout"},
            expect="",
            references=(reference,),
        )
