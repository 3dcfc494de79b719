"""The paper's Figures 3 and 4: Gibbs equilibria with trained particles, and the mass in the wells."""

from matplotlib.figure import Figure

from fieldsolve.equilibrium.gibbs import gibbs
from fieldsolve.grids import Healpix
from fieldsolve.output.style import COOL, GREEN, INK, WARM, modality_colour
from fieldsolve.reproduce.gibbs.model import TAUS, potential, wells
from fieldsolve.reproduce.gibbs.study import GibbsStudy
from fieldsolve.reproduce.study import with_noun

_SKY_NSIDE = 64


def figures(study: GibbsStudy) -> dict[str, Figure]:
    """The pictures of the study, by the names of their files: the paper's numbers."""
    return {"figure3": _equilibria(study), "figure4": _cap_masses(study)}


def _equilibria(study: GibbsStudy) -> Figure:
    grid = Healpix(_SKY_NSIDE)
    values = potential().on(grid)
    figure = Figure(figsize=(16, 7), layout="constrained")
    axes = figure.subplots(2, 4, subplot_kw={"projection": "mollweide"}).ravel()
    grid.sky(axes[0], values, "U (low attracts)")
    axes[0].set_title("potential")
    axes[0].scatter(*grid.places(wells()), marker="+", color="white", s=60)
    for ax, tau, points in zip(axes[1:], TAUS, study.points, strict=True):
        density = gibbs(values[None], tau, 0.0).density()[0]
        grid.sky(ax, density, "Gibbs density, 1 = uniform", cmap="magma")
        ax.set_title(f"tau = {tau:g}")
        ax.scatter(*grid.places(points), s=2, lw=0, color=modality_colour(1))
    figure.suptitle(f"Gibbs equilibria, and {study.points.shape[1]} trained particles (blue; the paper's Fig. 3)")
    return figure


def _cap_masses(study: GibbsStudy) -> Figure:
    figure = Figure(figsize=(12.5, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    error = study.table["importance_error"]
    spread = study.trained.std(axis=0, ddof=1) if study.seeds > 1 else None
    left.plot(TAUS, study.exact, "-", color=INK, label="Gibbs, field")
    left.errorbar(
        TAUS, study.sampled.mean(axis=0), yerr=error, fmt="s", mfc="none", ms=9, color=COOL, label="Gibbs, importance sampling"
    )
    left.errorbar(
        TAUS,
        study.trained.mean(axis=0),
        yerr=spread,
        fmt="o",
        ms=4,
        color=WARM,
        label=f"particles, {with_noun(study.seeds, 'seed')}, mean and std",
    )
    left.plot(TAUS, study.smoothed, "--", color=GREEN, label="what particles minimise, as a density")
    left.set(ylabel="mass within 0.5 rad of a well", title="cap mass (the paper's Fig. 4)")
    right.axhline(0, color=INK, lw=0.8)
    right.errorbar(TAUS, study.trained.mean(axis=0) - study.exact, yerr=spread, fmt="o", ms=4, color=WARM, label="particles")
    right.plot(TAUS, study.smoothed - study.exact, "--", color=GREEN, label="bias of the bandwidth")
    right.errorbar(
        TAUS, study.sampled.mean(axis=0) - study.exact, yerr=error, fmt="s", mfc="none", color=COOL, label="importance sampling"
    )
    right.set(ylabel="mass above Gibbs", title="what is off")
    right.set_yscale("symlog", linthresh=0.02)
    for ax in (left, right):
        ax.set(xscale="log", xlabel="temperature tau")
        ax.invert_xaxis()
        ax.legend(frameon=False)
    return figure
