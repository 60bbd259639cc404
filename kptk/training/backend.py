"""The one shim between kptk and what the three backends do differently."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.errors import UsageError

_state = {"deterministic": False}  # TensorFlow has no public way to ask, and no way back
BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def import_keras() -> Any:
    """Import Keras with a backend that is installed, without TensorFlow's start-up chatter.

    Returns:
        The `keras` module.

    Raises:
        UsageError: if no backend is installed, or the one that ``KERAS_BACKEND`` names is not.
    """
    if "keras" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        _choose_backend()
        with _quiet_stderr():
            import keras
    import keras

    return keras


def _choose_backend() -> None:
    wanted = os.environ.get("KERAS_BACKEND")
    installed = [name for name, module in BACKENDS.items() if importlib.util.find_spec(module)]
    if wanted in BACKENDS and wanted not in installed:
        raise UsageError(
            f"KERAS_BACKEND is {wanted} but {wanted} is not installed. Install it: pip install 'kptk[{wanted}]'"
        )
    if wanted:
        return
    if not installed:
        raise UsageError(
            "Keras needs TensorFlow, JAX or PyTorch and none is installed. Install one: pip install 'kptk[tensorflow]'"
        )
    configured = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    if "tensorflow" not in installed and not configured.exists():
        os.environ["KERAS_BACKEND"] = installed[0]


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hide what native code writes to the error stream while it starts; show it if the import fails."""
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # no error stream, as under some service managers
        yield
        return
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            hidden.seek(0)
            os.write(2, hidden.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def name() -> str:
    """Name of the backend in use."""
    import keras

    return str(keras.backend.backend())


def coming_name() -> str:
    """Name of the backend that Keras has or will have once it is imported; imports nothing.

    Raises:
        UsageError: if none is installed.
    """
    if "keras" in sys.modules:
        return name()
    _choose_backend()
    wanted = os.environ.get("KERAS_BACKEND")
    configured = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    if not wanted and configured.exists():
        with contextlib.suppress(OSError, ValueError):
            wanted = json.loads(configured.read_text(encoding="utf-8")).get("backend")
    return wanted or "tensorflow"


def make_deterministic() -> None:
    """Ask the backend for the same bits from the same seed.

    TensorFlow and PyTorch have a switch. JAX on a CPU needs none.
    """
    _state["deterministic"] = True
    if name() == "tensorflow":
        sys.modules["tensorflow"].config.experimental.enable_op_determinism()
    elif name() == "torch":
        sys.modules["torch"].use_deterministic_algorithms(True, warn_only=True)


def refuses_jit() -> str:
    """Why a step cannot be compiled with XLA in this process, empty if it can."""
    if name() == "torch":
        return "PyTorch's compiler fails on Keras models with changing shapes"
    if name() == "tensorflow" and _state["deterministic"]:
        return "TensorFlow does not compile with XLA once determinism is on in the process"
    return ""


def sync_state(model: Any) -> None:
    """Bring a model's variables up to date inside `fit`; JAX keeps them elsewhere between steps.

    Args:
        model: the `keras.Model` that is being fitted.
    """
    if name() == "jax":
        model.jax_state_sync()


def random_state() -> NDArray[Any]:
    """State of random numbers that are drawn outside Keras' seed generators; empty where there are none.

    On PyTorch an unseeded `Dropout` layer draws from the framework's own generator.
    """
    if name() != "torch":
        return np.zeros(0, dtype=np.uint8)
    return np.array(sys.modules["torch"].get_rng_state().numpy())


def set_random_state(state: NDArray[Any]) -> None:
    """Put back what `random_state` returned.

    Args:
        state: the state.
    """
    if name() == "torch" and len(state):
        torch = sys.modules["torch"]
        torch.set_rng_state(torch.from_numpy(np.array(state)))


def replicas() -> int:
    """How many replicas share a step; above 1 only under a TensorFlow strategy, where the loss must be scaled."""
    if name() != "tensorflow":
        return 1
    return int(sys.modules["tensorflow"].distribute.get_strategy().num_replicas_in_sync)
