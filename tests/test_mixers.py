"""What mixes frames: sizes counted by hand, what each sees of past and future, and which way it scans."""

import pytest
import torch
import torch.nn.functional as F

from metst_lib import models, ssm
from metst_lib.models import mixers

torch.set_num_threads(1)
SMALL = {"METST": {"dim": 8, "depth": 2, "d_state": 4}, "METSTPlus": {"dim": 8, "n_blocks": 2, "depth": 1}}
NETWORKS = pytest.mark.parametrize("network", SMALL)


def small(network, mixer, **more):
    torch.manual_seed(0)
    return models.build(network, 10, **SMALL[network] | {"mixer": mixer} | more).eval()


def layers(mixer, dim=4, count=2, **inside):
    torch.manual_seed(0)
    row = mixers.blocks(dim, [0.0] * count, mixer, d_state=3, **inside).double()
    return row.eval(), torch.randn(2, 20, dim, dtype=torch.float64)


def size(module):
    return sum(p.numel() for p in module.parameters())


@NETWORKS
@pytest.mark.parametrize("mixer", mixers.MIXERS)
def test_every_mixer_serves_both_networks_and_learns_in_all_its_parts(network, mixer):
    net = small(network, mixer, drop_path=0.0).train()
    spot, emotion = net(torch.randn(3, 10, 13))
    assert spot.shape == (3, 13) and emotion.shape == (3, 13, 5)
    (spot.square().sum() + emotion.square().sum()).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert net(torch.zeros(0, 10, 13))[0].shape == (0, 13)
    assert small(network, mixer)(torch.randn(2, 10, 1))[0].shape == (2, 1)


@NETWORKS
def test_an_unknown_mixer_is_named(network):
    known = "known: mamba, alternating, convolution, past convolution, attention"
    with pytest.raises(ValueError, match=f"unknown mixer 'lstm'; {known}"):
        small(network, "lstm")


def test_mixers_have_the_parameters_counted_by_hand():
    # 16 → 2 · 24, nine taps and a bias for each of 24 channels, 24 → 16
    assert size(mixers.GatedConvolution(16, expand=1.5)) == 16 * 48 + 48 + 24 * 10 + 24 * 16 + 16
    assert size(mixers.Perceptron(16, expand=2.65)) == 16 * 42 + 42 + 42 * 16 + 16
    attention = small("METST", "attention", expand=2.65)
    assert size(attention.spotting[1].mixer) == size(mixers.Perceptron(8, 2.65))
    assert len(attention.spotting) == 4  # a perceptron behind each attention


@pytest.mark.parametrize("mixer, before, after", [
    ("mamba", True, False),
    ("past convolution", True, False),
    ("convolution", True, True),
    ("alternating", True, True),
    ("attention", True, True),
])  # fmt: skip
def test_who_sees_the_past_and_who_the_future(mixer, before, after):
    row, x = layers(mixer)
    changed = x.clone()
    changed[:, 10] += 1
    moved = (row(changed) - row(x)).abs().amax(dim=(0, 2)) > 0
    assert moved[11:].any() == before
    assert moved[:10].any() == after


@pytest.mark.parametrize(
    "mixer, blind", [("mamba", True), ("past convolution", True), ("convolution", False)]
)
def test_what_a_branch_of_me_tst_says_of_a_frame_waits_for_no_later_one(mixer, blind):
    branch, x = small("METST", mixer).double().spotting, torch.randn(1, 12, 8, dtype=torch.float64)
    later = x.clone()
    later[:, 8:] = 3.0
    assert torch.equal(branch(x)[:, :8], branch(later)[:, :8]) == blind


def test_a_layer_that_scans_backwards_is_the_forward_one_on_the_film_run_backwards():
    forward, x = layers("mamba", count=1)
    backward, _ = layers("alternating", count=1, first=1)
    assert isinstance(backward[0].mixer, mixers.BackwardMamba)
    backward.load_state_dict(forward.state_dict())  # the same names
    torch.testing.assert_close(backward(x.flip(1)), forward(x).flip(1))
    assert not torch.allclose(backward(x), forward(x))


def test_every_second_layer_of_a_path_scans_backwards_across_its_blocks():
    def ways(*blocks):
        return [isinstance(layer.mixer, mixers.BackwardMamba) for block in blocks for layer in block]

    assert ways(small("METST", "alternating", depth=4).recognition) == [False, True, False, True]
    branch = small("METSTPlus", "alternating", n_blocks=3).spotting
    assert ways(*branch.fast) == ways(*branch.slow) == [False, True, False]


def test_alternating_directions_cost_no_parameter():
    for network in SMALL:
        plain, alternating = small(network, "mamba"), small(network, "alternating")
        assert alternating.state_dict().keys() == plain.state_dict().keys()
        assert size(alternating) == size(plain)


@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("dilation", [1, 2])
def test_a_gated_convolution_equals_torchs_own(past, dilation):
    torch.manual_seed(0)
    layer = mixers.GatedConvolution(4, dilation, past).double()
    x = torch.randn(2, 15, 4, dtype=torch.float64)
    u, z = layer.in_proj(x)[..., :8], layer.in_proj(x)[..., 8:]
    pad = (8 * dilation, 0) if past else (4 * dilation, 4 * dilation)
    weight, bias = layer.conv1d.weight, layer.conv1d.bias
    u = F.conv1d(F.pad(u.mT, pad), weight, bias, dilation=dilation, groups=8).mT
    torch.testing.assert_close(layer(x), layer.out_proj(F.silu(u) * F.silu(z)))


def test_dilation_is_one_and_two_in_turn():
    assert [block.mixer.dilation for block in layers("convolution", count=4)[0]] == [1, 2, 1, 2]
    assert [block.mixer.dilation for block in layers("past convolution", first=1)[0]] == [2, 1]


def test_the_short_convolution_reads_the_frames_it_is_told():
    x = torch.arange(5.0).reshape(1, 5, 1)
    weight, bias = torch.tensor([[[1.0, 10.0, 100.0]]]), torch.zeros(1)
    assert ssm.causal_conv(x, weight, bias).flatten().tolist() == [0, 100, 210, 321, 432]
    ahead = ssm.causal_conv(x, weight, bias, dilation=2, ahead=2)  # frames −2, 0 and 2 away
    assert ahead.flatten().tolist() == [200, 310, 420, 31, 42]


def test_attention_in_me_tst_is_the_transformer():
    torch.manual_seed(0)
    transformer = models.Transformer(10, dim=8, depth=2).eval()
    other, x = small("METST", "attention"), torch.randn(2, 10, 9)
    for a, b in zip(transformer(x), other(x), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("reading", ["released", "paper"])
def test_at_one_speed_me_tst_plus_is_as_large_and_its_second_path_sees_every_frame(reading):
    two = small("METSTPlus", "mamba", reading=reading)
    one = small("METSTPlus", "mamba", reading=reading, slow_stride=1)
    assert {k: v.shape for k, v in one.state_dict().items()} == {
        k: v.shape for k, v in two.state_dict().items()
    }
    branch = one.spotting
    assert dict(models.shapes(one, 7))["spotting.slow.0"] == (7, 16)
    assert dict(models.shapes(two, 7))["spotting.slow.0"] == (4, 16)
    x = torch.randn(2, 7, 8)
    fast, slow = x, branch.to_slow(x)
    for i in range(2):
        fast, slow = branch.fast[i](fast), branch.slow[i](slow)
        if i < len(branch.lateral):
            slow = slow + branch.lateral[i](fast)
    joined = [slow, fast] if reading == "released" else [fast, slow]
    torch.testing.assert_close(branch(x), torch.cat(joined, dim=2))
