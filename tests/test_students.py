"""The two students' parts against slow references, and at the edges."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from collab_seg.core import to_map, to_tokens
from collab_seg.students.cnn import ASPP
from collab_seg.students.encoders import TimmEncoder
from collab_seg.students.vit import Block, EfficientSelfAttention, MixFFN


def dilated_by_loop(x, weight, dilation):  # (H, W), (3, 3)
    """A dilated convolution, one weight of one cell at a time."""
    out = torch.zeros_like(x)
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    y, z = row + down * dilation, column + right * dilation
                    if 0 <= y < x.shape[0] and 0 <= z < x.shape[1]:
                        out[row, column] += weight[down + 1, right + 1] * x[y, z]
    return out


@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_a_dilated_convolution_is_its_loop(dilation):
    torch.manual_seed(0)
    x, weight = torch.randn(6, 8), torch.randn(3, 3)
    fast = F.conv2d(x[None, None], weight[None, None], padding=dilation, dilation=dilation)[0, 0]
    assert torch.allclose(dilated_by_loop(x, weight, dilation), fast, atol=1e-5)


def test_aspp_takes_a_map_of_one_cell():
    assert ASPP(160, 64).eval()(torch.rand(1, 160, 1, 1)).shape == (1, 64, 1, 1)


def test_the_deepest_map_sees_the_whole_image_and_weights_leave_a_small_one():
    torch.manual_seed(0)
    pixels = torch.rand(1, 3, 120, 160, requires_grad=True)
    TimmEncoder("mobilenetv2_050", 16).eval()(pixels)[-1][0, :, 4, 5].square().sum().backward()
    assert (pixels.grad[0].abs().sum(0) > 0).float().mean() > 0.99
    ones, weights = torch.ones(1, 1, 6, 8), torch.ones(1, 1, 3, 3)
    assert F.conv2d(ones, weights, padding=12, dilation=12).mean() == 1.0
    large = F.conv2d(torch.ones(1, 1, 32, 64), weights, padding=6, dilation=6)
    assert large.mean() > 6


def attention_by_loop(q, k, v):  # each (N, d)
    """Scaled dot-product attention of one head, one query at a time."""
    rows = []
    for query in q:
        scores = torch.stack([query @ key for key in k]) / math.sqrt(q.shape[1])
        rows.append(scores.softmax(0) @ v)
    return torch.stack(rows)


def test_without_reduction_attention_is_pytorchs_own():
    torch.manual_seed(0)
    attention = EfficientSelfAttention(width=8, heads=2, reduction=1).eval()
    plain = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    plain.in_proj_weight.data = torch.cat([attention.q.weight, attention.kv.weight]).detach()
    plain.in_proj_bias.data = torch.cat([attention.q.bias, attention.kv.bias]).detach()
    plain.out_proj.load_state_dict(attention.proj.state_dict())
    tokens = torch.randn(2, 12, 8)
    assert torch.allclose(attention(tokens, (3, 4)), plain(tokens, tokens, tokens)[0], atol=1e-6)


def test_with_reduction_attention_is_the_loop_on_fewer_keys():
    torch.manual_seed(0)
    reduced = EfficientSelfAttention(width=8, heads=1, reduction=2).eval()
    sixteen = torch.randn(1, 16, 8)
    four = reduced.norm(to_tokens(reduced.reduce(to_map(sixteen, (4, 4)))))  # 16 tokens -> 4
    k, v = reduced.kv(four)[0].chunk(2, dim=-1)
    slowly = reduced.proj(attention_by_loop(reduced.q(sixteen)[0], k, v))
    assert torch.allclose(slowly, reduced(sixteen, (4, 4))[0], atol=1e-5)


def test_mix_ffn_tells_the_border_from_the_inside():
    torch.manual_seed(0)
    alike = to_map(MixFFN(8)(torch.ones(1, 30, 8), (5, 6)), (5, 6))[0, 0]
    inside, border = alike[1:-1, 1:-1], alike[0]
    assert torch.allclose(inside, inside[0, 0].expand(3, 4))
    assert not torch.allclose(border, inside[0, 0].expand(6))


def test_a_block_whose_branches_are_dropped_passes_its_tokens_on():
    torch.manual_seed(0)
    block, tokens = Block(8, 2, 2, drop_path=1 - 1e-9), torch.randn(2, 12, 8)
    assert torch.equal(block(tokens, (3, 4)), tokens)
    assert not torch.equal(block.eval()(tokens, (3, 4)), tokens)


@pytest.mark.parametrize("name", ["convnext_atto", "inception_next_atto"])
def test_a_cnn_that_leaves_out_the_rest_of_an_image_sees_all_of_it(name):
    """What lay beside whole patches was never seen, and the deepest map stretched over it."""
    encoder = TimmEncoder(name).eval()
    image = torch.rand(1, 3, 75, 93, requires_grad=True)
    low, deep = encoder(image)
    assert low.shape[-2:] == (19, 24) and deep.shape[-2:] == (5, 6)
    deep.square().sum().backward()
    assert (image.grad.abs().sum((0, 1)) > 0).all()
    assert not TimmEncoder("mobilenetv2_050").cuts


def test_such_a_cnn_is_exported_for_images_of_every_size():
    encoder, either = TimmEncoder("convnext_atto").eval(), torch.export.Dim.DYNAMIC
    program = torch.export.export(
        encoder, (torch.rand(1, 3, 64, 96),), dynamic_shapes={"images": {2: either, 3: either}}
    ).module()
    image = torch.rand(1, 3, 75, 93)
    for one, other in zip(program(image), encoder(image)):
        assert torch.allclose(one, other, atol=1e-5)
