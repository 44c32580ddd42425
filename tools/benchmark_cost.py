"""Writes results/bench/benchmark_cost.csv: FLOPs of every preset and pair, and three real steps of each preset.

python tools/benchmark_cost.py [TABLE]; each preset runs in a process of its own, for memory is counted a process.
"""

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from collab_seg.presets import PAIRS

ROOT = Path(__file__).resolve().parent.parent
SIZES = {"camvid": (360, 480), "voc": (372, 492), "cityscapes": (1024, 2048)}
ROWS = """import json, sys
from collab_seg.presets import PAIRS
from collab_seg.training.cost import cost_row
preset, root = sys.argv[1:]
for number, pair in enumerate(PAIRS):
    print("ROW", json.dumps(cost_row(preset, pair, root=None if number else root)))
"""


def make_tree(preset: str, root: Path) -> Path:
    """A few pictures of the true size in folders of the true layout."""
    sys.path.append(str(ROOT / "tests"))
    import test_sources

    def make_camvid(root):
        for number, (split, name) in enumerate(
            [("train", "0"), ("train", "1"), ("train", "2"), ("train", "0006R0_3"), ("val", "4")]
        ):
            test_sources.write(root / split / f"{name}.png", test_sources.photo(number))
            test_sources.write(
                root / f"{split}annot" / f"{name}.png", test_sources.classes(11, number, void=11)
            )
        return root

    before = test_sources.HEIGHT, test_sources.WIDTH
    test_sources.HEIGHT, test_sources.WIDTH = SIZES[preset]
    try:
        makers = {
            "camvid": make_camvid,
            "voc": test_sources.make_voc,
            "cityscapes": test_sources.make_cityscapes,
        }
        return makers[preset](root)
    finally:
        test_sources.HEIGHT, test_sources.WIDTH = before


def main(table: Path) -> None:
    rows: list[dict] = []
    for preset in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-c", ROWS, preset, str(make_tree(preset, Path(folder)))],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
        rows += [
            json.loads(line[4:]) for line in done.stdout.splitlines() if line.startswith("ROW ")
        ]
        print(f"{preset}: {rows[-len(PAIRS)]}", flush=True)
    with (
        table.open("w", newline="") as file
    ):  # not before the end: a changed table makes the tree, and so the next row's commit, dirty
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "results" / "bench" / "benchmark_cost.csv")
