"""`KptkClassifier` and `KptkRegressor`: fine-tuning as scikit-learn estimators."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import NotFittedError

from kptk.data import ArraySource
from kptk.errors import InputError
from kptk.runfolder import RunFolder
from kptk.training.choice import Scorer
from kptk.training.finetune_api import finetune
from kptk.training.origin import check_backbone
from kptk.training.pretrainer import Pretrainer
from kptk.training.saving import load_model

Array = NDArray[Any]


class KptkEstimator(BaseEstimator, abc.ABC):
    """Abstract: what both estimators share.

    `fit` trains a copy of the backbone, so one backbone serves many fits, as in cross-validation.

    Args:
        backbone: a built `keras.Model` from inputs to features, the folder of a run, or a ``.keras`` file.
        strategy: how to fine-tune, see ``kptk list strategies``.
        task: what to learn, see ``kptk list tasks``.
        epochs: passes over the rows, at least 1.
        batch_size: rows a step.
        learning_rate: of AdamW; a phase of the strategy may multiply it.
        preprocessor: as of `kptk.finetune`.
        augment: whether training steps see random views.
        options: options of strategy and task, such as ``{"class_weight": "balanced"}``.
        random_state: seed of head, order and views.
        verbose: as of `keras.Model.fit`.
    """

    def __init__(
        self,
        backbone: Any,
        *,
        strategy: str = "lp-ft",
        task: str = "",
        epochs: int = 20,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        preprocessor: Any = "default",
        augment: bool = False,
        options: Mapping[str, Any] | None = None,
        random_state: int = 0,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.strategy = strategy
        self.task = task
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.preprocessor = preprocessor
        self.augment = augment
        self.options = options
        self.random_state = random_state
        self.verbose = verbose

    def _train(self, x: Any, y: Array, **task: Any) -> Array:
        """Fine-tune a copy of the backbone.

        Args:
            x: raw inputs.
            y: labels as the task takes them.
            **task: what `kptk.finetune` is told of the classes.

        Returns:
            The rows as an array.
        """
        rows = np.asarray(x)
        if len(rows) != len(y):
            raise InputError(f"X has {len(rows):,} rows but y has {len(y):,}. Give one label for each row.")
        if len(rows) == 0:
            raise InputError("X has no rows, so there is nothing to learn from.")
        keras.utils.set_random_seed(int(self.random_state))
        self.model_ = finetune(
            self.strategy,
            _copy(self.backbone),
            row_shape=rows.shape[1:],
            preprocessor=self.preprocessor,
            augment=self.augment,
            **task,
            **dict(self.options or {}),
        )
        self.model_.compile(keras.optimizers.AdamW(self.learning_rate))
        self.history_ = self.model_.fit(
            rows, y, batch_size=min(self.batch_size, len(rows)), epochs=self.epochs, verbose=self.verbose
        ).history
        self.n_features_in_ = int(np.prod(rows.shape[1:]))
        return rows

    def _predictions(self, x: Any) -> Array:
        """What the task predicts for raw inputs."""
        if not hasattr(self, "model_"):
            raise NotFittedError(f"this {type(self).__name__} has not learned yet. Call fit first.")
        rows = np.asarray(x)
        wanted = tuple(self.model_.task.row_shape)
        if rows.shape[1:] != wanted:
            raise InputError(f"X must have rows of shape {wanted}, as in fit. Received: {rows.shape[1:]}.")
        return Scorer(self.model_).predict(ArraySource(rows))

    def __sklearn_tags__(self) -> Any:
        """Rows may have any shape, and images are no numbers to be checked for outliers."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags


class KptkClassifier(ClassifierMixin, KptkEstimator):
    """Fine-tuning for classes, as a scikit-learn classifier.

    Args:
        backbone: a built `keras.Model` from inputs to features, the folder of a run, or a ``.keras`` file.
        **settings: as of `KptkEstimator`; the task is ``"classification"``.

    Raises:
        InputError: if rows and labels do not fit, or there is one class only.
        UsageError: if a name or option is wrong.

    Example:
        >>> import kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(8, 8, 1))
        >>> images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1)).astype("uint8")
        >>> names = np.array(["cat", "dog"] * 10)
        >>> classifier = KptkClassifier(backbone, epochs=1).fit(images, names)
        >>> classifier.predict_proba(images).shape
        (20, 2)
        >>> set(classifier.predict(images)) <= {"cat", "dog"}
        True
    """

    def fit(self, X: Any, y: Any) -> KptkClassifier:
        """Learn.

        Args:
            X: raw inputs, shape ``(rows, ...)``, as the preprocessor takes them.
            y: the class of each row, numbers or text.

        Returns:
            This estimator.
        """
        labels = np.asarray(y).reshape(-1)
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise InputError("y must name a class for every row. Received: NaN or infinity. Leave those rows out.")
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        names = [str(name) for name in self.classes_]
        self._train(X, numbers, task=self.task or "classification", class_names=names)
        return self

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, in the order of ``classes_``, shape ``(rows, classes)``.

        Args:
            X: raw inputs, as in `fit`.
        """
        return self._predictions(X)

    def predict(self, X: Any) -> Array:
        """The likeliest class of each row.

        Args:
            X: raw inputs, as in `fit`.
        """
        numbers = self.predict_proba(X).argmax(axis=-1)
        chosen: Array = self.classes_[numbers]
        return chosen


class KptkRegressor(RegressorMixin, KptkEstimator):
    """Fine-tuning for numbers, as a scikit-learn regressor.

    Args:
        backbone: a built `keras.Model` from inputs to features, the folder of a run, or a ``.keras`` file.
        **settings: as of `KptkEstimator`; the task is ``"regression"``.

    Raises:
        InputError: if rows and targets do not fit.
        UsageError: if a name or option is wrong.

    Example:
        >>> import kptk, numpy as np
        >>> backbone = kptk.backbone("example_cnn", input_shape=(8, 8, 1))
        >>> images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1)).astype("uint8")
        >>> regressor = KptkRegressor(backbone, epochs=1).fit(images, images.mean((1, 2, 3)))
        >>> regressor.predict(images).shape
        (20,)
    """

    def fit(self, X: Any, y: Any) -> KptkRegressor:
        """Learn.

        Args:
            X: raw inputs, shape ``(rows, ...)``, as the preprocessor takes them.
            y: one number a row, or several: shape ``(rows,)`` or ``(rows, outputs)``.

        Returns:
            This estimator.
        """
        targets = np.asarray(y, dtype="float32")
        self._flat = targets.ndim == 1
        self._train(X, targets, task=self.task or "regression", outputs=1 if self._flat else targets.shape[1])
        return self

    def predict(self, X: Any) -> Array:
        """The numbers of each row, in the shape of ``y``.

        Args:
            X: raw inputs, as in `fit`.
        """
        numbers = self._predictions(X)
        return numbers[:, 0] if self._flat else numbers


def _copy(backbone: Any) -> keras.Model:
    """A copy with the same weights, of a model or of what is in a run or file."""
    if isinstance(backbone, str | Path):
        path = Path(backbone)
        model = load_model(RunFolder.open(path).backbone if path.is_dir() else path, compile=False)
        model = model.backbone if isinstance(model, Pretrainer) else model
        check_backbone(model, str(path))
        return model
    if not isinstance(backbone, keras.Model):
        raise InputError(
            f"`backbone` must be a keras.Model, the folder of a run or a .keras file. Received: {type(backbone).__name__}."
        )
    check_backbone(backbone, f"the backbone {backbone.name}")
    fresh: keras.Model = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(backbone))
    if not fresh.built:
        fresh.build(backbone.input_shape)
    fresh.set_weights(backbone.get_weights())
    return fresh
