"""The paper's Figures 5 to 8, and what they leave out: the two phases, and growing batches."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from fieldsolve.numerics.arrays import Array
from fieldsolve.output.style import COOL, GREEN, GREY, INK, WARM
from fieldsolve.reproduce.gap import training
from fieldsolve.reproduce.gap.binned import densities, difference_shares, encoded_angles, histograms, joint_shares
from fieldsolve.reproduce.gap.branches import ALIGNED, SEPARATED
from fieldsolve.reproduce.gap.latent import Misaligned
from fieldsolve.reproduce.gap.rank_one import RankOne
from fieldsolve.reproduce.gap.study import SIGMAS, GapStudy, fresh_pairs
from fieldsolve.reproduce.study import with_noun

_POLAR_BINS, _JOINT_BINS, _DIFFERENCE_BINS = 40, 80, 60  # of the paper


def figures(study: GapStudy) -> dict[str, Figure]:
    """The pictures of the study, by the names of their files: the paper's numbers, and names of our own."""
    return {
        "figure5": _gap(study), "figure6": _polar(study), "figure7": _joint(study), "figure8": _differences(study),
        "phases": _phases(study), "batches": _batches(study),
    }  # fmt: skip


def _gap(study: GapStudy) -> Figure:
    figure = Figure(figsize=(12.5, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    table, batch = study.table, training.BATCH
    mean, error = np.array(table["trained_mean"]), np.array(table["trained_sem"])
    left.plot(SIGMAS, mean, "o-", color=WARM, label=f"mean over {with_noun(study.seeds, 'seed')}, and standard error")
    left.fill_between(SIGMAS, mean - error, mean + error, color=WARM, alpha=0.25, lw=0)
    left.plot(SIGMAS, table["trained_median"], "s--", color=INK, ms=4, label="median")
    left.set(title="as the paper has it", ylabel="symmetric KL in 60 bins")
    for phase, marker, colour in ((ALIGNED, ".", INK), (SEPARATED, "x", WARM)):
        runs = [run for run in study.trained if run["batch"] == batch and run["phase"] == phase]
        sigmas, gaps = [run["sigma"] for run in runs], [run["gap"] for run in runs]
        right.plot(sigmas, gaps, marker, ms=6, color=colour, alpha=0.8, label=f"runs, {phase}")
    right.plot(SIGMAS, table["aligned_gap"], color=COOL, label="aligned minimum, exact")
    right.plot(SIGMAS, table["aligned_gap_sampled"], "--", color=COOL, label="the same, as 8000 pairs show it")
    right.plot(SIGMAS, table["separated_gap"], color=GREEN, label="separated minimum")
    right.axvline(study.branches.crossing, color=GREY, lw=1, ls=":", label=f"energies cross at {study.branches.crossing:.4f}")
    right.set_yscale("symlog", linthresh=0.01)
    right.set(title="seed by seed, and without samples", ylabel="symmetric KL in 60 bins", ylim=(0, 200))
    left.set_ylim(0, None)
    for ax in (left, right):
        ax.set_xlabel("misalignment sigma")
        ax.legend(frameon=False, fontsize=8)
    figure.suptitle("The mean gap of trained encoders is made by the few that leave the aligned phase (Fig. 5)")
    return figure


def _shown_run(study: GapStudy, sigma: float) -> dict[str, Any] | None:
    """The first aligned run at a scale, at the paper's batch."""
    return next(iter(study.at(sigma, training.BATCH, ALIGNED)), None)


def _drawn_angles(run: dict[str, Any]) -> Array:
    law = Misaligned(run["sigma"])
    return encoded_angles(np.array(run["encoders"]), fresh_pairs(law, run["seed"]))


def _panel(figure: Figure, sky: dict[str, str] | None = None) -> list[Axes]:
    axes = list(figure.subplots(2, 4, subplot_kw=sky).ravel())
    for ax, sigma in zip(axes, SIGMAS, strict=True):
        ax.set_title(f"sigma = {sigma:g}")
    return axes


def _polar(study: GapStudy) -> Figure:
    figure = Figure(figsize=(14, 7.6), layout="constrained")
    angles = np.linspace(-np.pi, np.pi, 721)
    edges = np.linspace(-np.pi, np.pi, _POLAR_BINS + 1)
    for ax, one in zip(_panel(figure, {"projection": "polar"}), study.phases, strict=True):
        rho = densities(Misaligned(one["sigma"]), np.array(one["encoders"]), angles)
        run = _shown_run(study, one["sigma"])
        shares = None if run is None else histograms(_drawn_angles(run), _POLAR_BINS) * _POLAR_BINS
        for a, colour in enumerate((COOL, WARM)):
            ax.plot(angles, rho[a], color=colour, label=f"modality {a + 1}, exact")
            if shares is not None:
                ax.stairs(shares[a], edges, color=colour, lw=0.7, alpha=0.7, label=f"modality {a + 1}, trained")
        assert isinstance(ax, PolarAxes)
        ax.set_yticklabels([])
        state = RankOne(Misaligned(one["sigma"]), one["separated_angle"])
        for a, colour in enumerate((COOL, WARM)):
            for angle in state.atoms[a]:
                ax.annotate(
                    "", (angle, ax.get_rmax()), (angle, 0.82 * ax.get_rmax()), arrowprops={"color": colour, "arrowstyle": "-|>"}
                )
    figure.axes[0].legend(frameon=False, fontsize=7, loc="lower left", bbox_to_anchor=(-0.35, -0.25))
    figure.suptitle("Angle marginals of the aligned phase, exact and trained (Fig. 6); arrows: the atoms of the separated phase")
    return figure


def _joint(study: GapStudy) -> Figure:
    figure = Figure(figsize=(14, 7.4), layout="constrained")
    shares = [
        joint_shares(Misaligned(one["sigma"]), np.array(one["encoders"]), _JOINT_BINS) * _JOINT_BINS**2 for one in study.phases
    ]
    norm = LogNorm(1e-2, max(float(one.max()) for one in shares))
    for ax, share in zip(_panel(figure), shares, strict=True):
        mesh = ax.imshow(np.maximum(share.T, 1e-2), origin="lower", extent=(-180, 180, -180, 180), norm=norm, cmap="magma")
        ax.set(xlabel="angle of modality 1", ylabel="of modality 2", xticks=[-180, 0, 180], yticks=[-180, 0, 180])
    figure.colorbar(mesh, ax=figure.axes, label="joint density, 1 = uniform", shrink=0.7)
    figure.suptitle("Joint angles in the aligned phase, exact, in 80 bins (Fig. 7)")
    return figure


def _differences(study: GapStudy) -> Figure:
    figure = Figure(figsize=(14, 6.8), layout="constrained")
    edges = np.linspace(-180, 180, _DIFFERENCE_BINS + 1)
    for ax, one in zip(_panel(figure), study.phases, strict=True):
        shares = difference_shares(Misaligned(one["sigma"]), np.array(one["encoders"]), _DIFFERENCE_BINS)
        ax.stairs(shares * _DIFFERENCE_BINS, edges, color=INK, lw=1.6, label="exact")
        if (run := _shown_run(study, one["sigma"])) is not None:
            angles = _drawn_angles(run)
            wrapped = (angles[1] - angles[0] + np.pi) % (2 * np.pi) - np.pi
            trained = histograms(np.stack([wrapped, wrapped]), _DIFFERENCE_BINS)[0]
            ax.stairs(trained * _DIFFERENCE_BINS, edges, color=WARM, lw=0.8, label="trained")
        ax.set(xlabel="angle 2 - angle 1 (degrees)", xlim=(-120, 120))
    figure.axes[0].set_ylabel("density, 1 = uniform")
    figure.axes[0].legend(frameon=False)
    figure.suptitle("Differences of angles in the aligned phase (Fig. 8)")
    return figure


def _phases(study: GapStudy) -> Figure:
    figure = Figure(figsize=(13, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    found = study.branches
    stable = found.sigmas <= found.crossing
    for energy, colour, label in (
        (found.aligned_energy, COOL, f"aligned, ends at {found.end:.3f}"),
        (found.separated_energy, WARM, "separated, rank one"),
    ):
        lowest = stable if colour == COOL else ~stable
        left.plot(found.sigmas, energy, "--", color=colour, lw=1)
        left.plot(np.where(lowest, found.sigmas, np.nan), energy, color=colour, lw=2.4, label=label)
    left.plot(found.crossing, found.crossing_energy, "o", color=INK, label=f"cross at {found.crossing:.4f}")
    runs = [run for run in study.trained if run["phase"] == ALIGNED and run["batch"] == training.BATCH]
    left.plot(
        [run["sigma"] for run in runs],
        [run["energy"] for run in runs],
        ".",
        color=GREY,
        ms=5,
        label="trained, aligned",
        zorder=0,
    )
    left.set(ylabel="energy J (nats)", title="large-batch energy of linear encoders (thick: the lower)")
    right.semilogy(found.sigmas, found.aligned_curvature, color=COOL, label="aligned: lowest Hessian eigenvalue")
    right.semilogy(found.sigmas, found.separated_curvature, color=WARM, label="separated: lowest Hessian eigenvalue")
    right.semilogy(found.sigmas, found.separated_slope, ":", color=WARM, label="separated: least slope towards regular encoders")
    right.set(title="stability: minima are above 0", ylabel="nats")
    for ax in (left, right):
        ax.set_xlabel("misalignment sigma")
        ax.legend(frameon=False, fontsize=8)
    figure.suptitle(f"Beyond a misalignment of {found.crossing:.3f} the objective itself prefers separated modalities")
    return figure


def _batches(study: GapStudy) -> Figure:
    figure = Figure(figsize=(13, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    width = 0.08 / len(study.batches)
    for k, (batch, colour) in enumerate(zip(study.batches, (WARM, COOL, GREEN, GREY), strict=False)):
        left.plot(
            SIGMAS, study.medians(batch, "gap", ALIGNED), "o", ms=4, color=colour, label=f"batch {batch}, as 8000 pairs show it"
        )
        left.plot(
            SIGMAS, study.medians(batch, "exact_gap", ALIGNED), "s", ms=4, mfc="none", color=colour, label=f"batch {batch}, exact"
        )
        shares = np.array(study.separated_counts(batch)) / study.seeds
        right.bar(
            np.array(SIGMAS) + (k - (len(study.batches) - 1) / 2) * width, shares, width, color=colour, label=f"batch {batch}"
        )
    left.plot(SIGMAS, study.table["aligned_gap_sampled"], "--", color=INK, lw=1, label="aligned minimum, as 8000 pairs show it")
    left.plot(SIGMAS, study.table["aligned_gap"], color=INK, lw=1, label="aligned minimum, exact")
    left.set(ylabel="symmetric KL in 60 bins", title="medians over aligned runs")
    right.set(ylabel="share of runs", title="runs that end in the separated phase", ylim=(0, None))
    for ax in (left, right):
        ax.set_xlabel("misalignment sigma")
        ax.legend(frameon=False, fontsize=8)
    figure.suptitle("Larger batches do not change the aligned phase's gap")
    return figure
