"""GradNorm on the shared features: weights with which several tasks train at similar rates.

Published GradNorm compares the norms of the tasks' gradients for the weights of the last shared layer. Here it is the norms
for the shared features, which that layer returns: they are known in closed form, since each head is linear, and cost no
further pass. The two agree up to a factor that depends on the layer's inputs, which the tasks share (exactly, if a batch has one
row). The weights are kept positive and of one sum by a softmax, where the paper divides after each step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from keras import ops

from kptk.types import Tensor
from kptk_tasks.columns import Column


def first_losses(parts: Sequence[Column]) -> Tensor:
    """Loss of a head that knows nothing, ``L_i(0)``: ``ln C`` for C classes, 1 for a standardised number.

    Args:
        parts: the tasks.

    References:
        Chen et al. 2018, section 3.2, which takes ``ln C`` where the measured first loss depends on the start.
    """
    return ops.convert_to_tensor([math.log(part.classes) if part.classes else 1.0 for part in parts], dtype="float32")


def feature_gradient_norms(
    parts: Sequence[Column], outputs: Tensor, targets: Sequence[Tensor], known: Tensor, kernel: Tensor
) -> Tensor:
    """Norm of the gradient of each task's mean loss for the features, ``||d L_i / d h||``.

    Args:
        parts: the tasks.
        outputs: logits and standardised numbers side by side, shape ``(batch, outputs)``.
        targets: class numbers, or standardised numbers, of each task, shape ``(batch,)``; NaN where not known.
        known: 1 where the label is known, shape ``(batch, tasks)``.
        kernel: of all heads side by side, shape ``(dim, outputs)``.

    Returns:
        Shape ``(tasks,)``, without a gradient.
    """
    norms = []
    for index, part in enumerate(parts):
        there = known[:, index : index + 1]
        own, target = outputs[:, part.outputs], targets[index]
        target = ops.where(ops.isnan(target), ops.zeros_like(target), target)
        if part.classes:
            slope = ops.softmax(own, axis=-1) - ops.one_hot(ops.cast(target, "int32"), part.classes)
        else:
            slope = 2.0 * (own - ops.expand_dims(target, -1))
        slope = slope * there / ops.maximum(ops.sum(there), 1.0)
        of_features = ops.matmul(slope, ops.transpose(kernel[:, part.outputs]))
        norms.append(ops.sqrt(ops.sum(ops.square(of_features))))
    return ops.stop_gradient(ops.stack(norms))


def balance_loss(weights: Tensor, norms: Tensor, ratios: Tensor, alpha: float) -> Tensor:
    """How far the weighted gradient norms are from what the tasks' rates of training ask for.

        sum_i | G_i - mean_j G_j * r_i^alpha |,   G_i = w_i ||d L_i||,   r_i = (L_i / L_i(0)) / mean_j (L_j / L_j(0))

    Only `w_i` in the first term has a gradient.

    Args:
        weights: `w`, shape ``(tasks,)``.
        norms: ``||d L_i||`` without the weight.
        ratios: ``L_i / L_i(0)``.
        alpha: `alpha`, at least 0.

    Returns:
        A scalar.

    References:
        Chen et al. 2018, equations 1 and 2, https://arxiv.org/abs/1711.02257
    """
    weighted = weights * norms
    rates = ratios / ops.maximum(ops.mean(ratios), 1e-12)
    wanted = ops.stop_gradient(ops.mean(weighted) * rates**alpha)
    return ops.sum(ops.abs(weighted - wanted))
