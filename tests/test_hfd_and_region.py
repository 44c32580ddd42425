"""HFD and region BSD against slow loops, at void, ties and edges, and with settings that do not exist."""

import math

import pytest
import torch
import torch.nn.functional as F

from collab_seg.core import IGNORE_INDEX, UserError, row_sums
from collab_seg.losses.base import pixel_errors
from collab_seg.losses.hfd import HFD, AttentionTranslator, cosine_distance, linear_cka, normed
from collab_seg.losses.properties import check_loss, random_pair
from collab_seg.losses.region import REGION_DISTANCES, RegionBSD, region_mean, region_sum


def region_mean_by_loop(x, valid, size):
    """Mean over the valid cells of each window, one window at a time: (row, column) -> mean or None."""
    means = {}
    for top in range(0, x.shape[1], size):
        for left in range(0, x.shape[2], size):
            window = x[:, top : top + size, left : left + size]
            counts = valid[top : top + size, left : left + size]
            means[top // size, left // size] = window[:, counts].mean(1) if counts.any() else None
    return means


def hfd_by_loop(own, peer, target, mask):
    """HFD for one direction, place by place; the translator is all that it shares with the fast one."""
    torch.manual_seed(0)  # as check_loss does: the same parameters
    hfd, total = HFD(4, 6).double(), 0.0
    translate = hfd.from_cnn if own.low.shape[1] == 4 else hfd.from_vit
    like, places = translate(own.low, mask), mask.nonzero().tolist()
    for n, y, x in places:
        there = peer.low[n, :, y, x]
        wanted = (there - there.mean()) / (there.var(unbiased=False) + 1e-5).sqrt()
        total += 1 - F.cosine_similarity(like[n, :, y, x], wanted, dim=0)
    return total / len(places)


def region_bsd_by_loop(own, peer, target, mask, size=4):
    """Region BSD for one student, region by region; its high map comes projected."""
    each = []
    for n in range(len(target)):
        valid = target[n] != IGNORE_INDEX
        stack = [pixel_errors(s.logits, target)[n][None] for s in (own, peer)]
        stack += [own.high[n], peer.high[n]]
        e_own, e_peer, f_own, f_peer = (region_mean_by_loop(x, valid, size) for x in stack)
        for r in e_own:
            if e_own[r] is not None and e_peer[r] < e_own[r]:
                each.append(1 - F.cosine_similarity(f_own[r], f_peer[r], dim=0))
    assert len(each) == mask.sum()
    return sum(each) / max(1, len(each))


def test_hfd_shows_the_properties_of_a_loss():
    held = check_loss(lambda low, high: HFD(*low), hfd_by_loop, same_is_zero=False)
    assert held == "2, 3, 4, 6, 7, 8"
    one, two, labels = random_pair()
    known = labels != IGNORE_INDEX
    maps = HFD(4, 6).double()(one, two, labels).maps
    assert all(torch.equal(maps[name], known) for name in ("to_cnn", "to_vit", "valid"))  # 1
    like = HFD(4, 6).double().from_cnn(one.low, known)
    assert cosine_distance(like, like.detach(), known).abs() < 1e-12  # 3: what agrees is at 0
    assert normed(one.low).mean(1).abs().max() < 1e-6


def region_mean_maps(x, target):
    """Means over windows of `x` such that 4 cells are left along the longer side, by loops."""
    side = math.ceil(max(x.shape[-2:]) / 4)
    known, maps = target != IGNORE_INDEX, []
    for n in range(len(x)):
        loop = region_mean_by_loop(x[n], known[n], side)
        cells = [x.new_zeros(x.shape[1]) if mean is None else mean for mean in loop.values()]
        rows = 1 + max(row for row, _ in loop)
        maps.append(torch.stack(cells, 1).unflatten(1, (rows, -1)))
    return torch.stack(maps)


def test_hfd_on_a_coarser_grid_shows_the_properties_of_a_loss():
    def by_loop(own, peer, target, mask):
        small = [s._replace(low=region_mean_maps(s.low, target)) for s in (own, peer)]
        return hfd_by_loop(*small, target, mask)

    held = check_loss(lambda low, high: HFD(*low, cells=4), by_loop, same_is_zero=False)
    assert held == "2, 3, 4, 6, 7, 8"
    one, two, labels = random_pair(void=0.3)
    torch.manual_seed(0)
    full, same = HFD(4, 6).double(), HFD(4, 6, cells=max(labels.shape[1:])).double()
    same.load_state_dict(full.state_dict())
    assert same(one, two, labels).to_cnn == full(one, two, labels).to_cnn  # the map is no larger


def test_a_change_in_a_corner_reaches_every_place_through_the_attention():
    attend = AttentionTranslator(4, 6).double()
    maps, everywhere = torch.zeros(2, 4, 8, 12).double(), torch.ones(2, 8, 12).bool()
    maps[1, :, 0, 0] = torch.tensor([1.0, -2.0, 0.5, 3.0])
    still, moved = attend(maps, everywhere)
    assert ((moved - still).abs().sum(0) > 1e-12).all()


def test_unrelated_features_have_no_cka():
    generator = torch.Generator().manual_seed(0)
    x, other = (torch.randn(500, 6, generator=generator) for _ in range(2))
    turned = 3 * x @ torch.linalg.qr(torch.randn(6, 6, generator=generator))[0]
    assert abs(linear_cka(x, turned) - 1) < 1e-6 and linear_cka(x, other) < 0.1


def test_region_bsd_shows_the_properties_of_a_loss():
    held = check_loss(lambda low, high: RegionBSD(*high), region_bsd_by_loop)
    assert held == "2, 3, 4, 6, 7, 8"
    one, two, labels = random_pair(void=0.3)
    labels[0, :4, :4] = IGNORE_INDEX  # a region without any label
    maps = RegionBSD(6, 8).double()(one, two, labels).maps
    learners = maps["to_cnn"].int() + maps["to_vit"].int()
    assert torch.equal(learners == 1, maps["valid"]) and learners.max() == 1  # 1: nothing ties
    assert not maps["valid"][0, 0, 0]


LAYOUTS = {"pooled": torch.contiguous_format, "by rows": torch.channels_last}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_means_of_regions_are_those_of_a_loop(layout):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 7, 10, generator=generator).to(memory_format=layout)
    valid = torch.rand(2, 7, 10, generator=generator) > 0.6
    valid[0, :4, :4] = False
    means, has = region_mean(x, valid, 4)
    assert has.shape == (2, 2, 3) and not has[0, 0, 0]
    for n in range(2):
        for (row, column), mean in region_mean_by_loop(x[n], valid[n], 4).items():
            assert (mean is None) == (not has[n, row, column])
            assert mean is None or torch.allclose(mean, means[n, :, row, column], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "shape, size", [((2, 3, 7, 10), 4), ((1, 2, 3, 3), 5), ((3, 64, 8, 8), 2), ((2, 4, 5, 2), 1)]
)
def test_both_ways_to_add_up_windows_give_the_same_bits(shape, size, dtype):
    """Sums and gradients, with void cells, windows that are cut off, and windows that are all void."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, dtype=dtype).to(memory_format=torch.channels_last)
    valid = torch.rand(shape[0], *shape[2:], generator=generator) > 0.4
    valid[0, :size, :size] = False
    ways = [x.clone().requires_grad_() for _ in range(2)]
    sums = row_sums(ways[0], valid, size), region_sum(ways[1] * valid[:, None], size)
    weights = torch.randn(sums[1].shape, generator=generator, dtype=dtype)
    for each in sums:
        (weights * each).sum().backward()
    assert torch.equal(*sums) and torch.equal(ways[0].grad, ways[1].grad)
    assert (sums[0][0, :, 0, 0] == 0).all() and (ways[0].grad[0, :, :size, :size] == 0).all()
    assert row_sums(x.bfloat16(), valid, size) is None  # its rounding would add up
    assert row_sums(x[:, :, ::2], valid[:, ::2], size) is None  # no list of rows


@pytest.mark.parametrize("distance", REGION_DISTANCES.values(), ids=REGION_DISTANCES)
def test_equal_features_are_at_no_distance(distance):
    features = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    known = torch.ones(1, 4, 4, dtype=torch.bool)
    assert distance(features, features, known, 2).abs().max() < 1e-9
    assert (distance(3 * features, features, known, 2)).abs().max() < 1e-9  # the length of all


@pytest.mark.parametrize(
    ("settings", "message"),
    [((0,), "region_size is 0; needed: 1"), ((4, "euclid"), "region_distance is 'euclid'; known")],
)
def test_settings_of_region_bsd_that_do_not_exist(settings, message):
    with pytest.raises(UserError, match=message):
        RegionBSD(6, 8, *settings)
