"""The barrier of two smoothed densities at flat potentials just below their spinodal, in closed form and in any dimension."""

from fieldsolve.grids import Kernel
from fieldsolve.numerics.errors import InputError


def height_near_spinodal(kernel: Kernel, dimension: int, coupling: float) -> float:
    """(lambda_c - lambda)^2/(d^2 k_1^2 [m/12 + q (1 - k_2)^2/(8 k_2 (2 - k_2))]) nats, to leading order in lambda_c - lambda.

    Beyond the paper: the energy of rho = 1 +- a t + b (t^2 - 1/d), t the height along an axis, is quadratic in b = O(a^2) and
    bends down in a^4, so that uniform densities part with a jump in any dimension; m = 3/(d (d + 2)) is the mean of t^4, and
    q = m - 1/d^2. k_l: the kernel's eigenvalues on S^{d-1}; lambda_c = 1/2 - k_1/4. 0 from lambda_c on. Raises InputError for a
    dimension below 2.
    """
    if dimension < 2:
        raise InputError(f"embeddings have at least 2 components, not {dimension}")
    _, first, second = kernel.spectrum(dimension - 1, 2).tolist()
    missing = max(0.5 - first / 4 - coupling, 0.0)
    fourth = 3 / (dimension * (dimension + 2))
    bend = fourth / 12 + (fourth - 1 / dimension**2) * (1 - second) ** 2 / (8 * second * (2 - second))
    return float(missing**2 / (dimension**2 * first**2 * bend))
