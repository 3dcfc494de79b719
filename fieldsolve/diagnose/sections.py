"""The report of a diagnosis, section by section, for somebody who has not read the paper: what is so first, the theory last."""

import re
from collections.abc import Iterator
from dataclasses import asdict
from html import escape
from math import isfinite
from typing import Any

from fieldsolve.diagnose.diagnosis import Comparison, Diagnosis
from fieldsolve.diagnose.freedom import Freedom, remedy_summary
from fieldsolve.diagnose.measure import Measurement
from fieldsolve.diagnose.metrics import table as metrics_table
from fieldsolve.diagnose.metrics.metric import Family, Metric, plain
from fieldsolve.diagnose.metrics.mixed import nested
from fieldsolve.diagnose.tables import HEADINGS, PAPER, cells, group_table, mixed_table, table, tests_sentence
from fieldsolve.output import page
from fieldsolve.output.tables import short

#: Of the section on retrieval.
_RETRIEVAL = tuple(
    name
    for way, gallery in (("a_to_b", "b"), ("b_to_a", "a"))
    for name in (
        *(f"recall_{way}_at_{depth}" for depth in (1, 5, 10)),
        f"recall_{way}_at_1_inverted",
        f"hubness_{gallery}",
        f"never_retrieved_{gallery}",
    )
)

_WORDS = (
    "Centroid gap: how far the mean embeddings of both modalities are apart, from 0 to 2. Partners: rows that belong together, "
    "an image and its caption. Recall at 1: how often the nearest row of the other modality is the partner. One index of both: a "
    "search among all rows of both modalities at once, where a gap puts all rows of the query's own modality first. Temperature: "
    "one over the factor that cosines are multiplied by in the loss."
)

_CAPTIONS = {
    "cosines": "The level of partners' cosines says little: what counts is how far they stand out from those of strangers.",
    "mixed": "What queries of either modality find in one index of both: as it is, with each modality's mean taken off (means of "
    "other rows than those that look), and divided by its standard deviations too. Lines are 95 % intervals.",
    "freedom": "The same pairs at other centroid gaps: what the loss sees does not change.",
    "metrics": "How the distributions differ, as they are and centred, beside the noise level of this many pairs: what exchanges "
    "of partners exceed one time in twenty. Lines are 95 % intervals.",
    "sky": "The pairs on the sphere of their three leading directions, with the potentials that the theory derives from them.",
    "equilibria": "How far apart the theory expects modalities with these potentials at each coupling, and with a penalty.",
    "corruption": "Corrupted matchings, and what moves with them. The second modality's rows are drawn again, so that its "
    "distribution moves by sampling only.",
}

_REMEDIES = (
    "What published losses against the gap do at {} dimensions and temperature {:g}. Columns 3 and 4 are a stress test: "
    "two identical, evenly spread clouds with partners held still; from this weight on the added loss keeps their "
    "centroids together (3), or whole distributions (4), against the contrastive loss. It is not the weight that closes a "
    "gap that is there: in training partners move, and much less may be enough (last column, for pairs that all say as "
    "much of each other, as real ones do only roughly). Nothing here is measured in training: begin with a hundredth of "
    "an added term's weight, and look at the term beside the loss on a batch of yours."
)

_COSINES = (
    "Why the cosines are what they are: the modalities' means have cosine {:.3f} and lengths {:.3f} and {:.3f}, so that "
    "any two rows across have {:.3f} on average; being partners adds {:.3f}. Only that lead counts: divided by the "
    "temperature it is {:.1f} in the exponent of the loss, where strangers spread by {:.1f}. A constant added to all "
    "cosines changes neither loss nor rankings, so that their level by itself is neither good nor bad."
)

_POOL = (
    "What to do: search one modality at a time and merge the answers; or take each modality's mean off, of the index and of "
    "queries (fieldsolve diagnose A B --save-means means.npz; docs/recipes.md has the lines); or move the gap, which keeps "
    "every ranking across (fieldsolve move-gap A B --to min -o map.npz --moved moved.npy). A share of 1/2 would be "
    "modalities of one size that mix."
)

_FROZEN = (
    "These equilibria hold the alignment potentials still: where each row's partner is now. In training partners move with the "
    "densities, and then what stands above holds instead. They say what the large-batch loss would do to densities that react to "
    "fixed partners: a stress test of the loss, no forecast of this model."
)

Pictures = dict[str, bytes]


def report(diagnosis: Diagnosis, pictures: list[Pictures]) -> str:
    """One page that needs no network; pictures: of each comparison by name."""
    parts = []
    if len(diagnosis.comparisons) > 1:
        parts.append(f"<h1>{len(diagnosis.modalities)} modalities, {len(diagnosis.comparisons)} pairs of them</h1>")
        parts.append(page.table(_overview(diagnosis)))
    for comparison, images in zip(diagnosis.comparisons, pictures, strict=True):
        parts += _sections(diagnosis, comparison, images)
    return page.page("Modality gap: a diagnosis", [*parts, _FOOT])


def _overview(diagnosis: Diagnosis) -> list[list[str]]:
    names = ("centroid_gap", "recall_a_to_b_at_1", "recall_b_to_a_at_1", "mixed_a_raw_other_share_at_10")
    rows = [["first (a)", "second (b)", *names, "in a line"]]
    for one in diagnosis.comparisons:
        values = [short(one.measurement.metrics[name].value, 3) for name in names]
        rows.append([one.sample.first.name, one.sample.second.name, *values, one.verdict.summary])
    return rows


def _sections(diagnosis: Diagnosis, comparison: Comparison, images: Pictures) -> Iterator[str]:
    yield from _summary(diagnosis, comparison)
    measured = comparison.measurement
    metrics = plain(measured.metrics)
    yield "<h2>Cosines within and across</h2>"
    yield from _picture("cosines", images)
    yield f"<p>{escape(_cosines(measured))}</p>"
    yield "<h2>One index of both modalities</h2>"
    yield from _picture("mixed", images)
    yield page.table(mixed_table(nested(measured.metrics)))
    yield f"<p>{escape(_POOL)}</p>"
    yield "<h2>Retrieval across modalities</h2>"
    yield page.table(_retrieval(measured.metrics))
    yield f"<p>{escape(_hubs(measured.metrics))}</p>"
    if comparison.freedom is not None:
        yield from _freedom(comparison.freedom, images)
    yield "<h2>How the distributions differ</h2>"
    yield from _picture("metrics", images)
    yield page.table(table(metrics, PAPER))
    if comparison.by_group:
        yield "<h2>By group</h2>"
        yield page.table(group_table([one.summary() for one in comparison.by_group]))
    yield "<details><summary>All metrics, what they are and what is normal</summary>"
    yield from (_family(family, measured.metrics) for family in metrics_table.FAMILIES)
    yield "</details>"
    if comparison.corruptions:
        yield "<h2>With partners replaced</h2>"
        yield from _picture("corruption", images)
    for corruption in comparison.corruptions:
        yield f"<h3>{corruption.replaced:.1%} of the partners replaced (probability {corruption.probability:g})</h3>"
        yield page.table(table(plain(corruption.measurement.metrics), PAPER))
    if comparison.place is not None:
        yield "<h2>Appendix: equilibria of the potentials that these pairs make, held still</h2>"
        yield f"<p>{escape(_FROZEN)}</p>"
        yield from (f"<p>{escape(one)}</p>" for one in comparison.place.sentences)
        yield from _picture("sky", images)
        yield from _picture("equilibria", images)


def _summary(diagnosis: Diagnosis, comparison: Comparison) -> Iterator[str]:
    sample, measured, said = comparison.sample, comparison.measurement, comparison.verdict
    yield f"<h1>{escape(sample.first.name)} (a) and {escape(sample.second.name)} (b)</h1>"
    yield f"<p class=summary>{escape(said.summary)}</p>"
    yield f"<ol class=verdict>{''.join(f'<li>{_words(sentence)}</li>' for sentence in said.sentences)}</ol>"
    yield f"<details><summary>What the words mean</summary><p>{escape(_WORDS)}</p></details>"
    notes = "".join(" Note: " + escape(note) + "." for note in [*diagnosis.notes, *measured.notes])
    yield (
        f"<p class=about>{sample.pairs} pairs, {sample.first.rows.shape[1]} dimensions, temperature {diagnosis.tau:g}. "
        f"Intervals (95 %) from {measured.groups} groups of pairs, p-values from up to {diagnosis.exchanges} exchanges of "
        f"partners, seed {diagnosis.seed}. {escape(tests_sentence(measured.adjusted))}{notes}</p>"
    )


def _cosines(measured: Measurement) -> str:
    metrics = {name: one.value for name, one in measured.metrics.items()}
    strangers, partners = metrics["cosine_unmatched_mean"], metrics["cosine_matched_mean"]
    means = metrics["centroid_cosine"], metrics["centroid_norm_a"], metrics["centroid_norm_b"]
    added, spread = partners - strangers, metrics["cosine_unmatched_sd"]
    return _COSINES.format(*means, strangers, added, added / measured.tau, spread / measured.tau)


def _retrieval(metrics: dict[str, Metric]) -> list[list[str]]:
    defined = metrics_table.definitions()
    rows = [["", "value", "95 % interval", "with partners shuffled"]]
    for name in _RETRIEVAL:
        texts = cells(asdict(metrics[name]))
        rows.append([defined[name].title, texts[0], texts[1], texts[-1]])
    return rows


def _hubs(metrics: dict[str, Metric]) -> str:
    before, after = (
        " and ".join(f"{metrics[f'recall_{way}_at_1{end}'].value:.3f}" for way in ("a_to_b", "b_to_a"))
        for end in ("", "_inverted")
    )
    return (
        "With popular rows held back (inverted softmax: the score less the log-sum of what all queries give that row) recall@1 "
        "is "
        f"{after} instead of {before}; it needs other queries at hand, and no training."
    )


def _freedom(freedom: Freedom, images: Pictures) -> Iterator[str]:
    yield "<h2>What the loss leaves free, and what it pins</h2>"
    yield from (f"<p>{escape(one)}</p>" for one in freedom.sentences)
    yield from _picture("freedom", images)
    rows = [["centroid gap", "how", "loss", "recall at 1", "other modality among ten", "partner's median rank"]]
    for one in freedom.moved:
        pairs = [f"{short(forth, 3)}, {short(back, 3)}" for forth, back in (one.recall, one.other_share, one.median_rank)]
        rows.append([f"{one.gap:.3f}", one.how, f"{one.loss:.6f}", *pairs])
    yield page.table(rows)
    yield "<h2>Losses that act on the gap</h2>"
    yield f"<p>{escape(_REMEDIES.format(freedom.dimension, freedom.tau))}</p>"
    found = [remedy_summary(one) for one in freedom.remedies]
    headings = ["loss", "its weight", "holds centroids from", "holds everything from", "when encoders are free, as in training"]
    weights = [[one["title"], one["weight_is"], *_weights(one), one["free_encoders"]] for one in found]
    yield page.table([headings, *weights])
    yield "<details><summary>Lines of code, with the weights of the stress test</summary>"
    for remedy in found:
        if remedy["code"]:
            command = f"fieldsolve remedy {remedy['remedy']} --tau {freedom.tau:g} --dimension {freedom.dimension}"
            yield f"<p>{escape(remedy['title'])} (<code>{escape(command)}</code>)</p><pre>{escape(remedy['code'])}</pre>"
    yield "</details>"


def _weights(remedy: dict[str, Any]) -> list[str]:
    if remedy["opens_the_gap"]:
        return ["opens the gap"] * 2
    values = remedy["centroid_weight"], remedy["whole_weight"]
    return [f"{value:.4g}" if isfinite(value) else "no weight" for value in values]


def _words(text: str) -> str:
    """Text with what is between backticks as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def _picture(name: str, images: Pictures) -> Iterator[str]:
    if name in images:
        yield page.picture(name, images[name], _CAPTIONS[name])


def _family(family: Family, metrics: dict[str, Metric]) -> str:
    lines = ["".join(f"<th>{heading}</th>" for heading in ("metric", *HEADINGS, "what it says, and what is normal"))]
    for one in family.definitions:
        if one.name not in metrics:
            continue
        metric = metrics[one.name]
        texts = cells(asdict(metric))
        if metric.shuffled is None and not one.moves:
            texts[-1] = "same"
        numbers = "".join(f"<td class=number>{escape(text)}</td>" for text in texts)
        meaning = f"<b>{escape(one.formula)}</b> ({escape(one.source)}). {escape(one.meaning)}"
        lines.append(f"<td title='{escape(one.name)}'>{escape(one.title)}</td>{numbers}<td class=meaning>{meaning}</td>")
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<h3>{escape(family.title)}</h3><div class=wide><table>{body}</table></div>"


_FOOT = """<details><summary>How to read this</summary>
<p>Strangers are rows of different clusters: a pair, a row with its partners, copies. Intervals are for the mean over samples like
this one; those of metrics of n for samples of this size. Noise level: what exchanges of partners between the modalities exceed
one time in twenty, at this size and with partners as like as these. Shuffled: with partners passed on at random; "same" for
metrics that do not use the matching. p: the share of exchanges that reach the value.</p></details> <p class=about>Made by
fieldsolve.</p>"""
