"""BERT's weights in Hugging Face's layout, into the backbone of this package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.errors import InputError, UsageError
from kptk.training.tokens import TABLE, stages

Tensors = Mapping[str, NDArray[Any]]


def load_bert(folder: str, input_shape: tuple[int, ...], *, vocabulary: int, dropout: float, pool: str) -> keras.Model:
    """Build the encoder that a folder describes, with its weights. Nothing is downloaded or unpickled.

    Args:
        folder: holds ``config.json`` with ``"model_type": "bert"`` and ``model.safetensors``.
        input_shape: ``(length,)`` or ``(2, length)``.
        vocabulary: what the preprocessor's vocabulary has; 0 for whatever the folder says.
        dropout: fraction dropped while training.
        pool: as in `kptk_text.bert.bert`.

    Raises:
        InputError: if the folder holds no such model.
        UsageError: if the preprocessor's vocabulary is another one.
    """
    from safetensors.numpy import load_file

    from kptk_text.bert import EPSILON, bert

    config = _config(Path(folder))
    size = int(config["vocab_size"])
    if vocabulary not in (0, size):
        raise UsageError(
            f"the model in {folder} knows {size:,} tokens and the preprocessor makes {vocabulary:,}. Use the model's own "
            f"tokeniser: -o preprocessor.tokenizer={folder}"
        )
    if config.get("hidden_act", "gelu") != "gelu" or abs(config.get("layer_norm_eps", EPSILON) - EPSILON) > 1e-15:
        raise InputError(
            f"{folder}/config.json: only BERT's GELU and a layer_norm_eps of 1e-12 can be loaded. It says "
            f"{config.get('hidden_act')} and {config.get('layer_norm_eps')}."
        )
    width, hidden = int(config["hidden_size"]), int(config["intermediate_size"])
    model = bert(
        input_shape,
        vocabulary=size,
        layers=int(config["num_hidden_layers"]),
        heads=int(config["num_attention_heads"]),
        width=width,
        mlp_ratio=hidden // width,
        positions=int(config["max_position_embeddings"]),
        segments=int(config["type_vocab_size"]),
        dropout=dropout,
        pool=pool,
    )
    file = Path(folder) / "model.safetensors"
    try:
        tensors = load_file(str(file))
    except Exception as error:  # the library has its own kinds
        raise InputError(f"{file} cannot be read: {error}") from None
    assign(model, tensors, str(file))
    return model


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None
    needed = (
        *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
        *("max_position_embeddings", "type_vocab_size"),
    )
    if not isinstance(config, dict) or config.get("model_type") != "bert" or any(name not in config for name in needed):
        kind = config.get("model_type") if isinstance(config, dict) else None
        raise InputError(f"{file} does not describe a BERT in Hugging Face's layout (model_type: {kind}).")
    if config["intermediate_size"] % config["hidden_size"]:
        raise InputError(f"{file}: intermediate_size must be a multiple of hidden_size.")
    return config


def assign(model: keras.Model, tensors: Tensors, name: str) -> None:
    """Copy tensors of Hugging Face's names into a backbone of `kptk_text.bert.bert`.

    Args:
        model: the backbone.
        tensors: by name, with or without the prefix ``bert.``; those of heads are left alone.
        name: where they are from, for messages.

    Raises:
        InputError: if one is missing or has another shape.
    """
    for variable, key, tensor in matched(model, tensors, name):
        if tensor.size != np.prod(variable.shape):
            raise InputError(f"{name}: {key} has the shape {tensor.shape}, {tuple(variable.shape)} is needed.")
        variable.assign(tensor.reshape(variable.shape).astype(np.float32))


def matched(model: keras.Model, tensors: Tensors, name: str) -> list[tuple[Any, str, NDArray[Any]]]:
    """Pair every weight of a backbone with its tensor.

    Args:
        model: the backbone.
        tensors: by name.
        name: where they are from, for messages.

    Returns:
        Weights, names and tensors, kernels turned from (out, in) to (in, out).

    Raises:
        InputError: if one is missing.
    """
    found = stages(model)
    pairs: list[tuple[Any, str, bool]] = []

    def norm(layer: Any, key: str) -> None:
        pairs.extend([(layer.gamma, f"{key}.weight", False), (layer.beta, f"{key}.bias", False)])

    def dense(kernel: Any, bias: Any, key: str) -> None:
        pairs.extend([(kernel, f"{key}.weight", True), (bias, f"{key}.bias", False)])

    for layer, key in ((TABLE, "word"), ("position_embedding", "position"), ("segment_embedding", "token_type")):
        table = found.embed.get_layer(layer)
        pairs.append((table.embeddings, f"embeddings.{key}_embeddings.weight", False))
    norm(found.embed.get_layer("embed_norm"), "embeddings.LayerNorm")
    depth = sum(layer.name.endswith("_attention") for layer in found.encoder.layers)
    for index in range(depth):
        own, key = f"layer{index}", f"encoder.layer.{index}"
        attention = found.encoder.get_layer(f"{own}_attention")
        for part in ("query", "key", "value"):
            layer = getattr(attention, f"{part}_dense")
            dense(layer.kernel, layer.bias, f"{key}.attention.self.{part}")
        dense(attention.output_dense.kernel, attention.output_dense.bias, f"{key}.attention.output.dense")
        norm(found.encoder.get_layer(f"{own}_norm1"), f"{key}.attention.output.LayerNorm")
        for layer, part in (("mlp1", "intermediate.dense"), ("mlp2", "output.dense")):
            item = found.encoder.get_layer(f"{own}_{layer}")
            dense(item.kernel, item.bias, f"{key}.{part}")
        norm(found.encoder.get_layer(f"{own}_norm2"), f"{key}.output.LayerNorm")
    if found.pool is not None and any(layer.name == "pooler" for layer in found.pool.layers):
        pooler = found.pool.get_layer("pooler")
        dense(pooler.kernel, pooler.bias, "pooler.dense")
    matches = []
    for variable, key, turn in pairs:
        tensor = tensors.get(key, tensors.get(f"bert.{key}"))
        if tensor is None:
            raise InputError(f"{name} holds no tensor '{key}'.")
        matches.append((variable, key, np.asarray(tensor).T if turn else np.asarray(tensor)))
    return matches
