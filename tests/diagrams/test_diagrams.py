"""Phase diagrams: specs, the ledger, resuming after any end, and the same bits from whoever computes."""

import csv
import io
import json
import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults import ended_everywhere

from fieldsolve import InputError
from fieldsolve.diagrams import diagram as diagram_module
from fieldsolve.diagrams.diagram import Diagram, fill, open_diagram
from fieldsolve.diagrams.pictures import write_pictures
from fieldsolve.diagrams.spec import AXES, read_spec, spec_of
from fieldsolve.diagrams.tables import branches_table, dataset, table, transitions_table, write_tables
from fieldsolve.diagrams.tasks import branches, cells, curves, estimated_seconds, perform, tasks
from fieldsolve.equilibrium.parameters import PARAMETERS
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.numerics.progress import Progress
from fieldsolve.output.folders import write_whole
from fieldsolve.runs import LEDGER, Ledger, Outcome, executors, in_processes, in_this_process, on_cluster
from fieldsolve.runs.executors import on_local_cluster

SPEC = {
    "problem": {"tau": 1.0, "nside": 4},
    "axes": {
        "coupling": {"from": 0.0, "to": 0.4, "steps": 5},
        "floor": {"from": 1e-3, "to": 0.1, "steps": 3, "spacing": "geometric"},
    },
}
TOML = """
[problem]
tau = 1.0
nside = 4
[axes]
coupling = { from = 0.0, to = 0.4, steps = 41 }
floor = [1e-3, 1e-2, 1e-1]
"""


def spec(**changes: Any) -> Any:
    return spec_of({**SPEC, **changes})


# --- specs


def test_ranges_and_lists() -> None:
    read = spec()
    assert read.axes["coupling"] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert read.axes["floor"] == pytest.approx([1e-3, 1e-2, 1e-1])
    assert list(read.axes) == ["coupling", "floor"]
    assert read.shape == (5, 3)
    assert "coupling" not in read.fixed
    assert type(read).from_json(read.to_json()) == read
    assert (
        spec(problem={}, axes={"nside": {"from": 1, "to": 2048, "steps": 12, "spacing": "geometric"}}).axes["nside"][-1] == 2048
    )
    assert list(spec(problem={}, axes={"critic": ["cosine", "rbf"], "tau": [0.3, 1]}).axes) == ["critic", "tau"]


def test_everything_wrong_is_said_at_once() -> None:
    wrong = {
        "problem": {"tau": -1.0, "floor": 1.0, "colour": 3, "coupling": 0.5},
        "axes": {
            "coupling": {"from": 0, "to": 2, "steps": 3},
            "nside": [3],
            "critic": ["euclidean"],
            "misalign": [],
            "floor": {"from": 0.0, "to": 0.1, "steps": 1, "spacing": "geometric"},
        },
        "diagram": {"colour": "red", "certified_gap": 0},
    }
    with pytest.raises(InputError) as refused:
        spec_of(wrong)
    text = str(refused.value)
    for part in (
        "problem.tau", "problem.floor", "problem.colour", "problem.coupling: is an axis too", "axes.coupling.2", "axes.nside.0",
        "power of two", "axes.critic.0", "axes.misalign", "axes.floor", "one to three, not 5", "diagram.colour",
        "diagram.certified_gap",
    ):  # fmt: skip
        assert part in text, part


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "axes"),
        ({"axes": {}}, "one to three"),
        ({"axes": {"tau": [1.0, 1.0]}}, "twice"),
        ({"axes": {"tau": [float("nan")]}}, "axes.tau.0"),
        ({"axes": {"floor": {"from": 0.0, "to": 0.1, "steps": 4, "spacing": "geometric"}}}, "above 0"),
        (
            {"axes": {"tau": {"from": 1, "to": 2, "steps": 2000}, "misalign": {"from": 1, "to": 2, "steps": 2000}}},
            "4000000 cells",
        ),
        ({"axes": {"potential": ["flat"]}}, "not known"),
        ({"axes": {"coupling": [True, 0.5]}}, "axes.coupling.0"),
        ({"axes": {"coupling": ["0.2"]}}, "axes.coupling.0"),
        ({"axes": {"tau": [1e-320]}}, "axes.tau.0"),
        ({"axes": {"tau": [1.0]}, "problem": {"potential": []}}, "potential"),
    ],
)
def test_refused_specs(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        spec_of(raw)


def test_spec_files(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(TOML)
    assert read_spec(tmp_path / "good.toml").shape == (41, 3)
    (tmp_path / "broken.toml").write_text("[axes")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "u.npy", np.zeros(192))
    (tmp_path / "absent.toml").write_text(TOML.replace("tau", 'potential = "v.npy"\ntau'))
    (tmp_path / "map.toml").write_text(TOML.replace("tau", 'potential = ["maps/u.npy", "flat"]\ntau'))
    assert read_spec(tmp_path / "map.toml").fixed["potential"] == [str(tmp_path / "maps" / "u.npy"), "flat"]
    for name, message in (
        ("none.toml", "no such file"),
        ("absent.toml", "no such map file"),
        ("broken.toml", "TOML"),
        ("binary.toml", "TOML"),
    ):
        with pytest.raises(InputError, match=message):
            read_spec(tmp_path / name)


# --- tasks


def test_what_a_diagram_consists_of(tmp_path: Path) -> None:
    two = spec()
    assert (len(cells(two)), len(curves(two)), len(branches(two))) == (15, 3, 0)
    one = spec(axes={"coupling": [0.3, 0.1, 0.2]})
    up, down = branches(one)
    assert up.config["values"] == [0.1, 0.2, 0.3] == down.config["values"][::-1]
    assert len({task.key for task in tasks(one)}) == len(tasks(one)) == 3 + 1 + 2
    assert not branches(spec(axes={"critic": ["cosine", "rbf"]}))
    assert not branches(spec(axes={"tau": [1.0, 2.0]}, problem={}, diagram={"hysteresis": False}))
    assert not curves(spec(problem={"energy": "smoothed"}))
    assert estimated_seconds(tasks(two)) > 0


def test_a_key_depends_on_everything_that_matters(tmp_path: Path) -> None:
    keys = [task.key for task in cells(spec(axes={"tau": [1.0, 2.0]}, problem={"floor": 0.1}))]
    keys += [task.key for task in cells(spec(axes={"tau": [1.0, 2.0]}, problem={"floor": 0.2}))]
    assert len(set(keys)) == 4
    path = tmp_path / "u.npy"
    seen = set()
    for value in (0.0, 1.0):
        np.save(path, np.full(12, value))
        seen |= {task.key for task in cells(spec(problem={"potential": str(path), "nside": 1}))}
    assert len(seen) == 30


def test_a_cell_is_what_the_solver_gives() -> None:
    task = cells(spec())[-1]
    outcome = perform(task.kind, task.config)
    solution = Problem(tau=1.0, floor=task.config["floor"], coupling=task.config["coupling"], nside=4).solve()
    assert outcome.values is not None
    assert outcome.values["energy"] == solution.energy
    assert outcome.values["gap"] == solution.gap
    assert outcome.values["phase"] == "separated"


def test_a_key_depends_on_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {task.key for task in tasks(spec())}
    monkeypatch.setattr("fieldsolve.__version__", "9.9")
    assert before.isdisjoint(task.key for task in tasks(spec()))


def test_a_map_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "u.npy"
    raw = {"potential": str(path), "nside": 2, "coupling": 0.2}
    energies = []
    for scale in (1.0, 5.0):
        np.save(path, scale * np.cos(np.arange(48.0)))
        (task,) = cells(spec(axes={"tau": [1.0]}, problem=raw))
        outcome = perform(task.kind, task.config)
        assert outcome.values is not None
        energies.append(outcome.values["energy"])
    assert energies[1] < energies[0] - 1
    np.save(path, np.zeros(48))  # after planning
    assert "changed" in str(perform(task.kind, task.config).reason)


# --- running


def filled(folder: Path, run: Any = in_this_process, **options: Any) -> Diagram:
    return fill(spec(), folder, run, **options)


def test_the_table(tmp_path: Path) -> None:
    diagram = filled(tmp_path / "d")
    rows = list(csv.DictReader(io.StringIO(table(diagram))))
    assert len(rows) == 15
    energies = np.array([float(row["energy"]) for row in rows]).reshape(5, 3)
    np.testing.assert_array_equal(energies, diagram.field("energy"))
    assert [row["coupling"] for row in rows[:4]] == ["0.0", "0.0", "0.0", "0.1"]
    assert all(row["certified"] == "true" and row["failure"] == "" for row in rows)
    assert {row["phase"] for row in rows} == {"matched", "separated"}


def test_the_tables_of_transitions_and_branches(tmp_path: Path) -> None:
    diagram = filled(tmp_path / "d")
    rows = list(csv.DictReader(io.StringIO(transitions_table(diagram))))
    assert [row["floor"] for row in rows] == ["0.001", "0.01", "0.1"]
    assert [float(row["spinodal"]) for row in rows] == pytest.approx([0.25] * 3, abs=1e-6)
    assert [float(row["binodal"]) for row in rows] == sorted(float(row["binodal"]) for row in rows)
    one = fill(spec(axes={"coupling": [0.05, 0.3]}), tmp_path / "e", in_this_process)
    states = list(csv.DictReader(io.StringIO(branches_table(one))))
    assert [(row["direction"], row["coupling"], row["phase"]) for row in states] == [
        ("up", "0.05", "matched"), ("up", "0.3", "separated"), ("down", "0.3", "separated"), ("down", "0.05", "separated"),
    ]  # fmt: skip
    names = {path.name for path in (tmp_path / "e").iterdir()}
    write_tables(one, tmp_path / "e")
    assert {path.name for path in (tmp_path / "e").iterdir()} - names >= {"cells.csv", "transitions.csv", "branches.csv"}


def test_a_second_run_computes_nothing(tmp_path: Path) -> None:
    first = filled(tmp_path / "d")

    def refuse(tasks: Any, perform: Any) -> Any:
        assert list(tasks) == []
        return iter(())

    second = filled(tmp_path / "d", refuse)
    assert table(second) == table(first) == table(open_diagram(tmp_path / "d"))


def test_another_spec_needs_force_and_reuses_cells(tmp_path: Path) -> None:
    filled(tmp_path / "d")
    larger = spec(axes={**SPEC["axes"], "coupling": [0.0, 0.1, 0.9]})
    with pytest.raises(InputError, match="another spec"):
        fill(larger, tmp_path / "d", in_this_process)
    asked = []

    def counting(tasks: Any, perform: Any) -> Any:
        asked.extend(tasks)
        return in_this_process(tasks, perform)

    diagram = fill(larger, tmp_path / "d", counting, replace=True)
    assert sorted(task.config["coupling"] for task in asked if task.kind == "cell") == [0.9] * 3
    assert diagram.missing == 0


def test_pictures_and_names_may_change_without_force(tmp_path: Path) -> None:
    filled(tmp_path / "d")
    renamed = spec(title="another name", diagram={"colour": "centroid_gap", "certified_gap": 1e-2})
    diagram = fill(renamed, tmp_path / "d", in_this_process)
    assert open_diagram(tmp_path / "d").spec == diagram.spec == renamed


def test_a_diagram_is_shown_whatever_has_become_of_its_version_and_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "u.npy", np.cos(np.arange(48.0)))
    raw = {"problem": {"potential": str(tmp_path / "u.npy"), "nside": 2}, "axes": {"coupling": [0.0, 0.3]}}
    before = table(fill(spec_of(raw), tmp_path / "d", in_this_process))
    (tmp_path / "u.npy").unlink()
    monkeypatch.setattr("fieldsolve.__version__", "9.9")
    assert table(open_diagram(tmp_path / "d")) == before


def test_a_journal_left_by_a_killed_run_is_rolled_back_by_reading(tmp_path: Path) -> None:
    before = table(filled(tmp_path / "d"))
    script = (
        f"import sqlite3, os; c = sqlite3.connect({str(tmp_path / 'd' / LEDGER)!r}, isolation_level=None)\n"
        "c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN'); c.execute('DELETE FROM outcomes')\n"
        "c.executemany('INSERT OR REPLACE INTO spec VALUES (0, ?, 0)', [('x' * 100000,)] * 20)\n"
        "os._exit(1)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 1
    assert (tmp_path / "d" / f"{LEDGER}-journal").exists()
    assert table(open_diagram(tmp_path / "d")) == before


def test_foreign_folders_and_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / LEDGER).write_text("not a database, and long enough to be looked at as one" * 20)
    (tmp_path / "sql").mkdir()
    with sqlite3.connect(tmp_path / "sql" / LEDGER) as foreign:
        foreign.execute("CREATE TABLE recipes (name TEXT)")
    foreign.close()
    for name, message in (
        ("file", "is a file"),
        ("other", "no ledger of an earlier run"),
        ("text", "ledger"),
        ("sql", "no ledger"),
    ):
        with pytest.raises(InputError, match=message):
            filled(tmp_path / name)
    assert (tmp_path / "other" / "thesis.tex").exists()
    with pytest.raises(InputError, match="missing"):
        open_diagram(tmp_path / "other")


def test_two_runs_cannot_share_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with Ledger(tmp_path / "d" / LEDGER), pytest.raises(InputError, match="another run"):
        filled(tmp_path / "d")
    filled(tmp_path / "d")


def test_failed_cells_are_recorded_and_retried_on_request(tmp_path: Path) -> None:
    raw = {"problem": {"nside": 4, "coupling": 0.2, "potential": "u.npy"}, "axes": {"floor": [0.0, 0.1]}}
    (tmp_path / "s.toml").write_text('[problem]\nnside = 4\ncoupling = 0.2\npotential = "u.npy"\n[axes]\nfloor = [0.0, 0.1]\n')
    assert spec_of(raw).fixed["potential"] == ["u.npy"]
    (tmp_path / "u.npy").write_text("no array")
    read = read_spec(tmp_path / "s.toml")
    seen: list[Progress] = []
    diagram = fill(read, tmp_path / "d", in_this_process, watch=seen.append)
    assert (seen[-1].done, seen[-1].failed) == (4, 4)
    assert "floor" in str(diagram.failures[0][1].reason)  # before the map is looked at
    assert "cannot be read" in str(diagram.failures[1][1].reason)
    assert "cannot be read" in table(diagram)
    again = fill(read, tmp_path / "d", in_this_process)
    assert len(again.failures) == 4
    retried = fill(spec(axes={"floor": [0.0, 0.1]}, problem={"coupling": 0.2, "nside": 4}), tmp_path / "e", in_this_process)
    reasons = [outcome.reason for _, outcome in retried.failures]
    assert len(reasons) == 3  # the cell without a floor, and both branches, which pass it
    assert all("floor" in str(reason) for reason in reasons)
    assert np.isnan(retried.field("energy")[0])
    assert np.isfinite(retried.field("energy")[1])
    counted = []

    def counting(tasks: Any, perform: Any) -> Any:
        counted.extend(tasks)
        return in_this_process(tasks, perform)

    fill(retried.spec, tmp_path / "e", counting)
    assert counted == []
    fill(retried.spec, tmp_path / "e", counting, retry=True)
    assert len(counted) == 3


def test_a_worker_of_another_version_is_refused(tmp_path: Path) -> None:
    def old(tasks: Any, perform: Any) -> Any:
        yield tasks[0], Outcome({}, None, 0.0, "0.0.1")

    with pytest.raises(InputError, match=r"0\.0\.1"):
        filled(tmp_path / "d", old)


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    every = tasks(spec())
    (tmp_path / "d").mkdir()
    with Ledger(tmp_path / "d" / LEDGER) as ledger:
        ledger.set_spec(spec().to_json())
        ledger.record([(task, perform(task.kind, task.config)) for task in every[:5]])
        pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
        ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(InputError, match="disk is full"):
            ledger.record([(task, Outcome({"energy": 1.0}, "x" * 5000, 0.0)) for task in every[5:]])
        assert len(ledger.outcomes()) == 5
    assert table(filled(tmp_path / "d")) == table(filled(tmp_path / "fresh"))


def test_a_diagram_is_taken_up_wherever_its_files_ended(tmp_path: Path) -> None:
    small = spec_of({"axes": {"coupling": [0.0, 0.3]}, "problem": {"nside": 2, "tau": 1.0}})

    def written(folder: Path) -> set[str]:
        write_tables(fill(small, folder, in_this_process), folder)
        return {path.name for path in folder.iterdir()}

    names = written(tmp_path / "whole")
    for _, folder in ended_everywhere(tmp_path, lambda _: None, written, least=6):
        assert written(folder) == names
        for name in ("cells.csv", "transitions.csv"):
            assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


# --- who computes


def values(diagram: Diagram) -> str:
    every = diagram.cells + diagram.curves + diagram.branches
    return json.dumps([outcome.values for _, outcome in every])


def test_workers_and_dask_give_the_same_bits(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    expected = values(filled(tmp_path / "1"))
    assert values(filled(tmp_path / "2", in_processes(2))) == expected
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        assert values(filled(tmp_path / "dask", on_cluster(cluster.scheduler_address))) == expected


def test_the_local_cluster_listens_on_loopback_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    psutil = pytest.importorskip("psutil")
    heard: set[str] = set()
    client = distributed.Client

    def listening(cluster: Any, **more: Any) -> Any:
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        heard.update(one.laddr.ip for process in family for one in process.net_connections() if one.status == "LISTEN")
        return client(cluster, **more)

    monkeypatch.setattr(distributed, "Client", listening)
    assert values(filled(tmp_path / "dask", on_local_cluster(1))) == values(filled(tmp_path / "1"))
    assert heard == {"127.0.0.1"}


def test_a_killed_worker_costs_nothing(tmp_path: Path) -> None:
    def killing(tasks: Any, perform: Any) -> Any:
        for k, result in enumerate(in_processes(2)(tasks, perform)):
            yield result
            if k == 2:
                os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    diagram = filled(tmp_path / "d", killing)
    assert diagram.missing == 0
    assert diagram.failures == []
    assert values(diagram) == values(filled(tmp_path / "plain"))


def test_a_killed_dask_worker_costs_nothing(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:

        def killing(tasks: Any, perform: Any) -> Any:
            for k, result in enumerate(on_cluster(cluster.scheduler_address)(tasks, perform)):
                yield result
                if k == 2:
                    os.kill(cluster.workers[0].pid, signal.SIGKILL)

        diagram = filled(tmp_path / "d", killing)
    assert (diagram.missing, diagram.failures) == (0, [])
    assert values(diagram) == values(filled(tmp_path / "plain"))


def deadly(kind: str, config: dict[str, Any]) -> Outcome:
    """What stands in for `perform` in workers: one cell kills its process."""
    if kind == "cell" and config["coupling"] == 0.2 and config["floor"] == 1e-3:
        os.kill(os.getpid(), signal.SIGKILL)
    return Outcome({"energy": config["floor"]}, None, 0.0)


def test_a_cell_that_kills_its_worker_has_failed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagram_module, "perform", deadly)
    diagram = filled(tmp_path / "d", in_processes(2))
    assert diagram.missing == 0
    (failed,) = diagram.failures
    assert failed[0].config["coupling"] == 0.2
    assert "died" in str(failed[1].reason)


def broken() -> None:
    """What stands in for a worker's start."""
    raise OSError("no worker starts here")


def test_workers_that_cannot_start_are_said_and_fail_no_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_follow_the_parent", broken)
    with pytest.raises(InputError, match="cannot start"):
        filled(tmp_path / "d", in_processes(2))
    assert open_diagram(tmp_path / "d").failures == []


def test_what_is_finished_is_recorded_when_a_run_breaks(tmp_path: Path) -> None:
    def breaking(tasks: Any, perform: Any) -> Any:
        for k, result in enumerate(in_this_process(tasks, perform)):
            if k == 3:
                raise KeyboardInterrupt
            yield result

    with pytest.raises(KeyboardInterrupt):
        filled(tmp_path / "d", breaking)
    assert len(recorded(tmp_path / "d" / LEDGER)) == 3


def test_no_scheduler_and_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0") as cluster, pytest.raises(InputError, match="no workers"):
        next(on_cluster(cluster.scheduler_address)(tasks(spec()), perform))
    monkeypatch.setattr(executors, "_PATIENCE", 0.5)
    with pytest.raises(InputError, match="scheduler"):
        next(on_cluster("tcp://127.0.0.1:1")(tasks(spec()), perform))


# --- killed and resumed


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "fieldsolve", "phase-diagram", str(folder / "s.toml"), "-o", str(folder / "d"), *options]


def test_killed_at_any_moment_and_resumed(tmp_path: Path) -> None:
    """Ten times, with a seeded delay; no record is lost, none computed twice, and the files come out the same."""
    for name in ("killed", "plain"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "s.toml").write_text(TOML)
    began = time.monotonic()
    subprocess.run(command(tmp_path / "plain", "--workers", "1", "--quiet"), check=True)
    longest = 0.6 * (time.monotonic() - began)
    delays = random.Random(3)
    before: dict[str, str] = {}
    kills = 0
    while kills < 10:
        process = subprocess.Popen(command(tmp_path / "killed", "--workers", "2", "--quiet"), stderr=subprocess.DEVNULL)
        time.sleep(delays.uniform(0.1, longest))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        if (tmp_path / "killed" / "d" / LEDGER).exists():
            now = recorded(tmp_path / "killed" / "d" / LEDGER)
            assert before.items() <= now.items()
            before = now
        if process.returncode == 0:
            break
    assert kills >= 3
    subprocess.run(command(tmp_path / "killed", "--workers", "2", "--quiet"), check=True)
    assert before.items() <= recorded(tmp_path / "killed" / "d" / LEDGER).items()
    for name in ("cells.csv", "diagram.png", "diagram.svg"):
        assert (tmp_path / "killed" / "d" / name).read_bytes() == (tmp_path / "plain" / "d" / name).read_bytes(), name


def recorded(path: Path) -> dict[str, str]:
    """Every recorded row with its time: a row that is computed again would have another one."""
    for _ in range(50):  # a worker of the killed run may have a moment to live; the ledger's lock has not
        try:
            with closing(sqlite3.connect(path, timeout=5)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'outcomes'").fetchone()[0]
                rows = connection.execute("SELECT key, result || seconds FROM outcomes").fetchall() if tables else []
            return dict(rows)
        except sqlite3.OperationalError:
            time.sleep(0.1)
    raise AssertionError("the ledger stays locked")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_what_is_finished(end: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(TOML.replace("nside = 4", "nside = 64"))
    process = subprocess.Popen(
        command(tmp_path, "--workers", "2"),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # jobs in the background may have it ignored
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.05)
        if (tmp_path / "d" / LEDGER).stat().st_size > 20_000 if (tmp_path / "d" / LEDGER).exists() else False:
            break
    process.send_signal(end)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert 0 < len(recorded(tmp_path / "d" / LEDGER)) < 126


def test_the_dataset(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    raw = {"axes": {"coupling": [0.0, 0.3], "energy": ["intrinsic", "smoothed"]}, "problem": {"nside": 4, "tau": 1.0}}
    diagram = fill(spec_of(raw), tmp_path / "d", in_this_process)
    write_whole(tmp_path / "d.nc", bytes(dataset(diagram).to_netcdf(engine="scipy")))
    with xarray.open_dataset(tmp_path / "d.nc") as stored:
        assert stored["energy"].dims == ("coupling", "energy_kind")
        np.testing.assert_array_equal(stored["energy"], diagram.field("energy"))
        assert stored["phase"].values.tolist() == diagram.words("phase").tolist()
        assert stored["certified"].values[:, 1].tolist() == [False, False]


# --- any parameter is an axis

AXES_TRIED = {
    "tau": [0.5, 1.0], "floor": [0.01, 0.1], "coupling": [0.1, 0.3], "misalign": [0.0, 20.0], "nside": [2, 4], "circle": [30, 60],
    "dimension": [4, 16], "batch": [4, 64], "tolerance": [1e-6, 1e-4], "max_steps": [3, 1000], "critic": ["cosine", "rbf"],
    "energy": ["intrinsic", "smoothed"],
}  # fmt: skip


def test_every_number_and_word_of_a_problem_is_an_axis() -> None:
    numbers = {name for name, one in PARAMETERS.items() if one.is_number}
    assert numbers | {"critic", "energy"} == set(AXES) == set(AXES_TRIED)


@pytest.mark.parametrize("axis", sorted(AXES_TRIED))
def test_a_diagram_over_any_parameter(axis: str, tmp_path: Path) -> None:
    problem = {name: value for name, value in {"tau": 1.0, "nside": 2, "coupling": 0.2}.items() if name not in (axis, "nside")}
    is_other_grid = axis in ("circle", "dimension")
    problem |= {"potential": "flat"} if is_other_grid else {"nside": 2} if axis != "nside" else {}
    problem |= {"energy": "smoothed"} if axis == "batch" else {}
    diagram = fill(spec_of({"problem": problem, "axes": {axis: AXES_TRIED[axis]}}), tmp_path / "d", in_this_process)
    assert diagram.failures == []
    rows = list(csv.DictReader(io.StringIO(table(diagram))))
    name = "energy_kind" if axis == "energy" else axis
    assert [row[name] for row in rows] == [str(value) for value in AXES_TRIED[axis]]
    for value, energy in zip(AXES_TRIED[axis], diagram.field("energy"), strict=True):
        names = ["flat" if is_other_grid else "two-well"] * 2
        plain = {key: given for key, given in {**problem, "floor": 1e-3}.items() if key not in (axis, "potential")}
        assert energy == Problem(names, **plain).at(axis, value).solve().energy
    assert write_pictures(diagram, tmp_path / "d") == []
    write_tables(diagram, tmp_path / "d")
    assert table(open_diagram(tmp_path / "d")) == table(diagram)


def test_a_branch_over_temperatures_has_one_zonal_grid(tmp_path: Path) -> None:
    """The one of the lowest temperature, whichever way it is followed."""
    raw: dict[str, Any] = {
        "problem": {"potential": ["flat", "poly:0,-0.3"], "dimension": 16, "coupling": 0.2, "floor": 1e-2},
        "axes": {"tau": [0.02, 0.1, 0.4]},
    }
    diagram = fill(spec_of(raw), tmp_path / "d", in_this_process)
    assert not diagram.failures
    assert len(diagram.branches) == 2


def test_equal_modalities_have_transitions_and_others_have_not(tmp_path: Path) -> None:
    raw: dict[str, Any] = {
        "problem": {"potential": ["two-well"] * 3, "nside": 2, "floor": 0.05},
        "axes": {"coupling": [0.1, 0.5]},
    }
    ((_, curve),) = fill(spec_of(raw), tmp_path / "equal", in_this_process).curves
    assert 0 < curve.values["binodal"] < curve.values["spinodal"] == pytest.approx(1 / 3)
    raw["problem"]["misalign"] = 20.0
    diagram = fill(spec_of(raw), tmp_path / "d", in_this_process)
    assert (diagram.failures, diagram.curves) == ([], [])
    assert write_pictures(diagram, tmp_path / "d") == []
    with pytest.raises(InputError, match="unknown term"):
        spec_of({"problem": {"terms": ["mdm"]}, "axes": {"tau": [1.0]}})
