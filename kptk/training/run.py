"""One pre-training run, from a configuration to a run folder with a verdict."""

from __future__ import annotations

import json
from bisect import bisect
from pathlib import Path
from typing import Any

import keras

from kptk import assembly, runfolder
from kptk.config import RunConfig, resolve
from kptk.data import Source
from kptk.errors import InputError
from kptk.plugins import Plugins
from kptk.request import from_toml
from kptk.runfolder import RunFolder
from kptk.spellings import to_command, to_toml
from kptk.training import backend, checkpoint, environment
from kptk.training.assemble import build_model, open_data, open_probe
from kptk.training.callbacks import Checkpoints, KeepRandomState, MetricsLog, RestoreMetrics, ShowProgress
from kptk.training.checkpoint import Progress
from kptk.training.feeding import steady
from kptk.training.finish import Result as Result
from kptk.training.finish import finish
from kptk.training.optimizer import make_optimizer
from kptk.training.plan import Plan, measure, sizes
from kptk.training.prepared import fitted, load_preprocessor, save_preprocessor, training_rows
from kptk.training.probes import ProbeCallback
from kptk.training.receipt import checksum
from kptk.training.reporter import Reporter
from kptk.training.stages import share
from kptk.training.stream import batches, steps_per_epoch
from kptk.training.tracking import Tracking
from kptk.training.waiting import WaitClock
from kptk.training.watching import epoch_line, health_callback, nan_capture


class Run:
    """A run that is assembled and can be planned or trained.

    Args:
        config: the resolved configuration.
        plugins: the registry.
        reporter: how it speaks.
        source: the data, if it is open already.
        preprocessor: the fitted preprocessor of an interrupted run; None fits the configuration's, if it is one to fit.
    """

    def __init__(
        self,
        config: RunConfig,
        plugins: Plugins,
        reporter: Reporter | None = None,
        source: Source | None = None,
        preprocessor: Any = None,
    ) -> None:
        assembly.check(config)
        self.config = config
        self.plugins = plugins
        self.reporter = reporter or Reporter()
        self.tracking = Tracking(config.trackers, self.reporter)
        self.train = config.train.values
        self.raw_source = self.source = source or open_data(config)
        self.probe_source = open_probe(plugins, config, self.source)
        self.preprocessor = preprocessor or fitted(config, self.raw_source)
        if self.preprocessor is not None:
            self.source = training_rows(self.preprocessor, self.raw_source, self.train["batch_size"])
            if self.probe_source is not None:
                self.probe_source = self.preprocessor.prepared(self.probe_source)
        assert config.objective.offer is not None
        self.labels = bool(config.objective.offer.spec.labels)
        self.model = self._build()
        self.stage_epochs = share(self.train["epochs"], self.model.stages)
        self.initial_checksum = checksum(self.model.backbone, trainable_only=True)
        self.sizes = sizes(self.model)
        self._begin(0)
        self._plan: Plan | None = None

    def _build(self) -> Any:
        if self.train["deterministic"]:
            backend.make_deterministic()
        keras.utils.set_random_seed(self.train["seed"])
        keras.config.set_dtype_policy(self.train["dtype"])
        views = "new" if self.preprocessor is None else self.preprocessor
        model = build_model(self.config, self.source, views=views)
        model.set_total_steps(self.total_steps)
        return model

    def _begin(self, stage: int) -> None:
        """Compile for a stage, with an optimiser of its own; most objectives have only one."""
        if self.model.stages > 1:
            self.model.begin_stage(stage)
        steps = (self.stage_epochs[stage + 1] - self.stage_epochs[stage]) * self.per_epoch
        jit = self.train["jit"]
        self.model.compile(
            optimizer=make_optimizer(self.train, steps), jit_compile="auto" if jit == "auto" else jit == "on"
        )
        self.model.optimizer.build(self.model.trainable_variables)
        self.stage = stage

    def stage_of(self, step: int) -> int:
        """The stage that makes a step, counted from 0; the last stage for steps after the end.

        Args:
            step: counted from 0.
        """
        return bisect(self.stage_epochs[1:-1], step // self.per_epoch)

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        return steps_per_epoch(len(self.source), self.train["batch_size"])

    @property
    def total_steps(self) -> int:
        """Steps of the run."""
        return self.train["epochs"] * self.per_epoch

    def plan(self) -> Plan:
        """Measure what the run will cost; nothing changes."""
        if self._plan is None:
            self._plan = measure(self.model, self.source, self.train, self.sizes, labels=self.labels)
        return self._plan

    def start(self, out: Path) -> Result:
        """Train from the beginning into a new run folder.

        Args:
            out: where the folder is to be.

        Returns:
            The result.
        """
        RunFolder.check_free(out)
        self._say_what()
        self.reporter.line(f"Plan: {self.plan()}")
        described = environment.describe(
            self.config, self.raw_source, self.source.fingerprint(), to_command(self.plugins, self.config)
        )
        folder = RunFolder.create(out, to_toml(self.config), described)
        if self.preprocessor is not None:
            save_preprocessor(self.preprocessor, folder)
        return self._train(folder, Progress(), None)

    def resume(self, folder: RunFolder) -> Result:
        """Go on with an interrupted run, to the same end as if it had not been interrupted.

        Args:
            folder: its folder.

        Raises:
            InputError: if the data or the checkpoint changed meanwhile.
        """
        described = folder.read_json(runfolder.ENVIRONMENT)
        if described.get("data", {}).get("fingerprint") != self.source.fingerprint():
            raise InputError(
                f"the data of {folder.path} changed since the run was started ({self.source.describe()}), so it cannot "
                "end as it would have. Start a new run."
            )
        saved = checkpoint.load(folder.checkpoints)
        state, progress = saved or (None, Progress())
        if progress.step >= self.total_steps and (folder.path / runfolder.SUMMARY).exists():
            raise InputError(f"{folder.path} is complete: all {self.total_steps:,} steps are done.")
        self._say_what()
        # Measuring compiles the step and puts everything back, as it did in the run that was interrupted.
        self.reporter.line(f"Plan: {self.plan()}")
        if state is not None:
            # A checkpoint at the very end of a stage has that stage's optimiser.
            self.change_stage(self.stage_of(max(progress.step - 1, 0)))
            checkpoint.restore(self.model, state)
        kept = [record for record in folder.metrics() if record["step"] <= progress.step]
        folder.write(runfolder.METRICS, "".join(json.dumps(record) + "\n" for record in kept))
        self.reporter.line(f"Resuming after step {progress.step:,} of {self.total_steps:,}.")
        return self._train(folder, progress, state)

    def _say_what(self) -> None:
        config = self.config
        preprocessor = config.preprocessor.id if config.preprocessor else "no preprocessor"
        self.reporter.line(
            f"Objective {config.objective.id}, backbone {config.backbone.id}, {preprocessor}, backend {backend.name()}"
        )
        self.reporter.line(f"Data: {self.source.describe()}")
        for remark in self.raw_source.remarks:
            self.reporter.line(remark)
        if self.source.skipped:
            self.reporter.line(f"Left out: {len(self.source.skipped):,} unreadable; listed in the report.")
        if self.probe_source is not None:
            self.reporter.line(f"kNN check on separate data: {self.probe_source.describe()}")

    def _train(self, folder: RunFolder, progress: Progress, state: checkpoint.State | None) -> Result:
        with self.tracking.of(self.config, folder):
            return self._steps(folder, progress, state)

    def _steps(self, folder: RunFolder, progress: Progress, state: checkpoint.State | None) -> Result:
        with self.reporter.progress("Training", self.total_steps, progress.step) as advance:
            while progress.step < self.total_steps and not self.model.stop_training:
                self.change_stage(self.stage_of(progress.step))
                # An epoch that was interrupted in its middle is finished first: Keras can only begin whole ones.
                behind = progress.step % self.per_epoch
                stop = self.stage_epochs[self.stage + 1] * self.per_epoch
                stop = progress.step - behind + self.per_epoch if behind else stop
                saver = self._fit(folder, progress, progress.step, stop, advance, state if behind else None)
                progress = Progress(step=saver.step, first_loss=saver.first_loss)
        if self.model.stages > 1:
            self.model.end_stages()
        return finish(self, folder, progress.first_loss)

    def change_stage(self, stage: int) -> None:
        """Compile for a stage, if it is another one than now.

        Args:
            stage: counted from 0.
        """
        if stage != self.stage:
            self._begin(stage)

    def _fit(
        self,
        folder: RunFolder,
        progress: Progress,
        start: int,
        stop: int,
        advance: Any,
        state: checkpoint.State | None,
    ) -> Checkpoints:
        per_epoch = self.per_epoch
        saver = Checkpoints(
            start,
            per_epoch,
            folder=folder.checkpoints,
            every=self.train["checkpoint_every"],
            first_loss=progress.first_loss,
            stop_on_nan=self.train["stop_on"] != "never",
        )
        waits = WaitClock(start, per_epoch)
        log = MetricsLog(
            start,
            per_epoch,
            path=folder.path / runfolder.METRICS,
            batch_size=self.train["batch_size"],
            say=self._epoch,
            waited=waits.waited_seconds,
        )
        callbacks = [
            *([RestoreMetrics(state)] if state is not None else []),
            KeepRandomState(),
            ShowProgress(start, per_epoch, advance),
            health_callback(self),
            *self.probe_callbacks(),
            log,
            nan_capture(self, folder, start),
            saver,
            waits,  # the last, so that the others' time is not taken for waiting
        ]
        stream = batches(self.source, self.train["batch_size"], self.train["seed"], start, stop, labels=self.labels)
        try:
            self.model.fit(
                steady(waits.watched(stream)),
                steps_per_epoch=min(per_epoch, stop - start),
                initial_epoch=start // per_epoch,
                epochs=-(-stop // per_epoch),
                shuffle=False,
                verbose=0,
                callbacks=callbacks,
            )
        finally:
            saver.release()
            stream.close()  # type: ignore[attr-defined]
        return saver

    def _epoch(self, record: dict[str, Any]) -> None:
        self.reporter.line(epoch_line(self, record))
        self.tracking.log(record)

    def probe_callbacks(self) -> list[ProbeCallback]:
        """The kNN check while training: none or one."""
        if self.probe_source is None:
            return []
        options = self.config.probe.values
        limit = max(options["limit"] // 2, 10)
        return [ProbeCallback(self.probe_source, every=options["every"], seed=self.train["seed"], limit=limit)]


def resume(path: str | Path, plugins: Plugins, reporter: Reporter | None = None) -> Result:
    """Go on with the run in a folder.

    Args:
        path: the run folder.
        plugins: the registry.
        reporter: how it speaks.
    """
    folder = RunFolder.open(path)
    config = resolve(plugins, from_toml(folder.path / runfolder.CONFIG))
    return Run(config, plugins, reporter, preprocessor=load_preprocessor(folder, plugins)).resume(folder)
