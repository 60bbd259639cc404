"""Distillation of a masked language model into a smaller one (Sanh, Debut, Chaumond and Wolf, 2019)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
from keras import ops

from kptk import runfolder
from kptk.errors import InputError, UsageError, bad_value
from kptk.training.preprocessor import Preprocessor
from kptk.training.saving import load_model
from kptk.training.tokens import TokenStages, stages
from kptk.types import Tensor
from kptk_language.losses import cosine_distance, soft_token_targets
from kptk_language.mlm import MLM
from kptk_language.token_head import take_places

RULE = "the folder of a finished run of mlm or bert, its pretrainer.keras, or such a model"


@keras.saving.register_keras_serializable(package="kptk_language")
class TextDistill(MLM):
    """The student fills the same hidden places as its teacher, which is a masked language model and stays as it is.

    The loss adds the teacher's softened guesses, the hidden tokens themselves, and the angle between the vectors of student
    and teacher where both are equally long.

    Args:
        backbone: the student, a token backbone with the teacher's vocabulary and row length.
        views: the teacher's preprocessor, or one with its vocabulary (``tokenizer=FOLDER OF ITS RUN``).
        teacher: folder of a run of ``mlm`` or ``bert``, its ``pretrainer.keras``, or such a model.
        temperature: softens the guesses, above 0.
        soft_weight: weight of the teacher's guesses; 5 in DistilBERT.
        hard_weight: weight of the hidden tokens; 2 in DistilBERT.
        cosine_weight: weight of the angle; 1 in DistilBERT.
        copy_layers: whether the student begins with the teacher's tables and evenly spaced layers of it, where the sizes agree.
        rate: share of a row's tokens that is predicted, above 0.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if the teacher is none, or knows another vocabulary.
        InputError: if its file is missing.

    References:
        https://arxiv.org/abs/1910.01108, section 3
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        teacher: Any = "",
        temperature: float = 2.0,
        soft_weight: float = 5.0,
        hard_weight: float = 2.0,
        cosine_weight: float = 1.0,
        copy_layers: bool = True,
        rate: float = 0.15,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, rate=rate, **kwargs)
        self.teacher = _open(teacher)
        self.temperature = temperature
        self.soft_weight, self.hard_weight, self.cosine_weight = soft_weight, hard_weight, cosine_weight
        self.copy_layers = copy_layers
        own, given = stages(backbone), stages(self.teacher.backbone)
        for what in ("vocabulary", "length", "segments"):
            if getattr(own, what) != getattr(given, what):
                raise UsageError(
                    f"student and teacher must have the same {what}. Received: {getattr(own, what)} and "
                    f"{getattr(given, what)}. Read the texts as the teacher does: "
                    "-o preprocessor.tokenizer=RUN of the teacher, with its length and examples"
                )
        self.same_width = own.width == given.width
        if copy_layers:
            copy_evenly(given, own)
        for weight in self.teacher.weights:
            weight.trainable = False
        self.agreement = keras.metrics.Mean(name="agreement")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Hide once; student and teacher fill the same places."""
        own, given = stages(self.backbone), stages(self.teacher.backbone)
        masked = self.masking(own.ids(views[0]))
        shown = own.with_ids(views[0], masked["ids"])
        vectors, wanted = own.encode(shown, training), given.encode(shown, False)
        return {
            "logits": self.head(take_places(vectors, masked["places"]), own.table.embeddings),
            "teacher": ops.stop_gradient(
                self.teacher.head(take_places(wanted, masked["places"]), given.table.embeddings)
            ),
            "vectors": ops.cast(vectors, "float32"),
            "teacher_vectors": ops.stop_gradient(ops.cast(wanted, "float32")),
            "mask": own.mask(views[0]),
            "targets": masked["targets"],
            "weights": masked["weights"],
        }

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Add `soft_token_targets`, `token_cross_entropy` and `cosine_distance`, weighted."""
        soft = soft_token_targets(outputs["logits"], outputs["teacher"], outputs["weights"], self.temperature)
        loss = self.soft_weight * soft + self.hard_weight * super().objective_loss(outputs, labels)
        if self.same_width:
            distance = cosine_distance(outputs["vectors"], outputs["teacher_vectors"], outputs["mask"])
            loss = loss + self.cosine_weight * distance
        return loss

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor = None) -> Any:
        """Count how often student and teacher choose the same token."""
        same = ops.equal(ops.argmax(y_pred["logits"], axis=-1), ops.argmax(y_pred["teacher"], axis=-1))
        self.agreement.update_state(ops.cast(same, "float32"), sample_weight=y_pred["weights"])
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def chance_loss(self, batch_size: int) -> None:
        """None: the divergence from a trained teacher has no such number."""
        del batch_size

    def get_config(self) -> dict[str, Any]:
        """Return every argument; the teacher as a whole, so that the file needs no other."""
        config = super().get_config()
        for name in ("hidden", "replaced", "whole_words"):
            del config[name]
        return {
            **config,
            "teacher": keras.saving.serialize_keras_object(self.teacher),
            "temperature": self.temperature,
            "soft_weight": self.soft_weight,
            "hard_weight": self.hard_weight,
            "cosine_weight": self.cosine_weight,
            "copy_layers": self.copy_layers,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> TextDistill:
        """Rebuild the model with its teacher."""
        config = dict(config)
        config["teacher"] = keras.saving.deserialize_keras_object(config["teacher"], custom_objects=custom_objects)
        return super().from_config(config, custom_objects)


def copy_evenly(teacher: TokenStages, student: TokenStages) -> int:
    """Copy the teacher's tables, and evenly spaced layers of it, into the student where sizes agree.

    Args:
        teacher: the larger one.
        student: the smaller one, changed in place.

    Returns:
        How many tensors were copied.
    """
    depths = [sum(layer.name.endswith("_attention") for layer in s.encoder.layers) for s in (teacher, student)]
    if student.width != teacher.width or depths[1] > depths[0]:
        return 0
    copied = 0
    pairs: list[tuple[Any, Any, dict[str, str]]] = [(student.embed, teacher.embed, {})]
    # Of 6 layers for 3: those with the numbers 0, 2 and 4.
    chosen = {f"layer{i}_": f"layer{i * depths[0] // depths[1]}_" for i in range(depths[1])}
    pairs.append((student.encoder, teacher.encoder, chosen))
    for own, given, names in pairs:
        theirs = {layer.name: layer for layer in given.layers}
        for layer in own.layers:
            prefix = layer.name.partition("_")[0] + "_"
            other = theirs.get(layer.name.replace(prefix, names.get(prefix, prefix), 1))
            if other is None:
                continue
            for mine, his in zip(layer.trainable_weights, other.trainable_weights, strict=False):
                if tuple(mine.shape) == tuple(his.shape):
                    mine.assign(his)
                    copied += 1
    return copied


def _open(teacher: Any) -> Any:
    """The masked language model that the user means."""
    if isinstance(teacher, str):
        if not teacher:
            raise UsageError(f"text_distill needs a teacher (-o objective.teacher=): {RULE}.")
        path = Path(teacher).expanduser()
        path = path / runfolder.PRETRAINER if path.is_dir() else path
        if not path.exists():
            raise InputError(f"no teacher at {path.absolute()}. `teacher` must be {RULE}.")
        teacher = load_model(path, compile=False)
    if not isinstance(teacher, MLM):
        raise bad_value("teacher", RULE, type(teacher).__name__)
    return teacher
