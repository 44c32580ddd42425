"""What would the pixel term pass on, and is it right? Finished runs are looked at, on the pixels that are labelled.

    python studies/what_is_taught.py RUN [RUN ...] --out results/studies/what_is_taught.csv [--split val]

A line for each run and direction: the share of pixels where the peer has the lower cross-entropy, and of these the shares where
teacher and learner name the right class: both (only the teacher is surer), the teacher alone (something to learn), the learner
alone (never mind that the teacher's error is lower: the class it names is wrong), neither; and how far apart they are (KL, in
nats). `low_std` and `high_std` are the spread of the learner's feature maps, which the feature terms compare after normalising.
"""

import torch
from finished_runs import look_at

from collab_seg.config import config_sha
from collab_seg.core import IGNORE_INDEX, resize_label
from collab_seg.data.scenes import Scenes
from collab_seg.data.sources import open_source
from collab_seg.data.views import normalize
from collab_seg.losses.base import on_one_grid
from collab_seg.losses.pixel import pixel_directions, soft_kl
from collab_seg.training.evaluate import open_students


@torch.no_grad()
def rows_of(run: str, split: str) -> list[dict]:
    "The lines of a run: what either student would learn."
    cnn, vit, _, config = open_students(run)
    cnn.eval(), vit.eval()
    scenes = Scenes(
        open_source(config.data), split, config.data.root, config.data.read_size, cache=False
    )
    kinds = ("both right", "only the teacher right", "only the learner right", "neither right")
    sums = {way: dict.fromkeys(("labelled", "taught", "kl", *kinds), 0.0) for way in ("cnn", "vit")}
    spreads = {way: [] for way in sums}
    for image, label in scenes:
        images = normalize(image)[None]
        outputs = on_one_grid(cnn(images), vit(images))
        small = resize_label(label, outputs[0].logits.shape[-2:])[None]
        maps, known = (
            pixel_directions(*(student.logits for student in outputs), small),
            small != IGNORE_INDEX,
        )
        right = [(student.logits.max(1).indices == small) & known for student in outputs]
        for place, way in enumerate(sums):
            taught, own, peer = maps[f"to_{way}"], right[place], right[1 - place]
            found = (own & peer, ~own & peer, own & ~peer, ~own & ~peer)
            kl = soft_kl(outputs[place].logits, outputs[1 - place].logits)
            numbers = (
                known.sum(),
                taught.sum(),
                kl[taught].sum(),
                *((kind & taught).sum() for kind in found),
            )
            sums[way] = {
                name: total + float(number)
                for (name, total), number in zip(sums[way].items(), numbers)
            }
            spreads[way].append([float(outputs[place].low.std()), float(outputs[place].high.std())])
    lines = []
    for way, total in sums.items():
        shares = {kind: round(total[kind] / max(1, total["taught"]), 3) for kind in kinds}
        low, high = torch.tensor(spreads[way]).mean(0).tolist()
        lines.append(
            {
                "method": config.distill.method,
                "cnn": config.students.cnn,
                "vit": config.students.vit,
                "seed": config.optim.seed,
                "split": split,
                "learner": way,
                "taught": round(total["taught"] / max(1, total["labelled"]), 3),
                **shares,
                "kl": round(total["kl"] / max(1, total["taught"]), 3),
                "low_std": round(low, 3),
                "high_std": round(high, 3),
                "config_sha": config_sha(config),
            }
        )
    return lines


if __name__ == "__main__":
    look_at(__doc__, rows_of, split="val")
