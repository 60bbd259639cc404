"""Behaviour of CLIP, matching and the dual encoder beyond what the conformance kit tries."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

import kptk
from kptk_image_text import toys
from kptk_image_text.clip import Clip
from kptk_image_text.itm import ImageTextMatching, draw_negatives
from kptk_image_text.packing import join, pack, split, unpack
from kptk_image_text.pair import Pair, pair_rows


def numpy(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def built(kind=Clip, **options):
    keras.utils.set_random_seed(0)
    return kind(toys.backbone("vector"), toys.views(1), **options)


def test_packing_keeps_every_number() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 4, 5, 3), dtype="uint8")
    ids = np.array([[0, 1, 255, 256], [65535, 65536, 1_000_000, 2], [16_777_215, 3, 4, 5]])
    rows = pack(images, ids)
    assert rows.dtype == np.uint8
    pixels, numbers = unpack(keras.ops.convert_to_tensor(rows), (4, 5, 3))
    assert np.array_equal(numpy(pixels), images) and np.array_equal(numpy(numbers), ids)
    again, back = split(join(pixels, numbers), (4, 5, 3))
    assert np.array_equal(numpy(again), images) and np.array_equal(numpy(back), ids)
    with pytest.raises(kptk.InputError, match=r"float images must be 0..1. Received: 0..255"):
        pack(images.astype("float32") * 0 + np.float32([0, 255, 0]), ids)


def test_tokens_survive_a_mixed_policy() -> None:
    before = keras.config.dtype_policy()
    views = toys.views(1)
    rows = toys.inputs(8, 1)[0]
    wanted = numpy(unpack(keras.ops.convert_to_tensor(rows), views.shape)[1])
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = Clip(toys.backbone("vector"), toys.views(1))
        seen = numpy(model.towers.split(model.views(rows)[0])[1])
        half = numpy(model.backbone(model.views.plain(rows))).astype("float32")
        towers = model.towers
        ids = towers.split(model.views.plain(rows))[1]
        alone = numpy(keras.ops.cast(towers.encode_texts(ids), "float32"))
    finally:
        keras.config.set_dtype_policy(before)
    assert wanted.max() > 15 and np.array_equal(seen, wanted)
    np.testing.assert_array_equal(half[:, -alone.shape[1] :], alone)


def test_scale_starts_at_the_papers_and_never_passes_a_hundred() -> None:
    rows = toys.inputs(16, 0)[0]
    for options, start in (({}, 1 / 0.07), ({"loss": "siglip"}, 10.0), ({"scale": 3.0}, 3.0)):
        assert float(numpy(built(**options).learned_scale.factor())) == pytest.approx(start, rel=1e-5)
    model = built()
    model.learned_scale.logarithm.assign(math.log(500.0))
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    model.fit(rows, batch_size=16, epochs=1, verbose=0)
    assert float(numpy(model.learned_scale.factor())) == pytest.approx(100.0, rel=1e-5)
    moved = built(scale=1.0)
    moved.compile(optimizer=keras.optimizers.Adam(0.01))
    history = moved.fit(rows, batch_size=16, epochs=15, verbose=0).history
    assert history["scale"][-1] > 1.01 and history["batch_recall"][-1] > history["batch_recall"][0]


def test_chance_is_what_a_new_model_has() -> None:
    rows = toys.inputs(64, 0)[0]
    model = built(scale=0.01)
    outputs = model(rows, training=False)
    assert float(numpy(model.objective_loss(outputs, None))) == pytest.approx(model.chance_loss(64), rel=1e-2)
    assert built(loss="siglip").chance_loss(1) == 0.0
    assert built(ImageTextMatching, contrast=0.0).chance_loss(8) == pytest.approx(0.6365, abs=1e-4)


def test_same_captions_are_counted_and_can_be_ignored() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype="uint8")
    rows = toys.views(1).prepare(pair_rows(images, ["a red cat left", "a blue river", "a red cat left", "green bread"]))
    counted, ignored = built(), built(same_captions="ignored")
    for model in (counted, ignored):
        model.compile(optimizer=keras.optimizers.SGD(0.0))
        assert model.fit(rows, batch_size=4, epochs=1, verbose=0, shuffle=False).history["same_captions"] == [0.5]
    losses = [float(numpy(m.objective_loss(m(rows, training=False), None))) for m in (counted, ignored)]
    assert losses[1] < losses[0]


def test_negatives_are_drawn_by_similarity_and_never_right_ones() -> None:
    logits = np.array([[9.0, math.log(3.0), 0.0, 9.0], [0.0] * 4, [0.0] * 4, [0.0] * 4], dtype="float32")
    same = np.zeros((4, 4), dtype=bool)
    same[0, 3] = same[3, 0] = True
    seed = keras.random.SeedGenerator(0)
    drawn = np.stack([numpy(draw_negatives(logits, keras.ops.convert_to_tensor(same), seed)[0]) for _ in range(400)])
    assert set(drawn[:, 0]) == {1, 2} and set(drawn[:, 3]) == {1, 2}
    assert (drawn[:, 0] == 1).mean() == pytest.approx(0.75, abs=0.08)
    assert not (drawn == np.arange(4)).any()
    there = numpy(draw_negatives(logits, keras.ops.ones((4, 4), dtype="bool"), seed)[1])
    assert there.tolist() == [0.0] * 4


def test_matching_learns_what_belongs_together_alone_and_beside_clip() -> None:
    rows = toys.inputs(64, 0)[0]
    # Captions of a class differ by chance words alone, so hard negatives could only be learned by heart.
    for contrast, epochs, rate in ((0.0, 60, 1e-3), (1.0, 20, 3e-3)):
        model = built(ImageTextMatching, contrast=contrast, projection_dim=16, negatives="uniform")
        model.compile(optimizer=keras.optimizers.Adam(rate))
        history = model.fit(rows, batch_size=32, epochs=epochs, verbose=0).history
        assert history["loss"][-1] < 0.9 * model.chance_loss(32)
        assert history["matching_accuracy"][-1] > 0.7
    image = model.image_embeddings(model.towers.split(model.views.plain(rows))[0])
    text = model.text_embeddings(model.towers.split(model.views.plain(rows))[1])
    odds = numpy(model.match(image, text))
    other = numpy(model.match(image, keras.ops.roll(text, 1, axis=0)))
    assert (odds[:, 1] - odds[:, 0]).mean() > (other[:, 1] - other[:, 0]).mean() + 0.5


def test_dual_encoder_takes_any_two_backbones_by_name() -> None:
    facts = {"image_shape": "16x16x3", "length": 10, "vocabulary": 50}
    size = 16 * 16 * 3 + 10
    model = kptk.backbone(
        "dual_encoder",
        input_shape=(size,),
        image="conv_stack",  # a map, which is averaged
        image_options="filters=4, depth=2",
        text="causal_transformer",
        text_options="width=8,layers=1",
        **facts,
    )
    assert model.output_shape == (None, 8 + 8)
    for options, message in (
        ({"image": "nothing"}, "no backbone called 'nothing'"),
        ({"image_options": "colour=1"}, r"example_cnn \(`image_options`\) has no option 'colour'"),
        ({"image_options": "units"}, "`image_options` must be name=value"),
        ({"image_options": "units=many"}, "`units` must be an integer"),
        ({"image_shape": "16x16"}, "`image_shape` must be height x width x channels"),
        ({"length": 9}, r"`input_shape` must be \(numbers of `image_shape` \+ `length`,\)"),
    ):
        with pytest.raises(kptk.UsageError, match=message):
            kptk.backbone("dual_encoder", input_shape=(size,), **(facts | options))


def test_wrong_parts_and_rows_are_refused() -> None:
    plain = kptk.backbone("mlp", input_shape=(16, 16, 3))
    with pytest.raises(kptk.UsageError, match="`backbone` of clip must be a dual encoder"):
        Clip(plain, toys.views(1))
    with pytest.raises(kptk.UsageError, match="`image` must be a preprocessor of images"):
        kptk.preprocessor("image_text_views", image="text_tokens")
    with pytest.raises(kptk.UsageError, match="`text` must be a preprocessor that makes a row of token numbers"):
        kptk.preprocessor("image_text_views", text="image_views")
    with pytest.raises(kptk.UsageError, match="`text` must be a preprocessor that makes a row of token numbers"):
        kptk.preprocessor("image_text_views", text_options="examples=next")
    layer = toys.views(1)
    image = np.zeros((16, 16, 3), "uint8")
    for row, message in (
        (image, "row 0 must be an image and its caption"),
        (Pair(image[:8], "half"), r"row 0 must have an image of 16 x 16 x 3. Received: 8 x 16 x 3"),
        (Pair(image, " "), "row 0 has an empty caption"),
    ):
        rows = np.empty(1, dtype=object)
        rows[0] = row
        with pytest.raises(kptk.InputError, match=message):
            layer.prepare(rows)
    with pytest.raises(kptk.InputError, match="RUN/image"):
        layer.prepared(kptk.ArraySource(image[None], inputs="image"))
    with pytest.raises(kptk.InputError, match="x must hold pairs"):
        layer.check(np.zeros((4, 7), "float32"))
    with pytest.raises(kptk.InputError, match="2 images and 1 captions"):
        pair_rows(np.stack([image, image]), ["one"])
