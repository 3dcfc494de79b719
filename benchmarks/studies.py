"""What studies cost: InfoNCE with gradients, the paper's figures, diagnoses, free encoders, phase diagrams, start-up."""

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

import fieldsolve as fs
from benchmarks import free_encoders
from benchmarks.diagnoses import diagnosed, embeddings, quick_values
from benchmarks.timing import best, table
from fieldsolve.diagrams import fill, spec_of
from fieldsolve.equilibrium.gibbs import gibbs as gibbs_density
from fieldsolve.grids import Healpix, Kernel
from fieldsolve.numerics import threads
from fieldsolve.reproduce.gap import training
from fieldsolve.reproduce.gap.binned import SAMPLE, binned_symmetric_kl, encoded_angles, histograms, joint_shares, marginal_shares
from fieldsolve.reproduce.gap.branches import aligned_minimum
from fieldsolve.reproduce.gap.latent import Misaligned
from fieldsolve.reproduce.gibbs import model as gibbs
from fieldsolve.reproduce.gibbs import particles
from fieldsolve.runs import in_processes, in_this_process
from fieldsolve.theorems.infonce import infonce


def loss() -> str:
    """InfoNCE, value and all gradients, against the same in plain numpy, which holds every similarity at once."""
    rng, rows = np.random.default_rng(0), []
    kernel = Kernel("cosine", 0.1)
    for dimension, batch, count in ((3, 64, 65536), (3, 256, 65536), (128, 64, 4096), (512, 256, 65536)):
        sets = [rng.standard_normal((size, dimension)) for size in (batch, batch, count)]
        sets = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in sets]
        ours, numpy = best(lambda sets=sets: infonce(*sets, kernel), lambda sets=sets: plain_infonce(*sets, kernel), repeat=3)
        reference, found = plain_infonce(*sets, kernel), infonce(*sets, kernel)
        error = max(float(np.abs(one - other).max() / np.abs(other).max()) for one, other in zip(
            (found.anchors, found.positives, found.negatives), reference[1:], strict=True
        ))  # fmt: skip
        rows.append([dimension, batch, count, f"{numpy / ours:.1f}", f"{1e3 * ours:.1f}", f"{error:.0e}"])
    header = ["d", "anchors", "negatives", "numpy / ours", "ours in ms", "largest relative difference"]
    return table("InfoNCE with gradients, against plain numpy on all cores", header, rows)


def plain_infonce(anchors: np.ndarray, positives: np.ndarray, negatives: np.ndarray, kernel: Kernel) -> list[np.ndarray]:
    kappa, batch = kernel.concentration, len(anchors)
    exponents = kappa * np.concatenate([np.sum(anchors * positives, axis=1)[:, None], anchors @ negatives.T], axis=1)
    top = exponents.max(axis=1, keepdims=True)
    softmax = np.exp(exponents - top)
    total = softmax.sum(axis=1, keepdims=True)
    softmax /= total
    own, rest = softmax[:, :1] - 1, softmax[:, 1:]
    value = np.mean(top + np.log(total) - exponents[:, :1])
    pulls = (own * positives + rest @ negatives, anchors), (own * anchors, positives), (rest.T @ anchors, negatives)
    return [value, *(kappa / batch * (pull - np.sum(pull * at, axis=1, keepdims=True) * at) for pull, at in pulls)]


def sampled() -> str:
    """The paper's quantities from samples, as it has them, and from fields; errors against what is exact, on one thread."""
    at, sigma, rows = gibbs.TAUS.index(0.5), 0.5, []
    tau, law = gibbs.TAUS[at], Misaligned(sigma)
    exact_mass, state = float(gibbs.cap_masses()[0][at]), aligned_minimum(law, 10)[0]
    exact_gap = binned_symmetric_kl(marginal_shares(joint_shares(law, state)))
    pairs = law.sample(SAMPLE, np.random.default_rng(1))

    def field(nside: int) -> float:
        grid = Healpix(nside)
        density = gibbs_density(gibbs.potential().on(grid)[None], tau, 0.0).density()[0]
        return float(grid.mean(density * grid.coverage(gibbs.wells(), gibbs.CAP_RADIUS)))

    def particle_share() -> float:
        return float(gibbs.in_cap(particles.settle_particles(tau, gibbs.wells(), gibbs.CONCENTRATION, 0)).mean())

    def trained_gap() -> float:
        return binned_symmetric_kl(histograms(encoded_angles(training.train(law, 0), pairs)))

    def minimum_gap() -> float:
        found, _ = aligned_minimum(Misaligned(sigma, 1024), 1, seed=3)
        return binned_symmetric_kl(marginal_shares(joint_shares(law, found)))

    cases = [
        ("cap mass at tau 0.5", exact_mass, ("768 particles, 5000 steps, one seed", particle_share), [
            ("120 000 importance samples", lambda: float(gibbs.importance_sampled(0)[0][at])),
            *((f"field, nside {nside}", lambda nside=nside: field(nside)) for nside in (16, 32, 64)),
        ]),
        ("gap at sigma 0.5", exact_gap, ("one seed of training, 8000 pairs", trained_gap), [
            ("population minimum from one start, exact bins", minimum_gap),
        ]),
    ]  # fmt: skip
    with threads.limit(1), threads.one_blas_thread():
        for what, exact, (name, baseline), others in cases:
            (base,) = best(baseline, repeat=1)
            rows.append([what, name, f"{abs(baseline() - exact):.1e}", "1", f"{base:.3g} s"])
            for name, function in others:
                (taken,) = best(function)
                rows.append([what, name, f"{abs(function() - exact):.1e}", f"{taken / base:.1e}", f"{1e3 * taken:.3g} ms"])
    return table("The paper's figures, sampled and not", ["quantity", "from", "error", "cost / sampled cost", "time"], rows)


def diagnosis() -> str:
    """Whole processes that diagnose pairs of 512 components, against processes that compute values only in numpy."""
    rows: list[list[object]] = []
    before: tuple[int, float] | None = None
    for count in (500, 2_000, 20_000, 100_000):
        ours, numpy = diagnosed(count, dense=count <= 20_000)
        growth = "" if before is None else f"n^{np.log(ours[0] / before[1]) / np.log(count / before[0]):.2f}"
        before = count, ours[0]
        row = [count, f"{ours[0]:.3g} s", f"{ours[1]:.3g} s", growth, f"{ours[2]:.2f}"]
        rows.append(
            [
                *row,
                *(["-"] * 3 if numpy is None else [f"{ours[0] / numpy[0]:.2f}", f"{ours[1] / numpy[1]:.2f}", f"{numpy[2]:.2f}"]),
            ]
        )
    header = ["pairs", "diagnosis", "processor", "growth", "GiB", "numpy: time", "numpy: processor", "numpy: GiB"]
    return table("Diagnoses in 512 dimensions, whole processes, in those of values in numpy", header, rows)


def quick() -> str:
    """The values of a training loop, against one product of both modalities and against the same values in numpy."""
    rows: list[list[object]] = []
    for count in (1_000, 5_000, 20_000):
        x, y = embeddings(count)
        works = partial(fs.quick, x, y, 0.05), partial(quick_values, x, y), partial(np.matmul, x, y.T)
        ours, numpy, product = best(*works, repeat=3 if count > 5_000 else 5)
        rows.append([count, f"{ours:.2f} s", f"{ours / product:.1f}", f"{ours / numpy:.2f}"])
    header = ["pairs", "fs.quick", "in products x y^T", "in numpy's time for the same values"]
    return table("Values for a training loop, 512 dimensions, all cores", header, rows)


def encoders() -> str:
    rows: list[list[object]] = []
    for size in (1000, 4000):
        evaluated, product = best(*free_encoders.evaluation(size), repeat=5)
        rows.append(
            [
                f"value and gradient, {size} x {size} symbols in 64 dimensions",
                f"{evaluated / product:.1f} products of the encoders",
            ]
        )
    small = free_encoders.random_law(16)
    ours, loss, bound = free_encoders.solved(small, 0.5, 1e-8)
    cones, other = free_encoders.by_cones(small, 0.5)
    rows.append(
        [
            f"certified to {loss - bound:.0e}, 16 x 16, against cvxpy's cones, which end {other - loss:.0e} above",
            f"1 : {cones / ours:.0f}",
        ]
    )
    large = free_encoders.random_law(300)
    ours, loss, bound = free_encoders.solved(large, 0.3, 1e-6)
    adam, value, steps = free_encoders.by_adam(large, 0.3, loss, 60 * ours)
    reached = f"the same loss in {steps} steps" if value <= loss else f"still {value - loss:.0e} above after {steps} steps"
    rows.append([f"certified to {loss - bound:.0e}, 300 x 300, against torch's Adam, {reached}", f"1 : {adam / ours:.1f}"])
    fitted, applied = free_encoders.moved(100_000)
    rows.append(["gap's map of 100 000 pairs of 512: fit, and one modality moved", f"{fitted:.1f} s, {applied:.1f} s"])
    return table("Free encoders", ["what", "cost"], rows)


def sweep() -> str:
    """Certified cells a second from this process and from two spawned ones, with their start-up."""
    rows: list[list[object]] = []
    for tau, nside, count in ((1.0, 16, 41), (0.1, 16, 41), (1.0, 64, 12)):
        axes = {
            "coupling": {"from": 0.0, "to": 0.4, "steps": count},
            "floor": {"from": 1e-4, "to": 0.5, "steps": count, "spacing": "geometric"},
        }
        spec = spec_of({"problem": {"tau": tau, "nside": nside}, "axes": axes})
        rates = []
        for run in (in_this_process, in_processes(2)):
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                diagram = fill(spec, Path(folder), run)
                rates.append(len(diagram.cells) / (time.perf_counter() - began))
            assert diagram.certified().all()
        row = [tau, nside, len(diagram.cells), f"{rates[0]:.1f}", f"{rates[1]:.1f}", f"{rates[1] / rates[0] / 2:.0%}"]
        rows.append([*row, f"{np.nanmax(diagram.field('gap')):.1e}"])
    header = ["tau", "nside", "cells", "cells a second, 1 worker", "2 workers", "parallel efficiency", "largest gap (nats)"]
    return table("Phase diagrams over coupling and floor, transitions and ledger included", header, rows)


def startup() -> str:
    def process_time(*arguments: str) -> float:
        best_of = []
        for _ in range(7):
            before = os.times()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
            after = os.times()
            best_of.append(after.children_user + after.children_system - before.children_user - before.children_system)
        return min(best_of)

    command = str(Path(sys.executable).with_name("fieldsolve"))
    click, numba = process_time("-c", "import click"), process_time("-c", "import numba")
    helped, solved = process_time(command, "--help"), process_time(command, "unimodal", "--nside", "16", "--json")
    rows: list[list[object]] = [
        ["fieldsolve --help", f"{helped / click:.1f} x import click"],
        ["fieldsolve unimodal --nside 16 --json", f"{solved / numba:.1f} x import numba, {solved:.2f} s"],
        ["import numba", f"{numba / click:.1f} x import click"],
    ]
    return table("Start-up, process time (user and system)", ["command", "ratio"], rows)
