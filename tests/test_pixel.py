"""Pixel BSD against a slow loop over pixels, its properties with each of its settings, and settings that are refused."""

import pytest
import torch

from collab_seg.core import IGNORE_INDEX, StudentOutput, UserError
from collab_seg.losses.pixel import PixelBSD, soft_kl
from collab_seg.losses.properties import check_loss, random_pair

SETTINGS = [{}, {"temperature": 3.0}, {"margin": 0.7}, {"peer_correct": True}]


def by_loop(own, peer, target, mask, temperature=1.0, margin=0.0, peer_correct=False):
    """Pixel BSD for one student, one pixel at a time."""
    each, T = [], temperature
    for n, y, x in (target != IGNORE_INDEX).nonzero().tolist():
        own_z, peer_z, truth = own.logits[n, :, y, x], peer.logits[n, :, y, x], target[n, y, x]
        gap = peer_z.log_softmax(0)[truth] - own_z.log_softmax(0)[truth]  # nats that it is better
        if gap > margin and (not peer_correct or peer_z.argmax() == truth):
            p, q = (own_z / T).softmax(0), (peer_z / T).softmax(0)
            each.append(T**2 * (q * (q / p).log()).sum())
    assert len(each) == mask.sum()
    return sum(each) / max(1, len(each))


def balanced_by_loop(own, peer, target, mask):
    """The mean of each class first, then over classes."""
    means = []
    for k in range(own.logits.shape[1]):
        only = torch.where(target == k, target, IGNORE_INDEX)
        if (mask & (target == k)).any():
            means.append(by_loop(own, peer, only, mask & (target == k)))
    return sum(means) / max(1, len(means))


def test_the_loss_is_what_the_loop_says():
    one, two, labels = random_pair(void=0.3)
    fast = PixelBSD()(one, two, labels)
    slow = by_loop(one, two, labels, fast.maps["to_cnn"])
    assert fast.to_cnn.item() == pytest.approx(slow.item(), abs=1e-9)
    slow = by_loop(two, one, labels, fast.maps["to_vit"])
    assert fast.to_vit.item() == pytest.approx(slow.item(), abs=1e-9)


@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_the_properties_hold_for_each_setting(options):
    def loop(*pair):
        return by_loop(*pair, **options)

    held = check_loss(lambda low, high: PixelBSD(**options), loop, symmetric=True)
    assert held == "2, 3, 4, 6, 7, 8"
    one, two, labels = random_pair(void=0.3)
    maps = PixelBSD(**options)(one, two, labels).maps
    learners = maps["to_cnn"].int() + maps["to_vit"].int()
    assert learners.max() == 1 and not learners[labels == IGNORE_INDEX].any()  # 1: disjoint
    if not options:  # 1: they cover
        assert torch.equal(learners == 1, labels != IGNORE_INDEX)


def test_the_properties_hold_with_classes_balanced():
    check_loss(lambda low, high: PixelBSD(balance="class"), balanced_by_loop, symmetric=True)


def test_a_temperature_keeps_gradients_of_one_size():
    teacher, pulls = torch.tensor([[[[4.0]], [[3.0]], [[1.0]]]]), []
    for temperature in (1.0, 4.0):
        student = torch.zeros_like(teacher, requires_grad=True)
        value = soft_kl(student, teacher, temperature).sum()
        pulls.append(torch.autograd.grad(value, student)[0].abs().max().item())
    assert 0.2 < pulls[1] / pulls[0] < 5


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"temperature": 0}, "temperature is 0; needed: more than 0"),
        ({"margin": -1}, "margin is -1; needed: 0 or more"),
        ({"balance": "area"}, "balance is 'area'; known: pixel, class"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_refused(wrong, said):
    with pytest.raises(UserError, match=said):
        PixelBSD(**wrong)


def test_networks_that_are_no_students_of_this_kit_will_do():
    torch.manual_seed(0)
    nets = [torch.nn.Conv2d(3, 10, 3, padding=1) for _ in range(2)]
    photo, truth = torch.rand(2, 3, 16, 16), torch.randint(0, 10, (2, 16, 16))
    outputs = [StudentOutput(z, z, z) for z in (net(photo) for net in nets)]
    to_a, to_b, maps = PixelBSD()(*outputs, truth)
    (to_a + to_b).backward()
    assert min(net.weight.grad.abs().sum() for net in nets) > 0 and maps["valid"].all()
