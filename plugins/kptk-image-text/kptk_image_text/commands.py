"""The commands that pairs of pictures and texts add: ``kptk zero-shot`` and ``kptk retrieve``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kptk.errors import InputError, UsageError

if TYPE_CHECKING:
    from kptk_image_text.trained_pair_model import TrainedPairModel


def _open(run: str) -> TrainedPairModel:
    from kptk.runfolder import RunFolder

    _ = RunFolder.open(run).backbone  # refuse a wrong folder before Keras is imported
    from kptk.training import backend

    backend.import_keras()
    from kptk_image_text.trained_pair_model import TrainedPairModel

    return TrainedPairModel(run)


def _said(options: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in options:
        name, equals, value = text.removeprefix("data.").partition("=")
        if not equals:
            raise UsageError(f"-o takes NAME=VALUE, an option of the reader of --data. Received: {text!r}.")
        found[name] = value
    return found


_OPTION = click.option(
    "-o", "--option", "options", multiple=True, metavar="NAME=VALUE", help="Option of the reader of --data."
)
_LIMIT = click.option("--limit", default=0, type=click.IntRange(0), help="Rows at most, drawn at random; 0 for all.")
_SEED = click.option("--seed", default=0, show_default=True, help="Of that draw, and of the intervals.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command("zero-shot")
@click.argument("run")
@click.option("--data", metavar="PATH|NAME", required=True, help="Labelled images; its test part if it has one.")
@click.option(
    "--template", "templates", multiple=True, help="Sentence with {} for the class; repeatable. By default {}."
)
@click.option("--classes", default="", help="Other names for the classes, in their order, between commas.")
@_OPTION
@_LIMIT
@_SEED
@_JSON
def zero_shot(
    run: str,
    data: str,
    templates: tuple[str, ...],
    classes: str,
    options: tuple[str, ...],
    limit: int,
    seed: int,
    as_json: bool,
) -> None:
    """Classify images without a labelled one: each gets the class whose name, in a sentence, RUN finds most alike."""
    import numpy as np

    from kptk.data import limited

    said = _said(options)
    trained = _open(run)
    from kptk_image_text.zero_shot import TEMPLATE, accuracies, class_vectors, prompts

    source = trained.open_images(data, said)
    held = source.holdout()
    part = "test part" if held is not None else "all rows"
    source = limited(held if held is not None else source, limit, seed)
    if source.labels is None:
        raise InputError(f"{source.describe()}: there are no classes to choose from. Give images with labels.")
    names = [name.strip() for name in classes.split(",")] if classes else list(source.class_names)
    if len(names) != len(source.class_names):
        raise UsageError(
            f"--classes must name {len(source.class_names)} classes, in this order: {', '.join(source.class_names)}. "
            f"Received: {len(names)}."
        )
    sentences = [sentence for one in prompts(names, templates or (TEMPLATE,)) for sentence in one]
    vectors = class_vectors(trained.texts(sentences), len(names))
    labelled = np.flatnonzero(source.labels >= 0)
    scores = trained.scores(trained.images(source), vectors.astype("float32"))
    figures: dict[str, Any] = {
        "run": run,
        "data": source.describe(),
        "part": part,
        "templates": list(templates or (TEMPLATE,)),
        "names": names,
        "unknown_tokens": trained.unknown_share(sentences),
        **accuracies(scores[labelled], source.labels[labelled]),
    }
    if as_json:
        from kptk.cli.output import print_json

        print_json(figures)
        return
    click.echo(f"{figures['data']} ({part}), {figures['rows']:,} rows, no label seen")
    click.echo(
        f"First class right: {figures['top1']:.1%}  (chance {figures['chance_top1']:.1%}, always the commonest "
        f"{figures['commonest_class']:.1%}; mean of the classes {figures['mean_class_top1']:.1%})"
    )
    if "top5" in figures:
        click.echo(f"Among the first five: {figures['top5']:.1%}  (chance {figures['chance_top5']:.1%})")
    if figures["unknown_tokens"]:
        click.echo(
            f"Note: {figures['unknown_tokens']:.1%} of the tokens of these sentences are not in the run's vocabulary."
        )


@click.command("retrieve")
@click.argument("run")
@click.option(
    "--data", metavar="PATH|NAME", default="", help="Images with captions; by default the run's own test part."
)
@_OPTION
@_LIMIT
@_SEED
@_JSON
def retrieve(run: str, data: str, options: tuple[str, ...], limit: int, seed: int, as_json: bool) -> None:
    """Search captions by images and images by captions, and count how often RUN finds what belongs together."""
    from kptk.data import limited

    said = _said(options)
    trained = _open(run)
    from kptk_image_text.pairs import PairSide, captions_of
    from kptk_image_text.retrieval import recalls

    pairs, part = trained.open_test_pairs(data, ",".join(f"{name}={value}" for name, value in said.items()))
    captions = captions_of(limited(pairs, limit, seed))
    if len(captions) < 2:
        raise InputError(f"{pairs.describe()}: a search needs at least two pairs.")
    images = trained.images(limited(PairSide(pairs, "image"), limit, seed))
    found = recalls(trained.scores(images, trained.texts(captions)), captions, seed)
    unknown = trained.unknown_share(captions)
    if as_json:
        from kptk.cli.output import print_json

        print_json(
            {
                "run": run,
                "data": pairs.describe(),
                "part": part,
                "seed": seed,
                "different_captions": len(set(captions)),
                "unknown_tokens": unknown,
                "results": [recall.to_dict() for recall in found],
            }
        )
        return
    click.echo(f"{pairs.describe()} ({part}): {len(captions):,} pairs, {len(set(captions)):,} different captions")
    for recall in found:
        click.echo(
            f"{recall.direction}  recall@{recall.k:<2}  {recall.value:6.1%}  [{recall.low:.1%}, {recall.high:.1%}]  "
            f"chance {recall.chance:.2%}"
        )
    if unknown:
        click.echo(f"Note: {unknown:.1%} of the tokens of these captions are not in the run's vocabulary.")
