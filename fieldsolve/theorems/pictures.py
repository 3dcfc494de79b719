"""Pictures of studies: dispersion, large-batch consistency, sharp kernels."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fieldsolve.equilibrium.batches import positive_of
from fieldsolve.grids import Kernel
from fieldsolve.output.pictures import verbatim
from fieldsolve.output.style import COOL, GREEN, GREY, INK, WARM
from fieldsolve.theorems.barriers import Barriers
from fieldsolve.theorems.batches import BatchDispersion, batch_dispersion
from fieldsolve.theorems.consistency import Consistency, Slope
from fieldsolve.theorems.dispersion import Dispersion
from fieldsolve.theorems.dispersion import dispersion as dispersion_of
from fieldsolve.theorems.sharpness import Sharpness

_COUPLINGS = (0.0, 0.55)  # critical ones lie between 1/4 and 1/2


def plot_dispersion(dispersion: Dispersion) -> Figure:
    """A figure of the critical couplings: by degree at one temperature, and over temperatures for the first degrees."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    kernel, degrees = dispersion.kernel, np.arange(1, len(dispersion.spectrum))
    left.plot(degrees, dispersion.critical_couplings, "o-", color=INK)
    left.axhline(
        dispersion.breaks_at, color=WARM, ls="--", label=f"breaks at {dispersion.breaks_at:.4g}, degree {dispersion.mode}"
    )
    left.set(xlabel="degree l", ylabel="critical coupling lambda_c", ylim=_COUPLINGS, title=f"by degree, at tau = {kernel.tau:g}")
    left.legend(frameon=False)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    taus = kernel.tau * np.geomspace(1e-2, 1e2, 81)
    shown = degrees[:5]
    others = [dispersion_of(Kernel(kernel.critic, float(tau)), dispersion.dimension, int(shown[-1])) for tau in taus]
    for degree, couplings in zip(shown, np.array([other.critical_couplings for other in others]).T, strict=True):
        right.semilogx(taus, couplings, label=f"l = {degree}")
    right.axvline(kernel.tau, color=GREY, lw=0.8)
    right.set(xlabel="temperature tau", ylim=_COUPLINGS, title="over temperatures")
    right.legend(frameon=False)
    figure.suptitle(
        f"Beyond a coupling of {dispersion.breaks_at:.4g} matched uniform densities part along degree {dispersion.mode}"
        f"\n{kernel.critic} critic on S^{dispersion.dimension - 1}, tau = {kernel.tau:g}"
    )
    return figure


def plot_batches(dispersion: Dispersion, batch: BatchDispersion) -> Figure:
    """A figure of the critical couplings of finite batches: by degree, and of degree 1 over the number of negatives."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    kernel, degrees = dispersion.kernel, np.arange(1, len(dispersion.spectrum))
    left.plot(degrees, batch.critical_couplings, "o-", color=WARM, label=f"{batch.negatives:g} negatives")
    left.plot(degrees, dispersion.critical_couplings, "o--", ms=3, color=GREY, label="infinitely many")
    left.set(xlabel="degree l", ylabel="critical coupling lambda_c", title=f"by degree; {batch.positive.words}")
    left.legend(frameon=False)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    numbers = np.unique(np.rint(np.geomspace(1, max(1e6, 100 * batch.negatives), 61)))
    kinds = [batch.positive, *(one for one in map(positive_of, ("aligned", "0.3", "none")) if one != batch.positive)]
    for positive, style in zip(kinds, ("-", "--", "-.", ":"), strict=False):
        couplings = [batch_dispersion(kernel, dispersion.dimension, float(n), positive, 1).critical_couplings[0] for n in numbers]
        right.semilogx(numbers, couplings, style, label=str(positive))
    right.axhline(dispersion.critical_couplings[0], color=GREY, lw=0.8, label="infinitely many")
    right.axvline(batch.negatives, color=GREY, lw=0.8)
    right.set(xlabel="negatives N", ylabel="lambda_c of degree 1", title="over batches, by the positive in the denominator")
    right.legend(frameon=False, title="positive")
    figure.suptitle(
        f"With {batch.negatives:g} negatives uniform densities part beyond a coupling of {batch.breaks_at:.4g}"
        f"\n{kernel.critic} critic on S^{dispersion.dimension - 1}, tau = {kernel.tau:g}"
    )
    return figure


def plot_consistency(found: Consistency) -> Figure:
    """A figure of InfoNCE nearing its limit: the bias of its value, and the error of its gradient, over negatives."""
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    numbers, beginning = found.negatives, min(float(found.negatives[0]), found.onset) / 1.3
    # To leading order nothing can be said of fewer.
    large = numbers >= max(found.onset, found.effective)
    left.errorbar(
        numbers,
        np.abs(found.bias),
        yerr=found.bias_error,
        fmt="o",
        ms=4,
        color=INK,
        capsize=2,
        label=f"measured, {found.seeds} seeds",
    )
    left.loglog(numbers, np.abs(found.expected_bias), color=WARM, label="its exact expectation")
    if found.law_bias is not None:
        left.loglog(numbers, np.abs(found.law_bias), color=GREEN, ls="-.", label="exact, over all pairs")
    left.loglog(
        numbers[large], abs(found.leading) / numbers[large], "--", color=GREY, label=f"leading term {found.leading:.3g}/N"
    )
    left.set(ylabel="|bias against the batch's limit| (nats)", title=_sloped("value", found.value_slope, -1))
    right.errorbar(
        numbers,
        found.gradient_error,
        yerr=found.gradient_spread,
        fmt="o",
        ms=4,
        color=INK,
        capsize=2,
        label="measured, with spread",
    )
    right.loglog(numbers[large], found.expected_gradient_error[large], color=WARM, label="predicted to leading order")
    right.set(yscale="log", ylabel="relative error of the gradient", title=_sloped("gradient", found.gradient_slope, -0.5))
    for ax in (left, right):
        ax.axvspan(beginning, max(found.onset, beginning), color=GREY, alpha=0.2, lw=0, label="positive's own term dominates")
        ax.set(xlabel="negatives N", xlim=(beginning, numbers[-1] * 1.3))
        ax.legend(frameon=False, fontsize=8)
    kind = "Unimodal" if found.modalities == 1 else "Symmetric"
    settings = f"{found.kernel.critic} critic, tau = {found.kernel.tau:g}, {found.batch} anchors, {verbatim(found.label)}"
    slope = "" if found.value_slope is None else f": its bias falls like N^{found.value_slope.value:.2f}"
    figure.suptitle(f"{kind} InfoNCE nears its large-batch energy{slope}\n{settings}")
    return figure


def plot_sharpness(found: Sharpness) -> Figure:
    """A figure of ever sharper kernels: |J - F| under its bounds, the divergence that stays, the mass that concentrates."""
    count = 3 if found.modalities == 1 else 4
    figure = Figure(figsize=(5 * count, 4.8), layout="constrained")
    left, errors, *between, right = figure.subplots(1, count)
    left.loglog(
        found.taus, np.abs(found.difference), "o-", ms=3, color=INK, label=f"|J - F|, last slope {found.difference_rate:.2f}"
    )
    left.loglog(found.taus, found.log_error.max(axis=0), color=COOL, label="sup |log(K rho/rho)|")
    left.loglog(found.taus, found.bound, "--", color=WARM, label="bound by the KDE errors")
    if found.quadratic_bound is not None:
        left.loglog(found.taus, found.quadratic_bound, ":", color=GREEN, label="bound by their squares")
    left.set(xlabel="temperature tau", ylabel="nats", title="smoothed against intrinsic energy")
    falling = f"sup |K rho - rho|, last slope {found.kde_rate:.2f}"
    errors.loglog(found.taus, found.kde_error.max(axis=0), color=COOL, label=falling)
    errors.set(xlabel="temperature tau", ylabel="density, 1 = uniform", title="KDE error")
    for ax in between:
        _plot_persistence(ax, found)
    right.plot(1 / found.taus, found.log_outside, "o-", ms=3, color=INK, label=f"last rate {found.concentration_rate:.4g}")
    right.plot(1 / found.taus, found.log_outside_bound, "--", color=WARM, label=f"bound; margin {found.margin:.4g}")
    right.set(xlabel="1/tau", ylabel="log of mass", title="Gibbs mass away from the ground states")
    for ax in (left, errors, *between, right):
        ax.legend(frameon=False, fontsize=8)
    claim = "As the kernel sharpens the smoothed energy becomes the intrinsic one"
    figure.suptitle(
        f"{claim}{'; the divergence stays' if between else ''}\n{found.critic} critic, densities of tau = {found.at:g}, "
        f"{verbatim(' | '.join(found.labels))}"
    )
    return figure


def _plot_persistence(ax: Axes, found: Sharpness) -> None:
    ax.semilogx(found.taus, found.smoothed_symmetric_kl, "o-", ms=3, color=INK, label="symmetric KL, smoothed")
    ax.axhline(found.symmetric_kl, color=WARM, ls="--", label="symmetric KL of the densities")
    ax.set(xlabel="temperature tau", ylabel="nats", ylim=(0, None), title="symmetric KL of the modalities")


def _sloped(what: str, slope: Slope | None, exponent: float) -> str:
    if slope is None:
        return f"{what}: N does not reach the asymptotic regime"
    return f"{what}: slope {slope.value:.3f} +- {slope.error:.3f} from N = {slope.since} (theory {exponent:g})"


def plot_barriers(found: Barriers) -> Figure:
    """A figure of barriers: the least energy at each centroid gap, heights over the parameter, and escape times where known."""
    count = 3 if found.escapes is not None else 2
    figure = Figure(figsize=(5.4 * count, 4.8), layout="constrained")
    axes = figure.subplots(1, count)
    symbol = found.parameter
    known = [(value, one) for value, one in zip(found.values, found.found, strict=True) if one is not None]
    highest = max((one.height for _, one in known), default=0.0) or 1.0
    for k, (value, one) in enumerate(known):
        color = colormaps["cividis"](0.9 * k / max(len(known) - 1, 1))
        axes[0].plot(one.gaps, one.energies - one.matched, color=color, label=f"{symbol} {value:.4g}")
        axes[0].plot([one.gap], [one.height], "o", ms=4, color=color)
    axes[0].axhline(0, color=GREY, lw=0.8)
    axes[0].set(
        xlabel="centroid gap along the axis", ylabel="nats above the matched state", ylim=(-0.6 * highest, 1.15 * highest),
        title="least energy at each gap; o the pass",
    )  # fmt: skip
    values = [value for value, _ in known]
    axes[1].plot(values, [one.height for _, one in known], "o-", ms=4, color=INK, label="from the matched state")
    if found.noisy:
        noisy = zip(found.values, found.noisy, strict=True)
        held = [(value, one.barrier.height) for value, one in noisy if one.barrier is not None]
        axes[1].plot([one[0] for one in held], [one[1] for one in held], "s--", ms=4, color=WARM, label="with the batches' noise")
    axes[1].set(xlabel=symbol, ylabel="height (nats)", ylim=(0, None), title="what holds the matched state")
    if count == 3:
        _plot_escapes(axes[2], found)
    for ax in axes:
        if ax.get_legend_handles_labels()[0]:
            ax.legend(frameon=False, fontsize=8)
    problem = found.problem
    batch = "" if problem.batch is None else f", {problem.batch} negatives"
    label = verbatim(" | ".join(one.label for one in problem.resolved))
    claim = _claim(found)
    figure.suptitle(f"{claim}\n{problem.critic} critic, tau = {problem.tau:g}, {problem.grid}{batch}, {label}")
    return figure


def _claim(found: Barriers) -> str:
    known = [(one.height, value) for value, one in zip(found.values, found.found, strict=True) if one is not None]
    if not known:
        return "No separated state is lower than the matched one"
    name, (most, at) = found.parameter, max(known)
    return f"The matched state is held by {most:.2g} nats at {name} {at:.4g}, and by {min(known)[0]:.2g} at {min(known)[1]:.4g}"


def _plot_escapes(ax: Axes, found: Barriers) -> None:
    for k, one in enumerate(found.noisy):
        if one.exponent is None or one.times is None:
            continue
        ended = one.times[np.isfinite(one.times)]
        ax.semilogy(np.full(len(ended), one.exponent), np.maximum(ended, 1), ".", color=COOL, label="a run" if k == 0 else None)
        if one.median is not None:
            ax.semilogy([one.exponent], [max(one.median, 1)], "o", color=INK)
    slope = "" if found.growth is None else f"; log of medians rises by {found.growth:.2f} a unit"
    ax.set(xlabel="2 n height/temperature, with noise", ylabel="steps until separated", title=f"escape{slope}")
