"""What can go wrong by a user's hand: each error names the cause, the value and the remedy."""


class InputError(ValueError):
    """Input that fieldsolve refuses; the message says what is wrong and what to do."""


class UnresolvedKernelError(InputError):
    """A kernel narrower than the grid can resolve, so that its volume varies from point to point."""


class Advice(UserWarning):
    """What a user should know of how fieldsolve runs here; results do not depend on it."""
