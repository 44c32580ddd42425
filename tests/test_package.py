"""The wheel in a clean environment: what it brings, what it leaves out, and that its command runs."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.timeout(1500)


def run(*command, **options):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, **options
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", folder, ROOT)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def clean(wheel, tmp_path_factory):
    """An environment that holds the wheel and what it asks for, nothing else.

    What it asks for is linked from the environment of the tests: to install torch again took a minute and 6 GB.
    """
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=True)
    run(folder / "bin" / "python", "-m", "pip", "install", "--no-deps", "--quiet", wheel)
    site = next(folder.glob("lib/python*/site-packages"))
    [mine] = importlib.metadata.distributions(name="collab_seg", path=[str(site)])
    for distribution in asked_for(mine):
        for file in distribution.files:
            if ".." not in file.parts and not (site / file).exists():
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                (site / file).symlink_to(file.locate())
    return folder / "bin"


def asked_for(distribution, extras=("",), seen=None):
    """All that a distribution asks for, and what that asks for, among what is installed here."""
    seen = {} if seen is None else seen
    for requirement in map(Requirement, distribution.requires or []):
        marker, key = requirement.marker, (requirement.name, *sorted(requirement.extras))
        wanted = marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)
        if wanted and key not in seen:
            seen[key] = importlib.metadata.distribution(requirement.name)
            asked_for(seen[key], ("", *requirement.extras), seen)
    return seen.values()


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert all(name.startswith("collab_seg") for name in top), top
    others = [
        name for name in names if not name.startswith("collab_seg/examples/")
    ]  # small runs for the explorer
    assert "collab_seg/use/cli.py" in names and not any(
        name.endswith((".ipynb", ".csv", ".safetensors", ".png")) for name in others
    )
    assert len([name for name in names if name.endswith("vit.safetensors")]) == 15
    assert sum(info.compress_size for info in zipfile.ZipFile(wheel).infolist()) < 6e6


def test_no_development_tool_comes_along(clean):
    installed = {
        line.split("==")[0].lower()
        for line in run(clean / "python", "-m", "pip", "freeze").splitlines()
    }
    assert "torch" in installed
    assert not installed & {
        "nbdev",
        "fastcore",
        "execnb",
        "pytest",
        "jupyterlab",
        "notebook",
        "ipykernel",
        "transformers",
    }
    run(clean / "python", "-m", "pip", "check")


def test_the_command_runs_there(clean, tmp_path):
    environment = {**os.environ, "PYTHONPATH": "", "HF_HUB_OFFLINE": "1"}
    assert "toyscapes" in run(clean / "collab-seg", "data", "list", cwd=tmp_path, env=environment)
    out = run(
        clean / "collab-seg",
        "train",
        "--preset",
        "toy",
        "--size",
        "48",
        "64",
        "--crop",
        "48",
        "64",
        "--steps",
        "2",
        "--batch-size",
        "2",
        "--no-progress",
        "--out",
        "run",
        cwd=tmp_path,
        env=environment,
    )
    assert "mIoU" in out and (tmp_path / "run" / "pictures.png").stat().st_size > 10_000


def seconds(command, tries=5):
    """The fastest of some tries: a busy machine only ever adds time."""
    times = []
    for _ in range(tries):
        start = time.perf_counter()
        run(*command)
        times.append(time.perf_counter() - start)
    return min(times)


def test_import_and_help_answer_at_once(clean):
    idle = seconds([clean / "python", "-c", "pass"])
    assert seconds([clean / "python", "-c", "import collab_seg"]) - idle < 0.3
    assert seconds([clean / "collab-seg", "--help"]) < 1.0
    run(
        clean / "python",
        "-c",
        "import collab_seg, collab_seg.use.cli, sys; assert 'torch' not in sys.modules",
    )


def test_the_first_cell_of_a_notebook_fetches_and_installs_where_nothing_is(tmp_path):
    """As on Colab: a Python without collab_seg, the notebook alone. This clone stands for the one on the web."""
    sys.path.insert(0, str(ROOT / "docs"))
    from badges import first_cells

    cell = "".join(first_cells("course/04_hfd")[1]["source"])
    address = cell.partition('address = "')[2].partition('"')[0]
    assert address.startswith("https://")
    venv.create(tmp_path / "bare", with_pip=True)
    redirect = {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.file://{ROOT}.insteadOf",
        "GIT_CONFIG_VALUE_0": address,
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
    }
    end = "\nimport collab_seg\nprint(os.getcwd(), os.path.exists('04_hfd.ipynb'), collab_seg.__file__)\n"
    environment = {
        **os.environ,
        **redirect,
        "PIP_NO_DEPS": "1",
        "PYTHONPATH": "",
    }  # torch and others: tried above
    said = run(
        tmp_path / "bare" / "bin" / "python", "-c", cell + end, cwd=tmp_path, env=environment
    ).split()
    assert (
        said[0] == str(tmp_path / "collab_seg" / "nbs" / "course")
        and said[1] == "True"
        and "site-packages" in said[2]
    )


def test_installing_is_quiet(tmp_path):
    """It printed 60 lines about folders of the examples, and a warning about editable installs."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.py", "settings.ini", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    shutil.copytree(
        ROOT / "collab_seg", source / "collab_seg", ignore=shutil.ignore_patterns("__pycache__")
    )
    venv.create(tmp_path / "bare", with_pip=True)
    install = [
        tmp_path / "bare/bin/python",
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--disable-pip-version-check",
        "--quiet",
        "--editable",
        source,
    ]
    done = subprocess.run(list(map(str, install)), capture_output=True, text=True)
    said = [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if not line.startswith(("WARNING: Location", "WARNING: Running pip as"))
    ]
    assert done.returncode == 0 and said == []
