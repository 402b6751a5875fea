"""Runs ``aae`` commands in forks of one process that has imported torch already: a command then takes tenths of seconds.

One JSON request a line on stdin: args, cwd, env, stdin, stdout, stderr (paths), seconds, and code if Python code is to be
run instead of ``aae``. Two lines on stdout: the process id, and the exit code once there is one.
"""

import gc
import importlib
import json
import os
import pkgutil
import signal
import sys

HEAVY = [
    "torch",
    "torchvision.utils",
    "numpy",
    "polars",
    "scipy.optimize",
    "scipy.io",
    "safetensors.torch",
    "yaml",
    "pydantic",
    "typer",
    "sklearn.datasets",
    "sklearn.decomposition",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.neighbors",
    "sklearn.neural_network",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "PIL.Image",
    "platformdirs",
    "rich.progress",
    "rich.table",
]


def child(request: dict) -> None:
    os.setsid()
    signal.alarm(request["seconds"])  # what should have been refused may train for minutes
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    for number, (path, flags) in enumerate(
        [
            (request["stdin"], os.O_RDONLY),
            (request["stdout"], os.O_WRONLY | os.O_CREAT),
            (request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        ]
    ):
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
    sys.argv = ["aae", *request["args"]]
    if request["code"]:
        exec(compile(request["code"], "<code>", "exec"), {"__name__": "__main__"})
        return
    from aae_cli.cli.__init__ import main

    main()


def serve() -> None:
    for name in HEAVY:
        importlib.import_module(name)
    import aae_cli

    for module in pkgutil.walk_packages(aae_cli.__path__, "aae_cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # or each fork copies what its collector touches
    answers = os.fdopen(os.dup(1), "w")
    print("ready", file=answers, flush=True)
    for line in sys.stdin.buffer:
        pid = os.fork()
        if pid == 0:
            code = 0
            try:
                child(json.loads(line))
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
            except BaseException:
                import traceback

                traceback.print_exc()
                code = 1
            try:
                sys.stdout.flush()
            except OSError:
                code = 120
            os._exit(code)
        print(pid, file=answers, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=answers, flush=True)


if __name__ == "__main__":
    serve()
