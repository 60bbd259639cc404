"""One fine-tuning, from a pre-trained origin to a run folder with a model that takes raw input."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import keras

from kptk import runfolder
from kptk.data import Source, content_hash
from kptk.errors import InputError
from kptk.finetuning import FineTuneConfig, read, resolve_finetune, shown
from kptk.plugins import Plugins
from kptk.runfolder import RunFolder
from kptk.tracking import require_packages
from kptk.training import backend, checkpoint, environment
from kptk.training.assemble import open_source
from kptk.training.assemble_task import build_model
from kptk.training.checkpoint import Progress
from kptk.training.choice import ChooseBest, Scorer
from kptk.training.finetune_end import FineTuneResult as FineTuneResult
from kptk.training.finetune_end import finish
from kptk.training.finetune_phase import train_phase
from kptk.training.labelled import Part, Split, split
from kptk.training.optimizer import plain_optimizer
from kptk.training.origin import Origin, count, open_origin, receipt_of
from kptk.training.phases import split_epochs
from kptk.training.reporter import Reporter
from kptk.training.stream import steps_per_epoch
from kptk.training.task import no_classes
from kptk.training.tracking import Tracking

USUAL_STEPS = 300
FEWEST_EPOCHS = 5
MOST_EPOCHS = 100


class FineTune:
    """A fine-tuning that is assembled and can be run.

    Args:
        config: the resolved configuration.
        plugins: the registry.
        reporter: how it speaks.
        source: the labelled data, if it is open already.
    """

    def __init__(
        self,
        config: FineTuneConfig,
        plugins: Plugins,
        reporter: Reporter | None = None,
        source: Source | None = None,
    ) -> None:
        assert config.task.offer is not None
        self.config = config
        self.reporter = reporter or Reporter()
        require_packages(config.trackers)
        self.tracking = Tracking(config.trackers, self.reporter)
        self.train = config.train.values
        self.raw_source = source or open_source(config.data, self.train["seed"])
        if config.task.offer.spec.labels == "class" and self.raw_source.labels is None:
            raise no_classes(self.raw_source, config.task.offer.spec.name)
        if self.train["deterministic"]:
            backend.make_deterministic()
        keras.utils.set_random_seed(self.train["seed"])
        keras.config.set_dtype_policy(self.train["dtype"])
        self.origin: Origin = open_origin(config, plugins)
        self._fit_preprocessor()
        keras.utils.set_random_seed(self.train["seed"])
        self.source: Source
        self.model, copied, self.source = build_model(config, self.origin, self.raw_source)
        self.split: Split = split(
            self.model.task,
            self.source,
            labels_per_class=self.train["labels_per_class"],
            validation=self.train["validation"],
            seed=self.train["seed"],
            needs_labels=bool(config.task.offer.spec.labels),
        )
        self.receipt = receipt_of(self.model, copied)
        self.rows: Part = self.model.training_part(self.split.train)
        self.phases = self.model.phases()
        self.epochs = split_epochs(self.phases, self.model.useful(self.train["epochs"] or self._usual_epochs()))
        self.scorer = Scorer(self.model)
        if self.split.train.labels is not None:
            self.model.task.adapt(self.split.train.labels)
        self.model.check_batch(self.batch_size)
        self.model.prepare_rows(self.split.train.source, self.split.train.labels)
        self.model.compile(plain_optimizer(self.train), metrics=None)

    def _fit_preprocessor(self) -> None:
        """A plain model file knows nothing of the rows; a run brings what it learned of its own."""
        preprocessor = self.origin.preprocessor
        if preprocessor is not None and preprocessor.fits and not preprocessor.fitted:
            preprocessor.fit(self.raw_source)

    def _usual_epochs(self) -> int:
        return min(max(-(-USUAL_STEPS // self.per_epoch), FEWEST_EPOCHS), MOST_EPOCHS)

    @property
    def batch_size(self) -> int:
        """Rows a step: no more than there are."""
        return int(min(self.train["batch_size"], len(self.rows)))

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        return steps_per_epoch(len(self.rows), self.batch_size)

    @property
    def total_steps(self) -> int:
        """Steps of all phases."""
        return self.per_epoch * sum(self.epochs)

    def ends(self) -> list[int]:
        """The step after the last one of each phase."""
        return [self.per_epoch * sum(self.epochs[: index + 1]) for index in range(len(self.phases))]

    def counts(self) -> list[dict[str, Any]]:
        """What each phase trains: its name, trainable numbers, numbers in all, epochs and steps."""
        total = count(self.model.tunable)
        return [
            {
                "phase": phase.name,
                "trainable": count(phase.weights),
                "of": total,
                "epochs": n,
                "steps": n * self.per_epoch,
            }
            for phase, n in zip(self.phases, self.epochs, strict=True)
        ]

    def start(self, out: Path, command: str = "") -> FineTuneResult:
        """Train from the beginning into a new run folder.

        Args:
            out: where the folder is to be.
            command: the command line that repeats the run, for the record.
        """
        RunFolder.check_free(out)
        self._say_what()
        described = environment.describe(self.config, self.raw_source, fingerprint(self.source), command)
        described["origin"] = {"path": self.config.origin, "checksum": self.origin.checksum}
        described["receipt"] = self.receipt.to_dict()
        described["rows_fingerprint"] = self._added_fingerprint()
        folder = RunFolder.create(out, self.config.to_toml(), described)
        return self._train(folder, Progress(), None)

    def resume(self, folder: RunFolder) -> FineTuneResult:
        """Go on with an interrupted fine-tuning, to the same end as if it had not been interrupted.

        Args:
            folder: its folder.

        Raises:
            InputError: if the data, the origin or the checkpoint changed meanwhile, or nothing is left to do.
        """
        described = folder.read_json(runfolder.ENVIRONMENT)
        for what, before, now in (
            ("data", described.get("data", {}).get("fingerprint"), fingerprint(self.source)),
            ("target's data", described.get("rows_fingerprint", ""), self._added_fingerprint()),
            ("origin", described.get("origin", {}).get("checksum"), self.origin.checksum),
        ):
            if before != now:
                raise InputError(
                    f"the {what} of {folder.path} changed since the run was started, so it cannot end as it would have. "
                    "Start a new run."
                )
        if (folder.path / runfolder.SUMMARY).exists():
            raise InputError(f"{folder.path} is complete.")
        saved = checkpoint.load(folder.checkpoints)
        state, progress = saved or (None, Progress())
        self._say_what()
        kept = [record for record in folder.metrics() if record["step"] <= progress.step]
        folder.write(runfolder.METRICS, "".join(json.dumps(record) + "\n" for record in kept))
        self.reporter.line(f"Resuming after step {progress.step:,} of {self.total_steps:,}.")
        return self._train(folder, progress, state)

    def _added_fingerprint(self) -> str:
        """Hash of the training rows if the strategy added some, otherwise nothing."""
        return "" if self.rows is self.split.train else self.rows.source.fingerprint()

    def _say_what(self) -> None:
        config, say = self.config, self.reporter.line
        options = shown(config.strategy.values) or "no options"
        say(f"Strategy {config.strategy.id} ({options}), task {config.task.id}, backend {backend.name()}")
        say(f"Data: {self.source.describe()}: {self.split}")
        if self.rows is not self.split.train:
            say(f"An epoch has {len(self.rows):,} rows: {self.rows.source.describe()}")
        say(str(self.receipt))
        for row in self.counts():
            trains = f"{row['trainable']:,} of {row['of']:,} numbers train"
            say(f"Phase {row['phase']}: {trains}, {row['epochs']} epochs, {row['steps']:,} steps")

    def _train(self, folder: RunFolder, progress: Progress, state: checkpoint.State | None) -> FineTuneResult:
        with self.tracking.of(self.config, folder):
            return self._phases(folder, progress, state)

    def _phases(self, folder: RunFolder, progress: Progress, state: checkpoint.State | None) -> FineTuneResult:
        stopped = False
        with self.reporter.progress("Fine-tuning", self.total_steps, progress.step) as advance:
            start = 0
            for phase, stop in zip(self.phases, self.ends(), strict=True):
                # A checkpoint on the border of two phases belongs to the one that ended.
                mine = state is not None and start < progress.step <= stop
                if not stopped and (progress.step < stop or mine):
                    progress, stopped = train_phase(
                        self, folder, phase, (start, stop), progress, state if mine else None, advance
                    )
                    state = None if mine else state
                start = stop
        return finish(self, folder, progress)

    def choice(self, folder: RunFolder) -> ChooseBest | None:
        """What chooses the best epoch, None if there are no validation rows.

        Args:
            folder: the run folder, whose log may hold earlier epochs.
        """
        if self.split.validation is None:
            return None
        return ChooseBest(
            self.scorer,
            self.split.validation,
            folder=folder.checkpoints,
            records=folder.metrics(),
            patience=self.train["patience"],
        )

    def say_epoch(self, record: dict[str, Any]) -> None:
        """Say the figures of an epoch.

        Args:
            record: as in the log.
        """
        metric = f"val_{self.model.task.metric}"
        parts = [f"epoch {record['epoch']}/{sum(self.epochs)}", f"loss {record.get('loss') or float('nan'):.4f}"]
        if record.get(metric) is not None:
            parts.append(f"validation {self.model.task.metric} {record[metric]:.4f}")
        self.reporter.line("  ".join(parts))
        self.tracking.log(record)


def resume(path: str | Path, plugins: Plugins, reporter: Reporter | None = None) -> FineTuneResult:
    """Go on with the fine-tuning in a folder.

    Args:
        path: the run folder.
        plugins: the registry.
        reporter: how it speaks.
    """
    folder = RunFolder.open(path)
    config = resolve_finetune(plugins, read(folder.path / runfolder.CONFIG))
    return FineTune(config, plugins, reporter).resume(folder)


def fingerprint(source: Source) -> str:
    """Hash of rows and their labels.

    Args:
        source: the data.
    """
    digest = hashlib.sha256(source.fingerprint().encode())
    for labels in (source.labels, source.targets):
        digest.update(b"-" if labels is None else _bytes(labels))
    return digest.hexdigest()


def _bytes(labels: Any) -> bytes:
    return content_hash(labels).encode() if labels.dtype.kind == "O" else bytes(labels.tobytes())
