"""`Pretrainer`: the base of every objective. It owns the backbone and the views and does all the bookkeeping."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from kptk.training import backend
from kptk.training.backbones import feature_dim
from kptk.training.batch_norm import fused as fused_batch_norm
from kptk.training.clock import Clock
from kptk.training.features import pooled, run_backbone
from kptk.training.feeding import KERAS_BATCH, fit_arguments
from kptk.training.fresh_gradients import FreshGradients
from kptk.training.heads import mlp as mlp
from kptk.training.heads import with_head as with_head
from kptk.training.preprocessor import Preprocessor
from kptk.training.stages import fit_stages
from kptk.types import Tensor

if TYPE_CHECKING:
    from kptk.config import RunConfig
    from kptk.data import Source
    from kptk.training.run_parts import RunPart


class Pretrainer(FreshGradients, keras.Model, abc.ABC):
    """Abstract `keras.Model` that teaches a backbone without labels (or with).

    A leaf is one file with the paper's formula as a plain function, and three short methods: `__init__` creates what
    the objective adds to the backbone, `forward_views` runs it on the views, `objective_loss` applies the formula. There
    is no `train_step`: `call` and `compute_loss` work unchanged on TensorFlow, JAX and PyTorch.

    Create every weight in `__init__` (after ``super().__init__``), so that a saved model loads without data.

    Args:
        backbone: any `keras.Model` from inputs to features; maps and sequences are averaged to vectors.
        views: a `Preprocessor` that makes the views, or None if inputs already are what the backbone takes.
        **kwargs: passed to `keras.Model`. A whole objective is `kptk_contrastive.simclr`; see ``docs/writing-a-plugin.md``.
    """

    loss_measures_learning: bool = True
    """False if the loss may stand still or rise while the model learns, because what it is compared with moves too, such
    as a queue or the centre of a teacher. A run is then judged by its weights and features alone."""

    collapsed_spread: float = 0.05
    """Below this spread features count as collapsed. Means of token vectors have much in common: lower for them."""

    def __init__(self, backbone: keras.Model, views: Preprocessor | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backbone = backbone
        self.views = views
        self.stage: int | None = None
        self._teachable: frozenset[int] = frozenset()
        self.built = True  # a leaf's `__init__` creates every weight, so there is nothing to build later

    # What a leaf writes ------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Run the backbone and the objective's own layers.

        (It is not called `forward`, because PyTorch's modules own that name.)

        Args:
            views: the views of the batch, each ``(batch, ...)``.
            training: whether batch statistics and dropout are on.

        Returns:
            Named tensors for `objective_loss`. The one called ``"embeddings"``, if there is one, is watched for
            collapse.
        """

    @abc.abstractmethod
    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply the formula.

        Args:
            outputs: what `forward_views` returned.
            labels: what `fit` got as ``y``, or None.

        Returns:
            A scalar.
        """

    def chance_loss(self, batch_size: int) -> float | None:
        """Loss of a model that has learned nothing, or None where there is no such number.

        Args:
            batch_size: examples a step.
        """
        del batch_size
        return None

    def update_state(self, outputs: dict[str, Tensor]) -> None:
        """Advance teachers, queues and centres, once after the loss of each training step.

        Args:
            outputs: what `forward_views` returned.
        """
        del outputs  # (a body of words alone is more than AutoGraph can read)

    def pictures(self, views: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """What the report draws of an objective that makes images, such as masked inputs and reconstructions.

        Args:
            views: a few examples, each ``(batch, height, width, channels)`` of 0..1: prepared by `Preprocessor.plain`,
                without augmentation, the same for each view.

        Returns:
            Named rows of pictures, each ``(batch, height, width, channels)`` of 0..1, in the order in which they are
            drawn; the name stands below each picture. Empty for nothing to draw. The same call must give the same
            pictures: random parts take a seed of their own.
        """
        del views
        return {}

    def health_inputs(self, rows: Any) -> Any:
        """Inputs whose features must not all be alike, made of some training `rows`: these, unless the objective says others."""
        return rows

    def final_backbone(self) -> keras.Model:
        """The backbone that a run keeps, for an objective whose result is not the trained backbone as it is."""
        return self.backbone

    def run_parts(self, config: RunConfig, source: Source) -> Mapping[str, RunPart]:
        """Networks within the backbone that a run keeps as backbones of their own, by the name of their folder.

        Args:
            config: the configuration of the run.
            source: the raw rows that it was trained on.
        """
        del config, source
        return {}

    @property
    def stages(self) -> int:
        """How many stages training has; 1 for all at once."""
        return 1

    def stage_weights(self, stage: int) -> list[Any]:
        """The only weights that a stage may change, for an objective with several.

        Args:
            stage: counted from 0.
        """
        del stage
        return list(self.trainable_weights)

    def classifier(self) -> keras.Model | None:
        """The backbone with its head, from what the backbone takes to class logits, of an objective that has a head."""
        return None

    # What the base does ------------------------------------------------------------------------------------------

    @property
    def feature_dim(self) -> int:
        """Length of the feature vector that the backbone gives."""
        return feature_dim(self.backbone)

    def encode(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Features of inputs that are already as the backbone takes them.

        Args:
            inputs: shape ``(batch, ...)``.
            training: whether batch statistics and dropout are on.

        Returns:
            Feature vectors, shape ``(batch, feature_dim)``.
        """
        return pooled(run_backbone(self.backbone, inputs, training))

    def encode_views(self, views: tuple[Tensor, ...], training: bool) -> Tensor:
        """Features of several views, in a single pass for each shape that they have.

        One pass over all views is faster than one pass a view, and batch normalisation then sees all of them.

        Args:
            views: V tensors of shape ``(batch, ...)``.
            training: whether batch statistics and dropout are on.

        Returns:
            Feature vectors, shape ``(V * batch, feature_dim)``, view after view.
        """
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, view in enumerate(views):
            groups.setdefault(tuple(view.shape[1:]), []).append(index)
        if len(groups) <= 1:
            return self.encode(ops.concatenate(views, axis=0), training=training)
        features: dict[int, Tensor] = {}
        for members in groups.values():
            together = self.encode(ops.concatenate([views[index] for index in members], axis=0), training=training)
            features |= zip(members, ops.split(together, len(members), axis=0), strict=True)
        return ops.concatenate([features[index] for index in range(len(views))], axis=0)

    def call(self, inputs: Tensor, training: bool = False) -> dict[str, Tensor]:
        """Make the views and run `forward_views`."""
        views = self.views(inputs) if self.views is not None else (inputs,)
        with fused_batch_norm(self._flatten_layers()) if training else nullcontext():
            return self.forward_views(views, training)

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Any = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Apply `objective_loss`, add the layers' own losses and, in training, advance the state."""
        del x, sample_weight
        loss = self.objective_loss(y_pred, y)
        loss = sum((ops.cast(extra, loss.dtype) for extra in self.losses), loss)
        if training:
            self.update_state(y_pred)
        # Overriding compute_loss bypasses Keras' own scaling for a TensorFlow strategy with several replicas.
        # (No walrus in what TensorFlow traces: AutoGraph cannot read one, and says so at length.)
        replicas = backend.replicas()
        return loss / replicas if replicas > 1 else loss

    @property
    def clocks(self) -> list[Clock]:
        """The clocks that its schedules read."""
        return [layer for layer in self._flatten_layers() if isinstance(layer, Clock)]

    def set_total_steps(self, steps: int) -> None:
        """Say how many steps the whole training has, so that schedules can end where it ends.

        `fit` does this by itself where it can count the steps.

        Args:
            steps: at least 1.
        """
        for clock in self.clocks:
            clock.set_total(steps)

    def begin_stage(self, stage: int) -> None:
        """Make one stage's weights the only trainable ones. Compile afterwards: each stage has its own optimiser.

        `fit` and ``kptk train`` do this by themselves.

        Args:
            stage: counted from 0.
        """
        if self.stage is None:
            self._teachable = frozenset(id(weight) for weight in self.trainable_weights)
        self.stage = stage
        chosen = {id(weight) for weight in self.stage_weights(stage)}
        for weight in self.weights:
            if id(weight) in self._teachable:
                # Not the layer's flag: a frozen layer would run its batch normalisation in another mode.
                weight.trainable = id(weight) in chosen

    def end_stages(self) -> None:
        """Make everything trainable again that was so before the first stage. Compile before further training."""
        for weight in self.weights:
            if id(weight) in self._teachable:
                weight.trainable = True
        self.stage = None

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train, after a look at the inputs if they are an array; otherwise exactly `keras.Model.fit`.

        Several stages run one after the other, see `kptk.training.stages`; arrays go through `kptk.training.feeding`.
        """
        given = inspect.signature(keras.Model.fit).bind_partial(self, x, *args, **kwargs).arguments
        del given["self"]
        x = given["x"] = x if self.views is None else self.views.numbers(x, training=True)
        if (array := hasattr(x, "shape") and hasattr(x, "dtype")) and self.views is not None:
            self.views.check(x)
        known = [clock for clock in self.clocks if float(ops.convert_to_numpy(clock.total)) == 0]
        if known and (array or given.get("steps_per_epoch")):
            per_epoch = given.get("steps_per_epoch") or -(-len(x) // (given.get("batch_size") or KERAS_BATCH))
            self.set_total_steps(per_epoch * given.get("epochs", 1))
        given = fit_arguments(given)
        return fit_stages(self, given) if self.stages > 1 and self.stage is None else super().fit(**given)

    def get_config(self) -> dict[str, Any]:
        """Return the backbone and the views; a leaf adds its own arguments."""
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "views": keras.saving.serialize_keras_object(self.views),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Pretrainer:
        """Rebuild the model, with its backbone and views."""
        config = dict(config)
        for key in ("backbone", "views"):
            config[key] = keras.saving.deserialize_keras_object(config[key], custom_objects=custom_objects)
        return cls(**config)
