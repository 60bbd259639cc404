"""Labels given to `fit`: looked at before training, where a mistake would otherwise be learned silently."""

from __future__ import annotations

from typing import Any

import numpy as np

from kptk.errors import InputError, UsageError, bad_value


def check_classes(num_classes: int) -> int:
    """Return a number of classes that can be told apart.

    Args:
        num_classes: the number.

    Raises:
        UsageError: if it is not an integer of at least 2.
    """
    if not isinstance(num_classes, int) or isinstance(num_classes, bool) or num_classes < 2:
        raise bad_value("num_classes", "an integer of at least 2: one class is nothing to learn", num_classes)
    return num_classes


def check_labels(labels: Any, num_classes: int) -> None:
    """Refuse an array that does not hold class numbers; anything that is no array is left to Keras.

    Args:
        labels: what `fit` got as ``y``.
        num_classes: how many classes the model tells apart.

    Raises:
        InputError: if a label is no whole number of 0 to ``num_classes - 1``.

    Example:
        >>> import numpy as np
        >>> check_labels(np.array([0, 1, 2]), num_classes=3)
    """
    if not (hasattr(labels, "shape") and hasattr(labels, "dtype")):
        return
    values = np.asarray(labels)
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != 1):
        raise InputError(
            f"labels must be class numbers of shape (rows,). Received: shape {values.shape}. "
            "For one-hot labels pass y.argmax(axis=-1)."
        )
    whole = np.issubdtype(values.dtype, np.number) and np.isfinite(values).all() and (values == np.rint(values)).all()
    if not whole:
        raise InputError(
            f"labels must be class numbers. Received: {values.ravel()[:3].tolist()}. "
            "Number the names: classes, y = np.unique(y, return_inverse=True)"
        )
    if values.size and not (values.min() >= 0 and values.max() < num_classes):
        raise InputError(
            f"labels must be 0 to {num_classes - 1}, since the model was built with num_classes={num_classes}. "
            f"Received: {values.min()} to {values.max()}."
        )


def require_labels(labels: Any, objective: str) -> None:
    """Refuse to train without labels an objective that learns from nothing else.

    Args:
        labels: what reached the loss.
        objective: what to call it.

    Raises:
        UsageError: if there are none.
    """
    if labels is None:
        raise UsageError(
            f"objective {objective} learns from labels and got none. Give them: model.fit(x, y), or data of (x, y)."
        )
