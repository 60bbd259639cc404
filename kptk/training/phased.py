"""`PhasedModel`: a `keras.Model` whose `fit` goes through phases, each with its own trainable weights."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from kptk.errors import UsageError
from kptk.training.feeding import fit_arguments
from kptk.training.fresh_gradients import FreshGradients
from kptk.training.optimizer import weight_decay_exclusions
from kptk.training.phases import Head, Phase, split_epochs


@dataclass(slots=True)
class _State:
    """What a strategy remembers between calls; an object of its own, so that Keras does not track what is in it."""

    tunable: list[Any] = field(default_factory=list)
    unused: list[Any] = field(default_factory=list)
    live: bool = True
    phase: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    no_decay: list[str] = field(default_factory=list)


class PhasedModel(FreshGradients, keras.Model, abc.ABC):
    """Abstract base of `Strategy`: freezing, compiling and fitting phase by phase.

    Args:
        **kwargs: passed to `keras.Model`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._state = _State()

    @abc.abstractmethod
    def phases(self) -> tuple[Phase, ...]:
        """The phases, in order."""

    @abc.abstractmethod
    def cached_features(self, x: Any) -> Any:
        """Features of raw inputs that no step of a cached phase changes.

        Args:
            x: an array of raw inputs.
        """

    def keeps_features(self, rows: int) -> bool:
        """Whether the features of some rows may be computed once and kept.

        Args:
            rows: how many.
        """
        del rows
        return True

    def cached_or_not(self, phase: Phase, rows: int) -> Phase:
        """A phase as it is trained: its features are computed in every step where they cannot be kept.

        Args:
            phase: the phase.
            rows: how many it trains on; 0 if they cannot be counted.
        """
        return phase if rows and self.keeps_features(rows) else replace(phase, cached=False)

    most_epochs = 0
    """Epochs that are of any use; 0 for any number."""

    def enter(self, phase: Phase, rows: Any, labels: Any) -> None:
        """Look at what a phase with cached features is about to train on, for what can be computed at once.

        Args:
            phase: the phase.
            rows: features.
            labels: their labels.
        """

    def look_at(self, x: Any, y: Any) -> None:
        """Check arrays before `fit` begins, and learn constants of the labels.

        Args:
            x: raw inputs.
            y: labels, or None.
        """

    def check_batch(self, size: int) -> None:
        """Refuse a batch of which nothing can be learned.

        Args:
            size: rows of a step.

        Raises:
            UsageError: if there are too few.
        """

    def training_arrays(self, x: Any, y: Any) -> tuple[Any, Any]:
        """What `fit` trains on when it gets arrays: those, unless a strategy adds rows.

        Args:
            x: raw inputs, looked at already.
            y: labels, or None.
        """
        return x, y

    def default_metrics(self) -> list[Any]:
        """Keras metrics that `compile` takes if the user names none."""
        return []

    def learning_rate(self, phase: Phase, peak: float, steps: int) -> Any:
        """Learning rate of a phase, a number or a Keras schedule over its steps.

        Args:
            phase: the phase.
            peak: the compiled optimiser's learning rate.
            steps: steps of the phase, 0 if they cannot be counted.
        """
        del steps
        return peak * phase.rate

    def optimizer_for(self, phase: Phase, optimizer: Any) -> Any:
        """The optimiser of a phase, made of a fresh copy of the compiled one.

        Args:
            phase: the phase.
            optimizer: a fresh copy, which may be returned as it is.
        """
        del phase
        return optimizer

    @property
    def tunable(self) -> list[Any]:
        """Every weight that can train, whatever the current phase freezes."""
        if not self._state.tunable:
            unused = {id(variable) for variable in self.unused_weights()}
            every = list(self.trainable_variables)
            self._state.tunable = [variable for variable in every if id(variable) not in unused]
            self._state.unused = [variable for variable in every if id(variable) in unused]
        return list(self._state.tunable)

    def unused_weights(self) -> list[Any]:
        """Weights on which no output depends, such as those of a pooling that the task goes round; they keep their bits."""
        return []

    def useful(self, epochs: int) -> int:
        """How many of some epochs are of any use.

        Args:
            epochs: epochs wished for.
        """
        return min(epochs, self.most_epochs) if self.most_epochs else epochs

    def compile(self, optimizer: Any = "adam", loss: Any = None, metrics: Any = "task", **kwargs: Any) -> None:
        """Configure training, as `keras.Model.compile`; the loss and, if none are named, the metrics are the task's.

        Args:
            optimizer: a Keras optimiser; each phase gets a fresh copy.
            loss: must be None.
            metrics: Keras metrics, or ``"task"`` for the task's own.
            **kwargs: passed on.
        """
        if loss is not None:
            raise UsageError(f"`loss` must be left out: the task brings its own. Received: {loss!r}.")
        chosen = self.default_metrics() if metrics == "task" else metrics
        optimizer = keras.optimizers.get(optimizer)
        self._state.arguments = {"optimizer": keras.optimizers.serialize(optimizer), "metrics": chosen, **kwargs}
        # Keras leaves this out of an optimiser's configuration.
        self._state.no_decay = weight_decay_exclusions(optimizer)
        super().compile(optimizer=optimizer, metrics=chosen, **kwargs)
        # As after `fit`, so that a model that was compiled, saved and loaded has the optimiser that the file has.
        self.freeze(self.phases()[-1])
        self.optimizer.build(self.trainable_variables)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile a loaded model as it was: in its last phase."""
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**{key: value for key, value in config.items() if key not in ("loss", "loss_weights")})

    def numbers(self, x: Any) -> Any:
        """What the model is fed instead of raw rows that are no numbers.

        Args:
            x: what a user gave to `fit` or `predict`.
        """
        return x

    def example_arrays(self, x: Any, y: Any) -> tuple[Any, Any]:
        """What the model is fed instead of raw examples, with their labels.

        Args:
            x: what a user gave to `fit`.
            y: as well.
        """
        return self.numbers(x), y

    def freeze(self, phase: Phase) -> None:
        """Let only the weights of a phase train.

        Args:
            phase: the phase that begins.
        """
        wanted = {id(variable) for variable in phase.weights}
        for variable in (*self.tunable, *self._state.unused):
            variable.trainable = id(variable) in wanted
        self._state.live = phase.live
        self._state.phase = phase.name

    def begin(self, phase: Phase, steps: int = 0, schedule: Any = None) -> keras.Model:
        """Freeze what does not train and compile what does, with a fresh optimiser.

        Args:
            phase: the phase that begins.
            steps: steps of it, 0 if they cannot be counted.
            schedule: from a peak to the learning-rate schedule that a phase gets if the strategy has none of its own.

        Returns:
            What to call `keras.Model.fit` of: this model, or its `Head` if the features are cached.
        """
        self.freeze(phase)
        arguments = dict(self._state.arguments)
        optimizer = keras.optimizers.deserialize(arguments.pop("optimizer"))
        if self._state.no_decay:
            optimizer.exclude_from_weight_decay(var_names=self._state.no_decay)
        configured = optimizer.get_config()["learning_rate"]
        if isinstance(configured, (int, float)):
            rate = self.learning_rate(phase, float(configured), steps)
            optimizer.learning_rate = schedule(rate) if schedule and isinstance(rate, float) else rate
        optimizer = self.optimizer_for(phase, optimizer)
        keras.Model.compile(self, optimizer=optimizer, **arguments)
        self.optimizer.build(self.trainable_variables)
        if not phase.cached:
            return self
        head = Head(self)
        keras.Model.compile(head, optimizer=self.optimizer, **arguments)
        return head

    def fit(self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, **kwargs: Any) -> Any:
        """Train through the phases; otherwise as `keras.Model.fit`.

        The epochs are dealt out to the phases, at least one to each, so `fit` with fewer epochs than phases makes one
        epoch of each.

        Args:
            x: raw inputs.
            y: labels.
            batch_size: rows a step, for arrays.
            epochs: epochs of all phases.
            **kwargs: passed to `keras.Model.fit`.

        Returns:
            One history of all phases.
        """
        if not self._state.arguments:
            raise UsageError("call `compile` first: model.compile(keras.optimizers.Adam(1e-3))")
        x, y = self.example_arrays(x, y)
        if isinstance(kwargs.get("validation_data"), (tuple, list)) and len(kwargs["validation_data"]) > 1:
            first, second, *rest = kwargs["validation_data"]
            kwargs["validation_data"] = (*self.example_arrays(first, second), *rest)
        arrays = hasattr(x, "shape") and hasattr(x, "dtype")
        if arrays:
            self.look_at(x, y)
            x, y = self.training_arrays(x, y)
            self.check_batch(min(batch_size or 32, len(x)))
        history, done = None, int(kwargs.pop("initial_epoch", 0))
        phases = [self.cached_or_not(phase, len(x) if arrays else 0) for phase in self.phases()]
        for phase, count in zip(phases, split_epochs(phases, self.useful(epochs - done)), strict=True):
            per_epoch = kwargs.get("steps_per_epoch") or (-(-len(x) // (batch_size or 32)) if arrays else 0)
            model = self.begin(phase, per_epoch * count)
            given = dict(kwargs)
            data = x
            if phase.cached:
                data = self.cached_features(x)
                self.enter(phase, data, y)
                if given.get("validation_data") is not None:
                    given["validation_data"] = (
                        self.cached_features(given["validation_data"][0]),
                        *given["validation_data"][1:],
                    )
            given |= {"x": data, "y": y, "batch_size": batch_size, "initial_epoch": done, "epochs": done + count}
            part = keras.Model.fit(model, **fit_arguments(given))
            done += count
            history = _joined(history, part)
        return history


def _joined(before: Any, after: Any) -> Any:
    """Put the records of two `fit` calls into one history."""
    if before is None:
        return after
    after.epoch = [*before.epoch, *after.epoch]
    for key, values in before.history.items():
        after.history[key] = [*values, *after.history.get(key, [])]
    return after
