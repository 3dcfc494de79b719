"""Who computes the tasks: this process, spawned processes, or a Dask cluster; each yields outcomes as they come."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from fieldsolve.numerics.errors import InputError
from fieldsolve.runs.tasks import Outcome, Perform, Task, ready

Run = Callable[[Sequence[Task], Perform], Iterator[tuple[Task, Outcome]]]

_IN_FLIGHT = 4  # tasks a worker: none waits for the next, and few are lost when one dies
_PATIENCE = 20.0  # seconds to wait for a scheduler
_DIED = "its worker process died (killed, or out of memory)"


def in_this_process(tasks: Sequence[Task], perform: Perform) -> Iterator[tuple[Task, Outcome]]:
    """One after the other."""
    for task in tasks:
        yield task, perform(task.kind, task.config)


def in_processes(workers: int) -> Run:
    """In so many spawned processes. When one dies, what was under way is tried again, alone: what kills its own has failed."""

    def run(tasks: Sequence[Task], perform: Perform) -> Iterator[tuple[Task, Outcome]]:
        left = {task.key: task for task in tasks}
        while left:
            interrupted = []
            with _pool(workers) as executor:
                for task, future in _completed(list(left.values()), perform, executor, _IN_FLIGHT * workers):
                    if isinstance(future.exception(), BrokenExecutor):
                        interrupted.append(task)
                    else:
                        yield left.pop(task.key), future.result()
            for task, outcome in _one_by_one(interrupted, perform):
                yield left.pop(task.key), outcome

    return run


def on_cluster(address: str) -> Run:
    """On a running Dask scheduler. Dask tries a task whose worker dies elsewhere, three times."""
    return lambda tasks, perform: _on_dask(
        tasks, perform, lambda distributed: distributed.Client(address, timeout=_PATIENCE), address
    )


def on_local_cluster(workers: int) -> Run:
    """On a Dask cluster of so many processes, for this run."""

    def opened(distributed: Any) -> Any:
        # Every port on loopback: Dask's page and its scheduler would be open to the network.
        own = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
        cluster = distributed.LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, **own)
        return distributed.Client(cluster, timeout=_PATIENCE)

    return lambda tasks, perform: _on_dask(tasks, perform, opened, "the local cluster")


def _on_dask(tasks: Sequence[Task], perform: Perform, opened: Callable[[Any], Any], name: str) -> Iterator[tuple[Task, Outcome]]:
    try:
        import distributed  # an extra, and slow to import: 0.6 s
    except ImportError:
        raise InputError("Dask is not installed; install fieldsolve with its extra: pip install 'fieldsolve[sweep]'") from None
    try:
        client = opened(distributed)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(f"{name}: no Dask scheduler answers: {error}") from error
    try:
        slots = sum(client.nthreads().values())
        if slots == 0:
            raise InputError(f"{name}: the Dask scheduler has no workers; start some, in an environment with fieldsolve")
        for task, future in _completed(tasks, perform, client.get_executor(pure=False), _IN_FLIGHT * slots):
            failure = None if future.cancelled() else future.exception()
            if isinstance(failure, distributed.scheduler.KilledWorker):
                yield task, Outcome(None, _DIED, 0.0)
            elif future.cancelled() or failure is not None:
                raise InputError(
                    f"{name}: the Dask cluster was lost or cannot run fieldsolve ({failure or 'cancelled'}); what was recorded "
                    "is safe: run the same command again"
                ) from failure
            else:
                yield task, future.result()
    finally:
        cluster = client.cluster
        client.close()
        if cluster is not None:
            cluster.close()


def _completed(
    tasks: Iterable[Task], perform: Perform, executor: Executor, most: int
) -> Iterator[tuple[Task, "Future[Outcome]"]]:
    """Submit tasks, at most so many at a time, and yield them with their futures as these complete."""
    waiting = iter(tasks)
    pending: dict[Future[Outcome], Task] = {}
    try:
        while True:
            try:
                while len(pending) < most and (task := next(waiting, None)) is not None:
                    pending[executor.submit(perform, task.kind, task.config)] = task
            except BrokenExecutor:
                waiting = iter(())  # the futures under way say so too
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                yield pending.pop(future), future
    finally:
        for future in pending:
            future.cancel()


def _one_by_one(tasks: Sequence[Task], perform: Perform) -> Iterator[tuple[Task, Outcome]]:
    waiting = iter(tasks)
    while tasks:
        with _pool(1) as executor:
            for task in waiting:
                try:
                    yield task, executor.submit(perform, task.kind, task.config).result()
                except BrokenExecutor:
                    yield task, Outcome(None, _DIED, 0.0)
                    break
            else:
                return


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_follow_the_parent)
    try:
        try:
            for start in _started(executor, workers):
                start.result()
        except BrokenExecutor:
            raise InputError(
                "worker processes cannot start; use one worker, and in a script of your own start the work under "
                "if __name__ == '__main__'"
            ) from None
        yield executor
    except BaseException:  # an interruption does not wait for what is under way
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _started(executor: Executor, workers: int) -> list["Future[str]"]:
    """Start all workers, deaf to interruptions from their first moment if this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return [executor.submit(ready) for _ in range(workers)]
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return [executor.submit(ready) for _ in range(workers)]
    finally:
        signal.signal(signal.SIGINT, handler)


def _follow_the_parent() -> None:
    """Leave interruptions to the parent process, and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
