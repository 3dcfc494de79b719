"""Experiment D.2 as a study: cap masses of Gibbs, of particles, and of what the particles minimise (Figs. 3 and 4)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fieldsolve.numerics.arrays import Array
from fieldsolve.reproduce.gibbs import particles
from fieldsolve.reproduce.gibbs.model import CONCENTRATION, TAUS, cap_masses, importance_sampled, in_cap, smooth_state, wells
from fieldsolve.reproduce.study import Columns, standard_error, with_noun
from fieldsolve.runs import Task

_SEEDS, _QUICK_SEEDS = 20, 3
_QUICK_STEPS = 1000
_SHOWN_SEED = 0  # whose particles are drawn


def default_seeds(quick: bool) -> int:
    """How many seeds the paper has, or the quick version."""
    return _QUICK_SEEDS if quick else _SEEDS


def tasks(seeds: int, quick: bool) -> list[Task]:
    """The long ones first: particles for each temperature and seed, smoothed energies, importance samples, the field."""
    steps = _QUICK_STEPS if quick else particles.STEPS
    trained = [Task.of("particles", {"tau": tau, "seed": seed, "steps": steps}) for seed in range(seeds) for tau in TAUS]
    fields = [Task.of("smoothed", {"tau": tau}) for tau in TAUS]
    samples = [Task.of("importance", {"seed": seed}) for seed in range(seeds)]
    return [*trained, *fields, *samples, Task.of("gibbs", {})]


def _particles(config: dict[str, Any]) -> dict[str, Any]:
    points = particles.settle_particles(config["tau"], wells(), CONCENTRATION, config["seed"], config["steps"])
    shown = points.tolist() if config["seed"] == _SHOWN_SEED else None
    return {"cap_mass": float(in_cap(points).mean()), "points": shown}


def _smoothed(config: dict[str, Any]) -> dict[str, Any]:
    found = smooth_state(config["tau"])
    return {**vars(found), "density": found.density.tolist()}


def _importance(config: dict[str, Any]) -> dict[str, Any]:
    mass, error = importance_sampled(config["seed"])
    return {"cap_mass": mass.tolist(), "error": error.tolist()}


def _gibbs(config: dict[str, Any]) -> dict[str, Any]:
    mass, error = cap_masses()
    return {"cap_mass": mass.tolist(), "error": error.tolist()}


COMPUTED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "particles": _particles, "smoothed": _smoothed, "importance": _importance, "gibbs": _gibbs,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class GibbsStudy:
    """Cap masses at TAUS.

    exact, exact_error: Gibbs, (7,). sampled, sampled_error: importance sampling, (seeds, 7). trained: particles, (seeds, 7).
    smoothed: of the smoothed energy's minimisers, (7,), smoothed_early: of states on the way there, with their densities (7,
    N), grid nside and stationarity. steps: of the training. points: the particles of one seed, (7, n, 3).
    """

    exact: Array
    exact_error: Array
    sampled: Array
    sampled_error: Array
    trained: Array
    smoothed: Array
    smoothed_early: Array
    densities: Array
    nside: int
    stationarity: Array
    steps: int
    points: Array

    @classmethod
    def of(cls, results: list[tuple[Task, dict[str, Any]]]) -> "GibbsStudy":
        """The study of all tasks' figures."""

        def of_kind(kind: str, **config: Any) -> list[dict[str, Any]]:
            return [
                found
                for task, found in results
                if task.kind == kind and all(task.config[name] == config[name] for name in config)
            ]

        (gibbs,) = of_kind("gibbs")
        samples = of_kind("importance")
        fields = [of_kind("smoothed", tau=tau)[0] for tau in TAUS]
        return cls(
            exact=np.array(gibbs["cap_mass"]),
            exact_error=np.array(gibbs["error"]),
            sampled=np.array([found["cap_mass"] for found in samples]),
            sampled_error=np.array([found["error"] for found in samples]),
            trained=np.array([[found["cap_mass"] for found in of_kind("particles", tau=tau)] for tau in TAUS]).T,
            smoothed=np.array([found["cap_mass"] for found in fields]),
            smoothed_early=np.array([found["early_cap_mass"] for found in fields]),
            densities=np.array([found["density"] for found in fields]),
            nside=fields[0]["nside"],
            stationarity=np.array([found["stationarity"] for found in fields]),
            steps=next(task.config["steps"] for task, _ in results if task.kind == "particles"),
            points=np.array([of_kind("particles", tau=tau, seed=_SHOWN_SEED)[0]["points"] for tau in TAUS]),
        )

    @property
    def seeds(self) -> int:
        return len(self.trained)

    @property
    def sampling_deviation(self) -> Array:
        """How many of its standard errors each importance sample is from the exact mass, (seeds, 7)."""
        return np.asarray((self.sampled - self.exact) / self.sampled_error)

    @property
    def table(self) -> Columns:
        errors = np.sqrt(np.sum(self.sampled_error**2, axis=0)) / self.seeds
        return {
            "tau": list(TAUS),
            "exact": self.exact.tolist(),
            "exact_error": self.exact_error.tolist(),
            "importance_mean": self.sampled.mean(axis=0).tolist(),
            "importance_error": errors.tolist(),
            "smoothed": self.smoothed.tolist(),
            "smoothed_early": self.smoothed_early.tolist(),
            "smoothed_stationarity": self.stationarity.tolist(),
            "particles_mean": self.trained.mean(axis=0).tolist(),
            "particles_std": [float(np.std(one, ddof=1)) if self.seeds > 1 else float("nan") for one in self.trained.T],
            "particles_sem": [standard_error(one) for one in self.trained.T],
            "bandwidth_bias": (self.smoothed - self.exact).tolist(),
            "rest": (self.trained.mean(axis=0) - self.smoothed).tolist(),
        }

    @property
    def runs(self) -> Columns:
        seeds = [seed for seed in range(self.seeds) for _ in TAUS]
        return {
            "seed": seeds,
            "tau": list(TAUS) * self.seeds,
            "particles": self.trained.ravel().tolist(),
            "importance": self.sampled.ravel().tolist(),
            "importance_error": self.sampled_error.ravel().tolist(),
        }

    @property
    def report(self) -> list[str]:
        deviation = np.abs(self.sampling_deviation)
        trained = self.trained.mean(axis=0)
        excess, bias, rest = trained - self.exact, self.smoothed - self.exact, trained - self.smoothed
        warm, coldest = np.array(TAUS) >= 0.5, int(np.argmin(TAUS))
        errors = [standard_error(one) for one in self.trained.T[warm]]
        uncertainty = f", with standard errors of the mean up to {max(errors):.4f}" if self.seeds > 1 else ""
        flattest = int(np.argmax(np.abs(self.smoothed - self.smoothed_early)))
        shorter = "" if self.steps == particles.STEPS else f" (the paper: {particles.STEPS})"
        return [
            f"Mass within 0.5 rad of a well: {with_noun(self.seeds, 'seed')}, {self.steps} steps{shorter} of {particles.COUNT} "
            "particles.",
            f"The field gives the Gibbs masses to {self.exact_error.max():.0e}, without samples.",
            f"Importance sampling agrees with it: {np.mean(deviation < 3) * 100:.0f} % of {deviation.size} values lie within "
            f"three of their standard errors, the farthest at {deviation.max():.2f}.",
            "Trained particles do not sample Gibbs: at tau of 0.5 and above their mean mass is off by "
            f"{excess[warm].min():+.4f} to {excess[warm].max():+.4f}, at tau = {TAUS[coldest]:g} it is "
            f"{trained[coldest]:.3f} instead of {self.exact[coldest]:.3f}.",
            "What they descend is the functional smoothed by the KDE's bandwidth h = 0.35. It is so flat that descents of "
            "densities are slow: in brackets what they have at a stationarity of 1e-3 nats, before it where they end, at "
            f"{self.stationarity.min():.0e} to {self.stationarity.max():.0e} nats: "
            + ", ".join(
                f"{late:.3f} ({early:.3f}) at tau {tau:g}"
                for late, early, tau in zip(self.smoothed, self.smoothed_early, TAUS, strict=True)
            )
            + f". The ends are above Gibbs by {bias[warm].min():.4f} to {bias[warm].max():.4f} at tau of 0.5 and above, and by "
            f"{bias[coldest]:.3f} at tau = {TAUS[coldest]:g}: the bias of the bandwidth, as far as the descents went.",
            f"The rest, particles against those ends, is {rest[warm].min():+.4f} to {rest[warm].max():+.4f} at tau of 0.5 "
            f"and above{uncertainty}: finite numbers, noise and steps.",
            f"At tau = {TAUS[flattest]:g} the length of the descent matters most; particles have {trained[flattest]:.3f} "
            "there. What the kernel smooths away costs nothing, and minimisers clump.",
        ]
