"""Ways beyond the method, most of them no settings of the kit: does one of them make collaborating pay?

    python studies/camvid_beyond.py --root CAMVID --out DIR        several at once share DIR; the same line goes on

Learnt on the training images without one sequence (`fit`), scored on that sequence (`held_out`), for this is a search; else as
camvid_pocket.toml. What won would become a setting; until then each idea is a few lines here. results/studies/camvid_beyond.csv has
the rows, results/LOG.md what they say. The config.json of such a run does not tell what was put in the place of Pair: its label,
which names its folder, does. So this script does a run again, and `collab-seg reproduce` cannot.
"""

import argparse
from dataclasses import replace

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from collab_seg.config import Config
from collab_seg.presets import PRESETS
from collab_seg.core import StudentOutput
from collab_seg.losses.base import on_one_grid
from collab_seg.losses.controls import gated
from collab_seg.losses.pixel import pixel_directions
from collab_seg.studies.plan import PlannedRun, StudyPlan
from collab_seg.studies.runs import prepare_folder, try_run
from collab_seg.training import loop
from collab_seg.training.optim import make_optimizer
from collab_seg.training.step import Pair


class SlowPeers(Pair):
    """The teachers are running means of the students (Tarvainen and Valpola, NeurIPS 2017: mean
    teachers)."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.slow = AveragedModel(
            nn.ModuleList([self.cnn, self.vit]), multi_avg_fn=get_ema_multi_avg_fn(0.99)
        ).requires_grad_(False)

    def forward(self, images, target):
        self.slow.update_parameters(nn.ModuleList([self.cnn, self.vit]))
        with torch.no_grad():
            teachers = [student.train()(images) for student in self.slow.module]
        cnn, vit = self.cnn(images), self.vit(images)
        terms, shares = self.terms(cnn, vit, target)
        slow_cnn, slow_vit = self.taught_by(*teachers)
        for name, loss in self.losses.items():
            terms[f"{name}_to_cnn"] = loss(cnn, slow_vit, target).to_cnn
            terms[f"{name}_to_vit"] = loss(slow_cnn, vit, target).to_vit
        return terms, shares

    def taught_by(self, cnn, vit):
        "What stands in for the CNN where the ViT learns, and for the ViT where the CNN learns."
        return cnn, vit


class SlowEnsemble(SlowPeers):
    """Both learn from the mean of the predictions of both running means (as PCL: Wu and Gong, AAAI
    2021)."""

    def taught_by(self, cnn, vit):
        both = on_one_grid(cnn, vit)
        mean = (
            torch.stack([student.logits.softmax(1) for student in both])
            .mean(0)
            .clamp(min=1e-8)
            .log()
        )
        return [StudentOutput(student.low, student.high, mean) for student in both]


class OwnViews(Pair):
    """Each student sees the same crop in light and colours of its own (as KDCL: Guo et al., CVPR
    2020)."""

    def forward(self, images, target):
        return self.terms(self.cnn(self.view(images)), self.vit(self.view(images)), target)

    def view(self, images):
        size = (len(images), 3, 1, 1)
        light = images * images.new_empty(size).uniform_(0.7, 1.3) + images.new_empty(
            size
        ).uniform_(-0.3, 0.3)
        return light + 0.1 * torch.randn_like(images)


class Uncertainty(Pair):
    """The weight of each term is learnt, from its size (Kendall, Gal and Cipolla, CVPR 2018); that
    of the tasks stays 1."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.log_variance = nn.ParameterDict(
            {
                f"{name}_to_{way}": torch.zeros(())
                for name in ("hfd", "region", "pixel")
                for way in ("cnn", "vit")
            }
        )

    def terms(self, cnn, vit, target):
        terms, shares = super().terms(cnn, vit, target)
        weighed = {name: (-s).exp() * terms[name] + s / 2 for name, s in self.log_variance.items()}
        return terms | weighed, shares


class BalancedPull(Pair):
    """Each term pulls at its student with a fifth of the task's strength: gradient norms, measured
    every 20 steps (after GradNorm)."""

    share, every = 0.2, 20

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.count, self.scales = 0, {}

    def terms(self, cnn, vit, target):
        terms, shares = super().terms(cnn, vit, target)
        if self.count % self.every == 0:
            for way in ("cnn", "vit"):
                norms = {
                    name: self.pull(value, getattr(self, way))
                    for name, value in terms.items()
                    if name.endswith(way)
                }
                task = norms.pop(f"ce_{way}")
                for name, norm in norms.items():
                    scale = min(10.0, self.share * task / max(norm, 1e-12))
                    self.scales[name] = 0.7 * self.scales.get(name, scale) + 0.3 * scale
        self.count += 1
        return {name: self.scales.get(name, 1.0) * value for name, value in terms.items()}, shares

    @staticmethod
    def pull(value, student):
        grads = torch.autograd.grad(
            value, list(student.parameters()), retain_graph=True, allow_unused=True
        )
        return float(torch.stack([grad.norm() for grad in grads if grad is not None]).norm())


def mistakes(loss, cnn, vit, label) -> dict:
    "Masks of pixels that a student gets wrong and its peer right."
    maps = pixel_directions(cnn.logits, vit.logits, label, peer_correct=True)
    wrong = {"to_cnn": cnn.logits.argmax(1) != label, "to_vit": vit.logits.argmax(1) != label}
    return maps | {way: maps[way] & wrong[way] for way in wrong}


class OnlyMistakes(Pair):
    """The pixel term teaches where there is something to learn, and nowhere else (see
    what_is_taught.py)."""

    def terms(self, cnn, vit, target):
        gated(self.losses["pixel"], mistakes)
        return super().terms(cnn, vit, target)


def fast_heads(pair, config):
    """The optimiser with five times the rate for what only distillation has: the layers that
    translate between students."""
    optimizer = make_optimizer(pair, config)
    heads = {id(p): p for p in pair.losses.parameters()}
    for group in optimizer.param_groups:
        group["params"] = [p for p in group["params"] if id(p) not in heads]
    optimizer.add_param_group(
        {"params": list(heads.values()), "lr": config.lr, "weight_decay": 0.0, "factor": 5.0}
    )
    return optimizer


def base() -> Config:
    "What camvid_pocket.toml sets, with the pixel term by class, on the split to search on."
    pocket = PRESETS["pocket"]
    return replace(
        pocket,
        data=replace(pocket.data, split="fit"),
        optim=replace(pocket.optim, class_balance=0.5),
        distill=replace(
            pocket.distill,
            method="collab",
            hfd_weight=2.0,
            region_weight=2.0,
            pixel_weight=0.3,
            balance="class",
        ),
    )


def tries() -> dict[str, tuple]:
    "Label -> (settings, the pair that trains, the optimiser)."
    collab = base()

    def distill(**changes):
        return replace(collab, distill=replace(collab.distill, **changes))

    def strong(config):
        return replace(config, data=replace(config.data, scale=(0.5, 2.0), jitter=0.6))

    alone, ones = (
        distill(method="alone"),
        distill(hfd_weight=1.0, region_weight=1.0, pixel_weight=1.0),
    )
    return {
        "alone": (alone,),
        "collab": (collab,),
        "collab_slow_peers": (collab, SlowPeers),
        "slow_ensemble": (distill(method="dml", peer_weight=1.0), SlowEnsemble),
        "alone_own_views": (alone, OwnViews),
        "collab_own_views": (collab, OwnViews),
        "collab_uncertainty": (ones, Uncertainty),
        "collab_balanced_pull": (ones, BalancedPull),
        "collab_fast_heads": (collab, Pair, fast_heads),
        "collab_affinity": (distill(region_distance="affinity"),),
        "collab_cells": (distill(region_distance="cells"),),
        "alone_strong": (strong(alone),),
        "collab_strong": (strong(collab),),
        "collab_late": (distill(start=0.5),),
        "collab_peer_correct": (distill(peer_correct=True),),
        "collab_only_mistakes": (collab, OnlyMistakes),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", required=True, help="folder of CamVid")
    parser.add_argument("--out", required=True, help="folder of the runs and of camvid_beyond.csv")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=2000)
    asked = parser.parse_args()
    plan, makers = [], {}
    for seed in asked.seeds:
        for label, (config, *made) in tries().items():
            config = replace(
                config,
                data=replace(config.data, root=asked.root),
                optim=replace(config.optim, seed=seed, steps=asked.steps),
            )
            plan.append(PlannedRun(label, config))
            makers[label] = (*made, *(Pair, make_optimizer)[len(made) :])
    study = StudyPlan("camvid_beyond", "ways beyond the method", "held_out", tuple(plan))
    attempt = prepare_folder(study, asked.out)
    for run in plan:
        loop.Pair, loop.make_optimizer = makers[run.label]
        print(run.folder, try_run(study, run, asked.out, attempt, progress=False), flush=True)


if __name__ == "__main__":
    main()
