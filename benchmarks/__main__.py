"""Speed and memory as ratios, side by side in one run: see README.md in this folder."""

import argparse
import os
import platform
import re
from pathlib import Path

import fieldsolve as fs
from benchmarks import pages, smoothing, solving, studies, terms, zonal


def main() -> None:
    parts = {function.__name__: function for function in (
        smoothing.smoothing, smoothing.logarithms, smoothing.smoothed, smoothing.memory, solving.descent, solving.geometry,
        solving.bound, solving.global_solves, solving.smoothed_solves, solving.large, solving.stability, solving.clarabel,
        terms.modalities, terms.terms, terms.halves, zonal.zonal, zonal.batches, zonal.disks, zonal.sections, pages.explorer,
        studies.loss, studies.sampled, studies.diagnosis, studies.quick, studies.encoders, studies.sweep, studies.startup,
    )}  # fmt: skip
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=list(parts), action="append")
    parser.add_argument("--write", action="store_true", help="write the tables to RESULTS.md")
    arguments = parser.parse_args()
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"
    tables = []
    for name in arguments.only or parts:
        tables.append(parts[name]())
        print(tables[-1], flush=True)
    if arguments.write:
        path = Path(__file__).with_name("RESULTS.md")
        head = f"# Results\n\nWritten by `python -m benchmarks --write` for fieldsolve {fs.__version__} ({machine}).\n\n"
        titled = {one.partition("\n")[0]: one.strip() + "\n" for one in tables}
        if arguments.only:  # the others stay
            head, *others = re.split(r"^(?=## )", path.read_text(), flags=re.MULTILINE)
            titled = {one.partition("\n")[0]: one.strip() + "\n" for one in others} | titled
        path.write_text(head + "\n".join(titled.values()))


if __name__ == "__main__":
    main()
