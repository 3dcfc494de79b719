"""Gap, retrieval, and the centroids' norms and angle against the probability that captions are replaced."""

from matplotlib.figure import Figure

from fieldsolve.output.style import modality_colour
from fieldsolve.reproduce.captions.model import TRAININGS
from fieldsolve.reproduce.captions.study import CaptionsStudy
from fieldsolve.reproduce.study import standard_error

_LABELS = {"none": "nothing trained", "full batch": "heads trained, full batch", "minibatch": "heads trained, minibatches"}


def figures(study: CaptionsStudy) -> dict[str, Figure]:
    """The picture of the study."""
    return {"captions": _captions(study)}


def _captions(study: CaptionsStudy) -> Figure:
    figure = Figure(figsize=(15, 4.8), layout="constrained")
    panels = figure.subplots(1, 3)
    shown = (
        ("centroid gap", ("gap",)),
        ("recall at 1, a to b and b to a (dashed);\nof replaced partners where nothing is trained", ("recall_a", "recall_b")),
        ("centroids: norm of a, and their cosine (dashed)", ("norm_a", "centroid_cosine")),
    )
    for ax, (title, names) in zip(panels, shown, strict=True):
        for at, training in enumerate(TRAININGS):
            for name, style in zip(names, ("o-", "o--"), strict=False):
                values = study.values[training][name]
                errors = [standard_error(one) for one in values] if study.seeds > 1 else None
                label = _LABELS[training] if style == "o-" else None
                ax.errorbar(
                    study.probabilities,
                    values.mean(axis=1),
                    yerr=errors,
                    fmt=style,
                    ms=4,
                    color=modality_colour(at),
                    label=label,
                )
        ax.set(xlabel="probability that a caption is replaced", title=title)
    panels[0].legend(frameon=False, fontsize=9)
    trained, stored = (study.values[name]["gap"].mean(axis=1) for name in ("full batch", "none"))
    figure.suptitle(
        f"As captions are replaced the gap goes from {trained[0]:.2f} to {trained[-1]:.2f} where heads are trained, from "
        f"{stored[0]:.2f} to {stored[-1]:.2f} where nothing is"
    )
    return figure
