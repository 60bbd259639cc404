"""`Strategy`: the base of every way to fine-tune. A `keras.Model` whose `fit` goes through phases."""

from __future__ import annotations

import abc
from typing import Any

import keras
import numpy as np

from kptk.data import ArraySource, Source
from kptk.errors import InputError, UsageError
from kptk.training import backend
from kptk.training.examples import is_raw, makes_rows, objects
from kptk.training.features import in_batches, pooled
from kptk.training.phased import PhasedModel
from kptk.training.phases import Featuriser
from kptk.training.preprocessor import Preprocessor
from kptk.training.task import Task
from kptk.training.tokens import network_for
from kptk.training.two_sides import folded, unfolded
from kptk.types import Tensor


class Strategy(PhasedModel, abc.ABC):
    """Abstract `keras.Model` from raw inputs to a task's outputs. Plugins subclass it.

    A leaf says in `phases` which weights train, one after the other; `fit` does the rest, on TensorFlow, JAX and PyTorch
    and without a `train_step`: before each phase it freezes every other weight, compiles with a fresh copy of the
    optimiser, and trains. Weights that a phase does not name keep their bits. A phase whose features do not change
    computes them once, where `fit` gets arrays.

    Args:
        backbone: any `keras.Model` from inputs to features.
        task: the head, with its loss and metrics.
        preprocessor: prepares raw inputs, or None if they already are what the backbone takes.
        augment: whether a training step sees the first of the preprocessor's random views instead of the plain input.
        network: what gives the head its features, if a leaf built something around the backbone.
        **kwargs: passed to `keras.Model`.
    """

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        network: keras.Model | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.backbone = backbone
        self._goes_round = network is None and task.features == "sequence"
        self.network = network_for(task, backbone) if network is None else network
        self.task = task
        self.preprocessor = preprocessor
        self.augment = augment
        shape = self.feature_shape()
        if task.features == "map" and len(shape) != 4:
            raise UsageError(
                f"task {task.name} needs a backbone that returns a map but {backbone.name} returns vectors of shape "
                f"{shape}. Use the strategy encoder_decoder, which adds a decoder, or another backbone."
            )
        task.attach(backbone)
        if not task.built:
            task.build(shape)
        self.built = True

    # What a leaf writes ------------------------------------------------------------------------------------------

    def feature_shape(self) -> tuple[int | None, ...]:
        """Shape of what `encode` returns, with None for the batch."""
        shape = tuple(self.network.output_shape)
        return (shape[0], shape[-1]) if self.task.features == "vector" else shape

    def encode(self, inputs: Tensor, training: bool) -> Tensor:
        """Features of prepared inputs.

        Args:
            inputs: as the preprocessor gives them.
            training: whether the backbone is in training mode.
        """
        features = self.network(inputs, training=training)
        return pooled(features) if self.task.features == "vector" else features

    def prepare_rows(self, source: Source, labels: Any) -> None:
        """Look at the training rows before a run begins, for strategies that compute something of them.

        Args:
            source: the rows.
            labels: their labels, as the task takes them, or None.
        """

    def training_part(self, part: Any) -> Any:
        """What a run trains on: its labelled rows, unless the strategy adds rows.

        Args:
            part: rows with their labels, see `kptk.training.labelled.Part`.
        """
        return part

    def report(self, split: Any) -> dict[str, Any]:
        """Figures of its own for the summary of a run.

        Args:
            split: the parts of the data, see `kptk.training.labelled.Split`.
        """
        del split
        return {}

    # What the base does ------------------------------------------------------------------------------------------

    def numbers(self, x: Any) -> Any:
        """Prepare raw rows, if the preprocessor does so before the model."""
        if is_raw(x, self.task):
            source = self.examples(x)
            return source.read(np.arange(len(source)))
        return x if self.preprocessor is None else self.preprocessor.numbers(x)

    def examples(self, x: Any, y: Any = None) -> Source:
        """The rows that the model is fed, of raw examples that are in memory.

        Args:
            x: raw examples, as the task takes them.
            y: their answers, or None.
        """
        return self.task.examples(self._raw(x, y), self.preprocessor)

    def _raw(self, x: Any, y: Any = None) -> ArraySource:
        kind = "image" if self.preprocessor is None else self.preprocessor.kind
        rows = x if isinstance(x, np.ndarray) else objects(x)
        targets = y if y is None or isinstance(y, np.ndarray) else objects(y)
        return ArraySource(rows, inputs=kind, targets=targets, name="x")

    def example_arrays(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Rows and labels of raw examples, where the task makes its own."""
        if not is_raw(x, self.task):
            return self.numbers(x), y
        if y is not None and len(y) != len(x):
            raise InputError(f"x has {len(x):,} rows but y has {len(y):,}. Give one answer for each row of x.")
        source = self.examples(x, y)
        self.task.row_shape = tuple(source.row_shape)
        rows = source.read(np.arange(len(source)))
        return rows, self.task.targets(source) if self.task.learns_from_labels else None

    def table(self, x: Any) -> dict[str, Any]:
        """Predictions for raw examples as columns, as ``kptk predict`` writes them.

        Args:
            x: raw examples: an array, or a list of texts or of what else the task takes.
        """
        from kptk.training.choice import Scorer

        source = self.task.prompts(self._raw(x), self.preprocessor)
        return self.task.table(Scorer(self).predict(source), source)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Outputs of the task, as `keras.Model.predict`, also of raw rows that are no numbers."""
        return super().predict(self.numbers(x), *args, **kwargs)

    def prepare(self, inputs: Tensor, training: bool) -> Tensor:
        """From raw inputs to what the backbone takes.

        Args:
            inputs: raw inputs, shape ``(batch, ...)``.
            training: whether this is a training step.
        """
        pairs = self.task.features == "pair"
        if pairs:
            inputs = folded(inputs)
        if self.preprocessor is not None:
            augment = training and self.augment
            inputs = self.preprocessor(inputs)[0] if augment else self.preprocessor.plain(inputs)
        prepared = self.task.degrade(inputs, training)
        return unfolded(prepared) if pairs else prepared

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Outputs of the task, such as logits."""
        features = self.encode(self.prepare(inputs, training), training and self._state.live)
        return self.task(features, training=training)

    def predictions(self, inputs: Tensor) -> Tensor:
        """Predictions for raw inputs in inference mode, such as probabilities.

        Args:
            inputs: raw inputs, shape ``(batch, ...)``.
        """
        return self.task.activate(self(inputs, training=False))

    def symbolic(self, inputs: Any) -> Any:
        """`predictions` of a `keras.Input`, without a layer of kptk in the graph, for export.

        Args:
            inputs: a `keras.Input` of raw inputs.
        """
        features = self.encode(self.prepare(inputs, False), False)
        return self.task.activate(self.task.call(features, training=False))

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Any = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """The task's loss, with the layers' own losses."""
        del training
        loss = self.task_loss(x, y, y_pred, sample_weight)
        for extra in self.losses:
            loss = loss + keras.ops.cast(extra, loss.dtype)
        # Overriding compute_loss bypasses Keras' own scaling for a TensorFlow strategy with several replicas.
        replicas = backend.replicas()
        return loss / replicas if replicas > 1 else loss

    def task_loss(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor) -> Tensor:
        """Loss of a batch without the layers' own; a leaf with more than one task or term overrides it.

        Args:
            x: raw inputs.
            y: labels.
            y_pred: what `call` returned.
            sample_weight: a weight for each row, or None.
        """
        if y is None:
            y = self.task.input_targets(x if self.preprocessor is None else self.preprocessor.plain(x))
        return self.task.loss(y, y_pred, sample_weight)

    def unused_weights(self) -> list[Any]:
        """Weights of a pooling that a task of a sequence goes round."""
        if not self._goes_round:
            return []
        used = {id(variable) for variable in self.network.variables}
        return [variable for variable in self.backbone.variables if id(variable) not in used]

    def head_weights(self) -> tuple[Any, ...]:
        """The weights that do not belong to the backbone."""
        inside = {id(variable) for variable in self.backbone.variables}
        return tuple(variable for variable in self.tunable if id(variable) not in inside)

    def keeps_features(self, rows: int) -> bool:
        """Whether there is memory for them, and the task has labels: it cannot make targets of features."""
        numbers = rows * int(np.prod([size or 1 for size in self.feature_shape()[1:]]))
        return self.task.learns_from_labels and numbers <= MOST_CACHED

    def cached_features(self, x: Any) -> Any:
        """Features of raw inputs that no step of a cached phase changes."""
        return in_batches(Featuriser(self).predict_on_batch, np.asarray(x))

    def default_metrics(self) -> list[Any]:
        """The task's own."""
        return self.task.fit_metrics()

    def look_at(self, x: Any, y: Any) -> None:
        """Check arrays before `fit` begins, and let the task learn constants of the labels."""
        if self.preprocessor is not None and not makes_rows(self.task):
            self.preprocessor.check(x)
        if y is not None and hasattr(y, "shape"):
            labels = np.asarray(y)
            if len(labels) != len(x):
                raise InputError(f"x has {len(x):,} rows but y has {len(labels):,}. Give one label for each row of x.")
            self.task.check_labels(labels)
            self.task.adapt(labels)

    def check_batch(self, size: int) -> None:
        """Refuse a batch of which the task can learn nothing."""
        if size < self.task.least_batch:
            raise UsageError(
                f"task {self.task.name} needs at least {self.task.least_batch} rows a step, since it compares rows with each "
                f"other. Received: {size}. Give a larger batch (batch_size), or more rows."
            )

    def get_config(self) -> dict[str, Any]:
        """Return backbone, task and preprocessor; a leaf adds its options."""
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in PARTS}
        return {**super().get_config(), **parts, "augment": self.augment}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Strategy:
        """Rebuild the model with its parts."""
        config = dict(config)
        for key in PARTS:
            config[key] = keras.saving.deserialize_keras_object(config[key], custom_objects=custom_objects)
        return cls(**config)


MOST_CACHED = 2**29
"""Numbers of cached features at most, 2 GB: beyond that they are computed in every step."""
PARTS = ("backbone", "task", "preprocessor")
