"""Linear heads on stored embeddings, trained on (1 - p) own + p captions of the same group, and measured on pairs held out."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.embeddings.pools import search
from fieldsolve.numerics.arrays import Array, Indices

STEPS, RATE, BATCH = 100, 3e-4, 128
HELD_OUT = 0.3  # share of the pairs
MOST_PAIRS = 2000  # evenly spaced ones where there are more

_DECAYS, _LEAST = (0.9, 0.999), 1e-8  # of Adam

#: No training at all; the expected loss of all pairs; batches, whose captions are drawn anew in each.
TRAININGS = ("none", "full batch", "minibatch")

FIGURES = ("gap", "recall_a", "recall_b", "norm_a", "norm_b", "centroid_cosine")


@dataclass(frozen=True, eq=False)
class Captions:
    """Unit rows (n, d) of both modalities and the group of each pair, split into pairs to train on and pairs held out."""

    rows: tuple[Array, Array]
    groups: Indices
    trained: Indices
    held_out: Indices

    @classmethod
    def split(cls, first: Array, second: Array, groups: Indices, seed: int) -> "Captions":
        """Held out are 30 %, the same for a seed."""
        order = np.random.default_rng([seed, 1]).permutation(len(first))
        count = round(HELD_OUT * len(first))
        return cls((first, second), groups, np.sort(order[count:]), np.sort(order[:count]))

    def replaced(self, among: Indices, chosen: Indices, probability: float, rng: np.random.Generator) -> Indices:
        """Whose caption each of some pairs gets: with a probability that of any pair of its group among so many."""
        result = chosen.copy()
        for index in np.flatnonzero(rng.random(len(chosen)) < probability):
            result[index] = rng.choice(among[self.groups[among] == self.groups[chosen[index]]])
        return result


def train(captions: Captions, training: str, probability: float, tau: float, seed: int) -> tuple[Array, Array]:
    """Heads (d, d) of both modalities after `STEPS` steps of Adam on the symmetric CLIP loss, from the identity.

    full batch: -sum P_ij s_ij/tau + (mean log sum e^(s/tau) over rows + over columns)/2 with P = (1 - p) I + p (mean of the
    group), the expected loss of replaced captions; minibatch: batches of 128 with captions replaced.
    """
    rng = np.random.default_rng([seed, 2])
    heads = [np.eye(rows.shape[1]) for rows in captions.rows]
    if training == "none":
        return heads[0], heads[1]
    every = captions.trained
    same = captions.groups[every][:, None] == captions.groups[every]
    whole = (1 - probability) * np.eye(len(every)) + probability * same / same.sum(axis=1)
    means, squares = ([np.zeros_like(head) for head in heads] for _ in range(2))
    for step in range(1, STEPS + 1):
        if training == "full batch":
            chosen = (every, every)
            partners = whole
        else:
            drawn = rng.permutation(every)[:BATCH]
            chosen = drawn, captions.replaced(every, drawn, probability, rng)
            partners = np.eye(len(drawn))
        rows = [one[at] for one, at in zip(captions.rows, chosen, strict=True)]
        for k, slope in enumerate(slopes(rows, heads, partners, tau)):
            means[k] = _DECAYS[0] * means[k] + (1 - _DECAYS[0]) * slope
            squares[k] = _DECAYS[1] * squares[k] + (1 - _DECAYS[1]) * slope**2
            scale = np.sqrt(squares[k] / (1 - _DECAYS[1] ** step)) + _LEAST
            heads[k] = heads[k] - RATE * means[k] / (1 - _DECAYS[0] ** step) / scale
    return heads[0], heads[1]


def slopes(rows: list[Array], heads: list[Array], partners: Array, tau: float) -> tuple[Array, Array]:
    """The gradients of the loss in both heads."""
    projected = [one @ head for one, head in zip(rows, heads, strict=True)]
    lengths = [np.linalg.norm(one, axis=1, keepdims=True) for one in projected]
    units = [one / length for one, length in zip(projected, lengths, strict=True)]
    logits = units[0] @ units[1].T / tau
    by_row = np.exp(logits - logits.max(axis=1, keepdims=True))
    by_column = np.exp(logits - logits.max(axis=0, keepdims=True))
    by_row /= by_row.sum(axis=1, keepdims=True)
    by_column /= by_column.sum(axis=0, keepdims=True)
    pull = ((by_row + by_column) / 2 - partners) / (tau * len(logits))
    found = []
    for one, unit, length, slope in zip(rows, units, lengths, (pull @ units[1], pull.T @ units[0]), strict=True):
        across = slope - np.sum(slope * unit, axis=1, keepdims=True) * unit
        found.append(one.T @ (across / length))
    return found[0], found[1]


def measure(captions: Captions, heads: tuple[Array, Array], training: str, probability: float, seed: int) -> dict[str, float]:
    """FIGURES of the pairs held out; without training their own captions are replaced, as stored embeddings can be."""
    at = captions.held_out
    partners = at
    if training == "none":
        partners = captions.replaced(at, at, probability, np.random.default_rng([seed, 3]))
    projected = captions.rows[0][at] @ heads[0], captions.rows[1][partners] @ heads[1]
    first, second = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in projected)
    means = first.mean(axis=0), second.mean(axis=0)
    norms = [float(np.linalg.norm(one)) for one in means]
    return {
        "gap": float(np.linalg.norm(means[0] - means[1])),
        "recall_a": search(first, second).recall,
        "recall_b": search(second, first).recall,
        "norm_a": norms[0],
        "norm_b": norms[1],
        "centroid_cosine": float(means[0] @ means[1]) / (norms[0] * norms[1]),
    }
