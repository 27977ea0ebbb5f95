"""A process that has libraries imported, and forks for each program it is told to run.

Started by `tests.forked`, which says why. There are two of them. The first imports nothing of ours: every module whose
behaviour a test may change begins anew in each child. The second is forked off it and imports ours as well, which takes
a child most of its start. It is for commands that are run as users run them: nothing of ours happens at import, so
that metrics, loggers and settings begin anew there too. Both end when their sockets are closed, also where the process
that started them was killed.
"""

import atexit
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import types
from collections.abc import Iterable
from contextlib import suppress

#: What processes have imported once they serve, by kind: workers, and all others. A name that a library no longer has
#: costs each child the import, no more.
LIBRARIES = {
    "worker": (
        "accelerate",
        "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
        "diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl",
        "diffusers.schedulers.scheduling_ddim",
        "diffusers.schedulers.scheduling_ddpm",
        "diffusers.schedulers.scheduling_dpmsolver_multistep",
        "diffusers.schedulers.scheduling_edm_dpmsolver_multistep",
        "diffusers.schedulers.scheduling_euler_ancestral_discrete",
        "diffusers.schedulers.scheduling_euler_discrete",
        "diffusers.schedulers.scheduling_heun_discrete",
        "diffusers.schedulers.scheduling_lcm",
        "diffusers.schedulers.scheduling_pndm",
        "diffusers.schedulers.scheduling_unipc_multistep",
        "hiredis",
        "numpy",
        "obstore",
        "peft",
        "PIL.Image",
        "prometheus_client",
        "psutil",
        "pydantic_settings",
        "redis",
        "redis.asyncio",
        "rq",
        "safetensors.torch",
        "torch",
        "transformers.models.clip.modeling_clip",
        "transformers.models.clip.tokenization_clip",
    ),
    "service": (
        "cachetools",
        "fastapi",
        "hiredis",
        "httpx",
        "obstore",
        "PIL.Image",
        "prometheus_client",
        "pydantic_settings",
        "python_multipart",
        "redis",
        "redis.asyncio",
        "rich",
        "rq",
        "standardwebhooks",
        "tokenizers",
        "uvicorn",
    ),
}
#: Our modules that processes have imported once they serve, by the same kinds. What a process runs (`__main__`) is not
#: among them; those that are named import the others.
OURS = {
    "worker": (
        "p2p.edit",
        "p2p.families.stable_diffusion",
        "p2p.inversion",
        "p2p.layouts",
        "worker.credentials",
        "worker.engine",
        "worker.gpu_worker",
        "worker.library_logs",
        "worker.models",
        "worker.serving",
        "worker.settings",
        "worker.sharing",
        "worker.taking",
        "worker.tasks",
    ),
    "service": (
        "outbox.due_list",
        "outbox.settings",
        "service.app",
        "service.server.listening",
        "webhooks.post",
        "webhooks.receivers",
        "webhooks.schedule",
    ),
}
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: The exit status of a child. None means that Python ends it itself: after Ctrl-C it does so by a signal.
_status: list[int | None] = [1]  # that of an exception which nobody catches
#: As much as one message may hold; an environment has a few kilobytes.
MESSAGE = 1 << 20


def load(libraries: Iterable[str]) -> None:
    """Import them without a word, and refuse to go on where one has started a thread: a fork would not have it."""
    shown = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    for name in libraries:
        # Whatever is wrong with it, the child meets it as well and says so.
        with suppress(Exception):
            importlib.import_module(name)
    os.dup2(shown, 2)
    os.close(shown)
    if (threads := len(os.listdir("/proc/self/task"))) != 1:
        sys.exit(f"a library started {threads - 1} threads while it was imported: a fork would lack them")


def serve(asked: socket.socket) -> dict:
    """Forks for each message, and answers with the number of the process; returns in each child, with the message."""
    while True:
        message, descriptors, *_ = socket.recv_fds(asked, MESSAGE, 3)
        if not message:
            os._exit(0)
        reading, writing = os.pipe()
        # Twice: once the process between has ended, the child's parent is the test's process, which can wait for it
        # and read its status, as of a process it has started itself.
        if (between := os.fork()) == 0:
            os.close(reading)
            if (child := os.fork()) == 0:
                os.close(writing)
                asked.close()
                return become(json.loads(message), descriptors)
            os.write(writing, str(child).encode())
            os._exit(0)
        os.close(writing)
        os.waitpid(between, 0)
        asked.send(os.read(reading, 32))
        os.close(reading)
        for descriptor in descriptors:
            os.close(descriptor)


def become(program: dict, descriptors: Iterable[int]) -> dict:
    """Takes on what a process is given when it is started."""
    if program["start_new_session"]:
        os.setsid()
    if program["umask"] >= 0:
        os.umask(program["umask"])
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(program["cwd"])
    os.environ.clear()
    os.environ.update(program["environment"])
    torch = sys.modules.get("torch")
    if torch and (threads := program["environment"].get("OMP_NUM_THREADS")):
        torch.set_num_threads(int(threads))
    return program


def run(arguments: list[str]) -> None:
    """What `python` does with these arguments: `-m NAME ...` or `-c PROGRAM ...`."""
    option, program, *rest = arguments
    try:
        _run(option, program, rest)
        _status[0] = 0
    except SystemExit as end:
        _status[0] = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    except KeyboardInterrupt:
        _status[0] = None
        raise


def _run(option: str, program: str, rest: list[str]) -> None:
    sys.argv = [option, *rest]
    if option == "-m":
        sys.path[0] = os.getcwd()
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = ""
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(program, "<string>", "exec"), main.__dict__)


def end() -> None:
    """Ends a child whose program is over: to take a thousand modules apart takes Python longer than most tests."""
    if _status[0] is not None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(_status[0])


if __name__ == "__main__":
    # First, so that it runs last: after whatever a library or the program has registered.
    atexit.register(end)
    # Python's own: what started us may have been told to ignore them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    kind, *asked = sys.argv[1], *(socket.socket(fileno=int(number)) for number in sys.argv[2:])
    load(LIBRARIES[kind])
    has_ours = os.fork() == 0
    asked.pop(0 if has_ours else 1).close()
    if has_ours and asked[0].recv(1, socket.MSG_PEEK):  # not before the first that needs them
        sys.path[0] = ROOT
        load(OURS[kind])
    run(serve(asked[0])["arguments"])
