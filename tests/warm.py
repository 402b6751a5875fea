"""Commands and Python code in forks of one process that has imported torch already (see zygote.py)."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# Tiny models gain nothing from threads, and on a busy machine threads that wait for each other cost up to 60 times as much.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}


class Warm:
    """Runs one fork at a time; what it reads and writes lies in ``folder``, unless other paths are given."""

    def __init__(self, folder: Path) -> None:
        self.paths = {name: folder / name for name in ("stdin", "stdout", "stderr")}
        self.pid: int | None = None  # of a fork that is not waited for yet
        self.server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd="/",
            env={**os.environ, **ONE_THREAD},
        )
        assert self._answer() == "ready"

    def _answer(self) -> str:
        assert self.server.stdout is not None
        return self.server.stdout.readline().decode().rstrip("\n")

    def start(
        self,
        args: Sequence[str | Path],
        cwd: Path,
        env: Mapping[str, str],
        code: str = "",
        stdin: bytes = b"",
        stdout: str | None = None,
        stderr: str | None = None,
        seconds: int = 60,
    ) -> int:
        """Start ``aae`` with these arguments, or Python code; the process id. It is killed after so many seconds."""
        if self.pid is not None:  # left behind by a test that failed
            self.stop(signal.SIGKILL)
        self.paths["stdin"].write_bytes(stdin)
        for name in ("stdout", "stderr"):
            self.paths[name].unlink(missing_ok=True)
            self.paths[name].touch()
        request = {
            "args": [str(arg) for arg in args],
            "code": code,
            "cwd": str(cwd),
            "seconds": seconds,
            "env": dict(env),
            "stdin": str(self.paths["stdin"]),
            "stdout": stdout or str(self.paths["stdout"]),
            "stderr": stderr or str(self.paths["stderr"]),
        }
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps(request).encode() + b"\n")
        self.pid = int(self._answer())
        return self.pid

    @property
    def running(self) -> bool:
        return not select.select([self.server.stdout], [], [], 0)[0]

    def wait(self) -> int:
        """The exit code, once there is one."""
        code, self.pid = int(self._answer()), None
        return code

    def stop(self, number: int) -> int:
        """Send a signal; the exit code."""
        assert self.pid is not None
        if self.running:
            os.kill(self.pid, number)
        return self.wait()

    def close(self) -> None:
        assert self.server.stdin is not None
        self.server.stdin.close()
        self.server.wait(30)
