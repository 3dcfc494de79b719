"""How narrow the cones are that a contrastive loss wants: what it pins where the centroid gap is free (beyond the paper)."""

from math import inf, sqrt

from fieldsolve.grids.kernels import bessel_ratios

_TOLERANCE = 1e-13


def mean_resultant(components: float, concentration: float) -> float:
    """r_n(x) = I_{n/2}(x)/I_{n/2-1}(x), the mean cosine under the density exp(x cos) on S^{n-1}, for any n > 0, x >= 0."""
    if concentration == 0:
        return 0.0
    return float(bessel_ratios(concentration, components / 2 - 1, 1)[1])


def concentration_of(components: float, resultant: float) -> float:
    """The x >= 0 with r_n(x) = c, for 0 <= c < 1; infinite for c = 1. By Newton's steps within a bracket."""
    if resultant <= 0:
        return 0.0
    if resultant >= 1:
        return inf
    # (n - 1) c/(1 - c^2) < x < n c/(1 - c^2) (Banerjee et al. 2005 and bounds of Amos 1974).
    low, high = max((components - 1) * resultant / (1 - resultant**2), 0.0), components * resultant / (1 - resultant**2)
    x = sqrt(low * high) if low > 0 else high / 2
    while high - low > _TOLERANCE * high:
        value = mean_resultant(components, x)
        if abs(value - resultant) <= _TOLERANCE * resultant:
            break
        low, high = (x, high) if value < resultant else (low, x)
        slope = 1 - value**2 - (components - 1) / x * value
        step = x + (resultant - value) / slope if slope > 0 else inf
        x = step if low < step < high else (low + high) / 2
    return x
