"""The Python spelling: build parts by name, and run what the command line runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kptk import errors, modelfile
from kptk.config import RunConfig, resolve
from kptk.data import Source
from kptk.discovery import Offer
from kptk.plugins import Plugins, load_target
from kptk.request import Request, Setting, tracker_names
from kptk.training import backend

if TYPE_CHECKING:
    import keras

    from kptk.training.evaluation import Evaluation
    from kptk.training.preprocessor import Preprocessor
    from kptk.training.pretrainer import Pretrainer
    from kptk.training.reporter import Reporter
    from kptk.training.run import Result


def backbone(name: str, input_shape: tuple[int, ...], **options: Any) -> keras.Model:
    """Build a backbone that a plugin offers.

    Args:
        name: short name or full id, see ``kptk list backbones``; or the path of a model file, ``"my_model.keras"``.
        input_shape: shape of one input, such as ``(28, 28, 1)``.
        **options: its options, see ``kptk show NAME``.

    Returns:
        A `keras.Model` from inputs to features.

    Raises:
        UsageError: if the name or an option is wrong, or the inputs are too small.

    Example:
        >>> import kptk
        >>> kptk.backbone("resnet18", input_shape=(28, 28, 1), stem="small").output_shape
        (None, 512)
    """
    from kptk.config import Part
    from kptk.training.assemble import build_backbone

    backend.import_keras()
    plugins = Plugins()
    found = modelfile.locate(plugins, name)
    offer = found[0] if found else plugins.find("backbone", name)
    values = _checked(offer, options) | ({modelfile.OPTION: str(found[1])} if found else {})
    return build_backbone(Part(offer, values), tuple(input_shape))


def preprocessor(name: str, *, views: int | None = None, seed: int | None = None, **options: Any) -> Preprocessor:
    """Build a preprocessor that a plugin offers.

    Args:
        name: short name or full id, see ``kptk list preprocessors``.
        views: how many views of each example to make; as many as it always makes, or 2, if None.
        seed: of its random numbers; None draws one.
        **options: its options, see ``kptk show NAME``.

    Example:
        >>> import kptk
        >>> kptk.preprocessor("image_views", flip=0.0).flip
        0.0
    """
    backend.import_keras()
    offer = Plugins().find("preprocessor", name)
    count = (offer.spec.views or 2) if views is None else views
    built: Preprocessor = load_target(offer)(views=count, seed=seed, **_checked(offer, options))  # type: ignore[operator]
    return built


def objective(
    name: str, *, backbone: keras.Model, views: Preprocessor | str | int | None = "default", **options: Any
) -> Pretrainer:
    """Build an objective around a backbone, ready for ``compile`` and ``fit``.

    Args:
        name: short name or full id, see ``kptk list objectives``.
        backbone: any `keras.Model` from inputs to features, yours or `kptk.backbone`'s.
        views: what makes the views: a layer, the name of a preprocessor, None if `fit` gets what the backbone takes;
            by default the preprocessor of the plugin's own recipe. A number is the option `views` of an objective that
            lets the user choose how many.
        **options: its options, see ``kptk show NAME``; and ``num_classes`` if it learns from labels and needs it.

    Returns:
        A `kptk.Pretrainer`, which is a `keras.Model`.

    Raises:
        UsageError: if a name or option is wrong, or the objective needs several views and nothing makes them.

    Example:
        >>> import keras, kptk
        >>> backbone = kptk.backbone("example_cnn", input_shape=(28, 28, 1))
        >>> model = kptk.objective("contrastive", backbone=backbone, temperature=0.5)
        >>> isinstance(model, keras.Model)
        True
    """
    backend.import_keras()
    plugins = Plugins()
    offer = plugins.find("objective", name)
    unknown = 0 if offer.spec.labels_optional else None
    classes = {"num_classes": options.pop("num_classes", unknown)} if offer.spec.classes else {}
    if classes and not isinstance(classes["num_classes"], int):
        raise errors.bad_value("num_classes", "the number of classes of your labels", classes["num_classes"])
    if isinstance(views, int):
        options["views"], views = views, "default"
    options = _checked(offer, options)
    count = int(options.pop("views", offer.spec.views))
    if views == "default":
        views = _usual_preprocessor(plugins, offer)
    if isinstance(views, str):
        views = preprocessor(views, views=count)
    if views is None and count > 1:
        raise errors.UsageError(
            f"objective {offer.id} needs {count} views of each example but nothing makes them. "
            "Pass views=kptk.preprocessor(NAME); see: kptk list preprocessors"
        )
    made: Pretrainer = load_target(offer)(backbone, views, **options, **classes)  # type: ignore[operator]
    return made


def _usual_preprocessor(plugins: Plugins, objective: Offer) -> str | None:
    """The preprocessor of the recipe that goes with an objective."""
    for recipe in plugins.offers("recipe"):
        if recipe.plugin == objective.plugin and recipe.spec.objective in (objective.id, objective.spec.name):
            return recipe.spec.preprocessor or None
    return None


def dataset(name: str, *, form: str = "", **options: Any) -> Source:
    """Open data by path or name.

    Args:
        name: a folder, a file, or the name of a data set, see ``kptk list datasets``.
        form: the form of example, as in the spec of a task, such as ``"tagged_words"``; empty for plain rows.
        **options: options of its reader.

    Returns:
        The rows; ``source.read(rows)`` gives arrays.

    Example:
        >>> import kptk
        >>> len(kptk.dataset("mnist10k"))
        8000
    """
    from kptk.training.assemble import open_named

    return open_named(Plugins(), name, "", form, **options)


def train(
    plugin: str = "",
    *,
    data: str = "",
    out: str | Path = "",
    objective: str = "",
    backbone: str = "",
    preprocessor: str = "",
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    options: Mapping[str, Any] | None = None,
    trackers: Iterable[str] = (),
    reporter: Reporter | None = None,
) -> Result:
    """Run what ``kptk train`` runs.

    Args:
        plugin: plugin or recipe to run.
        data: a folder, a file, or the name of a data set; the recipe's if empty.
        out: the run folder; ``runs/PLUGIN-DATE-TIME`` if empty.
        objective: another objective than the recipe's.
        backbone: another backbone than the recipe's, or the path of a ``.keras`` file.
        preprocessor: another preprocessor than the recipe's.
        epochs: passes over the data.
        batch_size: examples a step.
        seed: decides weights, views and data order.
        options: any options, ``{"objective.temperature": 0.2}``.
        trackers: who else keeps the figures, ``["tensorboard"]``; see ``kptk list trackers``.
        reporter: how the run speaks; lines by default.

    Returns:
        Folder, verdict and figures.

    Example:
        >>> import kptk
        >>> result = kptk.train("contrastive", epochs=1, options={"data.limit": 512})  # doctest: +SKIP
    """
    names = {"objective": objective, "backbone": backbone, "preprocessor": preprocessor}
    flags = {"train.epochs": epochs, "train.batch_size": batch_size, "train.seed": seed}
    settings = [Setting(key, value) for key, value in flags.items() if value is not None]
    settings += [Setting(key, value) for key, value in (options or {}).items()]
    named = {k: v for k, v in names.items() if v} | tracker_names(trackers)
    request = Request(recipe=plugin, names=named, data=data, settings=tuple(settings))
    plugins = Plugins()
    return run(resolve(plugins, request), out, plugins=plugins, reporter=reporter)


def run(
    config: RunConfig,
    out: str | Path = "",
    *,
    plugins: Plugins | None = None,
    reporter: Reporter | None = None,
) -> Result:
    """Run a configuration.

    Args:
        config: the resolved configuration.
        out: the run folder; ``runs/PLUGIN-DATE-TIME`` if empty.
        plugins: the registry; a new one if None.
        reporter: how the run speaks; lines by default.
    """
    from kptk.runfolder import RunFolder

    backend.import_keras()
    from kptk.training.reporter import LineReporter
    from kptk.training.run import Run

    path = Path(out) if out else RunFolder.default_path((config.recipe or config.objective.id).partition("/")[0])
    return Run(config, plugins or Plugins(), reporter or LineReporter()).start(path)


def evaluate(run: str | Path, data: str, **options: Any) -> Evaluation:
    """Judge a run on labelled data, as ``kptk evaluate`` does; see `kptk.training.evaluation.evaluate`.

    Args:
        run: the run folder, or a ``.keras`` file that holds a backbone.
        data: labelled data, a path or a name.
        **options: ``protocols``, ``k``, ``seed``, ``limit``, ``labels_per_class``, ``draws``, ``epsilons``, ``corruptions``,
            ``severity``, ``on_bad_input``.
    """
    backend.import_keras()
    from kptk.training.evaluation import evaluate as judge

    return judge(run, data, **options)


def report(*paths: str | Path, out: str | Path = "") -> dict[str, Any]:
    """Write one page about a run, a fine-tuned model or a comparison, or about several runs, as ``kptk report`` does.

    Args:
        *paths: their folders.
        out: the HTML file; ``report.html`` in the folder, or here if there are several.

    Returns:
        Where the page is, what kind it is and how long it is.
    """
    from kptk.reports import target

    where = target([str(path) for path in paths], str(out))
    backend.import_keras()
    from kptk.training.report.make import make_report

    return make_report(paths, where)


def embed(run: str | Path, data: str, out: str | Path, **options: Any) -> dict[str, Any]:
    """Write the features of data, as ``kptk embed`` does; see `kptk.training.embedding.embed`.

    Args:
        run: the run folder.
        data: a path or the name of a data set.
        out: ends with ``.npz`` or ``.parquet``.
        **options: ``on_bad_input``.
    """
    backend.import_keras()
    from kptk.training.embedding import embed as write

    return write(run, data, out, **options)


def _checked(offer: Offer, options: Mapping[str, Any]) -> dict[str, Any]:
    """Check options against their spec; an unknown one is refused."""
    known = {option.name: option for option in offer.spec.options}
    for name in options:
        if name not in known:
            raise errors.unknown_option(offer.id, name, list(known))
    values = {option.name: options.get(option.name, option.default) for option in known.values()}
    return {
        name: value if known[name].objects and callable(value) else known[name].check(value)
        for name, value in values.items()
    }
