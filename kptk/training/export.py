"""`kptk export`: a fine-tuned model as a file that runs without kptk, checked against the model that it came from."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kptk.errors import InputError, RunError, UsageError
from kptk.plugins import Plugins
from kptk.training import backend
from kptk.training.finetuned import FineTuned
from kptk.training.paths import check_free, default_target
from kptk.training.strategy import Strategy
from kptk.training.tokens import TokenFacts
from kptk.training.two_sides import SIDES

FORMATS = ("keras", "savedmodel", "onnx", "litert")
TOLERANCE = 1e-4
"""Largest difference of a prediction from the Keras model's: exports may sum in another order."""

NEEDS: dict[str, dict[str, tuple[str, ...]]] = {
    "onnx": {"tensorflow": ("tf2onnx", "onnx"), "torch": ("onnxscript", "onnx"), "jax": ("jax2onnx", "onnx")},
    "savedmodel": {"jax": ("tensorflow",), "torch": ("tensorflow",)},
    "litert": {"torch": ("litert_torch",)},
}
"""Packages that Keras needs for a format on a backend."""

CANNOT = {
    ("savedmodel", "torch"): "Keras cannot write a SavedModel from PyTorch",
    ("litert", "jax"): "Keras writes LiteRT from TensorFlow or PyTorch only",
}


def export(
    path: str | Path,
    format: str = "keras",
    out: str | Path = "",
    *,
    plugins: Plugins | None = None,
) -> dict[str, Any]:
    """Write a fine-tuned model with its preprocessing: raw input in, predictions out.

    Args:
        path: the folder of a fine-tuning, or a ``.keras`` file.
        format: ``"keras"``, ``"savedmodel"``, ``"onnx"`` or ``"litert"``.
        out: where to; beside the model, named after the format, if empty.
        plugins: the registry; a new one if None.

    Returns:
        Path, format, the input's shape and type, and the largest difference from the Keras model on random input.

    Raises:
        UsageError: if the format is unknown, cannot be written on this backend, or the place is taken.
        RunError: if the written model predicts something else.
    """
    if format not in FORMATS:
        raise UsageError(f"`format` must be one of {', '.join(FORMATS)}. Received: {format!r}.")
    check_format(format, backend.name())
    target = Path(out) if out else default_target(Path(path), format)
    check_free(target, format)
    opened = FineTuned(path, plugins)
    whole = deployable(opened.model)
    probe = random_rows(opened.model, 3)
    wanted = keras.ops.convert_to_numpy(opened.model.predictions(probe))
    part = target.with_name(f".part-{target.name}")
    try:
        _write(whole, part, format)
        difference = float(np.abs(_tried(part, format, probe) - wanted).max())
        if not difference <= TOLERANCE:
            raise RunError(
                f"the exported {format} predicts something else than the model: they differ by {difference:g}. "
                "Nothing was kept. Try another format, such as keras."
            )
        part.replace(target)
    except OSError as error:
        raise RunError(f"could not write {target}: {error.strerror or error}") from error
    finally:
        _remove(part)
    return {
        "path": str(target),
        "format": format,
        "input": {"shape": [None, *opened.model.task.row_shape], "dtype": str(probe.dtype)},
        "class_names": list(opened.model.task.class_names),
        "difference": difference,
    }


def check_format(format: str, engine: str) -> None:
    """Refuse a format that this backend cannot write, or say what to install.

    Args:
        format: one of `FORMATS`.
        engine: name of the backend.
    """
    if (format, engine) in CANNOT:
        raise UsageError(f"{CANNOT[format, engine]}. Export with KERAS_BACKEND=tensorflow, or another --format.")
    missing = [name for name in NEEDS.get(format, {}).get(engine, ()) if importlib.util.find_spec(name) is None]
    if missing:
        packages = " ".join(name.replace("_", "-") for name in missing)
        raise UsageError(
            f"--format {format} on {engine} needs {', '.join(missing)}, which is not installed: pip install {packages}"
        )


def raw_dtype(model: Strategy) -> str:
    """The type of raw input: bytes for images that a preprocessor scales, token numbers of texts, floats otherwise.

    Args:
        model: the fine-tuned model.
    """
    if isinstance(getattr(model.preprocessor, "tokens", None), TokenFacts):
        return "int32"
    rank = len(model.task.row_shape) - (model.task.features == "pair")
    return "uint8" if model.preprocessor is not None and rank == 3 else "float32"


def random_rows(model: Strategy, rows: int) -> np.ndarray[Any, Any]:
    """Random raw input to compare predictions on.

    Args:
        model: the fine-tuned model.
        rows: how many.
    """
    shape = tuple(model.task.row_shape)
    if model.task.features == "pair":
        return _random(model, rows * SIDES, shape[1:]).reshape(rows, *shape)
    return _random(model, rows, shape)


def _random(model: Strategy, rows: int, row_shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    shape = (rows, *row_shape)
    found = getattr(model.preprocessor, "tokens", None)
    if isinstance(found, TokenFacts):
        tokens = rng.integers(1, found.vocabulary, shape).astype("int32")
        if len(shape) == 3:
            tokens[:, 1:] %= 2  # segments, and the answer of a pair
        return tokens
    if raw_dtype(model) == "uint8":
        return rng.integers(0, 256, shape).astype("uint8")
    return rng.normal(size=shape).astype("float32")


def deployable(model: Strategy) -> keras.Model:
    """The model as a plain Keras graph from raw input to predictions, with no class of kptk in it.

    Args:
        model: the fine-tuned model.

    Raises:
        InputError: if it cannot be written as one.
    """
    inputs = keras.Input(tuple(model.task.row_shape), dtype=raw_dtype(model), name="inputs")
    try:
        return keras.Model(inputs, model.symbolic(inputs), name="exported")
    except Exception as error:  # a plugin's code decides what happens here
        raise InputError(
            f"{model.name} cannot be written as a plain Keras graph: {str(error).splitlines()[0][:200]}"
        ) from error


def _write(model: keras.Model, target: Path, format: str) -> None:
    if format == "keras":
        named = target.with_name(f"{target.name}.keras")
        model.save(named)
        named.replace(target)
        return
    kind = {"savedmodel": "tf_saved_model", "onnx": "onnx", "litert": "litert"}[format]
    try:
        if format == "onnx":  # its exporter refuses a model that was never called
            model(np.zeros((1, *model.inputs[0].shape[1:]), model.inputs[0].dtype))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="In the future `np.object`", category=FutureWarning)  # tf2onnx
            model.export(str(target), format=kind, verbose=False)
    except OSError:
        raise
    except Exception as error:  # exporters raise whatever their tool chain raises
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise RunError(f"Keras could not write this model as {format}: {first}. Try another --format.") from error


def _tried(path: Path, format: str, rows: Any) -> np.ndarray[Any, Any]:
    """Predictions of an export that was just written; what runs it refuses some that the writer let pass."""
    try:
        return run_exported(path, format, rows)
    except (UsageError, RunError, OSError):
        raise
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise RunError(
            f"the {format} that Keras wrote of this model does not run: {first}. Try another --format."
        ) from error


def run_exported(path: Path, format: str, rows: Any) -> np.ndarray[Any, Any]:
    """Predictions of an exported model.

    Args:
        path: the export.
        format: its format.
        rows: raw input.

    Raises:
        UsageError: if what runs it is not installed.
    """
    if format == "keras":
        named = path.with_name(f"{path.name}.check.keras")
        shutil.copyfile(path, named)
        try:
            return np.asarray(keras.ops.convert_to_numpy(keras.saving.load_model(named)(rows)))
        finally:
            named.unlink()
    if format == "onnx":
        if importlib.util.find_spec("onnxruntime") is None:
            raise UsageError(
                "an ONNX export is checked with onnxruntime, which is not installed: pip install onnxruntime"
            )
        onnxruntime = importlib.import_module("onnxruntime")

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, {session.get_inputs()[0].name: rows})[0])
    import tensorflow as tf

    if format == "savedmodel":
        loaded = tf.saved_model.load(str(path))  # its variables live as long as it does
        return np.asarray(loaded.serve(tf.constant(rows)).numpy())
    with warnings.catch_warnings():
        # TensorFlow's own interpreter is deprecated in favour of a package that it does not bring.
        warnings.simplefilter("ignore", UserWarning)
        interpreter = tf.lite.Interpreter(model_path=str(path))
    details = interpreter.get_input_details()[0]
    interpreter.resize_tensor_input(details["index"], rows.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(details["index"], rows)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
