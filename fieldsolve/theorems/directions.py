"""A batch of positive pairs drawn from a pair law, one direction of it: losses, biases and gradients against its limit."""

from math import log

import numpy as np

from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.theorems.infonce import Loss, infonce, population_infonce
from fieldsolve.theorems.laws import PairLaw

_LARGE = 8


class Side:
    """One direction of a batch: anchors of modality a with their positives, against negatives of modality b."""

    def __init__(self, law: PairLaw, kernel: Kernel, drawn: Indices, anchor: int, negative: int) -> None:
        points = law.grid.points()
        self.law, self.kernel, self.anchor, self.negative = law, kernel, anchor, negative
        self.at, self.to = drawn[anchor], drawn[1 - anchor]
        self.anchors, self.positives = points[self.at], points[self.to]
        self.density = law.marginals[negative]
        self.limit = population_infonce(self.anchors, self.positives, points, self.density, kernel)
        own = kernel.concentration * (np.einsum("bd,bd->b", self.anchors, self.positives) - 1)
        self.own_ratio = np.exp(own - self.limit.log_fields)  # k(z, z+)/Gamma(z)
        # Var_w[k(z, w)/Gamma(z)]; k^2 is the kernel at tau/2.
        squared = Kernel(kernel.critic, kernel.tau / 2)
        second = population_infonce(self.anchors, self.positives, points, self.density, squared).log_fields
        self.variance = np.exp(second - 2 * self.limit.log_fields) - 1

    def loss(self, negatives: Array) -> Loss:
        return infonce(self.anchors, self.positives, negatives, self.kernel)

    def bias(self, loss: Loss, count: int) -> float:
        """The loss less log N less the limit, and less what is noise in it for certain.

        With r = sum_n k(z, w_n)/(N Gamma(z)) the logarithm begins with (r - 1) - (r - 1)^2/2, whose means are known: 0 and
        -Var/(2 N). They are taken off and their means put back; of an anchor only where N is so large that they are small.
        """
        apart = np.exp(loss.log_fields - log(count) - self.limit.log_fields) - 1
        square = apart**2 - self.variance / count
        noise = np.where(count > self.variance, apart, 0.0) - np.where(count > _LARGE * self.variance, square, 0.0) / 2
        return float(np.mean(loss.terms - log(count) - self.limit.terms - noise))

    def gradient(self, loss: Loss, negatives: Array, modalities: int) -> Array:
        """The gradient with respect to the encoders, (modalities, d, d)."""
        result = np.zeros((modalities, self.anchors.shape[1], self.anchors.shape[1]))
        other = (1 - self.anchor) % modalities
        result[self.anchor] += loss.anchors.T @ self.anchors
        result[other] += loss.positives.T @ self.positives
        result[other] += loss.negatives.T @ negatives
        return result
