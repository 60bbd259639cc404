"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator
from typing import Any

from kptk import ObjectiveSpec, Option, RecipeSpec, hookimpl

_NO_CHANCE = "none that is constant: the error of predicting the mean image depends on the data"
_FILTERS = Option(
    name="decoder_filters", type=int, default=8, low=1, help="Width of the decoder at the image's own size."
)
_NOISE = Option(
    name="noise",
    type=str,
    default="mask",
    choices=("mask", "gaussian", "salt_pepper"),
    help="Set to 0, add noise, or set to 0 or 1.",
)
_SDA = "https://doi.org/10.1145/1390156.1390294"


def _error(*choices: str, default: str = "mse") -> Option:
    return Option(name="error", type=str, default=default, choices=choices, help="How a reconstruction is judged.")


@hookimpl
def kptk_objectives() -> Iterator[ObjectiveSpec]:
    """Offer the autoencoders, super-resolution and layer-wise pre-training."""
    yield ObjectiveSpec(
        name="autoencoder",
        aliases=("ae",),
        target="kptk_autoencoder.autoencoder:Autoencoder",
        summary="Features must hold enough of an image to draw it again.",
        options=(_error("mse", "l1", "cross_entropy"), _FILTERS),
        inputs=("image",),
        chance=_NO_CHANCE,
        cost="about two supervised steps: encoder and decoder",
        when="You want codes to draw images from, or features where no augmentation keeps the meaning.",
        references=("https://doi.org/10.1126/science.1127647",),
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="denoising",
        aliases=("dae",),
        target="kptk_autoencoder.denoising:Denoising",
        summary="From a spoilt image to the clean one.",
        options=(
            _NOISE,
            Option(
                name="amount",
                default=0.25,
                above=0.0,
                high=1.0,
                help="Probability that a pixel is hit, or the standard deviation.",
            ),
            _error("mse", "l1", "cross_entropy"),
            _FILTERS,
        ),
        inputs=("image",),
        chance=_NO_CHANCE,
        cost="about two supervised steps: encoder and decoder",
        when="The task is noisy images themselves, or as the start of a denoiser.",
        references=(_SDA,),
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="sparse",
        target="kptk_autoencoder.sparse:Sparse",
        summary="An autoencoder that may use only its k largest features.",
        options=(
            Option(name="k", type=int, default=25, low=1, help="How many features are kept."),
            _error("mse", "l1", "cross_entropy"),
            _FILTERS,
        ),
        inputs=("image",),
        chance=_NO_CHANCE,
        cost="about two supervised steps: encoder and decoder",
        when="The code is longer than needed and a plain autoencoder would only copy.",
        references=("https://arxiv.org/abs/1312.5663",),
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="variational",
        aliases=("vae",),
        target="kptk_autoencoder.variational:Variational",
        summary="A variational autoencoder, with beta: a smooth code one can draw from.",
        options=(
            Option(name="latent_dim", type=int, default=32, low=1, help="Length of the code."),
            Option(name="beta", default=1.0, low=0.0, help="Weight of the KL term; 1 is the evidence bound itself."),
            Option(
                name="beta_warmup", default=0.3, low=0.0, high=1.0, help="Share of the run in which beta rises from 0."
            ),
            _error("cross_entropy", "mse", default="cross_entropy"),
            Option(name="stddev", default=0.1, above=0.0, help="Standard deviation of Gaussian pixels (error=mse)."),
            _FILTERS,
        ),
        inputs=("image",),
        chance=_NO_CHANCE,
        cost="about two supervised steps: encoder and decoder",
        when="You want to draw new images, or a code without holes.",
        references=(
            "https://arxiv.org/abs/1312.6114",
            "https://openreview.net/forum?id=Sy2fzU9gl",
            "https://arxiv.org/abs/1511.06349",
        ),
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="super_resolution",
        target="kptk_autoencoder.super_resolution:SuperResolution",
        summary="From few pixels to the fine image, by sub-pixel convolutions.",
        options=(
            Option(name="factor", type=int, default=4, low=2, help="How many times shorter each side gets."),
            Option(name="residual", type=bool, default=False, help="Add the coarse image to the decoder's output."),
            _error("mse", "l1"),
            _FILTERS,
        ),
        inputs=("image",),
        chance=_NO_CHANCE,
        cost="about two supervised steps: encoder and decoder",
        when="As the start of a super-resolution or restoration model.",
        references=("https://arxiv.org/abs/1609.05158", "https://arxiv.org/abs/1501.00092"),
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="layerwise",
        target="kptk_autoencoder.layerwise:Layerwise",
        summary="Greedy layer-wise: each layer a denoising autoencoder, one by one.",
        options=(
            _NOISE,
            Option(
                name="amount",
                default=0.25,
                low=0.0,
                high=1.0,
                help="Probability that a number is hit, or the standard deviation; 0 for none.",
            ),
            _error("auto", "mse", "cross_entropy", default="auto"),
            _FILTERS,
        ),
        inputs=("image", "table"),
        chance="1: every number is reconstructed as its mean",
        cost="less than a supervised step: one layer at a time",
        when="Deep plain networks that do not train from scratch, such as sigmoid layers without normalisation.",
        references=(
            "https://proceedings.neurips.cc/paper/2006/hash/5da713a690c067105aeb2fae32403405-Abstract.html",
            _SDA,
        ),
        since="0.1.0",
    )


@hookimpl
def kptk_recipes() -> Iterator[RecipeSpec]:
    """Offer each objective on the bundled digits."""
    layerwise = {
        "backbone.activation": "sigmoid",
        "backbone.depth": 5,
        "train.learning_rate": 1e-2,
        "train.epochs": 50,
    }
    recipes: tuple[tuple[str, str, str, dict[str, Any], str], ...] = (
        ("autoencoder", "example_cnn", "An autoencoder around a small CNN on the bundled digits.", {}, ""),
        ("denoising", "example_cnn", "A denoising autoencoder around a small CNN on the digits.", {}, ""),
        ("sparse", "mlp", "A k-sparse autoencoder around a dense layer on the digits.", {"backbone.depth": 1}, ""),
        ("variational", "example_cnn", "A variational autoencoder around a small CNN on the digits.", {}, ""),
        ("super_resolution", "example_cnn", "Digits of 7 x 7 pixels back to 28 x 28.", {}, ""),
        ("layerwise", "mlp", "Five sigmoid layers, one after the other, on the digits.", layerwise, ""),
    )
    for name, backbone, summary, settings, expect in recipes:
        yield RecipeSpec(
            name=name,
            summary=summary,
            objective=f"autoencoder/{name}",
            backbone=f"vision/{backbone}",
            preprocessor="vision/plain_images",
            dataset="vision/mnist10k",
            settings={"train.epochs": 15, "train.batch_size": 128, "probe.data": "holdout", **settings},
            expect=expect,
        )
