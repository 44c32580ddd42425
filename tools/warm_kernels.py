"""Jupyter kernels that have libraries loaded already: one process loads them, and each kernel is a fork of it.

`warm_kernels` gives the environment in which Jupyter starts its kernels so. As a script, `serve DOOR MODULE...` loads the
modules and waits for requests; `ask DOOR ...` is what Jupyter starts in place of a kernel: it asks for a fork that runs as
a kernel with these arguments, in its own folder and environment. Either ends when the other does.
"""

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path


@contextlib.contextmanager
def warm_kernels(folder: Path, modules: list[str], **around: str):
    """What to add to the environment of a process whose kernels shall be forks; `around` is
    added to that in which the modules are loaded."""
    door, spec = str(folder / "door"), folder / "kernels" / "python3"
    spec.mkdir(parents=True)
    argv = [sys.executable, __file__, "ask", door, "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "python3", "language": "python"})
    )
    server = subprocess.Popen(
        [sys.executable, __file__, "serve", door, *modules],
        env=os.environ | around,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not os.path.exists(door):
            assert server.poll() is None, "warm_kernels.py could not start"
            time.sleep(0.1)
        paths = filter(None, (str(folder), os.environ.get("JUPYTER_PATH")))
        yield {"JUPYTER_PATH": os.pathsep.join(paths)}
    finally:
        server.kill()
        server.wait()


def serve(door: str, *modules: str) -> None:
    """Load once, then fork a kernel for each request."""
    for name in ("ipykernel.kernelapp", *modules):
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(door)
        listening.listen()
        while True:
            caller, _ = listening.accept()
            asked = json.loads(caller.makefile().readline())
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listening.close()
                be_a_kernel(caller, asked)
            caller.close()  # the fork holds it open as long as it lives


def be_a_kernel(caller: socket.socket, asked: dict) -> None:
    """Run a kernel in this process, which has just been forked, until it ends or its asker does."""
    from ipykernel.kernelapp import launch_new_instance

    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.path.pop(0)  # this script's folder
    threading.Thread(target=lambda: (caller.recv(1), os._exit(1)), daemon=True).start()
    launch_new_instance(argv=asked["arguments"])
    os._exit(0)


def ask(door: str, *arguments: str) -> None:
    """Ask for a kernel and wait for its end."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(door)
        request = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
        caller.sendall(json.dumps(request).encode() + b"\n")
        with contextlib.suppress(KeyboardInterrupt):  # Jupyter interrupts what it ends
            while caller.recv(1):
                pass


if __name__ == "__main__":
    {"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
