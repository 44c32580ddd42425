"""Jupyter kernels that have torch and the kit imported: one process imports them, and each kernel is a fork of it.

`serve SOCKET` waits for requests; `ask SOCKET ...` is what Jupyter starts in place of a kernel: it asks for a fork that
runs as a kernel with these arguments, in its own folder and environment, and ends when that kernel ends.
"""

import contextlib
import json
import os
import signal
import socket
import sys


def serve(path):
    """Import once, then fork a kernel for each request."""
    import ipykernel.kernelapp
    import torch

    import collab_seg.losses
    import collab_seg.studies.compare  # noqa: F401

    torch.set_num_threads(1)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()
        while True:
            caller, _ = door.accept()
            asked = json.loads(caller.makefile().readline())
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                door.close()
                os.chdir(asked["folder"])
                os.environ.clear()
                os.environ.update(asked["environment"])
                sys.path.pop(0)  # this script's folder
                ipykernel.kernelapp.launch_new_instance(argv=asked["arguments"])
                os._exit(0)
            caller.close()  # the fork holds it open as long as it lives


def ask(path, *arguments):
    """Ask for a kernel and wait for its end."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(path)
        request = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
        caller.sendall(json.dumps(request).encode() + b"\n")
        with contextlib.suppress(KeyboardInterrupt):  # Jupyter interrupts what it ends
            while caller.recv(1):
                pass


if __name__ == "__main__":
    {"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
