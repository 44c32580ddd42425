"""The package under the oldest, the newest and a middle version of what settings.ini allows: `make matrix`, or python tools/matrix.py low-3.12.

A case is `low`, `mid` or `high`, or one of them with a Python: `low-3.12`. Each gets an environment of its own in
a temporary folder (about 6 GB), the wheel, and a short set of tests; then the environment is removed. Only what the package
itself asks for is held to its oldest version: what those packages bring comes as new as they allow.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ("01_metrics", "02_cnn", "03_vit", "04_hfd", "05_region_bsd", "06_pixel_bsd")
TESTS = (
    "test_runs.py",
    "test_predict.py",
    "test_deploy.py",
    "test_sources.py",
    "test_pretrained.py",
    "test_convert.py",
)
EXTRA = (
    "torchmetrics",
    "transformers",
    "segmentation_models_pytorch",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "pycocotools",
    "pytest",
    "pytest-timeout",
)  # for these
MIDDLE = [
    "torch==2.11.0",
    "torchvision==0.26.0",
]  # both ends passed where exported files were wrong in between
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
RUN_NOTEBOOK = """
import json, matplotlib, sys
matplotlib.use("Agg")
space = {"__name__": "__main__"}
for number, cell in enumerate(json.load(open(sys.argv[1]))["cells"]):
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), f"{sys.argv[1]}, cell {number}", "exec"), space)
"""


def settings():
    """settings.ini, as setup.py reads it."""
    parser = ConfigParser(delimiters=["="])
    parser.read(ROOT / "settings.ini", encoding="utf-8")
    return parser["DEFAULT"]


def lowest(requirement: str) -> str:
    """The oldest version that a requirement allows, pinned: torch>=2.6,<3 gives torch==2.6."""
    name, floor = re.fullmatch(r"([\w.-]+)>=([\d.]+)(?:,<[\d.]+)?", requirement).groups()
    return f"{name}=={floor}"


def python_of(version: str) -> str | None:
    """The Python of a version on this machine, if it runs: pyenv puts names on the PATH that may
    lead nowhere."""
    python = shutil.which(f"python{version}")
    works = (
        python
        and subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True).returncode
        == 0
    )
    return python if works else None


def all_cases() -> list[str]:
    """The oldest and the middle versions under the oldest Python; the newest under each that is
    here."""
    oldest = settings()["min_python"]
    newer = PYTHONS[PYTHONS.index(oldest) :]
    return [
        f"low-{oldest}",
        f"mid-{oldest}",
        *(f"high-{version}" for version in newer if python_of(version)),
    ]


def try_case(case: str, folder: Path) -> str | None:
    """Build the environment of a case and run the tests in it; returns what failed, or None."""
    which, _, version = case.partition("-")
    if which not in ("low", "mid", "high"):
        return "needed: low, mid or high, e.g. low, or high-3.13"
    python = python_of(version) if version else sys.executable
    if python is None:
        return f"there is no python{version} here"
    asked = settings()["requirements"].split()
    pins = (
        [lowest(one) for one in asked]
        if which == "low"
        else asked + (MIDDLE if which == "mid" else [])
    )
    extra = [
        one for one in settings()["dev_requirements"].split() if re.split("[<>=]", one)[0] in EXTRA
    ]
    here = folder / "env" / "bin" / "python"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": "", "HF_HUB_OFFLINE": "1"}
    steps = [
        (ROOT, [python, "-m", "venv", folder / "env"]),
        (ROOT, [here, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT]),
        (ROOT, [here, "-m", "pip", "install", "--quiet", "--no-cache-dir", *pins, *extra]),
        (
            ROOT,
            lambda: [here, "-m", "pip", "install", "--quiet", "--no-deps", *folder.glob("*.whl")],
        ),
        (ROOT, [here, "-m", "pip", "check"]),
        (folder, [here, "-m", "collab_seg", "data", "list"]),
        *(
            (folder / "nbs" / "course", [here, "-c", RUN_NOTEBOOK, f"{name}.ipynb"])
            for name in NOTEBOOKS
        ),
        (
            folder,
            [
                here,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                *(folder / "tests" / name for name in TESTS),
            ],
        ),
    ]
    for part in ("nbs", "tests"):  # apart from the checkout, so that the wheel is what is imported
        shutil.copytree(ROOT / part, folder / part)
    for where, command in steps:
        command = [str(part) for part in (command() if callable(command) else command)]
        done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True)
        if done.returncode:
            return f"{' '.join(command)[-300:]}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    shown = {"low": ", ".join(pins), "mid": ", ".join(MIDDLE), "high": "the newest"}[which]
    print(
        f"{case}: passed under Python {version or sys.version.split()[0]} with {shown}; "
        f"{done.stdout.strip().splitlines()[-1]}",
        flush=True,
    )
    return None


def main(cases: list[str]) -> int:
    """Try each case; the exit code is 1 if one failed."""
    failed = 0
    for case in cases or all_cases():
        with tempfile.TemporaryDirectory(prefix="collab_seg-matrix-") as folder:
            problem = try_case(case, Path(folder))
        if problem:
            failed += 1
            print(f"{case}: FAILED\n{problem}", flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
