"""A run as a task: its diagnosis, with bootstrap replicates of the main metrics, or that of an earlier folder."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fieldsolve.diagnose.diagnosis import SCHEMA, diagnose
from fieldsolve.diagnose.many.resampling import REPLICATES, replicates
from fieldsolve.diagnose.many.runs import RunSpec
from fieldsolve.diagnose.sample import MOST_CLUSTERS
from fieldsolve.embeddings.files import read_modalities
from fieldsolve.embeddings.partners import read_pairs_table
from fieldsolve.numerics.errors import InputError
from fieldsolve.output.summary import read_summary
from fieldsolve.runs import Outcome, Task, outcome_of


@dataclass(frozen=True)
class Common:
    """What holds for all runs: tau and bias where a run has none of its own, matched rows, and how it is diagnosed."""

    tau: float | None = None
    bias: float | None = None
    pairs: str | None = None
    normalize: bool = False
    exchanges: int = 99
    replicates: int = REPLICATES
    seed: int = 0


def tasks(runs: Sequence[RunSpec], common: Common) -> list[Task]:
    """One task a run; its key changes with its files. Raises InputError for files that are not there."""
    return [_task(run, common) for run in runs]


def _task(run: RunSpec, common: Common) -> Task:
    files = [_absolute(one) for one in run.files]
    run = run if run.is_folder or run.pairs else replace(run, pairs=common.pairs)
    contents = {_absolute(name): entry for name, entry in run.contents.items()}
    if run.is_folder:
        return Task.of("folder", {"files": files, "contents": contents})
    config = asdict(common) | {
        "files": files,
        "tau": common.tau if run.tau is None else run.tau,
        "bias": common.bias if run.bias is None else run.bias,
        "pairs": run.pairs and _absolute(run.pairs),
        "contents": contents,
    }
    return Task.of("diagnosis", config)


def _absolute(source: str) -> str:
    file, mark, name = source.partition("::")
    return f"{Path(file).absolute()}{mark}{name}"


def perform(kind: str, config: dict[str, Any]) -> Outcome:
    """Compute a run on one thread."""
    return outcome_of(_folder if kind == "folder" else _diagnosis, config)


def _diagnosis(config: dict[str, Any]) -> dict[str, Any]:
    most = MOST_CLUSTERS if config["pairs"] is None else None
    modalities = read_modalities(config["files"], config["normalize"], most=most, seed=config["seed"])
    pairs = None if config["pairs"] is None else read_pairs_table(Path(config["pairs"]))
    settings = {name: config[name] for name in ("bias", "exchanges", "seed")}
    found = diagnose(*modalities, tau=config["tau"], pairs=pairs, **settings)
    comparisons = []
    for one in found.comparisons:
        again = replicates(one.sample, found.tau, config["bias"], config["replicates"], config["seed"])
        kept = _kept(one.summary())
        kept["notes"] = [*found.notes, *kept["notes"]]
        comparisons.append(kept | {"replicates": again, "matching": one.sample.fingerprint})
    return {"tau": found.tau, "comparisons": comparisons}


def _folder(config: dict[str, Any]) -> dict[str, Any]:
    folder = Path(config["files"][0])
    summary = read_summary(folder)
    if summary["schema"] != SCHEMA:
        version = "of another version" if str(summary["schema"]).startswith("fieldsolve/diagnose/") else "no diagnosis"
        raise InputError(f"{folder}: holds results of {summary['schema']}, {version}; run fieldsolve diagnose -o again")
    found = [_kept(one) | {"replicates": {}, "matching": None} for one in summary.get("comparisons", [summary])]
    return {"tau": summary["tau"], "comparisons": found}


def _kept(summary: dict[str, Any]) -> dict[str, Any]:
    """What a comparison of runs needs of a diagnosis."""
    names = ("first", "second", "pairs", "clusters", "summary", "metrics", "notes")
    return {name: summary[name] for name in names}


def spec(runs: Sequence[RunSpec], common: Common) -> str:
    """What is compared, in JSON."""
    return json.dumps({"compare": [asdict(one) for one in runs], "common": asdict(common)}, sort_keys=True)
