"""Does a small student make fewer errors when it is distilled than when it learns the labels alone?

scikit-learn's 1,797 digits of 8 x 8. For each seed the split, the initial weights and the views are drawn anew, the same for
both arms: 500 test rows, 200 validation rows, the rest is trained on with all its labels. The teacher is the example CNN
(38,602 numbers), trained with `supervised` and then frozen; the student is one of the same form with about a tenth of
them. Both arms train the student for the same steps on the same augmented rows; each chooses its learning rate on the
validation rows. The defaults of `distill` are used as they are.

    python benchmarks/distill/student.py --seeds 10 --out results.jsonl
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.training.experiment import Cell, Draw, draw, paired_difference

EPOCHS, BATCH = 30, 64
RATES = (3e-3, 1e-2)
TEST, VALIDATION_PER_CLASS = 500, 20
TEACHER, STUDENT = {"filters": 32, "units": 128}, {"filters": 12, "units": 30}
VIEWS = {"crop": 0.7, "flip": 0.0, "rotation": 15.0, "jitter": 0.0, "grey": 0.0, "noise": 0.05}


def build(objective: str, size: dict, seed: int, **options) -> keras.Model:
    keras.utils.set_random_seed(seed)
    backbone = kptk.backbone("example_cnn", input_shape=(8, 8, 1), **size)
    views = kptk.preprocessor("image_views", views=1, seed=seed, **VIEWS)
    return kptk.objective(objective, backbone=backbone, views=views, num_classes=10, **options)


class Arm:
    """One compiled model that starts anew for each seed and learning rate, so that nothing is compiled twice."""

    def __init__(self, objective: str, size: dict, **options) -> None:
        self.objective, self.size, self.options = objective, size, options
        self.model = build(objective, size, 0, **options)
        self.model.compile(optimizer=keras.optimizers.Adam(RATES[0]))
        self.model.optimizer.build(self.model.trainable_variables)
        self.zeros = [np.zeros(v.shape, v.dtype) for v in self.model.optimizer.variables]
        self.classifier = self.model.classifier()
        self.parameters = self.classifier.count_params()

    def train(self, data: Draw, rate: float) -> dict[str, float]:
        fresh = build(
            self.objective, self.size, data.seed
        )  # of a student: its own average for a teacher, not used here
        for own, new in ((self.model.backbone, fresh.backbone), (self.model.head, fresh.head)):
            own.set_weights(new.get_weights())
        for variable, zero in zip(self.model.optimizer.variables, self.zeros, strict=True):
            variable.assign(zero)
        self.model.views.seed_generator.state.assign(np.array([data.seed, 0], "uint32"))
        self.model.optimizer.learning_rate.assign(rate)
        np.random.seed(data.seed)
        keras.utils.set_random_seed(data.seed)
        self.model.fit(data.x, data.y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
        return {"validation": self.accuracy(*data.validation), "test": self.accuracy(*data.test), "rate": rate}

    def accuracy(self, x: np.ndarray, y: np.ndarray) -> float:
        logits = self.classifier.predict_on_batch(x)
        return float((np.asarray(logits).argmax(axis=-1) == y).mean())

    def best(self, data: Draw) -> dict[str, float]:
        return max((self.train(data, rate) for rate in RATES), key=lambda outcome: outcome["validation"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()

    digits = load_digits()
    x, y = (digits.images / 16).astype("float32")[..., None], digits.target
    teacher = Arm("supervised", TEACHER)
    plain = Arm("supervised", STUDENT)
    # A copy, since distilling freezes the teacher that it is given.
    frozen = build("supervised", TEACHER, 0).classifier()
    distilled = Arm("distill", STUDENT, teacher=frozen)
    print(f"teacher {teacher.parameters:,} numbers, student {plain.parameters:,}")
    cells = []
    for seed in range(arguments.seeds):
        data = draw(x, y, seed=seed, labels_per_class=0, test_rows=TEST, validation_per_class=VALIDATION_PER_CLASS)
        for name, arm in (("teacher", teacher), ("plain", plain), ("distilled", distilled)):
            frozen.set_weights(teacher.classifier.get_weights())
            found = arm.train(data, RATES[0]) if name == "teacher" else arm.best(data)
            cell = {"arm": name, "labels_per_class": 0, "seed": seed, "chosen": f"learning rate {found['rate']:g}"}
            cells.append(Cell(**cell, validation=found["validation"], test=found["test"]))
            with arguments.out.open("a") as file:
                file.write(json.dumps({**cell, "validation": found["validation"], "test": found["test"]}) + "\n")
            print(seed, name, f"error {100 * (1 - found['test']):.1f} %", cell["chosen"], flush=True)
    for name in ("teacher", "plain", "distilled"):
        errors = [100 * (1 - cell.test) for cell in cells if cell.arm == name]
        print(f"{name}: test error {np.mean(errors):.2f} +- {np.std(errors, ddof=1):.2f} %")
    by = {name: {cell.seed: 100 * cell.test for cell in cells if cell.arm == name} for name in ("plain", "distilled")}
    print("distilled minus plain, points of accuracy:", paired_difference(by["distilled"], by["plain"]))


if __name__ == "__main__":
    main()
