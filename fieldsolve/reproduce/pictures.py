"""The paper's Figures 2 to 8, and what they leave out: the two phases, and growing batches."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from fieldsolve.arrays import Array
from fieldsolve.equilibria import gibbs
from fieldsolve.grids import Healpix
from fieldsolve.plotting import longitude_latitude, plot_field
from fieldsolve.reproduce import training
from fieldsolve.reproduce.binned import densities, difference_shares, encoded_angles, histograms, joint_shares
from fieldsolve.reproduce.branches import ALIGNED, SEPARATED
from fieldsolve.reproduce.gap_study import SIGMAS, GapStudy, fresh_pairs
from fieldsolve.reproduce.gibbs import TAUS, potential, wells
from fieldsolve.reproduce.gibbs_study import GibbsStudy
from fieldsolve.reproduce.gradient import CRITICS, NEGATIVES
from fieldsolve.reproduce.gradient_study import GradientStudy
from fieldsolve.reproduce.latent import Misaligned
from fieldsolve.reproduce.rank_one import RankOne
from fieldsolve.reproduce.study import Study, counted

_INK, _WARM, _COOL, _GREEN, _GREY = "black", "#D55E00", "#0072B2", "#009E73", "#999999"
_SKY_NSIDE = 64
_POLAR_BINS, _JOINT_BINS, _DIFFERENCE_BINS = 40, 80, 60  # of the paper


def figures(study: Study) -> dict[str, Figure]:
    """The pictures of a study, by the names of their files: the paper's numbers, and names of our own."""
    if isinstance(study, GradientStudy):
        return {"figure2": _gradient(study)}
    if isinstance(study, GibbsStudy):
        return {"figure3": _equilibria(study), "figure4": _cap_masses(study)}
    assert isinstance(study, GapStudy)
    return {
        "figure5": _gap(study), "figure6": _polar(study), "figure7": _joint(study), "figure8": _differences(study),
        "phases": _phases(study), "batches": _batches(study),
    }  # fmt: skip


def _gradient(study: GradientStudy) -> Figure:
    figure = Figure(figsize=(11, 7.6), layout="constrained")
    for row, critic in zip(figure.subplots(2, 2), CRITICS, strict=True):
        found = study.figures[critic]
        for ax, name in zip(row, ("alignment", "error"), strict=True):
            spread = found[name].std(axis=0, ddof=1) if study.seeds > 1 else None
            ax.errorbar(
                NEGATIVES,
                found[name].mean(axis=0),
                yerr=spread,
                fmt="o",
                ms=4,
                color=_INK,
                capsize=2,
                label=f"{counted(study.seeds, 'seed')}, mean and std",
            )
            ax.set(xscale="log", xlabel="negatives N")
        row[0].set(ylabel="cosine with the gradient at N = 4096", title=f"{critic}: alignment", ylim=(0, 1.02))
        row[1].plot(NEGATIVES, found["predicted_error"].mean(axis=0), color=_WARM, label="leading order: bias and spread")
        row[1].plot(NEGATIVES, found["bias"].mean(axis=0), "--", color=_COOL, label="bias by the positive's own term")
        row[1].set(ylabel="relative error", title=f"{critic}: error", yscale="log")
        row[1].legend(frameon=False)
    figure.suptitle("InfoNCE gradients with N negatives against 4096 (the paper's Fig. 2)")
    return figure


def _equilibria(study: GibbsStudy) -> Figure:
    grid = Healpix(_SKY_NSIDE)
    values = potential().on(grid)
    figure = Figure(figsize=(16, 7), layout="constrained")
    axes = figure.subplots(2, 4, subplot_kw={"projection": "mollweide"}).ravel()
    plot_field(axes[0], grid, values, label="U (low attracts)").set_title("potential")
    axes[0].scatter(*longitude_latitude(wells()), marker="+", color="white", s=60)
    for ax, tau, points in zip(axes[1:], TAUS, study.points, strict=True):
        density = gibbs(values[None], tau, 0.0).density()[0]
        plot_field(ax, grid, density, label="Gibbs density, 1 = uniform", cmap="magma").set_title(f"tau = {tau:g}")
        ax.scatter(*longitude_latitude(points), s=2, lw=0, color="#56B4E9")
    figure.suptitle(f"Gibbs equilibria, and {study.points.shape[1]} trained particles (blue; the paper's Fig. 3)")
    return figure


def _cap_masses(study: GibbsStudy) -> Figure:
    figure = Figure(figsize=(12.5, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    error = study.table["importance_error"]
    spread = study.trained.std(axis=0, ddof=1) if study.seeds > 1 else None
    left.plot(TAUS, study.exact, "-", color=_INK, label="Gibbs, field")
    left.errorbar(
        TAUS, study.sampled.mean(axis=0), yerr=error, fmt="s", mfc="none", ms=9, color=_COOL, label="Gibbs, importance sampling"
    )
    left.errorbar(
        TAUS,
        study.trained.mean(axis=0),
        yerr=spread,
        fmt="o",
        ms=4,
        color=_WARM,
        label=f"particles, {counted(study.seeds, 'seed')}, mean and std",
    )
    left.plot(TAUS, study.smoothed, "--", color=_GREEN, label="what particles minimise, as a density")
    left.set(ylabel="mass within 0.5 rad of a well", title="cap mass (the paper's Fig. 4)")
    right.axhline(0, color=_INK, lw=0.8)
    right.errorbar(TAUS, study.trained.mean(axis=0) - study.exact, yerr=spread, fmt="o", ms=4, color=_WARM, label="particles")
    right.plot(TAUS, study.smoothed - study.exact, "--", color=_GREEN, label="bias of the bandwidth")
    right.errorbar(
        TAUS, study.sampled.mean(axis=0) - study.exact, yerr=error, fmt="s", mfc="none", color=_COOL, label="importance sampling"
    )
    right.set(ylabel="mass above Gibbs", title="what is off")
    right.set_yscale("symlog", linthresh=0.02)
    for ax in (left, right):
        ax.set(xscale="log", xlabel="temperature tau")
        ax.invert_xaxis()
        ax.legend(frameon=False)
    return figure


def _gap(study: GapStudy) -> Figure:
    figure = Figure(figsize=(12.5, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    table, batch = study.table, training.BATCH
    mean, error = np.array(table["trained_mean"]), np.array(table["trained_sem"])
    left.plot(SIGMAS, mean, "o-", color=_WARM, label=f"mean over {counted(study.seeds, 'seed')}, and standard error")
    left.fill_between(SIGMAS, mean - error, mean + error, color=_WARM, alpha=0.25, lw=0)
    left.plot(SIGMAS, table["trained_median"], "s--", color=_INK, ms=4, label="median")
    left.set(title="as the paper has it (Fig. 5)", ylabel="symmetric KL in 60 bins")
    for phase, marker, colour in ((ALIGNED, ".", _INK), (SEPARATED, "x", _WARM)):
        runs = [run for run in study.trained if run["batch"] == batch and run["phase"] == phase]
        sigmas, gaps = [run["sigma"] for run in runs], [run["gap"] for run in runs]
        right.plot(sigmas, gaps, marker, ms=6, color=colour, alpha=0.8, label=f"runs, {phase}")
    right.plot(SIGMAS, table["aligned_gap"], color=_COOL, label="aligned minimum, exact")
    right.plot(SIGMAS, table["aligned_gap_sampled"], "--", color=_COOL, label="the same, as 8000 pairs show it")
    right.plot(SIGMAS, table["separated_gap"], color=_GREEN, label="separated minimum")
    right.axvline(study.branches.crossing, color=_GREY, lw=1, ls=":", label=f"energies cross at {study.branches.crossing:.4f}")
    right.set_yscale("symlog", linthresh=0.01)
    right.set(title="seed by seed, and without samples", ylabel="symmetric KL in 60 bins", ylim=(0, 200))
    left.set_ylim(0, None)
    for ax in (left, right):
        ax.set_xlabel("misalignment sigma")
        ax.legend(frameon=False, fontsize=8)
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
        for a, colour in enumerate((_COOL, _WARM)):
            ax.plot(angles, rho[a], color=colour, label=f"modality {a + 1}, exact")
            if shares is not None:
                ax.stairs(shares[a], edges, color=colour, lw=0.7, alpha=0.7, label=f"modality {a + 1}, trained")
        assert isinstance(ax, PolarAxes)
        ax.set_yticklabels([])
        state = RankOne(Misaligned(one["sigma"]), one["separated_angle"])
        for a, colour in enumerate((_COOL, _WARM)):
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
        ax.stairs(shares * _DIFFERENCE_BINS, edges, color=_INK, lw=1.6, label="exact")
        if (run := _shown_run(study, one["sigma"])) is not None:
            angles = _drawn_angles(run)
            wrapped = (angles[1] - angles[0] + np.pi) % (2 * np.pi) - np.pi
            trained = histograms(np.stack([wrapped, wrapped]), _DIFFERENCE_BINS)[0]
            ax.stairs(trained * _DIFFERENCE_BINS, edges, color=_WARM, lw=0.8, label="trained")
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
        (found.aligned_energy, _COOL, f"aligned, ends at {found.end:.3f}"),
        (found.separated_energy, _WARM, "separated, rank one"),
    ):
        lowest = stable if colour == _COOL else ~stable
        left.plot(found.sigmas, energy, "--", color=colour, lw=1)
        left.plot(np.where(lowest, found.sigmas, np.nan), energy, color=colour, lw=2.4, label=label)
    left.plot(found.crossing, found.crossing_energy, "o", color=_INK, label=f"cross at {found.crossing:.4f}")
    runs = [run for run in study.trained if run["phase"] == ALIGNED and run["batch"] == training.BATCH]
    left.plot(
        [run["sigma"] for run in runs],
        [run["energy"] for run in runs],
        ".",
        color=_GREY,
        ms=5,
        label="trained, aligned",
        zorder=0,
    )
    left.set(ylabel="energy J (nats)", title="large-batch energy of linear encoders (thick: the lower)")
    right.semilogy(found.sigmas, found.aligned_curvature, color=_COOL, label="aligned: lowest Hessian eigenvalue")
    right.semilogy(found.sigmas, found.separated_curvature, color=_WARM, label="separated: lowest Hessian eigenvalue")
    right.semilogy(found.sigmas, found.separated_slope, ":", color=_WARM, label="separated: least slope towards regular encoders")
    right.set(title="stability: minima are above 0", ylabel="nats")
    for ax in (left, right):
        ax.set_xlabel("misalignment sigma")
        ax.legend(frameon=False, fontsize=8)
    return figure


def _batches(study: GapStudy) -> Figure:
    figure = Figure(figsize=(13, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    width = 0.08 / len(study.batches)
    for k, (batch, colour) in enumerate(zip(study.batches, (_WARM, _COOL, _GREEN, _GREY), strict=False)):
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
    left.plot(SIGMAS, study.table["aligned_gap_sampled"], "--", color=_INK, lw=1, label="aligned minimum, as 8000 pairs show it")
    left.plot(SIGMAS, study.table["aligned_gap"], color=_INK, lw=1, label="aligned minimum, exact")
    left.set(ylabel="symmetric KL in 60 bins", title="medians over aligned runs")
    right.set(ylabel="share of runs", title="runs that end in the separated phase", ylim=(0, None))
    for ax in (left, right):
        ax.set_xlabel("misalignment sigma")
        ax.legend(frameon=False, fontsize=8)
    return figure
