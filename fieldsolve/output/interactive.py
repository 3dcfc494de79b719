"""Pictures to turn and to hover over: plotly's script from the installed package, so that a page needs no network."""

from fieldsolve.numerics.errors import InputError


def plotly_script() -> str:
    """The text of plotly.js as the installed package has it. Raises InputError where it is not installed."""
    try:
        from plotly.offline import get_plotlyjs  # an extra
    except ImportError:
        raise InputError("plotly is not installed; install fieldsolve with its extra: pip install 'fieldsolve[web]'") from None
    return str(get_plotlyjs())
