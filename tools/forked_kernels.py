"""A plugin of pytest: each notebook's kernel begins as a fork of one process that has loaded the libraries.

PYTHONPATH=tools python -m pytest -p forked_kernels --nbval nbs

Of most notebooks' time, loading torch is the larger part. Only libraries of others are
loaded beforehand: collab_seg and all that a notebook changes are fresh in each kernel.
"""

import multiprocessing
import os
import signal
import sys
import time

from jupyter_client.provisioning import local_provisioner

# what is read as a library loads, which in a kernel of its own comes later
os.environ.setdefault("KINETO_LOG_LEVEL", "9")
os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
# what asks, as it loads, whether IPython runs is left to the kernel: pyplot, pandas, and tqdm.auto with timm and datasets
LIBRARIES = ["torch", "torchvision", "pyarrow", "matplotlib.figure", "ipykernel.kernelapp"]


def be_a_kernel(arguments: list[str], env: dict, cwd: str | None) -> None:
    """Run a kernel in this process, which has just been forked."""
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd or os.getcwd())
    sys.argv = arguments
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()


class Fork:
    """A forked kernel with the methods of subprocess.Popen that jupyter_client calls."""

    stdin = stdout = stderr = None

    def __init__(self, command: list[str], env: dict, cwd: str | None):
        """Fork it, and wait until it leads a group of processes: signals are sent to that group."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(LIBRARIES)
        arguments = command[command.index("ipykernel_launcher") :]
        self.process = context.Process(target=be_a_kernel, args=(arguments, env, cwd))
        self.process.start()
        self.pid = self.process.pid
        while self.poll() is None and os.getpgid(self.pid) != self.pid:
            time.sleep(0.005)

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self.process.exitcode

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        self.process.join()
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


def launch(command, env=None, cwd=None, **_):
    """Stands for jupyter_client's launch_kernel."""
    return Fork(command, dict(os.environ if env is None else env), cwd)


local_provisioner.launch_kernel = launch
