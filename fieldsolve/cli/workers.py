"""Options that say who computes many tasks: this process, spawned ones, or a Dask cluster."""

from typing import Any

import click

from fieldsolve.cli.options import decorate

workers_options = decorate([
    click.option(
        "--workers", type=click.IntRange(1, 4096), metavar="N", help="Spawned processes, one thread each.  [default: all cores]"
    ),
    click.option("--scheduler", metavar="ADDRESS", help="Compute on a running Dask scheduler, such as tcp://host:8786."),
    click.option("--local-cluster", is_flag=True, help="Compute on a Dask cluster of --workers processes, for this run."),
])  # fmt: skip


def number_of_workers(options: dict[str, Any]) -> int:
    """As many as were asked for, or as there are cores."""
    from fieldsolve.numerics import threads

    return options["workers"] or threads.count(threads.WORTHWHILE)


def executor_of(options: dict[str, Any], most: int | None = None) -> Any:
    """Who computes; most: workers that there is work for. Refuses options that exclude each other."""
    from fieldsolve.runs import executors

    check_workers(options)
    if options["scheduler"] is not None:
        return executors.on_cluster(options["scheduler"])
    workers = min(number_of_workers(options), most or 4096)
    if options["local_cluster"]:
        return executors.on_local_cluster(workers)
    return executors.in_this_process if workers == 1 else executors.in_processes(workers)


def check_workers(options: dict[str, Any]) -> None:
    """Refuse options that exclude each other, before anything is computed."""
    if options["scheduler"] is not None and (options["local_cluster"] or options["workers"]):
        raise click.UsageError("--scheduler brings its own workers; leave out --workers and --local-cluster")
