"""Run the stages of `make test`, or the notebooks under other kernels, to the end; then say which passed.

python tools/stages.py                       drift, notebooks, pytest
python tools/stages.py --portable            the notebooks under each of the kernels below
python tools/stages.py --portable baseline   under one of them
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from warm_kernels import warm_kernels

ROOT = Path(__file__).resolve().parent.parent
DRIFT = ["tests/test_drift.py", "-q"]
NOTEBOOKS = ["--nbval", "nbs", "-q", "--nbval-cell-timeout", "600"]
TESTS = ["tests", "-q", "--deselect", "tests/test_drift.py", "--durations", "20"]
TESTS += ["--no-loadscope-reorder"]  # tests/conftest.py begins with the longest files
# In every kernel of a notebook. What asks, as it loads, whether IPython runs is left to the kernel: pyplot, pandas, and
# tqdm.auto with timm and datasets.
LOADED = ["torch", "torchvision", "pyarrow", "matplotlib.figure"]
# what libraries read as they load, and a kernel sets before that
AS_THEY_LOAD = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
# One thread a process: two test processes on two cores would only wait for each other's threads.
ONE = {"OMP_NUM_THREADS": "1"}
# what a processor without the newest instructions computes with, and another order of sums
KERNELS = {
    "baseline": {
        **ONE,
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
    "avx2": {
        **ONE,
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "two-threads": {"OMP_NUM_THREADS": "2"},
}


def stages(jobs: int) -> dict:
    """The stages of `make test`: name -> (pytest's arguments, variables of the environment)."""
    share = ["-n", str(jobs), "--dist", "loadfile"]
    return {
        "drift": (DRIFT, {}),
        "notebooks": (NOTEBOOKS + share, ONE),
        "pytest": (TESTS + share, ONE),
    }


def portable(jobs: int, kernels) -> dict:
    """The notebooks under other kernels."""
    share = ["-n", str(jobs), "--dist", "loadfile"]
    return {f"notebooks, {name}": (NOTEBOOKS + share, KERNELS[name]) for name in kernels or KERNELS}


def usable_home() -> dict:
    """A home for the caches of Jupyter, matplotlib and datasets where the user's own cannot be
    written; else nothing."""
    home = os.path.expanduser("~")
    try:
        with tempfile.TemporaryFile(dir=home):
            return {}
    except OSError:
        print(f"note: HOME is {home}, which cannot be written; the tests use a folder of their own")
        return {"HOME": tempfile.mkdtemp(prefix="home_")}


def kernels(arguments: list[str], variables: dict):
    """Where notebooks are run: what to add to the environment, so that each kernel is a fork."""
    if "--nbval" not in arguments:
        return contextlib.nullcontext({})
    folder = Path(tempfile.mkdtemp(prefix="kernels_"))
    return warm_kernels(folder, LOADED, **variables, **AS_THEY_LOAD)


def run(chosen: dict) -> int:
    """Run all stages, whatever comes of each; a line a stage at the end, and the number of those
    that failed."""
    lines, home = [], usable_home()
    for name, (arguments, variables) in chosen.items():
        print(f"== {name}", flush=True)
        began = time.monotonic()
        around = {**home, **variables}
        with kernels(arguments, around) as more:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", *arguments],
                cwd=ROOT,
                env={**os.environ, **around, **more},
            )
        lines.append((name, done.returncode, time.monotonic() - began))
    print(
        "\n"
        + "\n".join(
            f"{'failed' if code else 'passed'}  {name}, {seconds:.0f} s"
            for name, code, seconds in lines
        )
    )
    return sum(code != 0 for _, code, _ in lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--portable",
        nargs="*",
        choices=[*KERNELS],
        help="run the notebooks under these kernels; none named: all",
    )
    parser.add_argument("--jobs", type=int, default=2, help="test processes at a time")
    options = parser.parse_args()
    chosen = (
        stages(options.jobs)
        if options.portable is None
        else portable(options.jobs, options.portable)
    )
    sys.exit(1 if run(chosen) else 0)
