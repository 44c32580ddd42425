"""Every assignment, graded: the right solution, the untouched release copy, and typical wrong solutions.

Two ways of grading. (1) The true one, `assignments/classroom.py` as `make grade` runs it: nbgrader's command line
releases all assignments and grades the right solution and the untouched copy, each notebook in a kernel of its own;
scores come from the gradebook. Only the kernels are special: forks of a process that has imported torch
(tools/warm_kernels.py). (2) In this process: the cells are run one after the other in one namespace, after nbgrader's way of
restoring the test cells, and nbgrader's own `determine_grade` gives the points. The wrong solutions go this way; the
right one and the untouched copy go both ways, which must agree. COLLAB_SEG_SLOW=1 sends the wrong ones through the
command line as well, and COLLAB_SEG_SLOW=cold does so with ordinary kernels.
"""

import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

pytest.importorskip(
    "nbgrader", reason="nbgrader is not installed: pip install --editable '.[teach]'"
)
from nbgrader.utils import determine_grade, is_grade, is_locked, is_solution  # noqa: E402
from warm_kernels import warm_kernels  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
ASSIGNMENTS = ROOT / "assignments"
NAMES = sorted(path.name for path in (ASSIGNMENTS / "source").iterdir() if path.is_dir())
SLOW = os.environ.get("COLLAB_SEG_SLOW")
AROUND = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}  # the package of this checkout; one core
LOADED = ["torch", "collab_seg.losses", "collab_seg.studies.compare"]  # in every kernel
HEAD = re.compile(r"^# %% (\w+) loses ([\w, ]+): .+$", re.M)


def wrong_solutions(name):
    """What typical mistakes look like: {mistake: (source of the solution cell, test cells that
    should be lost)}."""
    text = (ASSIGNMENTS / "wrong" / f"{name}.py").read_text()
    _, *parts = HEAD.split(text)
    return {
        mistake: (source.strip() + "\n", set(lost.split(", ")))
        for mistake, lost, source in zip(*[iter(parts)] * 3)
    }


def read(name, folder=ASSIGNMENTS / "source"):
    return nbformat.read(folder / name / f"{name}.ipynb", as_version=4)


def grade_id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def with_solution(notebook, source):
    """A notebook whose solution is replaced: all of it stands in the first of its cells."""
    cells = [cell for cell in notebook.cells if is_solution(cell)]
    for cell in cells:
        cell.source = source if cell is cells[0] else ""
    return notebook


def run_here(name, notebook, namespace=None):
    """Run the code cells in one namespace; outputs are kept as a kernel would."""
    namespace, here = {} if namespace is None else namespace, os.getcwd()
    namespace["__name__"] = "__main__"
    for module in ("checks", "checking"):
        sys.modules.pop(module, None)
    sys.path.insert(0, str(ASSIGNMENTS / "source" / name))
    os.chdir(ASSIGNMENTS / "source" / name)
    try:
        for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
            out, err, cell.outputs = io.StringIO(), io.StringIO(), []
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    exec(compile(cell.source, f"<{grade_id(cell)}>", "exec"), namespace)
                except Exception as error:
                    cell.outputs.append(
                        nbformat.v4.new_output(
                            "error", ename=type(error).__name__, evalue=str(error)
                        )
                    )
            for stream, text in (("stdout", out.getvalue()), ("stderr", err.getvalue())):
                if text:
                    cell.outputs.append(nbformat.v4.new_output("stream", name=stream, text=text))
    finally:
        os.chdir(here)
        sys.path.pop(0)
    return notebook


def grade_here(name, notebook):
    """Points by test cell: {cell: (got, of)}."""
    source = {
        grade_id(cell): cell.source
        for cell in read(name).cells
        if is_grade(cell) or is_locked(cell)
    }
    for cell in notebook.cells:
        cell.source = source.get(
            grade_id(cell), cell.source
        )  # test cells as the teacher wrote them, hidden tests and all
    os.environ["NBGRADER_EXECUTION"] = "autograde"
    try:
        run_here(name, notebook)
    finally:
        del os.environ["NBGRADER_EXECUTION"]
    return {grade_id(cell): determine_grade(cell) for cell in notebook.cells if is_grade(cell)}


def printed(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of the assignments, released by nbgrader."""
    copy = tmp_path_factory.mktemp("course") / "assignments"
    copy.mkdir()
    for name in ("checking.py", "classroom.py", "nbgrader_config.py"):
        shutil.copy(ASSIGNMENTS / name, copy)
    shutil.copytree(
        ASSIGNMENTS / "source", copy / "source", ignore=shutil.ignore_patterns("__pycache__")
    )
    classroom(copy, "release")
    return copy


def classroom(copy, *command, **more):
    """What `make release-assignments` and `make grade` run."""
    around = os.environ | AROUND | more
    done = subprocess.run(
        [sys.executable, "classroom.py", *command],
        cwd=copy,
        env=around,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def gradebook(course, tmp_path_factory):
    """Points of the right solution, the untouched copy and, if asked for, the wrong ones, by
    nbgrader's commands."""
    shutil.copytree(course / "release", course / "submitted" / "untouched")
    for name in NAMES:
        for mistake, (source, _) in wrong_solutions(name).items() if SLOW else ():
            to = course / "submitted" / mistake / name
            to.mkdir(parents=True)
            nbformat.write(
                with_solution(read(name, course / "release"), source), to / f"{name}.ipynb"
            )
    fatal = course / "submitted" / "fatal" / NAMES[0]
    fatal.mkdir(parents=True)
    ending = with_solution(read(NAMES[0], course / "release"), "import os\nos._exit(1)")
    nbformat.write(ending, fatal / f"{NAMES[0]}.ipynb")
    with (
        contextlib.nullcontext({})
        if SLOW == "cold"
        else warm_kernels(tmp_path_factory.mktemp("jupyter"), LOADED, **AROUND) as around
    ):
        table = classroom(course, "grade", **around)
    assert re.search(rf"fatal +{NAMES[0]} +could not be graded", table), table
    assert (course / "grades.csv").exists() and table.count("known_right") == table.count(
        "untouched"
    ) == len(NAMES)
    spec = importlib.util.spec_from_file_location("classroom", course / "classroom.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.points()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", NAMES)
def test_the_right_solution_gets_all_points_and_the_untouched_copy_none(name, gradebook, course):
    right, untouched = gradebook["known_right", name], gradebook["untouched", name]
    assert right and all(got == of > 0 for got, of in right.values()), right
    assert untouched.keys() == right.keys() and all(got == 0 for got, _ in untouched.values()), (
        untouched
    )
    assert grade_here(name, read(name)) == right, (
        "in this process the points are others than by nbgrader's command line"
    )
    assert grade_here(name, read(name, course / "release")) == untouched


@pytest.mark.parametrize("name", NAMES)
def test_the_release_copy_runs_says_not_done_yet_and_tells_nothing(name, course):
    notebook = read(name, course / "release")
    text = nbformat.writes(notebook)
    assert "SOLUTION" not in text and "HIDDEN" not in text and "must(checks" not in text
    run_here(name, notebook)
    for cell in notebook.cells:
        assert not any(output.output_type == "error" for output in cell.get("outputs", [])), cell
        if is_grade(cell):
            assert printed(cell) == f"{grade_id(cell)}: not done yet\n"
    assert {path.name for path in (course / "release" / name).iterdir()} == {
        f"{name}.ipynb",
        "checks.py",
        "checking.py",
    }


@pytest.mark.parametrize(
    "name, mistake", [(name, mistake) for name in NAMES for mistake in wrong_solutions(name)]
)
def test_a_typical_mistake_loses_the_points_it_should(name, mistake, course, request):
    source, lost = wrong_solutions(name)[mistake]
    notebook = with_solution(read(name, course / "release"), source)
    points = grade_here(name, notebook)
    assert lost <= points.keys()
    assert {cell for cell, (got, _) in points.items() if got == 0} == lost, points
    assert all(got in (0, of) for got, of in points.values())
    for cell in notebook.cells:
        if is_grade(cell):  # the public test finds the mistake too, and says so in one line
            said = printed(cell).removeprefix(f"{grade_id(cell)}: ")
            assert (said == "right\n") == (grade_id(cell) not in lost), said
            assert said.count("\n") == 1 and "AssertionError" not in said
    if SLOW:
        assert request.getfixturevalue("gradebook")[mistake, name] == points


@pytest.mark.parametrize("name", NAMES)
def test_an_assignment_says_what_it_is(name):
    notebook = read(name)
    first, text = notebook.cells[0].source, nbformat.writes(notebook)
    for word in ("**Objective.**", "**Level:**", "**Time:**", "**Points:**", "**Read first:**"):
        assert word in first
    of = sum(cell.metadata.nbgrader.points for cell in notebook.cells if is_grade(cell))
    assert f"**Points:** {of}." in first
    assert "<summary>Hint</summary>" in text and len(wrong_solutions(name)) >= 3
    assert any(is_solution(cell) for cell in notebook.cells)
    assert all(
        not cell.get("outputs") and cell.get("execution_count") is None for cell in notebook.cells
    )
    assert (ASSIGNMENTS / "source" / name / "checking.py").resolve() == ASSIGNMENTS / "checking.py"


def picture_of(notebook):
    """The names of the functions that the notebook draws its picture with."""
    cells = [cell.source for cell in notebook.cells if cell.source.startswith("draw(")]
    assert len(cells) == 1, "needed: one cell that draws the picture"
    return re.fullmatch(r"draw\(checks\.picture, ([\w, ]+)\)", cells[0])[1].split(", ")


@pytest.mark.parametrize("name", NAMES)
def test_an_assignment_draws_a_picture_with_the_answer(name, monkeypatch, capsys):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")  # the picture is drawn below
    notebook, wanted = read(name), ("setup", "solution", "by_eye")
    names = picture_of(notebook)
    cells = [cell for cell in notebook.cells if grade_id(cell) in wanted]
    space = {}
    run_here(name, nbformat.v4.new_notebook(cells=cells), space)
    checks, checking = sys.modules["checks"], sys.modules["checking"]
    figure = checks.picture(*(space[function] for function in names))
    figure.canvas.draw()
    assert figure.axes and np.asarray(figure.canvas.buffer_rgba()).std() > 5, "nothing is drawn"
    plt.close("all")
    checking.draw(checks.picture, *(space[function] for function in names))
    assert capsys.readouterr().out == "not drawn while grading\n"
    monkeypatch.delenv("NBGRADER_EXECUTION")
    for number, answer in enumerate((lambda *_: None, *silly_answers())):
        checking.draw(checks.picture, *[answer] * len(names))
        said = capsys.readouterr().out
        assert re.fullmatch(r"(no picture: .{10,}\n)?", said), said
        assert not (said and plt.get_fignums()), "half a figure is left"
        assert number or said == "no picture: not done yet\n"
        plt.close("all")


def silly_answers():
    def broken(*_, **__):
        raise RuntimeError("line one\nline two")

    given = (
        0,
        1.5,
        "x",
        (),
        [1, 2],
        {},
        (0, 0),
        ("a", "b"),
        torch.zeros(0),
        torch.tensor(float("nan")),
        torch.nn.Identity(),
    )
    return broken, *(lambda *_, value=value, **__: value for value in given)


@pytest.mark.parametrize("name", NAMES)
def test_a_check_says_in_one_line_what_is_wrong_with_any_answer(name):
    notebook = read(name)
    setup = nbformat.v4.new_notebook(
        cells=[cell for cell in notebook.cells if grade_id(cell) == "setup"]
    )
    run_here(name, setup)
    checks, checking = sys.modules["checks"], sys.modules["checking"]
    for cell in (cell for cell in notebook.cells if is_grade(cell)):
        for answer in silly_answers():
            said = checking.outcome(getattr(checks, grade_id(cell)), answer)
            assert said != checking.RIGHT and "\n" not in said and len(said) > 10, (
                grade_id(cell),
                said,
            )
        assert (
            checking.outcome(getattr(checks, grade_id(cell)), lambda *_: None) == checking.NOT_DONE
        )


def test_the_guide_lists_every_assignment_with_its_points_and_minutes():
    guide, table = (ASSIGNMENTS / "README.md").read_text(), {}
    for name in NAMES:
        first = read(name).cells[0].source
        table[name] = [
            re.search(rf"\*\*{word}:\*\* (\d+)", first)[1] for word in ("Time", "Points")
        ]
        assert re.search(rf"\| `{name}` \|.*\| {table[name][0]} \| {table[name][1]} \|", guide), (
            name,
            table[name],
        )
    assert f"{sum(int(points) for _, points in table.values())} points" in guide
