"""Free encoders (beyond the paper): the contrastive objective over all maps of the two modalities' symbols to a sphere.

With partners that move, InfoNCE is a convex function of the encoders' Gram matrix: its minimum over all encoders is certified,
below a critical temperature the centroid gap is a direction that the loss does not see, and embeddings can be moved along it.
"""

from fieldsolve.encoders.laws import JointLaw, law_from_labels, law_from_table, law_named, law_of_views
from fieldsolve.encoders.losses import (
    FewNegatives,
    InModalNegatives,
    InModalPositives,
    JointSoftmax,
    OneEncoder,
    OneSided,
    Sigmoid,
    Symmetric,
)
from fieldsolve.encoders.penalties import FormPenalty, GapPenalty, UniformityPenalty
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.encoders.solve import EncoderSolution, solve_encoders

__all__ = [
    "EncoderProblem",
    "EncoderSolution",
    "FewNegatives",
    "FormPenalty",
    "GapPenalty",
    "InModalNegatives",
    "InModalPositives",
    "JointLaw",
    "JointSoftmax",
    "OneEncoder",
    "OneSided",
    "Sigmoid",
    "Symmetric",
    "UniformityPenalty",
    "law_from_labels",
    "law_from_table",
    "law_named",
    "law_of_views",
    "solve_encoders",
]
