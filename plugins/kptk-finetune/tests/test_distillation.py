"""Distillation to a student: the formula, the order of classes, rows without labels, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.special import log_softmax

import kptk
from kptk.training import backend

pytestmark = pytest.mark.backends


@pytest.fixture
def teacher(backbone, rows):
    keras = backend.import_keras()
    model = kptk.finetune("weight", backbone, class_names=["a", "b", "c"], preprocessor="plain_images")
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(*rows, epochs=8, batch_size=16, verbose=0)
    return model


def student(**options):
    keras = backend.import_keras()
    keras.utils.set_random_seed(1)
    small = kptk.backbone("example_cnn", input_shape=(8, 8, 1), filters=8, units=32)
    names = options.pop("class_names", ["a", "b", "c"])
    return kptk.finetune("distillation", small, class_names=names, preprocessor="plain_images", **options)


def test_loss_is_the_papers_and_its_gradient_that_of_softened_cross_entropy() -> None:
    keras = backend.import_keras()
    from kptk.testing.gradients import value_and_gradients
    from kptk_finetune.distillation import distillation_loss

    rng = np.random.default_rng(0)
    given, wanted = rng.normal(0, 3, (2, 5, 4)).astype("float32")
    temperature = 4.0
    value, (gradient, _) = value_and_gradients(lambda s, t: distillation_loss(s, t, temperature), given, wanted)
    p, q = (log_softmax(x / temperature, axis=1) for x in (wanted, given))
    assert value == pytest.approx(temperature**2 * (np.exp(p) * (p - q)).sum(1).mean(), rel=1e-5)
    np.testing.assert_allclose(gradient, temperature * (np.exp(q) - np.exp(p)) / len(given), rtol=1e-4, atol=1e-6)
    assert float(keras.ops.convert_to_numpy(distillation_loss(given, given, 2.0))) == pytest.approx(0, abs=1e-6)


def test_student_learns_the_teachers_answers_without_any_label(teacher, rows) -> None:
    keras = backend.import_keras()
    x, _ = rows
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in teacher.weights]
    model = student(teacher=teacher, hard_weight=0.0)
    model.compile(keras.optimizers.Adam(1e-2), metrics=None)
    wanted = keras.ops.convert_to_numpy(teacher.predictions(x)).argmax(1)
    model.fit(x, np.concatenate([[0], np.full(len(x) - 1, -1)]), epochs=60, batch_size=16, verbose=0)
    agreed = (keras.ops.convert_to_numpy(model.predictions(x)).argmax(1) == wanted).mean()
    assert agreed > 0.9
    for old, new in zip(before, teacher.weights, strict=True):
        np.testing.assert_array_equal(old, keras.ops.convert_to_numpy(new))


def test_classes_are_matched_by_name(teacher, rows) -> None:
    keras = backend.import_keras()
    x, _ = rows
    model = student(teacher=teacher, hard_weight=0.0, class_names=["c", "a", "b"])
    model.compile(keras.optimizers.Adam(1e-2), metrics=None)
    loss = float(keras.ops.convert_to_numpy(model.task_loss(x, np.zeros(len(x)), model(x), None)))
    given = keras.ops.convert_to_numpy(model(x))
    wanted = keras.ops.convert_to_numpy(teacher(x))[:, [2, 0, 1]]
    p, q = (log_softmax(logits / 4.0, axis=1) for logits in (wanted, given))
    assert loss == pytest.approx(16 * (np.exp(p) * (p - q)).sum(1).mean(), rel=1e-4)


def test_saved_student_is_small_serves_and_says_that_its_teacher_is_gone(teacher, rows, tmp_path) -> None:
    keras = backend.import_keras()
    x, y = rows
    model = student(teacher=teacher)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(x, y, epochs=1, batch_size=16, verbose=0)
    model.save(tmp_path / "student.keras")
    loaded = kptk.load_model(tmp_path / "student.keras", compile=False)
    assert len(loaded.weights) == len(model.weights)
    predicted = [keras.ops.convert_to_numpy(one.predictions(x)) for one in (model, loaded)]
    np.testing.assert_allclose(*predicted, rtol=1e-5, atol=1e-6)
    loaded.compile(keras.optimizers.Adam(1e-2))
    with pytest.raises(kptk.UsageError, match="saved without its teacher"):
        loaded.compute_loss(x, y, loaded(x))


def test_teacher_may_be_a_file_and_what_cannot_teach_is_refused(teacher, tmp_path) -> None:
    teacher.save(tmp_path / "teacher.keras")
    assert student(teacher=str(tmp_path / "teacher.keras"))._held.order == [0, 1, 2]
    with pytest.raises(kptk.UsageError, match="needs a teacher"):
        student()
    with pytest.raises(kptk.InputError, match="no model file"):
        student(teacher=str(tmp_path / "nowhere.keras"))
    with pytest.raises(kptk.UsageError, match="Only one of the two knows: c, d"):
        student(teacher=teacher, class_names=["a", "b", "d"])
    with pytest.raises(kptk.InputError, match="must be a fine-tuned model"):
        student(teacher=teacher.backbone)


def test_command_refuses_a_missing_teacher_before_keras_is_imported(tmp_path) -> None:
    keras = backend.import_keras()
    keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(4)]).save(
        tmp_path / "b.keras"
    )
    command = [sys.executable, "-m", "kptk", "finetune", str(tmp_path / "b.keras"), "--task", "classification"]
    command += ["--data", "mnist10k", "--strategy", "distillation", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "needs its option 'teacher'" in done.stderr and "-o strategy.teacher=" in done.stderr
    assert not (tmp_path / "run").exists()
