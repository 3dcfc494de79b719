"""How pictures look: colours that all kinds of colour vision tell apart (Okabe and Ito), and scales."""

#: One colour a modality.
MODALITIES = ("#D55E00", "#56B4E9", "#009E73", "#CC79A7")

INK, WARM, COOL, GREEN, PINK, AMBER = "black", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00"
GREY, PALE, FAINT = "#999999", "#DDDDDD", "#BBBBBB"

#: What is smaller, or below 0 by rounding, is drawn here on logarithmic axes of nats.
LEAST_NATS = 1e-16


def modality_colour(a: int) -> str:
    """The colour of modality a = 0, 1, ..."""
    return MODALITIES[a % len(MODALITIES)]
