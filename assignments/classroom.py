"""Release and grade with nbgrader: `python classroom.py release`, `python classroom.py grade [ASSIGNMENT]`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RIGHT = "known_right"  # hands in the solutions: without it, a broken environment would look like a failing class


def nbgrader(*command, check=True) -> None:
    """Run an nbgrader command in this folder."""
    # nbgrader starts alembic, which lies beside this Python, by its name alone.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    subprocess.run(
        [sys.executable, "-m", "nbgrader", *command], cwd=HERE, env=os.environ | {"PATH": path}, check=check
    )


def release() -> None:
    """Write the learners' copies: without solutions, hidden tests and outputs."""
    nbgrader("generate_assignment", "--force", "--log-level=ERROR", "*")


def hand_in_solutions() -> None:
    """The sources are right answers: hand them in under a name of their own."""
    shutil.rmtree(HERE / "submitted" / RIGHT, ignore_errors=True)
    for notebook in sorted((HERE / "source").glob("*/*.ipynb")):
        to = HERE / "submitted" / RIGHT / notebook.parent.name
        to.mkdir(parents=True)
        shutil.copy(notebook, to)


def points() -> dict:
    """Points by (student, assignment) and test cell, as the gradebook has them: {cell: (got, of)}."""
    from nbgrader.api import Gradebook

    found = {}
    with Gradebook(f"sqlite:///{HERE / 'gradebook.db'}") as book:
        for assignment in book.assignments:
            for submission in book.assignment_submissions(assignment.name):
                cells = [grade for notebook in submission.notebooks for grade in notebook.grades]
                found[submission.student.id, assignment.name] = {g.name: (g.score, g.max_score) for g in cells}
    return found


def total(cells) -> tuple:
    """Points got, and points to be had."""
    return tuple(sum(pair[i] for pair in cells.values()) for i in (0, 1))


def grade(wanted: str = "*") -> int:
    """Grade, print a table, and return 1 if the known right submission has lost a point."""
    hand_in_solutions()
    release()  # the gradebook must know the tests as they are now
    # It goes on after a notebook that ends its own kernel, but fails in the end; below is told which one that was.
    nbgrader("autograde", "--force", "--log-level=ERROR", wanted, check=False)
    found = points()
    for (student, assignment), cells in sorted(found.items()):
        lost = ", ".join(f"{cell} {got:g}/{of:g}" for cell, (got, of) in cells.items() if got < of)
        got, of = total(cells)
        print(f"{student:20} {assignment:24} {got:g} of {of:g}" + (f"   lost: {lost}" if lost else ""))
    for folder in sorted((HERE / "submitted").glob(f"*/{wanted}")):
        if not (HERE / "autograded" / folder.parent.name / folder.name).exists():
            print(f"{folder.parent.name:20} {folder.name:24} could not be graded; nbgrader says above why")
    broken = [
        name for (student, name), cells in found.items() if student == RIGHT and total(cells)[0] < total(cells)[1]
    ]
    if broken:
        print(
            f"known_right lost points in {', '.join(broken)}: the environment is broken; trust no score", flush=True
        )
    nbgrader("export", "--to", "grades.csv")
    nbgrader("generate_feedback", "--force", "--log-level=ERROR", wanted)
    return bool(broken)


if __name__ == "__main__":
    if sys.argv[1:2] not in (["release"], ["grade"]):
        sys.exit("needed: python classroom.py release, or python classroom.py grade [ASSIGNMENT]")
    sys.exit(release() if sys.argv[1] == "release" else grade(*sys.argv[2:3]))
