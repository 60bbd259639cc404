"""A tiny BERT with given weights: hidden states, both losses and a gradient as transformers computes them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from kptk.training import backend

sys.path.insert(0, str(Path(__file__).parent))
from oracles import cases

pytestmark = pytest.mark.backends
pytest.importorskip("kptk_text", reason="the backbone comes with kptk-text")


@pytest.fixture
def case_and_model():
    keras = backend.import_keras()
    import kptk
    from kptk.testing.text_toys import TokenRows
    from kptk.training.tokens import TokenFacts
    from kptk_text.hf_weights import assign

    (case,) = cases("bert_pretraining")
    sizes = case.params

    @keras.saving.register_keras_serializable(package="test")
    class Rows(TokenRows):
        @property
        def tokens(self):
            none = np.zeros(sizes["vocab_size"], bool)
            return TokenFacts(
                vocabulary=sizes["vocab_size"], mask=4, start=2, end=3, specials=(0, 1, 2, 3, 4), continues=none
            )

    backbone = kptk.backbone(
        "bert",
        input_shape=(2, 12),
        vocabulary=sizes["vocab_size"],
        layers=sizes["num_hidden_layers"],
        heads=sizes["num_attention_heads"],
        width=sizes["hidden_size"],
        mlp_ratio=sizes["intermediate_size"] // sizes["hidden_size"],
        positions=sizes["max_position_embeddings"],
        dropout=0.0,
        pool="cls",
    )
    tensors = {name.removeprefix("w:"): value for name, value in case.inputs.items() if name.startswith("w:")}
    assign(backbone, tensors, "oracle")
    model = kptk.objective("bert", backbone=backbone, views=Rows(views=1))
    head = model.head
    for variable, name, turn in (
        (head.dense.kernel, "predictions.transform.dense.weight", True),
        (head.dense.bias, "predictions.transform.dense.bias", False),
        (head.norm.gamma, "predictions.transform.LayerNorm.weight", False),
        (head.norm.beta, "predictions.transform.LayerNorm.bias", False),
        (head.bias, "predictions.bias", False),
        (model.pair_head.kernel, "seq_relationship.weight", True),
        (model.pair_head.bias, "seq_relationship.bias", False),
    ):
        tensor = tensors[f"cls.{name}"]
        variable.assign(tensor.T if turn else tensor)
    return case, model


def prepared(case) -> np.ndarray:
    rows = np.zeros((3, 3, 12), "int32")
    rows[:, 0] = case.inputs["input_ids"] * case.inputs["attention_mask"]
    rows[:, 1] = case.inputs["token_type_ids"]
    rows[:, 2, 0] = case.inputs["next_sentence_label"]
    assert ((rows[:, 0] > 0) == case.inputs["attention_mask"].astype(bool)).all()
    return rows


def given_masking(case):
    """The oracle's rows are masked already; its labels say where."""
    import keras

    labels = case.inputs["labels"]
    most = int((labels >= 0).sum(axis=1).max())
    places = np.zeros((3, most), "int32")
    weights = np.zeros((3, most), "float32")
    for row, line in enumerate(labels):
        found = np.flatnonzero(line >= 0)
        places[row, : len(found)], weights[row, : len(found)] = found, 1
    targets = np.maximum(np.take_along_axis(labels, places, axis=1), 0).astype("int32")

    def call(self, ids):
        del self
        given = {"places": places, "targets": targets, "weights": weights}
        return {"ids": ids, **{name: keras.ops.convert_to_tensor(value) for name, value in given.items()}}

    return call


def test_hidden_states_are_equal(case_and_model) -> None:
    import keras

    from kptk.training.tokens import stages

    case, model = case_and_model
    rows = prepared(case)[:, :2]
    found = stages(model.backbone)
    there = case.inputs["attention_mask"].astype(bool)
    embedded = keras.ops.convert_to_numpy(found.embed(rows))
    np.testing.assert_allclose(embedded[there], case.outputs["hidden0"][there], rtol=1e-4, atol=1e-5)
    vectors = keras.ops.convert_to_numpy(found.encode(keras.ops.convert_to_tensor(rows)))
    np.testing.assert_allclose(vectors[there], case.outputs["last_hidden"][there], rtol=1e-4, atol=2e-5)


def test_losses_and_gradient_are_equal(case_and_model, monkeypatch) -> None:
    import keras

    from kptk.training.tokens import stages
    from kptk_language.losses import token_cross_entropy
    from kptk_language.masking import TokenMasking
    from kptk_language.nsp import pair_loss

    case, model = case_and_model
    monkeypatch.setattr(TokenMasking, "call", given_masking(case))
    rows = prepared(case)
    outputs = model(rows, training=True)

    def number(tensor):
        return float(keras.ops.convert_to_numpy(tensor))

    tokens = token_cross_entropy(outputs["logits"], outputs["targets"], outputs["weights"])
    assert number(tokens) == pytest.approx(float(case.outputs["mlm_loss"]), rel=2e-5)
    pairs = pair_loss(outputs["pair_logits"], outputs["answer"])
    assert number(pairs) == pytest.approx(float(case.outputs["nsp_loss"]), rel=2e-5)
    assert number(model.objective_loss(outputs, None)) == pytest.approx(float(case.outputs["loss"]), rel=2e-5)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(outputs["pair_logits"]), case.outputs["nsp_logits"], rtol=1e-4, atol=1e-5
    )
    table = stages(model.backbone).table.embeddings
    before = keras.ops.convert_to_numpy(table).copy()
    model.compile(optimizer=keras.optimizers.SGD(1.0), run_eagerly=True)
    model.fit(rows, batch_size=3, epochs=1, shuffle=False, verbose=0)
    gradient = before - keras.ops.convert_to_numpy(table)
    np.testing.assert_allclose(gradient, case.outputs["grad_word_embeddings"], rtol=2e-3, atol=2e-5)
