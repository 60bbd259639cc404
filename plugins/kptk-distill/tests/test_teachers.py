"""Teachers of every kind: found, refused, never changed, saved with the student, resumed bit for bit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kptk.errors import InputError, UsageError
from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.training import checkpoint
from kptk.training.receipt import checksum

pytestmark = pytest.mark.backends
SHAPE = (12, 12, 1)
LABELS = np.arange(32) % 3
IMAGES = np.random.default_rng(0).integers(0, 256, (32, *SHAPE)).astype("uint8")
OBJECTIVES = ("distill", "feature_distill", "relational_distill")
BESIDE = {"teacher": "example_cnn", "teacher_learns": True}


def classifier(classes: int = 3, shape: tuple[int, ...] = SHAPE, softmax: bool = False) -> keras.Model:
    """A teacher with what a frozen one must not run in training mode: batch normalisation and dropout."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(4, 3, strides=2, name="conv"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(name="map"),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(classes, activation="softmax" if softmax else None),
        ],
        name="big",
    )


def build(name: str, **options):
    keras.utils.set_random_seed(0)
    backbone = kptk.backbone("example_cnn", input_shape=SHAPE, filters=4, units=8)
    views = kptk.preprocessor("image_views", views=2 if options.get("teacher", "") == "" else 1, seed=0)
    model = kptk.objective(name, backbone=backbone, views=views, **{"num_classes": 3, **options})
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    return model


def numpy(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


# A given teacher -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_given_teacher_is_neither_changed_nor_copied_and_the_student_is_trained(name) -> None:
    teacher = classifier()
    model = build(name, teacher=teacher)
    before, student = checksum(teacher), checksum(model.backbone)
    model.trainable = True  # what a user may do to the whole must not thaw the teacher
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    assert model.teacher.model is teacher
    history = model.fit(IMAGES, LABELS, batch_size=16, epochs=2, verbose=0)
    assert all(math.isfinite(loss) for loss in history.history["loss"])
    assert checksum(teacher) == before
    assert checksum(model.backbone) != student
    inside = {id(variable) for variable in teacher.variables}
    assert not inside & {id(variable) for variable in model.trainable_variables}


@pytest.mark.parametrize("softmax", [False, True])
def test_the_teacher_says_what_it_says_alone(softmax) -> None:
    """In inference mode, on the student's view; probabilities become logits of the same softmax."""
    teacher = classifier(softmax=softmax)
    model = build("distill", teacher=teacher)
    model.views = None
    images = IMAGES / np.float32(255)
    said = numpy(model(images, training=True)["teacher"])
    alone = numpy(teacher(images, training=False))
    wanted = alone if softmax else numpy(keras.ops.softmax(alone))
    np.testing.assert_allclose(numpy(keras.ops.softmax(said)), wanted, rtol=1e-4, atol=1e-6)


def test_a_large_hard_weight_is_the_labels_and_none_is_the_teacher() -> None:
    from kptk_distill.distill import soft_target_loss
    from kptk_distill.taught import cross_entropy

    labels = keras.ops.convert_to_tensor(LABELS.astype("int32"))
    for weight in (1.0, 0.0, 0.3):
        model = build("distill", teacher=classifier(), hard_weight=weight, temperature=2.0)
        outputs = model(IMAGES, training=False)
        hard = float(numpy(cross_entropy(outputs["logits"], labels)))
        soft = float(numpy(soft_target_loss(outputs["logits"], outputs["teacher"], 2.0)))
        assert float(numpy(model.objective_loss(outputs, labels))) == pytest.approx(weight * hard + (1 - weight) * soft)
        assert float(numpy(model.objective_loss(outputs, None))) == pytest.approx(soft)


def test_without_labels_the_teacher_says_the_classes() -> None:
    model = build("distill", teacher=classifier(classes=5), num_classes=0)
    history = model.fit(IMAGES, batch_size=16, verbose=0).history
    assert set(history) == {"loss", "agreement"}
    assert model.classifier().output_shape == (None, 5)
    assert set(build("distill", teacher=classifier()).fit(IMAGES, batch_size=16, verbose=0).history) == {
        "loss",
        "agreement",
    }


def test_accuracy_and_agreement_are_the_shares_that_they_say() -> None:
    model = build("distill", teacher=classifier())
    model.views = None
    model.backbone.get_layer("dropout").rate = 0.0
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    images = IMAGES / np.float32(255)
    outputs = model(images, training=False)
    said, teacher = (numpy(outputs[key]).argmax(axis=-1) for key in ("logits", "teacher"))
    history = model.fit(images, LABELS, batch_size=32, verbose=0).history
    assert history["accuracy"][0] == pytest.approx((said == LABELS).mean())
    assert history["agreement"][0] == pytest.approx((said == teacher).mean())


def test_a_teacher_comes_from_a_file_a_run_a_pretrainer_or_a_name(tmp_path) -> None:
    keras.utils.set_random_seed(3)
    backbone = kptk.backbone("example_cnn", input_shape=SHAPE, units=6)
    supervised = kptk.objective("supervised", backbone=backbone, num_classes=3)
    run = tmp_path / "run"
    run.mkdir()
    supervised.save(run / "pretrainer.keras")
    backbone.save(run / "backbone.keras")
    wanted = numpy(supervised.classifier()(IMAGES / np.float32(255)))
    for teacher in (str(run), str(run / "pretrainer.keras"), supervised):
        model = build("distill", teacher=teacher)
        model.views = None
        np.testing.assert_allclose(numpy(model(IMAGES / np.float32(255))["teacher"]), wanted, rtol=1e-4, atol=1e-6)
    for teacher in (str(run), str(run / "backbone.keras"), supervised):
        features = build("feature_distill", teacher=teacher)(IMAGES)["teacher"]
        assert features.shape == (32, 6)
    assert build("feature_distill", teacher="vision/example_cnn")(IMAGES)["teacher"].shape == (32, 128)


def test_inputs_are_scaled_to_the_teachers_size_if_that_is_asked_for() -> None:
    model = build("distill", teacher=classifier(shape=(16, 20, 1)), teacher_resize=True)
    assert model(IMAGES)["teacher"].shape == (32, 3)
    with pytest.raises(
        UsageError, match=r"takes inputs of 16 x 20 x 1 but the student takes 12 x 12 x 1.*teacher_resize"
    ):
        build("distill", teacher=classifier(shape=(16, 20, 1)))


# Keras warns that the dense layer gets no gradient: a hint trains what lies below the guided layer, as asserted here.
@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables:UserWarning")
def test_hints_reach_layers_inside(tmp_path) -> None:
    teacher = classifier()
    options = {"form": "hint", "hidden_dim": 0, "teacher_layer": "map"}
    model = build("feature_distill", teacher=teacher, student_layer="pool", **options)
    assert model.by_place is (SHAPE[0] // 2 - 1 == 5)  # both 5 x 5, so place by place
    outputs = model(IMAGES)
    assert outputs["student"].shape == outputs["teacher"].shape == (32 * 25, 4)
    before = checksum(model.backbone.get_layer("dense"))
    convolution = checksum(model.backbone.get_layer("conv"))
    model.fit(IMAGES, batch_size=16, verbose=0)
    assert checksum(model.backbone.get_layer("dense")) == before  # above the guided layer nothing is trained
    assert checksum(model.backbone.get_layer("conv")) != convolution
    averaged = build("feature_distill", teacher=teacher, **options)(IMAGES)
    assert averaged["teacher"].shape == (32, 4)


@pytest.mark.parametrize(
    ("name", "options", "error", "said"),
    [
        ("distill", {"teacher": "nothing.keras"}, InputError, r"no teacher file at .*nothing\.keras"),
        ("distill", {"teacher": "./nowhere/run"}, InputError, "no teacher file at"),
        ("distill", {"teacher": "exampel_cnn"}, UsageError, r"`teacher` must be .* Did you mean 'example_cnn'"),
        ("distill", {"teacher": "runs/missing"}, UsageError, "`teacher` must be a .keras file, a run folder"),
        ("distill", {"teacher": lambda x: x}, UsageError, "`teacher` must be"),
        ("distill", {"teacher": 3}, UsageError, "teacher"),
        (
            "distill",
            {"teacher": "example_cnn"},
            UsageError,
            "one logit or probability for each of 3 classes; it gives 128",
        ),
        ("distill", {"teacher": "example_cnn", "num_classes": 0}, UsageError, "for each of its classes; it gives 128"),
        ("distill", {"teacher": "resnet18", "num_classes": 0}, UsageError, "for each of its classes; it gives 512"),
        ("distill", {"num_classes": 0}, UsageError, "learns from labels, and there are none"),
        ("distill", {"teacher_learns": True}, UsageError, "must be named"),
        ("feature_distill", {"teacher_layer": "conv"}, UsageError, "none was given"),
        ("feature_distill", {"student_layer": "conv"}, UsageError, "none was given"),
        ("feature_distill", {**BESIDE, "num_classes": 0}, UsageError, "num_classes"),
        (
            "feature_distill",
            {"teacher": "example_cnn", "teacher_layer": "conf"},
            UsageError,
            "no layer 'conf'. Did you",
        ),
        (
            "relational_distill",
            {"teacher": "example_cnn", "teacher_layer": "x"},
            UsageError,
            "no layer 'x'. Its layers",
        ),
    ],
)
def test_what_cannot_teach_is_refused(name, options, error, said) -> None:
    with pytest.raises(error, match=said):
        build(name, **options)


def test_odd_teachers_are_refused(tmp_path) -> None:
    with pytest.raises(UsageError, match="gives 5 numbers"):
        build("distill", teacher=classifier(classes=5))
    with pytest.raises(UsageError, match="Use a teacher for inputs of that form"):
        build("distill", teacher=classifier(shape=(12, 12, 3)))
    two = [keras.Input((4,)), keras.Input((4,))]
    with pytest.raises(UsageError, match="takes several inputs"):
        build("distill", teacher=keras.Model(two, keras.layers.Add()(two)))
    contrastive = kptk.objective("contrastive", backbone=kptk.backbone("example_cnn", input_shape=SHAPE))
    with pytest.raises(InputError, match="has no class head"):
        build("distill", teacher=contrastive)
    (tmp_path / "broken.keras").write_text("nonsense")
    with pytest.raises(InputError, match=r"is not a \.keras file"):
        build("distill", teacher=str(tmp_path / "broken.keras"))
    with pytest.raises(InputError, match=r"holds no pretrainer\.keras"):
        build("distill", teacher=str(tmp_path))


# The other two kinds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_teacher_that_learns_does_so_from_the_labels_alone(name) -> None:
    """Its gradient is that of its own cross entropy: the student's loss does not reach it."""
    from kptk_distill.taught import cross_entropy

    model = build(name, **BESIDE)
    outputs = model(IMAGES, training=False)
    labels = keras.ops.convert_to_tensor(LABELS.astype("int32"))
    own = float(numpy(model.teachers_loss(outputs, labels)))
    assert own == pytest.approx(float(numpy(cross_entropy(outputs["teacher_logits"], labels))))
    assert own == pytest.approx(math.log(3), rel=0.2)
    before = checksum(model.teacher.model)
    history = model.fit(IMAGES, LABELS, batch_size=16, verbose=0).history
    assert checksum(model.teacher.model) != before
    assert "teacher_accuracy" in history
    with pytest.raises(UsageError, match="learns from labels and got none"):
        build(name, **BESIDE).fit(IMAGES, verbose=0)


def test_without_a_teacher_the_students_average_sees_the_other_view() -> None:
    model = build("feature_distill")
    first, second = np.zeros((4, *SHAPE), "float32"), np.ones((4, *SHAPE), "float32")
    outputs = model.forward_views((first, second), training=False)
    own = numpy(model.teacher(first)), numpy(model.teacher(second))
    other = np.concatenate(own[::-1])
    wanted = (other - other.mean(0)) / np.sqrt(other.var(0) + 1e-5)  # as the loss sees them
    np.testing.assert_allclose(numpy(outputs["teacher"]), wanted, rtol=1e-3, atol=1e-3)
    assert np.abs(wanted[:4] - wanted[4:]).max() > 0.5  # the two views are told apart


def test_the_average_follows_the_student() -> None:
    model = build("distill", momentum=0.5)
    before = checksum(model.teacher)
    model.fit(IMAGES, LABELS, batch_size=16, epochs=2, verbose=0)
    assert checksum(model.teacher) != before
    ours, theirs = model.head.get_weights()[0], model.teacher.networks[1].get_weights()[0]
    assert 0 < np.abs(ours - theirs).max() < 0.2


@pytest.mark.parametrize("options", [{}, BESIDE], ids=["own average", "learns"])
def test_new_models_are_at_chance(options) -> None:
    model = build("distill", **options)
    labels = keras.ops.convert_to_tensor(LABELS.astype("int32"))
    value = float(numpy(model.objective_loss(model(IMAGES, training=False), labels)))
    chance = model.chance_loss(32)
    assert chance == pytest.approx((0.1 if not options else 1.1) * math.log(3))
    assert value == pytest.approx(chance, rel=0.35)


# State -----------------------------------------------------------------------------------------------------------

KINDS = {"average": {}, "given": {"teacher": None}, "learns": BESIDE}


def kind(name: str) -> dict:
    return {"teacher": classifier()} if name == "given" else KINDS[name]


@pytest.mark.parametrize("teacher", KINDS)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_saved_with_its_teacher_and_trains_on(name, teacher, tmp_path) -> None:
    model = build(name, **kind(teacher))
    model.fit(IMAGES, LABELS, batch_size=16, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = kptk.load_model(tmp_path / "model.keras")
    for a, b in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(numpy(a.value), numpy(b.value), err_msg=a.path)
    assert len(loaded.trainable_variables) == len(model.trainable_variables)
    before = checksum(loaded.teacher)
    loaded.set_total_steps(8)  # the average's momentum was to reach 1 with the first training's last step
    loaded.fit(IMAGES, LABELS, batch_size=16, verbose=0)
    assert (checksum(loaded.teacher) == before) is (teacher == "given")


@pytest.mark.parametrize("teacher", KINDS)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_stopped_and_resumed_ends_bit_for_bit_the_same(name, teacher) -> None:
    def train(model, steps) -> None:
        model.set_total_steps(4)
        for step in steps:
            rows = slice(8 * step, 8 * step + 8)
            model.train_on_batch(IMAGES[rows], LABELS[rows])

    whole = build(name, **kind(teacher))
    train(whole, range(2))
    state = checkpoint.capture(whole)
    train(whole, range(2, 4))
    resumed = build(name, **kind(teacher))
    resumed.optimizer.build(resumed.trainable_variables)
    checkpoint.restore(resumed, state)
    train(resumed, range(2, 4))
    for a, b in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(numpy(a.value), numpy(b.value), err_msg=a.path)
