"""The estimators under scikit-learn's own tools, from pre-trained backbones, and what they refuse."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk import KptkClassifier, KptkRegressor


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return np.rint(data.images * (255 / 16)).astype("uint8")[..., None][:600], data.target[:600]


@pytest.fixture(scope="module")
def backbone():
    keras.utils.set_random_seed(0)
    return kptk.backbone("example_cnn", input_shape=(8, 8, 1))


def test_classifier_learns_keeps_names_and_leaves_the_backbone_alone(digits, backbone) -> None:
    x, y = digits
    names = np.array([f"digit {number}" for number in y])
    before = [weight.copy() for weight in backbone.get_weights()]
    classifier = KptkClassifier(backbone, epochs=25, learning_rate=3e-3).fit(x[:400], names[:400])
    assert classifier.score(x[400:], names[400:]) > 0.75
    assert list(classifier.classes_) == sorted(set(names))
    assert classifier.model_.task.class_names == tuple(classifier.classes_)
    probabilities = classifier.predict_proba(x[400:])
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert (classifier.classes_[probabilities.argmax(1)] == classifier.predict(x[400:])).all()
    for old, new in zip(before, backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_same_random_state_same_model(digits, backbone) -> None:
    x, y = digits
    made = [
        KptkClassifier(backbone, epochs=1, random_state=s).fit(x[:64], y[:64]).predict_proba(x[:8]) for s in (3, 3, 4)
    ]
    np.testing.assert_allclose(made[0], made[1], atol=1e-6)
    assert not np.allclose(made[0], made[2], atol=1e-6)


def test_regressor_predicts_in_the_unit_and_shape_of_y(digits, backbone) -> None:
    x, _ = digits
    brightness = x.mean((1, 2, 3)).astype("float64") * 100 + 5000
    regressor = KptkRegressor(backbone, epochs=15, learning_rate=3e-3).fit(x[:400], brightness[:400])
    assert regressor.predict(x[400:]).shape == (200,)
    assert regressor.score(x[400:], brightness[400:]) > 0.5
    both = np.stack([brightness, -brightness], axis=1)
    assert KptkRegressor(backbone, epochs=1).fit(x[:64], both[:64]).predict(x[:5]).shape == (5, 2)


def test_clone_cross_validation_and_grid_search(digits, backbone) -> None:
    x, y = digits
    classifier = KptkClassifier(backbone, strategy="feature_extraction", epochs=2)
    twin = clone(classifier)
    assert twin is not classifier and twin.get_params()["strategy"] == "feature_extraction"
    scores = cross_val_score(classifier, x[:200], y[:200], cv=2)
    assert scores.shape == (2,) and (scores > 0.15).all()
    search = GridSearchCV(classifier, {"epochs": [1, 2]}, cv=2).fit(x[:100], y[:100])
    assert search.best_params_["epochs"] in (1, 2)


def test_options_reach_strategy_and_task_and_wrong_ones_are_named(digits, backbone) -> None:
    x, y = digits
    balanced = KptkClassifier(backbone, epochs=1, options={"class_weight": "balanced"}).fit(x[:64], y[:64])
    assert balanced.model_.task.class_weight == "balanced"
    with pytest.raises(kptk.UsageError, match="class_weigth"):
        KptkClassifier(backbone, options={"class_weigth": "balanced"}).fit(x[:64], y[:64])


def test_backbone_may_be_a_file_and_a_fitted_estimator_is_pickled(digits, backbone, tmp_path) -> None:
    x, y = digits
    backbone.save(tmp_path / "backbone.keras")
    fitted = KptkClassifier(str(tmp_path / "backbone.keras"), epochs=1).fit(x[:64], y[:64])
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_allclose(again.predict_proba(x[:8]), fitted.predict_proba(x[:8]), atol=1e-6)


def test_what_cannot_be_learned_is_refused_in_a_sentence(digits, backbone) -> None:
    x, y = digits
    with pytest.raises(NotFittedError, match="Call fit first"):
        KptkClassifier(backbone).predict(x)
    with pytest.raises(kptk.InputError, match="X has 10 rows but y has 9"):
        KptkClassifier(backbone).fit(x[:10], y[:9])
    with pytest.raises(kptk.InputError, match="no rows"):
        KptkClassifier(backbone).fit(x[:0], y[:0])
    with pytest.raises(kptk.KptkError, match="at least 2"):
        KptkClassifier(backbone).fit(x[:10], np.zeros(10))
    with pytest.raises(kptk.InputError, match="NaN"):
        KptkClassifier(backbone).fit(x[:4], np.array([0.0, 1.0, np.nan, 1.0]))
    with pytest.raises(kptk.InputError, match="must be a keras"):
        KptkClassifier(3).fit(x[:10], y[:10])
    fitted = KptkClassifier(backbone, epochs=1).fit(x[:64], y[:64])
    with pytest.raises(kptk.InputError, match="as in fit"):
        fitted.predict(x[:4, :4])


def test_importing_kptk_imports_neither_keras_nor_scikit_learn() -> None:
    script = "import sys, kptk\nassert not {'keras', 'sklearn', 'tensorflow'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
