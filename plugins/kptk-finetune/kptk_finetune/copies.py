"""Copies of a trunk, one for each task, that share the weights that they are told to share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from kptk.errors import UsageError
from kptk.training.features import pooled
from kptk.training.task import Task

BIASES = ("bias", "beta", "recurrent_bias")
"""Names of the variables that are added, not multiplied, in Keras layers."""


def kind_of(variable: Any) -> str:
    """The last word of a variable's path, such as ``"kernel"``.

    Args:
        variable: a Keras variable.
    """
    return str(variable.path.rpartition("/")[2])


def names_of_tasks(task: Task, strategy: str) -> tuple[str, ...]:
    """The tasks within a task.

    Args:
        task: what a strategy was given.
        strategy: its name, for the message.

    Raises:
        UsageError: if there are fewer than two.
    """
    names = task.task_names
    if len(names) < 2:
        raise UsageError(
            f"strategy {strategy} needs at least two tasks on the same rows. Received: task {task.name}, which is one. "
            "Use --task several and labels of one column a task (NaN where a label is missing)."
        )
    return names


def copy_of(trunk: keras.Model, name: str, shares: Callable[[Any], bool]) -> keras.Model:
    """Copy a functional model; some of the copy's weights are the very variables of the trunk.

    Weights that are not shared start with the trunk's values.

    Args:
        trunk: a functional or sequential `keras.Model`.
        name: put before the names of its layers.
        shares: whether the copy has a variable of the trunk in common with it.

    Returns:
        The copy.

    Raises:
        UsageError: if it cannot be copied layer by layer.
    """

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if "name" in config:
            config["name"] = f"{name}_{layer.name}"
        return type(layer).from_config(config)

    try:
        # Nested models are cloned too, so that every layer has its own name.
        copy = keras.models.clone_model(trunk, clone_function=clone, recursive=True)
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"backbone '{trunk.name}' cannot be copied layer by layer, which a trunk for each task needs: "
            f"{str(error).splitlines()[0][:160]} Build it of Keras layers with keras.Model(inputs, outputs)."
        ) from error
    copy = keras.Model(copy.inputs, copy.outputs[0], name=f"{name}_{trunk.name}")
    if isinstance(trunk, keras.Sequential):
        trunk = keras.Model(trunk.inputs, trunk.outputs[0], name=trunk.name)
    own, theirs = list(copy._flatten_layers()), list(trunk._flatten_layers())
    if [type(layer) for layer in own] != [type(layer) for layer in theirs]:
        raise UsageError(
            f"backbone '{trunk.name}' has layers that are not in its copy, so nothing can be shared with it."
        )
    for mine, other in zip(own, theirs, strict=True):
        _link(mine, other, shares)
    missing = [v.path for v in trunk.variables if shares(v) and not any(v is mine for mine in copy.variables)]
    if missing or len(copy.variables) != len(trunk.variables):
        raise UsageError(
            f"backbone '{trunk.name}' keeps a weight where it cannot be shared: {', '.join(missing[:3]) or 'unknown'}. "
            "Use --strategy twin_networks, where every task has weights of its own."
        )
    return copy


def _link(mine: Any, other: Any, shares: Callable[[Any], bool]) -> None:
    """Give a layer the variables of another of the same class: itself where shared, its value elsewhere."""
    for attribute, theirs in list(vars(other).items()):
        if not isinstance(theirs, keras.Variable):
            continue
        held = vars(mine).get(attribute)
        if held is theirs or not isinstance(held, keras.Variable):
            continue
        if not shares(theirs):
            if "seed_generator" not in theirs.path:
                # A copy: on JAX two variables would otherwise be one buffer, which a training step cannot give away twice.
                held.assign(keras.ops.copy(theirs.value))
            continue
        # In the same place: Keras saves the weights of some layers in the order of its lists.
        store = "trainable_variables" if held.trainable else "non_trainable_variables"
        mine._tracker.replace_tracked_value(store, held, theirs)
        mine._post_untrack_variable(held)
        setattr(mine, attribute, theirs)
        mine._post_track_variable(theirs)


def side_by_side(trunks: Sequence[keras.Model], backbone: keras.Model, name: str) -> keras.Model:
    """One model that runs a trunk for each task on the same inputs.

    Args:
        trunks: one a task.
        backbone: says what the inputs are.
        name: name of the model.

    Returns:
        A functional model from inputs to features ``(batch, tasks, dim)``; maps and sequences are averaged.
    """
    tensor = backbone.inputs[0]
    inputs = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name="inputs")
    rows = [pooled(trunk(inputs)) for trunk in trunks]
    return keras.Model(inputs, keras.ops.stack(rows, axis=1), name=name)
