"""Loads saved objectives in a process of its own: ``python -m kptk.testing.saving_report FOLDER``.

FOLDER holds ``NAME.keras`` beside ``NAME.npz`` with the weights and the features of a few inputs. Prints a
JSON object from each name to ``"equal"`` or to what is wrong.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from kptk.training import backend


def compare(file: Path) -> str:
    """Load one model, compare it with what was saved beside it, and train one step.

    Args:
        file: the ``.keras`` file.

    Returns:
        ``"equal"``, or what is wrong.
    """
    import kptk
    import kptk.testing.text_toys  # registers the kit's own views
    import kptk.testing.toys

    keras = backend.import_keras()
    try:
        model = kptk.load_model(file)
        with np.load(file.with_suffix(".npz"), allow_pickle=False) as arrays:
            saved = {name: arrays[name] for name in arrays.files}
        weights = [saved[f"weight{index}"] for index in range(sum(name.startswith("weight") for name in saved))]
        if len(weights) != len(model.weights):
            return f"{len(weights)} weights were saved and {len(model.weights)} came back"
        for before, weight in zip(weights, model.weights, strict=True):
            if not np.array_equal(before, keras.ops.convert_to_numpy(weight)):
                return f"weight {weight.path} came back with other values"
        features = keras.ops.convert_to_numpy(model.encode(saved["plain"]))
        if not np.allclose(features, saved["features"], rtol=1e-4, atol=1e-5):
            return "the features of the same inputs are different"
        loss = model.fit(saved["x"], saved.get("y"), batch_size=len(saved["x"]), verbose=0).history["loss"][-1]
        return "equal" if np.isfinite(loss) else f"the next step's loss is {loss}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    backend.import_keras()
    print(json.dumps({file.stem: compare(file) for file in sorted(Path(sys.argv[1]).glob("*.keras"))}))
