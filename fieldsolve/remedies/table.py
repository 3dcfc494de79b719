"""The remedies by name."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.encoders import penalties
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.equilibrium.terms import TERMS
from fieldsolve.grids import Kernel, Modes
from fieldsolve.numerics.arrays import Array
from fieldsolve.remedies.free import weight_of_negatives, weight_of_penalty
from fieldsolve.remedies.remedy import Code, Remedy, Setting, growth_of_clip

_NEVER = np.inf


def _added(name: str, **fields: float) -> Setting:
    """CLIP's problem with a term."""
    return Setting(terms=(TERMS[name](**fields),))


def _ratio(growing: Array, held: Array) -> Array:
    """What a penalty's weight must be where a mode that grows is held; inf where it is not."""
    return np.divide(growing, held, out=np.full_like(growing, _NEVER), where=held > 0)


@dataclass(frozen=True)
class InModalNegatives(Remedy):
    """alpha times CLIP's loss plus beta times InfoNCE within each modality, with the cross-modal positives; weight beta/alpha."""

    name = "in-modal-negatives"
    title = "in-modal InfoNCE added, positives cross-modal (AlignCLIP)"
    formula = "(1 + weight) J_lambda, lambda = 1/(1 + weight)"
    unit = "beta/alpha, in-modal over cross-modal"
    critical = "1/lambda_c - 1, lambda_c(l) = 1/2 - k_l/4"
    code = Code(
        "total_loss = total_loss + {weight} * sum(F.cross_entropy(torch.diagonal_scatter(logit_scale * x @ x.T, logit_scale * "
        "(image * text).sum(1)), labels) for x in (image, text)) / 2",
        None,
    )

    def setting(self, weight: float) -> Setting:
        return Setting(coupling=1 / (1 + weight))

    def weight_of(self, coupling: float) -> float:
        return 1 / coupling - 1

    def critical_weights(self, modes: Modes, kernel: Kernel) -> Array:
        return np.asarray(1 / (0.5 - modes.factors(kernel) / 4) - 1)

    def free_weight(self, problem: EncoderProblem) -> float:
        return weight_of_negatives(problem)

    @property
    def free_sentence(self) -> str:
        return "with pairs that are all equally informative any weight above 0 closes the gap, at no loss"


@dataclass(frozen=True)
class JointSoftmax(Remedy):
    """One softmax over in-modal and cross-modal negatives; the weight is the share w of the own modality's."""

    name = "joint-softmax"
    title = "one softmax over in-modal and cross-modal negatives"
    formula = "binding + mean_a int rho_a log K(w rho_a + (1 - w) rho_b)"
    unit = "own share w of the negatives"
    critical = "1/2, at every tau and dimension"
    most = 1.0
    code = Code(
        "total_loss = sum(F.cross_entropy(torch.cat([logit_scale * x @ y.T + {log_other}, (logit_scale * x @ x.T + {log_own})"
        ".fill_diagonal_(-1e4)], 1), labels) for x, y in ((image, text), (text, image))) / 2",
        "MultipleNegativesRankingLoss(model, scale={scale}, "
        'directions=("query_to_doc", "query_to_query"), partition_mode="joint")',
        "sentence-transformers: share 1/2, queries only",
    )

    def setting(self, weight: float) -> Setting:
        return _added("mixture", own=weight)

    def numbers(self, weight: float, dimension: int) -> dict[str, str]:
        own, other = (f"({np.log(max(share, 1e-30)):.6g})" for share in (weight, 1 - weight))
        return {"log_own": own, "log_other": other}

    def critical_weights(self, modes: Modes, kernel: Kernel) -> Array:
        return np.full(modes.lmax + 1, 0.5)

    def free_weight(self, problem: EncoderProblem) -> float:
        """beta/(1 + beta) of in-modal negatives: both have the same threshold."""
        beta = weight_of_negatives(problem)
        return 1.0 if beta == np.inf else beta / (1 + beta)

    @property
    def free_sentence(self) -> str:
        return "with pairs that are all equally informative any share above 0 closes the gap, at no loss"


@dataclass(frozen=True)
class TemperedReference(Remedy):
    """Cross-entropy against the geometric mixture rho_a^w rho_b^(1-w)/Z."""

    name = "tempered-reference"
    title = "cross-entropy against a tempered mixture of both densities"
    formula = "J_(1-w) - mean_a log int q_a^w q_b^(1-w)"
    unit = "exponent w of the own density"
    critical = "1/2, at every tau and dimension"
    most = 1.0
    code = Code(None, None)

    def setting(self, weight: float) -> Setting:
        return _added("tempered", own=weight)

    def critical_weights(self, modes: Modes, kernel: Kernel) -> Array:
        return np.full(modes.lmax + 1, 0.5)


@dataclass(frozen=True)
class SigmoidLoss(Remedy):
    """The sigmoid loss at its best bias, for CLIP's: weight 1; there is nothing in between."""

    name = "sigmoid"
    title = "the sigmoid loss in place of the softmax (SigLIP), at its best bias"
    formula = "binding + log int rho_1 K rho_2"
    unit = "1: the loss is replaced"
    critical = "none: the same modes grow, as 2 k_l"
    weights = (0.0, 1.0)
    code = Code("--siglip", None)

    def setting(self, weight: float) -> Setting:
        return _added("sigmoid") if weight == 1 else Setting()

    def critical_weights(self, modes: Modes, kernel: Kernel) -> Array:
        return np.full(modes.lmax + 1, _NEVER)

    def coupling(self, weight: float) -> float | None:
        return None

    @property
    def free_sentence(self) -> str:
        return "a learned bias leaves the gap free within a window, and too large a fixed one forces it"


@dataclass(frozen=True)
class _Uniformity(Remedy):
    """A Gaussian potential, exp(-t |z - z'|^2) [Wang and Isola 2020]."""

    t: float = 2.0

    unit = "weight of the uniformity loss"

    def __post_init__(self) -> None:
        self.setting(1.0)  # refuses what the term does

    def setting(self, weight: float) -> Setting:
        return _added(self.name, weight=weight, t=self.t)

    def numbers(self, weight: float, dimension: int) -> dict[str, str]:
        return {"t": f"{self.t:.6g}"}


@dataclass(frozen=True)
class UniformityWithin(_Uniformity):
    """A Gaussian potential within each modality."""

    name = "uniformity"
    title = "uniformity within each modality added"
    formula = "J + weight mean_a log int rho_a K_t rho_a"
    critical = "(2 k_l + k_l^2)/(2 k_l(t))"
    code = Code(
        "total_loss = total_loss + {weight} * sum(torch.pdist(x).pow(2).mul(-{t}).exp().mean().log() for x in (image, text)) / 2",
        None,
    )

    def critical_weights(self, modes: Modes, kernel: Kernel) -> Array:
        return _ratio(growth_of_clip(modes.factors(kernel)), 2 * modes.factors(Kernel("rbf", 1 / self.t)))

    def free_weight(self, problem: EncoderProblem) -> float | None:
        """Where exp(-t |z - z'|^2) is the loss's own kernel, t = 1/(2 tau); others are not known."""
        is_same = np.isclose(self.t, 1 / (2 * problem.tau), rtol=1e-9)
        return weight_of_penalty(problem, penalties.UniformityPenalty) if is_same else None

    @property
    def free_sentence(self) -> str:
        return "its weight is known for t = 1/(2 tau), where the potential is the loss's own kernel"


@dataclass(frozen=True)
class UniformityAcross(_Uniformity):
    """A Gaussian potential between the modalities."""

    name = "cross-uniformity"
    title = "uniformity between the modalities added"
    formula = "J + weight log int rho_1 K_t rho_2"
    critical = "none: it opens the gap"
    code = Code("total_loss = total_loss + {weight} * torch.cdist(image, text).pow(2).mul(-{t}).exp().mean().log()", None)

    def critical_weights(self, modes: Modes, kernel: Kernel) -> Array:
        return np.full(modes.lmax + 1, _NEVER)


class _Quadratic(Remedy):
    """A quadratic penalty: it cures degree l from (2 k_l + k_l^2)/(8 t_l) on, t_l its eigenvalue."""

    critical = "(2 k_l + k_l^2)/(8 t_l)"
    unit = "weight of the penalty"

    def eigenvalues(self, modes: Modes) -> Array:
        """t_l, (lmax + 1,): a sixteenth of A times the penalty's second variation along (1, -1)."""
        (term,) = self.setting(1.0).terms
        along = np.array([1.0, -1.0])
        return np.asarray(np.einsum("a,lab,b->l", along, term.spectrum(modes, 2), along) / 16)

    def critical_weights(self, modes: Modes, kernel: Kernel) -> Array:
        return _ratio(growth_of_clip(modes.factors(kernel)), 8 * self.eigenvalues(modes))


@dataclass(frozen=True)
class CentroidPenalty(_Quadratic):
    """|m_1 - m_2|^2 of the modalities' means."""

    name = "centroid"
    title = "squared distance of the centroids penalised"
    formula = "J + weight |m_1 - m_2|^2"
    critical = "d (2 k_1 + k_1^2)/8 for degree 1, none for the others"
    code = Code("total_loss = total_loss + {weight} * (image.mean(0) - text.mean(0)).square().sum()", None)

    def setting(self, weight: float) -> Setting:
        return _added("centroid", weight=weight)

    def free_weight(self, problem: EncoderProblem) -> float:
        return weight_of_penalty(problem, penalties.GapPenalty)

    @property
    def free_sentence(self) -> str:
        return "it costs nothing up to the temperature tau_0 of the law, and a convex front above it"


@dataclass(frozen=True)
class MmdPenalty(_Quadratic):
    """Squared maximum mean discrepancy with the kernel exp(z.z'/tau)."""

    tau: float = 0.1

    name = "mmd"
    title = "squared MMD penalised"
    formula = "J + weight int (rho_1 - rho_2) K' (rho_1 - rho_2)"
    code = Code(
        "total_loss = total_loss + {weight} * sum(s * torch.exp(x @ y.T / {tau} - {log_volume}).mean() "
        "for s, x, y in ((1, image, image), (1, text, text), (-2, image, text)))",
        None,
    )

    def __post_init__(self) -> None:
        self.setting(1.0)  # refuses what the term does

    def setting(self, weight: float) -> Setting:
        return _added("mmd", weight=weight, tau=self.tau)

    def numbers(self, weight: float, dimension: int) -> dict[str, str]:
        return {"tau": f"{self.tau:.6g}", "log_volume": f"{Kernel('cosine', self.tau).log_volume(dimension - 1):.6g}"}


@dataclass(frozen=True)
class EnergyDistance(_Quadratic):
    """2 E|X - Y| - E|X - X'| - E|Y - Y'|."""

    name = "energy-distance"
    title = "energy distance penalised"
    formula = "J - weight int int |z - z'| (rho_1 - rho_2)(rho_1 - rho_2)'"
    code = Code(
        "total_loss = total_loss + {weight} * sum(s * torch.cdist(x, y).mean() "
        "for s, x, y in ((2, image, text), (-1, image, image), (-1, text, text)))",
        None,
    )

    def setting(self, weight: float) -> Setting:
        return _added("energy-distance", weight=weight)


@dataclass(frozen=True)
class SymmetricKl(Remedy):
    """The symmetric KL divergence of the two densities, estimated by kernel densities of the batch."""

    name = "symmetric-kl"
    title = "symmetric KL of the smoothed densities penalised"
    formula = "J_lambda, lambda = 1 - weight"
    unit = "weight of half the symmetric KL"
    critical = "1/2 + k_l/4"
    most = 1.0
    code = Code(
        "total_loss = total_loss + {weight} * sum(s * torch.logsumexp((logit_scale * x @ y.T).fill_diagonal_(-1e4), 1).mean() "
        "for s, x, y in ((1, image, image), (1, text, text), (-1, image, text), (-1, text, image))) / 2",
        None,
    )

    def setting(self, weight: float) -> Setting:
        return Setting(coupling=1 - weight)

    def weight_of(self, coupling: float) -> float:
        return 1 - coupling

    def critical_weights(self, modes: Modes, kernel: Kernel) -> Array:
        return np.asarray(0.5 + modes.factors(kernel) / 4)


#: Every remedy by its name.
REMEDIES: dict[str, type[Remedy]] = {
    one.name: one
    for one in (
        InModalNegatives, JointSoftmax, SymmetricKl, TemperedReference, SigmoidLoss, UniformityWithin, UniformityAcross,
        CentroidPenalty, MmdPenalty, EnergyDistance,
    )
}  # fmt: skip
