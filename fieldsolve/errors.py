"""The errors that a user can cause: each names the cause, the value and the remedy."""


class InputError(ValueError):
    """Input that fieldsolve refuses; the message says what is wrong and what to do."""


class UnresolvedKernelError(InputError):
    """A kernel narrower than the grid can resolve, so that its volume varies from point to point."""
