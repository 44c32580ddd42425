"""What scripts that look at finished runs share: their command line, and a table that grows."""

import argparse

from collab_seg.csv_tables import append_rows


def look_at(about: str, rows_of, split: str | None = None) -> None:
    "Add the lines of each run to a table; with a split, `--split` chooses another."
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", help="folders of finished runs")
    parser.add_argument("--out", required=True, help="the table to which lines are added")
    if split:
        parser.add_argument("--split", default=split)
    asked = vars(parser.parse_args())
    out, runs = asked.pop("out"), asked.pop("runs")
    for run in runs:
        append_rows(out, rows_of(run, **asked))
