"""Errors that a person can act on: what went wrong, where, and what to try."""

from __future__ import annotations


class AaeError(Exception):
    """Something that could not be done (exit code 1), said in one line.

    Args:
        what: what happened and where (a file, a key, a row), without a final full stop.
        hint: what to try, as a clause; shown after a semicolon.
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
    """A checkpoint that is missing, damaged, too new or unable to do what is asked."""


class TrainingError(AaeError):
    """Training that had to stop, such as a loss that is no longer finite."""


class Interrupted(AaeError):
    """Training stopped by a signal after its state was saved.

    Args:
        signal_number: 2 (SIGINT) gives exit code 130, 15 (SIGTERM) gives 143.
    """

    def __init__(self, what: str, hint: str | None = None, signal_number: int = 2) -> None:
        super().__init__(what, hint)
        self.exit_code = 128 + signal_number
