"""Writes results/bench/growth.csv: what larger runs would take, reckoned from measured steps.

python tools/growth.py [TABLE]

Seconds a step are those of results/bench/benchmark_gpu.csv, one GPU, bf16. A step with as many images without labels as with
takes so much longer as results/bench/bench.csv says for `mean_pair`. Several GPUs are reckoned to share the steps evenly.
"""

import csv
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent / "results" / "bench"
PAIRS = (("mobilenetv2_100", "mit_b0"), ("resnet50", "mit_b2"))
IMAGES, STEPS = 10_000_000, 40_000
PHOTO_KB = 100  # a JPEG of half a megapixel: typical
CITYSCAPES_KB, CITYSCAPES_GB = 2300, 11  # a PNG of 2048x1024; what its images for training take


def rows_of(name: str) -> list[dict]:
    """The rows of a table in results/bench."""
    with open(BENCH / name, newline="") as file:
        return list(csv.DictReader(file))


def step_seconds(preset: str, pair, method: str) -> tuple[float, int]:
    """Seconds of a step on one GPU, and its batch."""
    wanted = (preset, *pair, method, "bf16")
    keys = ("preset", "cnn", "vit", "terms", "precision")
    row = next(r for r in rows_of("benchmark_gpu.csv") if tuple(r[k] for k in keys) == wanted)
    return float(row["seconds_a_step"]), int(row["batch_size"])


def line(what, pair, gpus, steps, seconds, batch, kilobytes, gigabytes) -> dict:
    """A line of the table; `batch` images a step on each GPU."""
    return {
        "what": what,
        "students": " + ".join(pair),
        "GPUs": gpus,
        "steps": round(steps),
        "hours": f"{steps * seconds / 3600:.1f}",
        "images a second": round(batch * gpus / seconds),
        "MB a second": round(batch * gpus / seconds * kilobytes / 1000),
        "GB on disk": round(gigabytes),
    }


def main(table: Path) -> None:
    without = "step with 4 images without labels (mean_pair, pocket)"
    longer = next(float(row["ratio"]) for row in rows_of("bench.csv") if row["what"] == without)
    lines = []
    for pair in PAIRS:
        seconds, batch = step_seconds("cityscapes", pair, "collab")
        for gpus in (1, 8):  # the same images in all: as many steps less
            steps, what = STEPS / gpus, "Cityscapes: collab on 640000 crops"
            size = CITYSCAPES_KB, CITYSCAPES_GB
            lines.append(line(what, pair, gpus, steps, seconds, batch, *size))
    for pair in PAIRS:
        seconds, batch = step_seconds("voc", pair, "alone")
        for gpus in (1, 8, 64):
            steps = IMAGES / (batch * gpus)
            size = PHOTO_KB, IMAGES * PHOTO_KB / 1e6
            what = "10 million images without labels once: mean_pair"
            row = line(what, pair, gpus, steps, seconds * longer, 2 * batch, *size)
            lines.append(row)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else BENCH / "growth.csv")
