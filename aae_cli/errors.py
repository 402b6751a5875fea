"""Errors that the user can act on: what went wrong, where, and what to try."""

from __future__ import annotations


class AaeError(Exception):
    """A failure with a one-line message (exit code 1).

    Args:
        what: what happened and where (a file, a key, a row), without a full stop.
        hint: what to try, as a clause that follows a semicolon.
    """

    exit_code = 1

    def __init__(self, what: str, hint: str | None = None) -> None:
        self.what, self.hint = what, hint
        super().__init__(what if hint is None else f"{what}; {hint}")


class UsageError(AaeError):
    """A wrong command line or configuration (exit code 2)."""

    exit_code = 2


class DataError(AaeError):
    """Data that cannot be read, or that does not fit the model."""


class CheckpointError(AaeError):
    """A checkpoint that is missing, damaged, too new, or of a model that cannot do what was requested."""


class TrainingError(AaeError):
    """Training that had to stop, for example because a loss is no longer finite."""


class Interrupted(AaeError):
    """Training stopped by a signal after its state was saved.

    Args:
        signal_number: 2 (SIGINT) gives exit code 130, 15 (SIGTERM) gives 143.
    """

    def __init__(self, what: str, hint: str | None = None, signal_number: int = 2) -> None:
        super().__init__(what, hint)
        self.exit_code = 128 + signal_number
