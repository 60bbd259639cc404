"""A fine-tuning strategy of a plugin as a way to use the labels of a cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.config import Part
from kptk.plugins import Plugins
from kptk.training.assemble_task import build_strategy, build_task
from kptk.training.compare.seat import Seat
from kptk.training.experiment import Draw, Outcome
from kptk.training.features import in_batches
from kptk.training.finetuner import BATCH

Array = NDArray[Any]
TASK = "classification"


def strategy_outcome(
    seat: Seat,
    plugins: Plugins,
    strategy: str,
    start: Sequence[Array],
    data: Draw,
    *,
    rates: Sequence[float],
    steps: int,
    class_names: tuple[str, ...],
) -> Outcome:
    """Fine-tune by a strategy once with each learning rate and keep the best on the validation rows.

    Each training begins with a new model, since a strategy may change the network that it gets (LoRA, decoders).

    Args:
        seat: the data of the seed.
        plugins: the registry.
        strategy: full id.
        start: the backbone's pre-trained weights.
        data: the draw.
        rates: learning rates.
        steps: steps in all phases, rounded up to whole epochs.
        class_names: the name of each class.

    Returns:
        Accuracy, and the rate that was chosen.
    """
    offer, task = plugins.find("strategy", strategy), plugins.find("task", TASK)
    options = {option.name: option.default for option in offer.spec.options}
    batch = min(BATCH, len(data.x))
    epochs = -(-steps // -(-len(data.x) // batch))
    outcomes = []
    for rate in rates:
        keras.utils.set_random_seed(data.seed)
        backbone = seat.backbone()
        backbone.set_weights(start)
        keras.utils.set_random_seed(data.seed)
        defaults = {option.name: option.default for option in task.spec.options}
        head = build_task(Part(task, defaults), class_names, data.x.shape[1:])
        model = build_strategy(Part(offer, options), backbone, head, seat.preprocessor(), augment=False)
        model.compile(keras.optimizers.Adam(rate), metrics=None)
        model.fit(data.x, data.y, batch_size=batch, epochs=epochs, verbose=0)
        scores = [_accuracy(model, *part) for part in (data.validation, data.test)]
        outcomes.append(Outcome(validation=scores[0], test=scores[1], chosen=f"learning rate {rate:g}"))
    return max(outcomes, key=lambda outcome: outcome.validation)


def _accuracy(model: Any, x: Array, y: Array) -> float:
    return float((np.asarray(in_batches(model.predict_on_batch, x)).argmax(axis=-1) == y).mean())
