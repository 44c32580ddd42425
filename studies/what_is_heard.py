"""How much of what its teacher says has a student taken over? Finished runs are looked at; no label is needed.

    python studies/what_is_heard.py RUN [RUN ...] --out results/studies/what_is_heard.csv

A line for each run and kind of images (without labels, as it was taught on them; labelled; val): in per cent of the pixels, how
often the CNN names the class that the ViT names, and the mIoU of the CNN's maps with the ViT's as if they were the truth.
"""

import torch
from finished_runs import look_at

from collab_seg.config import config_sha
from collab_seg.data.scenes import Scenes, labelled_rows
from collab_seg.data.sources import open_source
from collab_seg.data.unlabelled import open_unlabelled
from collab_seg.data.views import normalize
from collab_seg.students.base import likeliest
from collab_seg.training.evaluate import open_students, probabilities
from collab_seg.training.metrics import Confusion


def images_of(data) -> dict:
    "Kind -> images: those without labels, those with, and those of val."
    source = open_source(data)
    around = {"root": data.root, "size": data.read_size, "cache": False}
    return {
        "without labels": open_unlabelled(data, source),
        "labelled": Scenes(source, data.split, **around, rows=labelled_rows(source, data)),
        "val": Scenes(source, "val", **around),
    }


@torch.no_grad()
def rows_of(run: str) -> list[dict]:
    "The lines of a run."
    cnn, vit, learnt, config = open_students(run)
    cnn.eval(), vit.eval()
    lines = []
    for kind, images in images_of(config.data).items():
        count = Confusion(len(learnt.classes))
        for image in images:
            image = image[0] if isinstance(image, tuple) else image
            both = probabilities(cnn, vit, normalize(image)[None], image.shape[-2:])
            cnn_says, vit_says = (likeliest(both[way])[0] for way in ("cnn", "vit"))
            count.update(cnn_says, vit_says)
        found = count.score()
        lines.append(
            {
                "method": config.distill.method,
                "seed": config.optim.seed,
                "steps": config.optim.steps,
                "images": kind,
                "agree": round(100 * found.accuracy, 2),
                "miou_of_teacher": round(100 * found.miou, 2),
                "config_sha": config_sha(config),
            }
        )
    return lines


if __name__ == "__main__":
    look_at(__doc__, rows_of)
