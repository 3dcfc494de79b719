"""The paper's Figure 2: how gradients with N negatives near that with many."""

from matplotlib.figure import Figure

from fieldsolve.output.style import COOL, INK, WARM
from fieldsolve.reproduce.gradient.model import COUNTS, CRITICS
from fieldsolve.reproduce.gradient.study import GradientStudy
from fieldsolve.reproduce.study import with_noun


def figures(study: GradientStudy) -> dict[str, Figure]:
    """The pictures of the study, by the names of their files: the paper's numbers."""
    return {"figure2": _gradient(study)}


def _gradient(study: GradientStudy) -> Figure:
    figure = Figure(figsize=(11, 7.6), layout="constrained")
    for row, critic in zip(figure.subplots(2, 2), CRITICS, strict=True):
        found = study.values[critic]
        for ax, name in zip(row, ("alignment", "error"), strict=True):
            spread = found[name].std(axis=0, ddof=1) if study.seeds > 1 else None
            ax.errorbar(
                COUNTS,
                found[name].mean(axis=0),
                yerr=spread,
                fmt="o",
                ms=4,
                color=INK,
                capsize=2,
                label=f"{with_noun(study.seeds, 'seed')}, mean and std",
            )
            ax.set(xscale="log", xlabel="negatives N")
        row[0].set(ylabel="cosine with the gradient at N = 4096", title=f"{critic}: alignment", ylim=(0, 1.02))
        row[1].plot(COUNTS, found["predicted_error"].mean(axis=0), color=WARM, label="leading order: bias and spread")
        row[1].plot(COUNTS, found["bias"].mean(axis=0), "--", color=COOL, label="bias by the positive's own term")
        row[1].set(ylabel="relative error", title=f"{critic}: error", yscale="log")
        row[1].legend(frameon=False)
    figure.suptitle("InfoNCE gradients with N negatives against 4096 (the paper's Fig. 2)")
    return figure
