"""What README, notebooks and reports show is what results/*.csv gives; a changed digit is found; a bad file gets a line."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from collab_seg.core import UserError
from collab_seg.studies.figures import FIGURES, sensitivity_figure
from collab_seg.studies.made_up import made_up_study
from collab_seg.studies.report import (
    check_shown,
    compare_file,
    report_command,
    shown_lines,
    studies_in,
    write_report,
)
from collab_seg.studies.results import read_results
from collab_seg.studies.tables import TABLES, make_table

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def copy(tmp_path):
    """What the check reads, copied from this repository."""
    for path in [
        ROOT / "README.md",
        *(ROOT / "results").rglob("*"),
        *(ROOT / "nbs").rglob("*.ipynb"),
    ]:
        if path.is_file():
            to = tmp_path / path.relative_to(ROOT)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to)
    return tmp_path


@pytest.fixture(scope="module")
def made_up_once(tmp_path_factory):
    """A repository with an imaginary study, its report beside the CSV files and a table in its README."""
    results = tmp_path_factory.mktemp("made_up") / "results"
    results.mkdir()
    for frame, name in zip(made_up_study(4), ("made_up", "made_up_curves")):
        frame.to_csv(results / f"{name}.csv", index=False)
    write_report("made_up", results, results)
    (results.parent / "README.md").write_text(
        f"Text.\n\n{make_table('made_up/alone', results).markdown()}\n\nText.\n"
    )
    return results.parent


@pytest.fixture
def made_up(made_up_once, tmp_path):
    """A copy of it, to change: its results folder."""
    return shutil.copytree(made_up_once, tmp_path / "made_up") / "results"


def change_a_digit(path, line):
    """Change the last digit of the first line that begins so; the rest of the file stays."""
    text = path.read_text()
    start = text.index(line)
    end = text.index("\n", start)
    digit = max(m.start() for m in re.finditer(r"\d", text[start:end])) + start
    path.write_text(text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :])


def test_all_that_is_shown_here_is_what_the_files_say():
    assert check_shown(ROOT / "results" / "studies") > 3, (
        "notebooks show tables, but none was found"
    )


def test_a_digit_changed_in_a_notebook_here_is_found(copy):
    assert check_shown(copy / "results" / "studies") > 3
    path = copy / "nbs" / "kit" / "measured_tables.ipynb"
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            shown = "".join(output.get("data", {}).get("text/markdown", ""))
            if "/summary -->" in shown:
                changed = re.sub(
                    r"(\n\| alone .*?)(\d)", lambda m: m[1] + str((int(m[2]) + 1) % 10), shown
                )
                output["data"]["text/markdown"] = changed
    path.write_text(json.dumps(notebook))
    with pytest.raises(UserError, match=r"measured_tables.ipynb shows '\| alone"):
        check_shown(copy / "results" / "studies")


def test_a_digit_changed_in_a_csv_file_here_is_found(copy):
    """Of the study whose tables a notebook shows, the IoU of one class of the CNN trained alone, which its class table reads."""
    shown = next(
        line
        for line in shown_lines(copy / "nbs" / "kit" / "measured_tables.ipynb")
        if line.startswith("<!-- report: ")
    )
    path = copy / "results" / "studies" / f"{shown.split()[2].split('/')[0]}.csv"
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    row = next(row for row in rows if row["method"] == "alone" and row["student"] == "cnn")
    name = next(name for name, value in row.items() if name.startswith("iou_") and value)
    row[name] = str(round((float(row[name]) + 50) % 100, 2))
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(UserError, match="measured_tables.ipynb"):
        check_shown(copy / "results" / "studies")


def test_a_full_report_holds_every_table_and_figure(made_up):
    text = (made_up / "made_up.md").read_text()
    assert "Not there" not in text and len(re.findall(r"!\[[^\]]{40,}\]", text)) == len(FIGURES)
    assert check_shown(made_up) == 2 * len(TABLES) + len(FIGURES) + 1


CHANGED = [("../README.md", "| collab "), ("made_up.md", "| hfd "), ("made_up.tex", "dml ")]


@pytest.mark.parametrize("name, line", CHANGED)
def test_a_changed_digit_is_found_where_it_is(made_up, name, line):
    path = made_up / name
    change_a_digit(path, line)
    with pytest.raises(
        UserError,
        match=rf"not what the CSV files give: 1, the first of each file: {path.name} shows",
    ):
        check_shown(made_up)


def test_a_row_less_and_a_table_without_its_note_are_found(made_up):
    readme = made_up.parent / "README.md"
    good = readme.read_text()
    for bad in (
        re.sub(r"\| dml .*\n", "", good),
        good.split("mIoU in per cent")[0],
        good.replace("| dml ", "| dmI "),
    ):
        readme.write_text(bad)
        with pytest.raises(UserError, match="README.md shows"):
            check_shown(made_up)
    readme.write_text(good.replace("made_up/alone", "other/alone"))
    with pytest.raises(UserError, match="README.md shows other/alone, but there is no"):
        check_shown(made_up)


def test_a_changed_csv_makes_all_that_depends_on_it_old(made_up):
    change_a_digit(made_up / "made_up_curves.csv", "alone,0,20")
    with pytest.raises(
        UserError, match=f"give: {len(FIGURES)}, .*was drawn from another made_up.csv"
    ):
        check_shown(made_up)
    text = (made_up / "made_up.csv").read_text().splitlines()
    text[1] = re.sub(r"alone,cnn,0,100,\d", "alone,cnn,0,100,9", text[1])
    (made_up / "made_up.csv").write_text("\n".join(text) + "\n")
    with pytest.raises(UserError, match="README.md shows .*made_up.md shows .*made_up.tex shows"):
        check_shown(made_up)


PARTIAL = [
    (1, ["alone"]),
    (1, ["collab"]),
    (1, ["alone", "collab"]),
    (2, ["dml", "hfd"]),
    (2, ["alone", "dml peer_weight=2"]),
]


@pytest.mark.parametrize("seeds, methods", PARTIAL)
def test_a_partial_study_has_a_report_that_says_what_is_missing(tmp_path, seeds, methods, capsys):
    rows, _ = made_up_study(seeds, {method: (50, 40) for method in methods})
    rows = rows[rows.student != "average"] if seeds == 1 else rows
    rows.drop(columns="peak_mb").to_csv(tmp_path / "part.csv", index=False)
    report_command(tmp_path, tmp_path / "out")
    text = (tmp_path / "out" / "part.md").read_text()
    assert "Not there: " in text and "nan" not in text.lower().replace("made_up", "")
    assert ("One seed: no spread, no interval." in text) == (seeds == 1)
    assert "part" in capsys.readouterr().out


ROW = "made_up,val,alone,cnn,0,100,50.1,10"
HEADER = "data,split,method,student,seed,steps,miou,images_per_s"
BAD = {
    "nothing": ("", "lacks the column"),
    "a header only": (HEADER + "\n", "holds no rows"),
    "half a last line": (f"{HEADER}\n{ROW}\n{ROW[:20]}", "line 3 is not complete"),
    "half a last number": (f"{HEADER}\n{ROW[:-4]}", "line 2 is not complete"),
    "an empty line": (f"{HEADER}\n\n{ROW}\n", "line 2 is not complete"),
    "a cell too many": (f"{HEADER}\n{ROW},1\n", "line 2 is not complete"),
    "mIoU above 100": (f"{HEADER}\n{ROW.replace('50.1', '100.1')}\n", "miou is 100.1"),
    "mIoU that is no number": (f"{HEADER}\n{ROW.replace('50.1', 'high')}\n", "miou is high"),
    "a doubled row": (f"{HEADER}\n{ROW}\n{ROW}\n", "method alone, seed 0, student cnn twice"),
    "an unknown student": (f"{HEADER}\n{ROW.replace('cnn', 'mlp')}\n", "mlp"),
    "bytes that are no text": ("\udcff\udcfe", "it is no UTF-8 text"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gets_one_line(name, tmp_path):
    text, needed = BAD[name]
    (tmp_path / "bad.csv").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError) as caught:
        report_command(tmp_path, tmp_path / "out", "bad")
    assert needed in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_every_shortened_file_is_refused_or_whole(tmp_path):
    """Cut anywhere, a file is read only if it ends with a whole line."""
    whole = (ROOT / "results" / "studies" / "first_light.csv").read_bytes()
    for size in range(0, len(whole), 37):
        (tmp_path / "cut.csv").write_bytes(whole[:size])
        try:
            assert len(read_results(tmp_path / "cut.csv")) == whole[:size].count(b"\n") - 1
            assert whole[:size].endswith(b"\n")
        except UserError as error:
            assert "\n" not in str(error)


def test_methods_that_share_no_seed_are_open_not_wrong(tmp_path):
    """Half of the runs are there: alone with seed 0, collab with seed 1."""
    rows, curves = made_up_study(2)
    rows = rows[
        ((rows.method == "alone") & (rows.seed == 0))
        | ((rows.method == "collab") & (rows.seed == 1))
    ]
    rows.to_csv(tmp_path / "half.csv", index=False)
    curves[:1].to_csv(tmp_path / "half_curves.csv", index=False)
    write_report("half", tmp_path, tmp_path)
    text = (tmp_path / "half.md").read_text()
    assert (
        "open: no shared seed of collab and alone" in text
        and "Not there: no method shares a seed with alone" in text
    )


def test_figures_are_drawn_only_on_demand():
    code = "import collab_seg.studies.report, sys; assert not {'matplotlib', 'seaborn', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_table_of_a_label_with_a_hyphen_is_looked_at_and_so_is_a_broken_one(made_up):
    """The check passed such tables by, whatever was in them."""
    rows = pd.read_csv(made_up / "made_up.csv")
    rows.assign(method=rows.method.replace("hfd", "hfd-long.v2")).to_csv(
        made_up / "mine.csv", index=False
    )
    readme = made_up.parent / "README.md"
    shown = make_table("mine/alone:hfd-long.v2", made_up).markdown()
    readme.write_text(f"{shown}\n")
    assert compare_file(readme, made_up) == (1, [])
    change_a_digit(readme, "| hfd-long.v2")
    assert len(compare_file(readme, made_up)[1]) == 1
    readme.write_text("<!-- report: mine/alone:nobody -->\n")
    assert "nobody" in compare_file(readme, made_up)[1][0]


def test_every_study_of_this_repository_has_a_report(tmp_path):
    """A table of another kind, with some of a study's columns, ended the command."""
    results = ROOT / "results/studies"
    studies = studies_in(results)
    assert "few_camvid" in studies and "advice" not in studies
    assert all(len(read_results(results / f"{study}.csv")) for study in studies)


def test_the_default_is_marked_where_it_stands_or_not_at_all():
    rows = made_up_study(3)[0]
    varied = rows.method.str.startswith("collab ")
    for seeds, marks in (((0,), 1), ((5,), 0)):  # of the plain method; the varied ones have 0
        plain = rows[(rows.method == "collab") & (rows.seed == 0)].assign(seed=seeds[0])
        figure, _ = sensitivity_figure(pd.concat([plain, rows[varied & (rows.seed == 0)]]))
        lines = [line for line in figure.axes[0].lines if line.get_linestyle() == ":"]
        assert len(lines) == marks
        plt.close(figure)
