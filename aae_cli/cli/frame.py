"""What surrounds every command: errors become one line and an exit code, messages go to a reporter."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from ..errors import AaeError
from ..output.reporter import silence, to_stderr
from ..text import visible

if TYPE_CHECKING:
    from ..output.reporter import Reporter


@contextmanager
def frame(debug: bool = False) -> Iterator[None]:
    """Errors become one line on stderr and an exit code: 1 not done, 2 wrong usage, 130 and 143 after signals.

    A closed pipe ends quietly with 0.
    """
    previous = _terminate_as_exception()
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)
        raise typer.Exit(0) from None
    except AaeError as error:
        if debug:
            raise
        to_stderr(f"aae: {visible(error.args[0])}")
        raise typer.Exit(error.exit_code) from None
    except (KeyboardInterrupt, _Terminated) as error:
        code = 143 if isinstance(error, _Terminated) else 130
        to_stderr("aae: interrupted")
        raise typer.Exit(code) from None
    except OSError as error:
        if debug:
            raise
        silence(sys.stdout)
        to_stderr(f"aae: {visible(str(error.filename or 'stdout'))}: {error.strerror or error}")
        raise typer.Exit(1) from None
    except MemoryError:
        if debug:
            raise
        to_stderr("aae: out of memory; try a smaller --batch-size, fewer rows or smaller layers")
        raise typer.Exit(1) from None
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except Exception as error:
        if debug:
            raise
        text = visible(str(error).strip().splitlines()[0] if str(error).strip() else "no details")
        if any(words in text.lower() for words in ("out of memory", "not enough memory", "can't allocate memory")):
            to_stderr("aae: out of memory; try a smaller --batch-size, fewer rows or smaller layers")
        else:
            to_stderr(f"aae: unexpected {type(error).__name__}: {text[:300]}; --debug shows where")
        raise typer.Exit(1) from None
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


class _Terminated(BaseException):
    pass


def _terminate_as_exception() -> Any:
    def stop(number: int, where: Any) -> None:
        raise _Terminated

    try:
        return signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread
        return None


def reporter(quiet: bool, verbose: bool) -> Reporter:
    from ..output.reporter import choose_reporter

    return choose_reporter(quiet, verbose)
