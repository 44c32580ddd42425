"""Our losses against torchdistill's, where it has the same formula; a difference of normaliser is stated."""

import pytest
import torch

from collab_seg.losses.features import attention_gap, channel_kl, feature_mse
from collab_seg.losses.others import (
    Mutual,
    correlation_gap,
    kdcl,
    linear_mix,
    lower_error,
    min_logit,
    mutual_kl,
)
from collab_seg.losses.pixel import soft_kl
from collab_seg.losses.properties import random_pair

theirs = pytest.importorskip(
    "torchdistill.losses.mid_level", reason="torchdistill is not installed"
)


def both(own, peer):
    """What torchdistill expects: what each of two models gave at its module `out`."""
    return {"out": {"output": own}}, {"out": {"output": peer}}


def rows(logits):
    """One row a pixel: torchdistill's losses on predictions know images, not pixels."""
    return logits.movedim(1, -1).flatten(0, 2)


@pytest.fixture
def pair():
    """Two students of one width, and labels without void, which torchdistill does not know."""
    return random_pair(high=(6, 6), void=0.0, seed=5)


def kd(own, peer, temperature):
    """Their KD loss; it leaves T² out where no label is given."""
    loss = theirs.KDLoss("out", "output", "out", "output", temperature=temperature, beta=1.0)
    return temperature**2 * loss(*both(own, peer))


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_mutual_kl_is_their_kd_loss_per_pixel(pair, temperature):
    cnn, vit, label = pair
    ours = Mutual(mutual_kl, temperature=temperature)(cnn, vit, label)
    assert ours.to_cnn.item() == pytest.approx(
        kd(rows(cnn.logits), rows(vit.logits), temperature).item(), abs=1e-5
    )
    assert ours.to_vit.item() == pytest.approx(
        kd(rows(vit.logits), rows(cnn.logits), temperature).item(), abs=1e-5
    )


@pytest.mark.parametrize("ensemble", [lower_error, min_logit, linear_mix])
def test_kdcl_is_their_kd_loss_with_the_ensemble_as_teacher(pair, ensemble):
    cnn, vit, label = pair
    teacher = ensemble(cnn.logits.detach(), vit.logits.detach(), label)
    ours = Mutual(kdcl, ensemble=ensemble, temperature=2.0)(cnn, vit, label)
    assert ours.to_cnn.item() == pytest.approx(
        kd(rows(cnn.logits), rows(teacher), 2.0).item(), abs=1e-5
    )
    assert ours.to_vit.item() == pytest.approx(
        kd(rows(vit.logits), rows(teacher), 2.0).item(), abs=1e-5
    )


def test_correlation_gap_is_their_dist_loss_per_pixel(pair):
    cnn, vit, label = pair
    loss = theirs.DISTLoss("out", "output", "out", "output")
    ours = Mutual(correlation_gap)(cnn, vit, label)
    assert ours.to_cnn.item() == pytest.approx(
        loss(*both(rows(cnn.logits), rows(vit.logits))).item(), abs=1e-5
    )
    assert ours.to_vit.item() == pytest.approx(
        loss(*both(rows(vit.logits), rows(cnn.logits))).item(), abs=1e-5
    )


def test_attention_gap_is_their_at_loss_times_the_number_of_cells(pair):
    """Normaliser: theirs (mode "code") is the mean over images and cells, ours the sum over cells, mean over images."""
    cnn, vit, label = pair
    path = {"io": "output", "path": "out"}
    loss = theirs.ATLoss({"high": {"student": path, "teacher": path}}, mode="code")
    cells = label[0].numel()
    ours = Mutual(attention_gap)(cnn, vit, label)
    assert ours.to_cnn.item() == pytest.approx(
        cells * loss(*both(cnn.high, vit.high)).item(), abs=1e-5
    )


def test_feature_mse_is_the_wrapped_mse_of_their_fitnet(pair):
    """Their FitNet is an MSE loss around a pair of modules; the regressor is ours here."""
    cnn, vit, label = pair
    at = {"is_from_teacher": False, "module_path": "out", "io": "output"}
    loss = theirs.SimpleLossWrapper(
        torch.nn.MSELoss(), input=at, target=at | {"is_from_teacher": True}
    )
    ours = Mutual(feature_mse, channels=(6, 6)).double()
    projected = ours.from_cnn(cnn.high)
    want = loss(*both(projected, vit.high), None).item()
    assert ours(cnn, vit, label).to_cnn.item() == pytest.approx(want, abs=1e-5)


def test_channel_kl_is_their_kd_loss_with_channels_as_samples(pair):
    """torchdistill has no CWD: its KD loss with one row a channel and one column a cell is the same formula."""
    cnn, vit, label = pair
    ours = Mutual(channel_kl, temperature=4.0)(cnn, vit, label)
    channels = [s.high.flatten(2).flatten(0, 1) for s in (cnn, vit)]
    assert ours.to_cnn.item() == pytest.approx(kd(*channels, 4.0).item(), abs=1e-5)


def test_gradients_agree_as_well(pair):
    cnn, vit, label = pair
    dist = theirs.DISTLoss("out", "output", "out", "output")
    cases = [
        (Mutual(mutual_kl, temperature=3.0), lambda z: kd(rows(z), rows(vit.logits.detach()), 3.0)),
        (Mutual(correlation_gap), lambda z: dist(*both(rows(z), rows(vit.logits.detach())))),
    ]
    for ours, their in cases:
        (mine,) = torch.autograd.grad(ours(cnn, vit, label).to_cnn, cnn.logits)
        (other,) = torch.autograd.grad(their(cnn.logits), cnn.logits)
        assert mine.abs().sum() > 0 and torch.allclose(mine, other, atol=1e-7)


def test_void_pixels_are_as_if_they_were_not_there(pair):
    """Where theirs knows no void, ours with void equals theirs on the labelled pixels alone."""
    cnn, vit, label = pair
    label = label.clone()
    label[:, ::2, 1:] = 255
    known = (label != 255).flatten()
    dist = theirs.DISTLoss("out", "output", "out", "output")
    own, peer = (rows(s.logits)[known] for s in (cnn, vit))
    for ours, want in (
        (Mutual(mutual_kl), kd(own, peer, 1.0)),
        (Mutual(correlation_gap), dist(*both(own, peer))),
    ):
        assert ours(cnn, vit, label).to_cnn.item() == pytest.approx(want.item(), abs=1e-5)


def test_the_comparison_can_fail(pair):
    """A loss with the students' roles exchanged is told apart by more than the tolerance."""
    cnn, vit, label = pair
    backwards = soft_kl(vit.logits, cnn.logits, 1.0).mean().item()
    assert abs(backwards - kd(rows(cnn.logits), rows(vit.logits), 1.0).item()) > 1e-3
