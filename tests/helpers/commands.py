"""`collab-seg` in a process of its own that starts at once: a fork of one that has loaded everything.

To start Python and load PyTorch takes some seconds, hundreds of times over. What is about that start (signals, two
processes, an environment of its own) is tested with programs that are started as users start them.
"""

import functools
import multiprocessing
import os
import subprocess
import sys
import tempfile
from multiprocessing import forkserver
from pathlib import Path
from unittest.mock import patch

from collab_seg.use.processes import worker_environments


@functools.cache
def context():
    """Makes processes that are forks of one in which `crash_worker` has loaded everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["crash_worker"])
    # up to Python 3.11 it does not look in sys.path, and passes over what it does not find
    with patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):
        forkserver.ensure_running()
    first = context.Process(target=int)  # done when everything is loaded
    first.start()
    first.join()
    return context


def together(target, every):
    """A function in forks at the same time, one for each of these arguments; their exit codes."""
    workers = [context().Process(target=target, args=arguments) for arguments in every]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [worker.exitcode for worker in workers]


def run_command(*arguments, **more):
    """What `collab-seg ARGUMENTS` returns and says, as `subprocess.run` gives it."""
    [done] = commands([os.environ], *arguments, **more)
    return done


def two_processes(*arguments, **more):
    """The same in two processes, each told its number as torchrun would."""
    return commands(worker_environments(2), *arguments, **more)


def commands(environments, *arguments, cwd=None, frozen=False):
    """One process for each environment; `frozen`: with frozen_norms.py."""
    given = [*map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        every = [
            ([Path(folder, f"{name}{k}") for name in ("out", "err")], dict(environment))
            for k, environment in enumerate(environments)
        ]
        how = given, str(cwd or os.getcwd()), frozen
        codes = together(become_a_command, [(*one, *how) for one in every])
        return [
            subprocess.CompletedProcess(given, code, *(path.read_text() for path in said))
            for code, (said, _) in zip(codes, every)
        ]


def become_a_command(said, environment, arguments, folder, frozen):
    """Run a command in this process, which has just been forked, until it ends."""
    for number, path in enumerate(said, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))
    assert "crash_worker" in sys.modules, "nothing was loaded before the fork"
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["collab-seg", *arguments]
    if frozen:
        import frozen_norms

        frozen_norms.freeze()
    from collab_seg.use.cli import main

    sys.exit(main())
