"""Writes results/bench/benchmark_gpu.csv: what a step of each preset, pair and method takes on the GPU that is here, at full crop and batch.

python tools/benchmark_gpu.py [TABLE]

Seconds are those of a step on a batch that lies on the GPU already (median of the timed ones, and their quartiles); `busy` is
the share of them in which the GPU computes. Where the machine has no git, COLLAB_SEG_COMMIT says which commit this is.
"""

import dataclasses
import itertools
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from benchmark_cost import ROOT, SIZES

from collab_seg.data.sources import open_source
from collab_seg.presets import PAIRS, PRESETS
from collab_seg.training.cost import crop_flops
from collab_seg.training.device import forget_peak, peak_mb
from collab_seg.training.run import environment
from collab_seg.use.bench_training import Trainer, random_batch
from collab_seg.use.measure import Setting, clock

PEAKS = {
    "H100": 989e12,
    "H200": 989e12,
    "A100": 312e12,
}  # FLOP/s in bf16 without sparsity, by the data sheets of the SXM modules
WARM, TIMED = 5, 15


def kernel_seconds(call) -> float:
    """The seconds in which the GPU computes during a call."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        call()
        torch.cuda.synchronize()
    return sum(event.self_device_time_total for event in profile.key_averages()) / 1e6


def step_row(preset: str, pair: str, method: str, precision: str) -> dict:
    """One line: a step of both students."""
    config = PRESETS[preset]
    students = dataclasses.replace(
        config.students, **PAIRS[pair], cnn_weights=None, vit_weights=None
    )
    config = dataclasses.replace(
        config,
        students=students,
        distill=dataclasses.replace(config.distill, method=method),
        optim=dataclasses.replace(config.optim, precision=precision, sync_batchnorm=False),
    )
    classes, optim = len(open_source(config.data).classes), config.optim
    row = {
        "preset": preset,
        "cnn": students.cnn,
        "vit": students.vit,
        "terms": method,
        "precision": precision,
        "crop": "x".join(map(str, config.data.crop)),
        "batch_size": optim.batch_size,
    }
    forget_peak()
    trainer = Trainer(config, classes)
    batch = [x.cuda() for x in random_batch(config, classes)]
    marks = [clock(Setting())]
    for _ in range(WARM + TIMED):
        trainer(*batch)
        marks.append(clock(Setting()))
    low, median, high = np.quantile(np.diff(marks)[WARM:], (0.25, 0.5, 0.75))
    memory, flops = peak_mb("cuda"), sum(crop_flops(config, classes).values())
    speed = optim.batch_size * flops / median
    peak = next(
        (peak for name, peak in PEAKS.items() if name in torch.cuda.get_device_name()), None
    )
    return row | {
        "seconds_a_step": round(median, 4),
        "quartiles": f"{low:.4f}-{high:.4f}",
        "images_per_s": round(optim.batch_size / median, 1),
        "peak_mb": memory,
        "busy": round(kernel_seconds(lambda: trainer(*batch)) / median, 2),
        "gflop_image": round(flops / 1e9, 1),
        "tflop_per_s": round(speed / 1e12, 1),
        "share_of_bf16_peak": peak and round(speed / peak, 4),
        "hours_a_run": round(median * optim.steps / 3600, 2),
    }


def main(table: Path) -> None:
    around = environment("cuda")
    here = {
        "gpu": around["gpu"],
        "torch": around["torch"],
        "commit": os.environ.get("COLLAB_SEG_COMMIT", around["commit"]),
    }
    cases = [
        *itertools.product(SIZES, PAIRS, ("alone", "collab"), ("bf16",)),
        *(
            ("camvid", next(iter(PAIRS)), method, precision)
            for method in ("alone", "collab")
            for precision in ("no", "fp16")
        ),
    ]
    rows = []
    for case in cases:
        rows.append(step_row(*case) | here)
        print(rows[-1], flush=True)
        pd.DataFrame(rows).to_csv(table, index=False)
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "results" / "bench" / "benchmark_gpu.csv")
