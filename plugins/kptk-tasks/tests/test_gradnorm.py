"""GradNorm on features: its norms are the gradient's, its loss is the paper's, and it moves nothing but the weights."""

from __future__ import annotations

import numpy as np
import pytest

from kptk.testing.gradients import value_and_gradients
from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()
numpy, tensor = keras.ops.convert_to_numpy, keras.ops.convert_to_tensor

from kptk_tasks.gradnorm import balance_loss, feature_gradient_norms, first_losses
from kptk_tasks.several import Several


def case(**options) -> tuple[Several, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    task = Several(tasks="shape:3,size:number", weighting="gradnorm_features", **options)
    task.build((None, 5))
    labels = np.stack([rng.integers(0, 3, 8), 20 + 5 * rng.normal(size=8)], axis=1).astype("float32")
    labels[2, 0] = labels[5, 1] = np.nan
    task.adapt(labels)
    return task, rng.normal(size=(8, 5)).astype("float32"), labels


def norms_of(task: Several, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Norm of the gradient of each task, by the closed form."""
    scaled = (labels[:, 1] - numpy(task.mean.value)[1]) / numpy(task.spread.value)[1]
    outputs = task(tensor(features))
    _, known = task.task_losses(tensor(labels), outputs)
    targets = [tensor(labels[:, 0]), tensor(scaled)]
    return numpy(feature_gradient_norms(task.parts, outputs, targets, known, task.head.kernel))


def test_norms_are_those_of_the_gradient_for_the_features() -> None:
    task, features, labels = case()
    norms = norms_of(task, features, labels)
    for index in range(2):

        def mean(f, index=index):
            each, there = task.task_losses(tensor(labels), task(f))
            return keras.ops.sum(each[:, index] * there[:, index]) / keras.ops.sum(there[:, index])

        _, (gradient,) = value_and_gradients(mean, features)
        assert norms[index] == pytest.approx(np.linalg.norm(gradient), rel=1e-4)


def test_balance_loss_is_the_papers_and_only_the_weight_has_a_gradient() -> None:
    weights, norms, ratios = (np.array(v, "float32") for v in ([0.5, 1.2, 1.3], [2.0, 0.1, 0.7], [0.9, 0.5, 0.2]))
    value, gradients = value_and_gradients(lambda w: balance_loss(w, tensor(norms), tensor(ratios), 1.5), weights)
    own = weights * norms
    wanted = own.mean() * (ratios / ratios.mean()) ** 1.5
    assert value == pytest.approx(np.abs(own - wanted).sum(), rel=1e-5)
    # The mean of the norms on the right is a constant.
    np.testing.assert_allclose(gradients[0], np.sign(own - wanted) * norms, rtol=1e-5)
    even = keras.ops.ones(2)
    assert float(numpy(balance_loss(even, even, even, 1.5))) == 0


def test_first_losses_are_those_of_a_head_that_knows_nothing() -> None:
    np.testing.assert_allclose(numpy(first_losses(Several(tasks="a:3,b").parts)), [np.log(3), 1.0], rtol=1e-6)


def test_the_heads_get_the_weighted_gradient_and_nothing_of_the_balance() -> None:
    task, features, labels = case()
    task.balance.assign(np.array([0.4, -0.3], "float32"))
    share = numpy(task.task_weights())
    assert share.sum() == pytest.approx(2.0, rel=1e-6)
    outputs = numpy(task(tensor(features)))
    _, (of_outputs,) = value_and_gradients(lambda o: task.loss(tensor(labels), o), outputs)

    def weighed(o):
        losses, known = task.task_losses(tensor(labels), o)
        rows = keras.ops.sum(losses * known * tensor(share), axis=-1) / keras.ops.sum(known, axis=-1)
        return keras.ops.mean(rows)

    _, (wanted,) = value_and_gradients(weighed, outputs)
    np.testing.assert_allclose(of_outputs, wanted, rtol=1e-4, atol=1e-6)


class Only(keras.Model):
    """A task on features, without a backbone."""

    def __init__(self, task: Several) -> None:
        super().__init__()
        self.task = task
        self.built = True

    def call(self, x):
        return self.task(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.task.loss(y, y_pred)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_the_weights_move_until_the_norms_are_as_the_rates_ask_for(alpha) -> None:
    task, features, labels = case(alpha=alpha)
    kernel = numpy(task.head.kernel.value).copy()
    kernel[:, 3] *= 2
    task.head.kernel.assign(kernel)
    task.head.trainable = False
    model = Only(task)
    model.compile(keras.optimizers.Adam(0.05))
    model.fit(features, labels, batch_size=8, epochs=200, verbose=0)
    losses, known = (numpy(part) for part in task.task_losses(tensor(labels), task(tensor(features))))
    norms = norms_of(task, features, labels)
    assert norms[1] > 2 * norms[0]  # or there would be nothing to do
    own = numpy(task.task_weights()) * norms
    ratios = (losses * known).sum(0) / known.sum(0) / numpy(first_losses(task.parts))
    assert own[1] / own[0] == pytest.approx((ratios[1] / ratios[0]) ** alpha, rel=0.2)
