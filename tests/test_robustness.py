"""The robustness probe: exact on a linear model, zero on one that cannot be fooled, and its refusals."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from kptk.errors import InputError, UsageError
from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

import kptk
from kptk.cli.main import cli
from kptk.training.probes import linear_head
from kptk.training.robustness import Victim, accuracy_under_attack, check_epsilons, check_images

RNG = np.random.default_rng(0)


def flat() -> keras.Model:
    return keras.Sequential([keras.Input((3, 3, 1)), keras.layers.Flatten()])


def data(classes: int, rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(rows) % classes
    centres = np.random.default_rng(1).uniform(0.25, 0.75, (classes, 9))
    images = np.clip(centres[labels] + 0.1 * RNG.normal(size=(rows, 9)), 0, 1)
    return images.reshape(-1, 3, 3, 1).astype("float32"), labels


def fitted(classes: int):
    images, labels = data(classes)
    head = linear_head(images.reshape(len(images), -1), labels)
    return images, labels, head


@pytest.mark.parametrize("classes", [2, 4])
def test_without_an_attack_it_is_the_heads_own_accuracy(classes) -> None:
    images, labels, head = fitted(classes)
    got = accuracy_under_attack(Victim(flat(), head, classes), images, labels, 0.0)
    assert got == pytest.approx(head.score(images.reshape(len(images), -1), labels))


def test_equals_the_exact_answer_for_two_classes_and_a_linear_model() -> None:
    """A linear margin falls by at most epsilon times the sum of the coefficients' sizes; bounds of pixels count."""
    images, labels, head = fitted(2)
    scaler, logistic = head
    slope = (logistic.coef_ / scaler.scale_)[0]
    flat_images = images.reshape(len(images), -1)
    for epsilon in (0.02, 0.05):
        worst = flat_images + epsilon * np.where(labels[:, None] == 1, -1, 1) * np.sign(slope)
        exact = float((head.predict(np.clip(worst, 0, 1)) == labels).mean())
        got = accuracy_under_attack(Victim(flat(), head, 2), images, labels, epsilon)
        assert got == pytest.approx(exact, abs=0.01)
        assert exact < 1


def test_falls_with_epsilon_and_a_constant_network_cannot_be_fooled() -> None:
    images, labels, head = fitted(4)
    victim = Victim(flat(), head, 4)
    falling = [accuracy_under_attack(victim, images, labels, epsilon) for epsilon in (0.0, 0.05, 0.15, 0.4)]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] < 0.05
    deaf = keras.Sequential([keras.Input((3, 3, 1)), keras.layers.Flatten(), keras.layers.Dense(9)])
    deaf.set_weights([np.zeros((9, 9), "float32"), np.zeros(9, "float32")])
    blind = Victim(deaf, head, 4)
    clean, attacked = (accuracy_under_attack(blind, images, labels, epsilon) for epsilon in (0.0, 0.4))
    assert clean == attacked == pytest.approx(0.25, abs=0.01)


def test_classes_that_the_head_does_not_know_are_never_predicted() -> None:
    images, labels, head = fitted(3)
    assert accuracy_under_attack(Victim(flat(), head, 7), images, labels + 4, 0.0) == 0


@pytest.mark.parametrize("epsilon", [0.0, -0.1, 1.5, float("nan")])
def test_sizes_that_mean_nothing_are_refused(epsilon) -> None:
    with pytest.raises(UsageError, match="`epsilon` must be above 0 and at most 1"):
        check_epsilons([epsilon])


def test_rows_that_are_no_images_are_refused() -> None:
    table = SimpleNamespace(inputs="table", row_shape=(5,), describe=lambda: "a table")
    with pytest.raises(InputError, match="a table: the robustness probe changes pixels"):
        check_images(table)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("runs") / "run"
    kptk.train("contrastive", out=out, epochs=1, batch_size=32, options={"data.limit": 64, "probe.data": ""})
    return str(out)


def test_from_the_command_line(run) -> None:
    arguments = ("evaluate", run, "--data", "mnist10k", "--limit", "200", "--robustness", "--epsilon", "0.1")
    done = CliRunner().invoke(cli, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    scores = json.loads(done.stdout)["results"]
    attacked = [score for score in scores if score["protocol"] == "pgd"]
    assert [(score["encoder"], score["epsilon"]) for score in attacked] == [
        (name, epsilon) for name in ("run", "random", "raw") for epsilon in (0.0, 0.1)
    ]
    linear = {score["encoder"]: score["value"] for score in scores if score["protocol"] == "linear"}
    for clean, changed in zip(attacked[::2], attacked[1::2], strict=True):
        assert clean["value"] == pytest.approx(linear[clean["encoder"]])
        assert changed["value"] < clean["value"]
    said = CliRunner().invoke(cli, ["evaluate", run, "--data", "mnist10k", "--limit", "60", "--k", "5", "--quiet"])
    assert said.exit_code == 0, said.output
    assert "by up to" not in said.stdout


def test_a_bad_epsilon_on_the_command_line_is_refused(run) -> None:
    done = CliRunner().invoke(cli, ["evaluate", run, "--data", "mnist10k", "--robustness", "--epsilon", "2"])
    assert done.exit_code == 2
    assert "--epsilon" in done.stderr
