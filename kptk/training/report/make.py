"""`kptk report`: one page about a run, a fine-tuned model or a comparison; about several runs, one that compares them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kptk import runfolder
from kptk.config import resolve
from kptk.errors import RunError
from kptk.finetuning import read, resolve_finetune
from kptk.plugins import Plugins
from kptk.reports import kind_of
from kptk.request import from_run, without_trackers
from kptk.runfolder import RunFolder
from kptk.training.reporter import Reporter


def make_report(
    paths: Sequence[str | Path], out: str | Path, *, plugins: Plugins | None = None, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Write the page.

    Args:
        paths: folders of runs, fine-tunings or one comparison.
        out: the HTML file.
        plugins: the registry; a new one if None.
        reporter: how it speaks.

    Returns:
        Where the page is, what kind it is and how long it is.

    Raises:
        InputError: if a folder is none of these, or the data of a run cannot be read any more.
        RunError: if the page cannot be written.
    """
    plugins, reporter, out = plugins or Plugins(), reporter or Reporter(), Path(out)
    kinds = [kind_of(path) for path in paths]
    if len(paths) > 1:
        from kptk.training.report.several import render_several

        kind, page = "runs", render_several([Path(path) for path in paths], reporter)
    else:
        kind = kinds[0]
        make = {"run": _run, "finetuned": _finetuned, "comparison": _comparison}[kind]
        page = make(Path(paths[0]), plugins, reporter)
    content = page.encode("utf-8", "replace")
    _write(out, content)
    return {"path": str(out), "kind": kind, "bytes": len(content)}


def _write(out: Path, content: bytes) -> None:
    part = out.with_name(f".{out.name}.part")
    try:
        part.write_bytes(content)
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RunError(f"could not write {out}: {error.strerror or error}") from error


def _run(path: Path, plugins: Plugins, reporter: Reporter) -> str:
    from kptk.training.prepared import load_preprocessor
    from kptk.training.report import render
    from kptk.training.report.page import Page
    from kptk.training.run import Run
    from kptk.training.saving import load_model

    folder = RunFolder.open(path)
    config = resolve(plugins, from_run(folder.path / runfolder.CONFIG))
    run = Run(config, plugins, reporter, preprocessor=load_preprocessor(folder, plugins))
    run.model = load_model(folder.path / runfolder.PRETRAINER, plugins, compile=False)
    return render(Page(run, folder, folder.read_json(runfolder.SUMMARY), thorough=True))


def _finetuned(path: Path, plugins: Plugins, reporter: Reporter) -> str:
    from kptk.training.assemble import open_source
    from kptk.training.finetuned import FineTuned
    from kptk.training.labelled import split
    from kptk.training.report.tuned import Tuned, TunedPage
    from kptk.training.report.tuned_report import render_tuned

    folder = RunFolder.open(path)
    config = resolve_finetune(plugins, without_trackers(read(folder.path / runfolder.CONFIG)))
    model = FineTuned(path, plugins).model
    source = open_source(config.data, config.train.values["seed"])
    preprocessor = model.preprocessor
    if preprocessor is not None and preprocessor.fits:
        source = preprocessor.prepared(source)
    assert config.task.offer is not None
    parts = split(
        model.task,
        source,
        labels_per_class=config.train.values["labels_per_class"],
        validation=config.train.values["validation"],
        seed=config.train.values["seed"],
        needs_labels=bool(config.task.offer.spec.labels),
    )
    tuned = Tuned(model=model, config=config, source=source, split=parts, reporter=reporter)
    return render_tuned(TunedPage(tuned, folder, folder.read_json(runfolder.SUMMARY), thorough=True))


def _comparison(path: Path, plugins: Plugins, reporter: Reporter) -> str:
    from kptk.training.report.comparison import render_comparison

    del plugins
    return render_comparison(path, reporter)
