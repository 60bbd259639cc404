"""Task embeddings: one trunk for all tasks, and a learned vector for each that says which one is meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.features import pooled
from kptk.training.phases import Phase
from kptk.training.preprocessor import Preprocessor
from kptk.training.strategy import Strategy
from kptk.training.task import Task
from kptk.types import Tensor
from kptk_finetune.copies import names_of_tasks

SPREAD = 0.02
"""Standard deviation of fresh prompts, as that of BERT's embeddings."""


def modulated(hidden: Tensor, shift: Tensor, scale: Tensor | None = None) -> Tensor:
    """FiLM: ``(1 + g) * h + b``, channel by channel; without `scale` only ``h + b``.

    Args:
        hidden: `h`, shape ``(batch, ..., channels)``.
        shift: `b`, shape ``(batch, channels)``.
        scale: `g`, shape ``(batch, channels)``, or None.

    Returns:
        The shape of `hidden`.

    References:
        Perez et al. 2018, equation 2, https://arxiv.org/abs/1709.07871
    """
    middle = (1,) * (len(hidden.shape) - 2)
    channels = int(hidden.shape[-1])
    if scale is not None:
        hidden = hidden * (1 + ops.reshape(scale, (-1, *middle, channels)))
    return hidden + ops.reshape(shift, (-1, *middle, channels))


@keras.saving.register_keras_serializable(package="kptk_finetune")
class TaskEmbeddings(Strategy):
    """The trunk is shared to the last weight; each task has one learned vector `e_t`, which reaches the hidden layers.

    ``film`` gates them, ``h -> (1 + G e_t) * h + B e_t``; ``add`` only shifts them; ``prepend`` puts `e_t` before a sequence
    as tokens of its own (a prompt). `G` and `B` are shared by the tasks and start at zero, so ``film`` and ``add`` start as
    the backbone. The inputs go through the trunk once for each task. Moving statistics of batch normalisation are those
    of all tasks together. A task's loss has no gradient for another task's vector.

    Args:
        backbone: a functional `keras.Model` from inputs to features.
        task: several tasks on the same rows, as ``several``.
        preprocessor: prepares raw inputs, or None.
        augment: whether a training step sees a random view.
        mode: ``"film"``, ``"add"`` or ``"prepend"``.
        dim: length of a task's vector for ``film`` and ``add``, at least 1.
        tokens: tokens of a task for ``prepend``, at least 1.
        layers: which layers, by a part of their name, parted by commas; empty for every layer with weights, except where
            batch normalisation behind it would undo the change, or for the first sequence.
        train: ``"all"``, or ``"embeddings"`` to keep the trunk as it is.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if there is one task only, or the backbone has no such layers or sequence.

    References:
        Perez et al. 2018, FiLM, https://arxiv.org/abs/1709.07871; Lester et al. 2021, prompt tuning,
        https://arxiv.org/abs/2104.08691
    """

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        mode: str = "film",
        dim: int = 16,
        tokens: int = 1,
        layers: str = "",
        train: str = "all",
        **kwargs: Any,
    ) -> None:
        names = names_of_tasks(task, "task_embeddings")
        trunk = _functional(backbone)
        places = _places(trunk, mode, layers)
        change = _prompts(places, tokens) if mode == "prepend" else _gates(places, gate=mode == "film")
        length = tokens * int(places[0].output.shape[-1]) if mode == "prepend" else dim
        source = backbone.inputs[0]
        inputs = keras.Input(batch_shape=source.shape, dtype=source.dtype, name="inputs")
        tables, rows = [], []
        for name in names:
            spread = keras.initializers.RandomNormal(stddev=SPREAD if mode == "prepend" else 1.0)
            tables.append(keras.layers.Embedding(1, length, embeddings_initializer=spread, name=f"{name}_embedding"))
            rows.append(_conditioned(trunk, inputs, tables[-1], change, {layer.name for layer in places}))
        # One flat graph that calls the trunk's layers once a task: nested models would be saved without what they share.
        network = keras.Model(inputs, ops.stack([pooled(row) for row in rows], axis=1), name="task_embeddings")
        super().__init__(backbone, task, preprocessor, augment=augment, network=network, **kwargs)
        self.tables = tables
        self.options = {"mode": mode, "dim": dim, "tokens": tokens, "layers": layers, "train": train}

    def encode(self, inputs: Tensor, training: bool) -> Tensor:
        """Features of each task's own, shape ``(batch, tasks, dim)``."""
        return self.network(inputs, training=training)

    def phases(self) -> tuple[Phase, ...]:
        """Everything, or what does not belong to the backbone, in one phase."""
        if self.options["train"] == "all":
            return (Phase(name="all", weights=tuple(self.tunable), live=True),)
        return (Phase(name="embeddings", weights=self.head_weights()),)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), **self.options}


Change = Callable[[Any, Any, Any], Any]
"""From a layer, its output and a task's vectors ``(batch, length)`` to what goes on."""


def _functional(backbone: keras.Model) -> keras.Model:
    if not hasattr(backbone, "inputs") or not getattr(backbone, "inputs", None):
        raise UsageError(
            f"backbone '{backbone.name}' cannot be taken apart, which task embeddings need. Build it of Keras layers with "
            "keras.Model(inputs, outputs)."
        )
    if isinstance(backbone, keras.Sequential):
        return keras.Model(backbone.inputs, backbone.outputs[0], name=backbone.name)
    return backbone


def _places(trunk: keras.Model, mode: str, wanted: str) -> list[Any]:
    """The layers whose outputs the vectors reach."""
    parts = [part.strip() for part in wanted.split(",") if part.strip()]
    weighted = [layer for layer in trunk.layers if layer.weights]
    if mode == "prepend":
        found = [layer for layer in weighted if len(layer.output.shape) == 3]
        found = [layer for layer in found if not parts or any(part in layer.name for part in parts)][:1]
        needed = "a layer with weights that returns a sequence (batch, length, width)"
    else:
        undone = _before_batch_norm(trunk)
        found = [layer for layer in weighted if any(part in layer.name for part in parts)] if parts else []
        found = found or ([] if parts else [layer for layer in weighted if layer.name not in undone])
        needed = "a layer with weights"
    if not found:
        names = ", ".join(layer.name for layer in weighted[:8]) or "no layer with weights"
        raise UsageError(
            f"task_embeddings with mode={mode} needs {needed}. Backbone '{trunk.name}' has {names}; `layers` is {wanted!r}."
        )
    return found


def _before_batch_norm(trunk: keras.Model) -> set[str]:
    """Layers whose output goes into batch normalisation, which takes a scale and a shift of channels out again."""
    found = set()
    for nodes in trunk._nodes_by_depth.values():
        for node in nodes:
            if isinstance(node.operation, keras.layers.BatchNormalization):
                found |= {parent.operation.name for parent in node.parent_nodes}
    return found


def _gates(places: list[Any], *, gate: bool) -> Change:
    """One projection a layer, shared by the tasks, that starts at zero."""
    projections = {}
    for layer in places:
        channels = int(layer.output.shape[-1])
        projections[layer.name] = keras.layers.Dense(
            channels * (2 if gate else 1), use_bias=False, kernel_initializer="zeros", name=f"{layer.name}_from_task"
        )

    def change(layer: Any, output: Any, vectors: Any) -> Any:
        made = projections[layer.name](vectors)
        channels = int(output.shape[-1])
        return modulated(output, made[:, :channels], made[:, channels:] if gate else None)

    return change


def _prompts(places: list[Any], tokens: int) -> Change:
    del places

    def change(layer: Any, output: Any, vectors: Any) -> Any:
        del layer
        prompt = keras.layers.Reshape((tokens, int(output.shape[-1])))(vectors)
        return keras.layers.Concatenate(axis=1)([prompt, output])

    return change


def _conditioned(trunk: keras.Model, inputs: Any, table: Any, change: Change, places: set[str]) -> Any:
    """Features by the trunk's own layers, with a task's vector in between."""
    # A zero for each row, computed of the inputs: a constant would be looked up once, when the graph is built.
    zeros = ops.zeros_like(inputs)
    which = ops.sum(zeros, axis=tuple(range(1, len(inputs.shape)))) if len(inputs.shape) > 1 else zeros
    vectors = table(ops.cast(which, "int32"))

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        return change(layer, output, vectors) if layer.name in places else output

    try:
        rewired = keras.models.clone_model(
            trunk,
            input_tensors=keras.tree.map_structure(lambda _: inputs, trunk.input),
            clone_function=lambda layer: layer,  # the very layers
            call_function=call,
        )
        return rewired.outputs[0]
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"backbone '{trunk.name}' does not take what the task's vector makes of its hidden layers: "
            f"{str(error).splitlines()[0][:160]} Try another mode or other `layers`."
        ) from error
