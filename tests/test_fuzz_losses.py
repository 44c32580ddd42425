"""Any shapes, types, strides and values: a loss between two students is finite and right, or a ValueError, never NaN."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch
from conftest import record
from hypothesis import given, settings
from hypothesis import strategies as st

from collab_seg.config import DistillConfig
from collab_seg.core import IGNORE_INDEX, StudentOutput
from collab_seg.losses.hfd import HFD, HFD_DISTANCES
from collab_seg.losses.methods import TERMS
from collab_seg.losses.pixel import PixelBSD
from collab_seg.losses.region import REGION_DISTANCES, RegionBSD
from collab_seg.training.step import task_loss

FUZZ = settings(derandomize=True, deadline=None, database=None, print_blob=False)
TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
side = st.integers(1, 13)
size = st.tuples(side, side)


@st.composite
def maps(draw, batch, channels, grid, dtype):
    """A map (B, C, h, w) of any values and strides."""
    kind = draw(st.sampled_from(["normal", "large", "huge", "zero", "constant", "one hot", "tiny"]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))
    x = torch.randn(batch, channels, *grid, generator=generator, dtype=torch.float64)
    x = {
        "normal": x,
        "large": 100 * x,
        "huge": (1e4 * x).clamp(-1e4, 1e4),
        "zero": 0 * x,
        "constant": torch.full_like(x, 3.0),
        "one hot": 1e4 * (x == x.amax(1, keepdim=True)),
        "tiny": 1e-6 * x,
    }[kind].to(dtype)
    layout = draw(
        st.sampled_from(
            ["plain", "transposed", "channels last", "every second", "expanded", "reversed rows"]
        )
    )
    if layout == "transposed":
        return x.transpose(2, 3).contiguous().transpose(2, 3)
    if layout == "channels last":
        return x.contiguous(memory_format=torch.channels_last)
    if layout == "every second":
        wide = torch.full((batch, channels, grid[0], 2 * grid[1]), 9.0, dtype=dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    if layout == "expanded":
        return x[:, :1].expand(-1, channels, -1, -1)
    return x.flip(2).contiguous().flip(2) if layout == "reversed rows" else x


@st.composite
def pairs(draw, types=TYPES):
    """Outputs of two students and labels."""
    batch, classes, dtype = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 8)),
        draw(st.sampled_from(types)),
    )
    students = []
    for _ in range(2):
        low, high = draw(st.integers(1, 9)), draw(st.integers(1, 9))
        grid = draw(size)
        students.append(
            StudentOutput(
                draw(maps(batch, low, draw(size), dtype)),
                draw(maps(batch, high, grid, dtype)),
                draw(maps(batch, classes, grid, dtype)),
            )
        )
    height, width = draw(size)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))
    target = torch.randint(0, classes, (batch, height, width), generator=generator)
    kind = draw(
        st.sampled_from(
            ["some void", "no void", "all void", "one image void", "one class", "one pixel"]
        )
    )
    if kind == "some void":
        target[torch.rand(target.shape, generator=generator) < 0.5] = IGNORE_INDEX
    elif kind == "all void":
        target.fill_(IGNORE_INDEX)
    elif kind == "one image void":
        target[0] = IGNORE_INDEX
    elif kind == "one class":
        target.fill_(classes - 1)
    elif kind == "one pixel":
        target.flatten()[1:] = IGNORE_INDEX
    if draw(st.booleans()):
        target = target.transpose(1, 2).contiguous().transpose(1, 2)
    return *students, target


def leaves(student, dtype=None, contiguous=False):
    """The same maps, ready for gradients; strides stay unless a contiguous copy is asked for."""
    kept = []
    for x in student:
        x = x.to(dtype) if dtype else x
        kept.append(
            (
                x.clone(memory_format=torch.contiguous_format) if contiguous else x.detach()
            ).requires_grad_()
        )
    return StudentOutput(*kept)


def seeded(make, cnn, vit, dtype):
    """A loss for two such students, with the same first weights each time."""
    torch.manual_seed(0)
    widths = [
        SimpleNamespace(
            low_channels=s.low.shape[1],
            high_channels=s.high.shape[1],
            num_classes=s.logits.shape[1],
        )
        for s in (cnn, vit)
    ]
    return make(*widths).to(torch.float64 if dtype == torch.float64 else torch.float32)


def values(loss, cnn, vit, target):
    """Both scalars and all gradients."""
    torch.manual_seed(0)  # a control may draw a mask
    result = loss(cnn, vit, target)
    (result.to_cnn + result.to_vit).backward()
    gradients = [x.grad for x in (*cnn, *vit) if x.grad is not None] + [
        p.grad for p in loss.parameters()
    ]
    return result, gradients


def in_range(gradient) -> bool:
    """Finite; or, in float16 alone, infinite: features next to 0 may have a gradient above 65504, and the scaler skips the step."""
    return bool(
        (gradient.isfinite() | (gradient.isinf() & (gradient.dtype == torch.float16))).all()
    )


def check(make, cnn, vit, target):
    """Finite with finite gradients; at least 0; exactly 0 where all is void; strides and copies change nothing."""
    dtype, fine = cnn.low.dtype, False
    try:
        loss = seeded(make, cnn, vit, dtype)
        result, gradients = values(loss, leaves(cnn), leaves(vit), target)
        for value in (result.to_cnn.detach(), result.to_vit.detach()):
            assert value.ndim == 0 and math.isfinite(value) and value > -1e-3, value
        assert all(gradient is not None and in_range(gradient) for gradient in gradients)
        valid = result.maps["valid"]
        for name in ("to_cnn", "to_vit"):
            assert result.maps[name].dtype == torch.bool and not (result.maps[name] & ~valid).any()
        if (target == IGNORE_INDEX).all():
            assert result.to_cnn == 0 and result.to_vit == 0
        double = seeded(make, cnn, vit, torch.float64)
        a, gradients = values(
            double, leaves(cnn, torch.float64), leaves(vit, torch.float64), target
        )
        assert all(gradient.isfinite().all() for gradient in gradients)
        b, _ = values(
            double,
            leaves(cnn, torch.float64, True),
            leaves(vit, torch.float64, True),
            target.clone(memory_format=torch.contiguous_format),
        )
        for one, other in zip(a[:2], b[:2]):
            assert one.item() == pytest.approx(other.item(), rel=1e-9, abs=1e-9)
        fine = True
    finally:
        record("any input of a loss", 1, int(fine), 0)


@pytest.mark.parametrize("distance", HFD_DISTANCES)
@settings(FUZZ, max_examples=50)
@given(pair=pairs())
def test_hfd(distance, pair):
    check(lambda cnn, vit: HFD(cnn.low_channels, vit.low_channels, distance), *pair)


@pytest.mark.parametrize("distance", REGION_DISTANCES)
@settings(FUZZ, max_examples=50)
@given(pair=pairs(), cells=st.integers(1, 9))
def test_region_bsd(distance, pair, cells):
    check(lambda cnn, vit: RegionBSD(cnn.high_channels, vit.high_channels, cells, distance), *pair)


@settings(FUZZ, max_examples=100)
@given(
    pair=pairs(),
    temperature=st.sampled_from([0.25, 1.0, 4.0, 100.0]),
    margin=st.sampled_from([0.0, 0.5, 1e4]),
    peer_correct=st.booleans(),
    balance=st.sampled_from(["pixel", "class"]),
)
def test_pixel_bsd(pair, temperature, margin, peer_correct, balance):
    check(lambda cnn, vit: PixelBSD(temperature, margin, peer_correct, balance), *pair)


CHANGES = [
    {},
    {"region_size": 3, "temperature": 4.0, "balance": "class"},
    {"region_distance": "affinity", "hfd_distance": "channel"},
]


@pytest.mark.parametrize("term", TERMS)
@settings(FUZZ, max_examples=25)
@given(pair=pairs(), change=st.sampled_from(CHANGES))
def test_every_loss_of_the_registry(term, pair, change):
    distill = dataclasses.replace(DistillConfig(), **change)
    check(lambda cnn, vit: TERMS[term].build(distill, cnn, vit), *pair)


@settings(FUZZ, max_examples=120)
@given(pair=pairs())
def test_the_task_loss(pair):
    cnn, _, target = pair
    logits = cnn.logits.detach().requires_grad_()
    loss = task_loss(logits, target)
    loss.backward()
    assert math.isfinite(loss) and logits.grad.isfinite().all() and loss >= 0
    if (target == IGNORE_INDEX).all():
        assert loss == 0
    copy = task_loss(
        cnn.logits.clone(memory_format=torch.contiguous_format),
        target.clone(memory_format=torch.contiguous_format),
    )
    assert float(loss) == pytest.approx(float(copy), rel=1e-5, abs=1e-6)
    full = torch.nn.functional.interpolate(
        cnn.logits.float(), size=target.shape[-2:], mode="bilinear"
    )
    known = target != IGNORE_INDEX
    own = full.log_softmax(1).gather(1, target.where(known, 0)[:, None])[:, 0]
    expected = -(own * known).sum() / known.sum().clamp(min=1)
    assert float(loss) == pytest.approx(float(expected), rel=1e-4, abs=1e-4)


WRONG = {
    "a batch more in the labels": lambda c, v, t: (c, v, torch.cat([t, t])),
    "labels with channels": lambda c, v, t: (c, v, t[:, None]),
    "labels of a fraction": lambda c, v, t: (c, v, t.float()),
    "a class too many": lambda c, v, t: (c, v, t.clone().fill_(c.logits.shape[1])),
    "a class below 0": lambda c, v, t: (c, v, t.clone().fill_(-1)),
    "other classes": lambda c, v, t: (c._replace(logits=torch.cat([c.logits, c.logits], 1)), v, t),
    "logits without a batch": lambda c, v, t: (c._replace(logits=c.logits[0]), v, t),
    "a low map of another batch": lambda c, v, t: (c, v._replace(low=torch.cat([v.low, v.low])), t),
}


def plain_pair():
    """Two students and labels in which nothing is unusual."""
    torch.manual_seed(0)
    cnn, vit = (
        StudentOutput(*(torch.randn(2, channels, 4, 4) for channels in (3, 3, 5))) for _ in range(2)
    )
    return cnn, vit, torch.zeros(2, 4, 4, dtype=torch.long)


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("term", TERMS)
def test_what_does_not_fit_is_a_value_error(term, name):
    cnn, vit, target = plain_pair()
    loss = seeded(lambda c, v: TERMS[term].build(DistillConfig(), c, v), cnn, vit, torch.float32)
    with pytest.raises(ValueError, match="needed"):
        loss(*WRONG[name](cnn, vit, target))


@pytest.mark.parametrize("part", ["low", "high", "logits", "target"])
@pytest.mark.parametrize("term", TERMS)
def test_an_empty_map_is_a_value_error(term, part):
    cnn, vit, target = plain_pair()
    loss = seeded(lambda c, v: TERMS[term].build(DistillConfig(), c, v), cnn, vit, torch.float32)
    if part == "target":
        target = target[:, :0]
    else:
        cnn = cnn._replace(**{part: getattr(cnn, part)[..., :0]})
    with pytest.raises(ValueError, match="needed"):
        loss(cnn, vit, target)


@pytest.mark.parametrize(
    "logits, target",
    [
        (torch.zeros(2, 3, 4, 4), torch.zeros(1, 4, 4).long()),
        (torch.zeros(3, 4, 4), torch.zeros(3, 4, 4).long()),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4)),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 0, 4).long()),
        (torch.zeros(2, 3, 4, 0), torch.zeros(2, 4, 4).long()),
        (torch.zeros(0, 3, 4, 4), torch.zeros(0, 4, 4).long()),
    ],
)
def test_the_task_loss_says_what_does_not_fit(logits, target):
    with pytest.raises(ValueError, match="needed"):
        task_loss(logits, target)
