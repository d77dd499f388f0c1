"""The networks: sizes counted by hand, shapes, where gradients go, and what each setting changes."""

import pytest
import torch

from metst_lib import models
from metst_lib.models import layers, mixers

torch.set_num_threads(1)
SMALL = {
    "METST": {"dim": 16, "depth": 2, "d_state": 8},
    "METSTPlus": {"dim": 16, "n_blocks": 2, "depth": 2, "d_state": 8},
    "Transformer": {"dim": 16, "depth": 2},
    "WindowClassifier": {"dim": 16},
}
EVERY = pytest.mark.parametrize("name", SMALL)


def small(name, in_channels=10, seed=0, **more):
    torch.manual_seed(seed)
    return models.build(name, in_channels, **SMALL[name], **more)


def flow(batch=3, channels=10, frames=12, seed=1):
    return torch.randn(batch, channels, frames, generator=torch.Generator().manual_seed(seed))


def size(module):
    return sum(p.numel() for p in module.parameters())


def test_metst_has_the_parameters_counted_by_hand():
    net = models.METST()
    # conv 10·3 → 64 and bias, norm; conv 64·3 → 64 and bias, norm
    assert size(net.stem) == 10 * 3 * 64 + 64 + 128 + 64 * 3 * 64 + 64 + 128 == 14_592
    mamba = {
        "A_log": 128 * 64,
        "D": 128,
        "in_proj.weight": 64 * 256,
        "conv1d.weight": 128 * 4,
        "conv1d.bias": 128,
        "x_proj.weight": 128 * (4 + 64 + 64),
        "dt_proj.weight": 4 * 128,
        "dt_proj.bias": 128,
        "out_proj.weight": 128 * 64,
    }
    assert {k: p.numel() for k, p in net.spotting[0].mixer.named_parameters()} == mamba
    assert sum(mamba.values()) == 51_072
    assert size(net.spotting) == size(net.recognition) == 12 * (51_072 + 2 * 128) == 615_936
    assert (size(net.spot_head), size(net.emotion_head)) == (65, 325)
    assert size(net) == 14_592 + 2 * 615_936 + 65 + 325 == 1_246_854
    assert size(models.METST(shared_branches=True)) == 14_592 + 615_936 + 65 + 325 == 630_918
    assert size(models.METST(dim=128, shared_branches=True)) == 1_900_806  # their wide one of 2025


def test_metst_plus_has_the_parameters_counted_by_hand():
    net = models.METSTPlus()
    assert net.in_channels == 36
    # conv 36·3 → 128, conv 128·3 → 128, with biases and norms
    assert size(net.stem) == 13_824 + 128 + 256 + 49_152 + 128 + 256 == 63_744
    branch = net.spotting
    # width 128: A_log, D, in_proj, conv1d, x_proj (8 + 2·64 out of 256), dt_proj, out_proj, two norms
    fast = 16_384 + 256 + 65_536 + 1_280 + 34_816 + 2_304 + 32_768 + 512
    assert size(branch.fast[0][0]) == fast == 153_856
    # width 256: rank 16, 512 channels inside
    slow = 32_768 + 512 + 262_144 + 2_560 + 73_728 + 8_704 + 131_072 + 1_024
    assert size(branch.slow[2][3]) == slow == 512_512
    assert [len(block) for path in (branch.fast, branch.slow) for block in path] == [4] * 6
    entry = 128 * 3 * 256 + 256 + 2 * 256  # convolution, norm
    assert size(branch.to_slow) == entry == 99_072
    assert [size(lateral) for lateral in branch.lateral] == [entry] * 2
    assert size(branch) == 12 * 153_856 + 12 * 512_512 + 3 * entry == 8_302_848 - 9_216  # norms never used
    assert net.spot_head.in_features == net.emotion_head.in_features == 384
    assert (size(net.spot_head), size(net.emotion_head)) == (385, 1_925)
    assert size(net) == 63_744 + 2 * 8_293_632 + 385 + 1_925 == 16_671_750 - 18_432
    assert size(models.METSTPlus(shared_branches=True)) == size(net) - 8_293_632  # BoostingVRME


def test_metst_plus_as_read_from_the_paper_has_the_parameters_counted_by_hand():
    branch = models.METSTPlus(reading="paper").spotting
    assert size(branch.to_slow) == 128 * 3 * 256 + 256 == 98_560
    assert [size(lateral) for lateral in branch.lateral] == [128 * 5 * 256 + 256] * 3 == [164_096] * 3
    assert size(branch) == 12 * 153_856 + 12 * 512_512 + 98_560 + 3 * 164_096 == 8_587_264
    with pytest.raises(ValueError, match="unknown reading 'mine' of ME-TST\\+; known: released, paper"):
        models.METSTPlus(reading="mine")


def test_the_comparators_have_the_parameters_counted_by_hand():
    net = models.Transformer()
    attention, perceptron, norms = 64 * 192 + 192 + 64 * 64 + 64, 64 * 256 + 256 + 256 * 64 + 64, 4 * 128
    assert attention + perceptron + norms == 50_240  # beside 51,328 of a Mamba block
    assert size(net) == 14_592 + 2 * 12 * 50_240 + 65 + 325 == 1_220_742
    net = models.WindowClassifier()
    convolutions = (10 * 3 * 32 + 32) + (32 * 3 * 64 + 64) + (64 * 3 * 128 + 128)
    assert size(net) == convolutions + 2 * (32 + 64 + 128) + 129 + 645 == 33_126


@EVERY
@pytest.mark.parametrize("frames", [1, 2, 7, 30, 49])
def test_every_frame_gets_a_score_and_five_logits(name, frames):
    net = small(name, in_channels=36).eval()
    spot, emotion = net(flow(3, 36, frames))
    assert spot.shape == (3, frames)
    assert emotion.shape == (3, frames, 5)
    assert ((spot > 0) & (spot < 1)).all()
    assert net(flow(0, 36, frames))[0].shape == (0, frames)


@EVERY
def test_other_numbers_of_emotions_are_possible(name):
    assert small(name, n_emotions=3)(flow())[1].shape == (3, 12, 4)


@EVERY
@pytest.mark.parametrize("shape", [(3, 9, 12), (10, 12), (3, 10, 0), (3, 12, 10)])
def test_flow_of_a_wrong_shape_is_named(name, shape):
    with pytest.raises(ValueError, match=r"flow must have shape \(batch, 10, frames ≥ 1\), not \("):
        small(name)(torch.zeros(shape))


@EVERY
def test_a_seed_fixes_weights_and_training_pass(name):
    def outputs(seed):
        return small(name, seed=seed)(flow())

    for a, b, other in zip(outputs(3), outputs(3), outputs(4), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, other)


@EVERY
def test_training_twice_gives_bit_equal_weights(name):
    def trained():
        net = small(name)
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
        for seed in range(3):
            spot, emotion = net(flow(seed=seed))
            (spot.square().mean() + emotion.square().mean()).backward()
            optimiser.step()
            optimiser.zero_grad()
        return net.state_dict()

    first, second = trained(), trained()
    assert all(torch.equal(first[k], second[k]) for k in first)


@EVERY
def test_a_score_depends_on_its_own_window_alone(name):
    net = small(name).eval()
    x = flow()
    for together, alone in zip(net(x), net(x[1:2]), strict=True):
        torch.testing.assert_close(together[1:2], alone)


@EVERY
def test_gradients_reach_every_parameter(name):
    more = {} if name == "WindowClassifier" else {"drop_path": 0.0}
    net = small(name, **more)
    spot, emotion = net(flow())
    (spot.square().sum() + emotion.square().sum()).backward()
    for parameter_name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", ["METST", "METSTPlus", "Transformer"])
def test_each_task_has_weights_of_its_own_behind_a_common_stem(name):
    net = small(name, drop_path=0.0)
    net(flow())[0].sum().backward()
    reached = {k for k, p in net.named_parameters() if p.grad is not None}
    assert any(k.startswith("stem") for k in reached)
    assert any(k.startswith("spotting") for k in reached)
    assert not any(k.startswith(("recognition", "emotion_head")) for k in reached)


def test_shared_branches_feed_both_heads_with_one_branch():
    torch.manual_seed(0)
    net = models.METST(**SMALL["METST"], shared_branches=True, drop_path=0.0)
    assert not any(k.startswith("recognition") for k in net.state_dict())
    net(flow())[1].sum().backward()
    assert all(p.grad is not None for p in net.spotting.parameters())
    # giving the branches of a separate network equal weights makes it the same function
    apart = small("METST")
    apart.load_state_dict(net.state_dict(), strict=False)
    apart.recognition.load_state_dict(net.spotting.state_dict())
    for a, b in zip(net.eval()(flow()), apart.eval()(flow()), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["METST", "METSTPlus", "Transformer"])
def test_drop_path_leaves_layers_out_in_training_only(name):
    def deep(drop_path):
        torch.manual_seed(0)
        return models.build(name, 10, **(SMALL[name] | {"depth": 3}), drop_path=drop_path)

    net, whole = deep(0.5), deep(0.0)
    rates = [b.drop_path.rate for b in net.modules() if isinstance(b, layers.Block)]
    assert (rates[0], max(rates)) == (0, 0.25)
    for a, b in zip(net.eval()(flow()), whole.eval()(flow()), strict=True):
        assert torch.equal(a, b)
    net.train()
    assert not torch.equal(net(flow())[0], net(flow())[0])


def test_drop_rates_begin_with_two_zeros_and_rise_anew_in_each_block():
    twelve = [0, 0, 0.0182, 0.0364, 0.0545, 0.0727, 0.0909, 0.1091, 0.1273, 0.1455, 0.1636, 0.1818]
    assert layers.drop_rates(0.2, 12) == pytest.approx(twelve, abs=5e-5)
    assert layers.drop_rates(0.2, 1) == [0]

    def rates(**reading):
        branch = models.METSTPlus(dim=16, d_state=4, **reading).recognition
        return [
            [layer.drop_path.rate for block in path for layer in block] for path in (branch.fast, branch.slow)
        ]

    assert rates() == [pytest.approx([0, 0, 0.0667, 0.1333] * 3, abs=5e-5)] * 2
    even = [0.2 * i / 11 for i in range(12)]
    assert rates(reading="paper") == [pytest.approx(even)] * 2


def test_drop_path_keeps_the_mean_and_drops_whole_windows():
    torch.manual_seed(0)
    kept = layers.DropPath(0.25)(torch.ones(8000, 3, 2))
    assert kept.unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.equal(kept.amin(dim=(1, 2)), kept.amax(dim=(1, 2)))
    assert kept.mean().item() == pytest.approx(1, abs=0.02)
    with pytest.raises(ValueError, match="must be in"):
        layers.DropPath(1.0)


def test_step_sizes_start_as_in_mamba_and_other_biases_at_zero():
    net = small("METST", seed=5)
    for name, module in net.named_modules():
        if isinstance(module, torch.nn.Linear) and module.bias is not None:
            if name.endswith("dt_proj"):
                steps = torch.nn.functional.softplus(module.bias)
                assert (steps > 0.9e-3).all() and (steps < 0.11).all()
            else:
                assert (module.bias == 0).all()
    assert all(
        (b == 0).all()
        for k, b in small("METST", init="released").named_parameters()
        if k.endswith("dt_proj.bias")
    )
    with pytest.raises(ValueError, match="unknown initial values 'zero'; known: mamba, released"):
        small("METSTPlus", init="zero")
    wide = models.METST(depth=1)
    weight = wide.spotting[0].mixer.in_proj.weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    bound = 0.5 * 128**-0.5  # half of torch's own for 128 inputs
    assert wide.spotting[0].mixer.out_proj.weight.abs().max().item() == pytest.approx(bound, rel=0.01)


@pytest.mark.parametrize("name", ["METST", "METSTPlus"])
def test_recomputing_changes_no_number(name):
    results = []
    for recompute in (False, True):
        net = small(name, backend="torch", recompute=recompute, drop_path=0.0).double()
        spot, emotion = net(flow().double())
        (spot.sum() + emotion.sum()).backward()
        results.append([spot, emotion, *(p.grad for p in net.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_an_odd_window_repeats_its_last_frame_and_cuts_it_off():
    branch = small("METSTPlus").spotting.eval()
    x = torch.randn(2, 7, 16)
    longer = torch.cat([x, x[:, -1:]], dim=1)
    assert torch.equal(branch(x), branch(longer)[:, :7])


@pytest.mark.parametrize("reading", ["released", "paper"])
def test_the_slow_path_takes_in_the_fast_one_and_comes_back_to_every_frame(reading):
    branch = small("METSTPlus", reading=reading).spotting.eval()
    assert len(branch.lateral) == {"released": 1, "paper": 2}[reading]
    x = torch.randn(2, 8, 16)
    fast, slow = x, branch.to_slow(x)
    for i in range(2):
        fast = branch.fast[i](fast)
        slow = branch.slow[i](slow)
        if i < len(branch.lateral):
            slow = slow + branch.lateral[i](fast)
    joined = branch(x)
    if reading == "released":  # slow first, each of its frames twice
        torch.testing.assert_close(joined[..., 32:], fast)
        torch.testing.assert_close(joined[:, 0::2, :32], slow)
        torch.testing.assert_close(joined[:, 1::2, :32], slow)
        return
    torch.testing.assert_close(joined[..., :16], fast)
    # up-sampling by two, linear: a quarter of the way from each slow frame to its neighbour
    torch.testing.assert_close(joined[:, 1, 16:], 0.75 * slow[:, 0] + 0.25 * slow[:, 1])
    torch.testing.assert_close(joined[:, 4, 16:], 0.75 * slow[:, 2] + 0.25 * slow[:, 1])
    torch.testing.assert_close(joined[:, 0, 16:], slow[:, 0])


def test_released_convolutions_are_normalised_and_rectified():
    entry = small("METSTPlus").spotting.to_slow.eval()
    x = torch.randn(2, 8, 16)
    entry[1].running_mean += 0.3
    by_hand = torch.nn.functional.conv1d(x.mT, entry[0].weight, entry[0].bias, stride=2, padding=1).mT
    torch.testing.assert_close(entry(x), torch.relu((by_hand - 0.3) / (1 + 1e-5) ** 0.5))


def test_stages_of_metst_plus_have_the_shapes_of_fig_3():
    net = models.METSTPlus(depth=1).train()
    found = models.shapes(net, 30)
    assert net.training
    assert found[:2] == [("flow", (30, 36)), ("stem", (30, 128))]
    branch = [("to_slow", (15, 256))]
    for i in range(3):
        branch += [(f"fast.{i}", (30, 128)), (f"slow.{i}", (15, 256)), (f"lateral.{i}", (15, 256))]
    branch = [*branch[:-1], ("join", (30, 384))]  # no lateral connection after the last block
    assert [(k, v) for k, v in found if k.startswith("spotting.")] == [
        (f"spotting.{k}", v) for k, v in branch
    ]
    assert ("recognition", (30, 384)) in found
    assert dict(found)["spot_head"] == (30, 1)
    assert found[-1] == ("emotion_head", (30, 5))
    assert not any(module._forward_hooks for module in net.modules())
    odd = dict(models.shapes(net, 31))
    assert (odd["spotting.fast.0"], odd["spotting.slow.0"]) == ((32, 128), (16, 256))
    assert (odd["spotting"], odd["spot_head"]) == ((31, 384), (31, 1))


def test_stages_of_the_other_networks():
    assert models.shapes(models.METST(depth=1), 50) == [
        ("flow", (50, 10)),
        ("stem", (50, 64)),
        ("spotting", (50, 64)),
        ("spot_head", (50, 1)),
        ("recognition", (50, 64)),
        ("emotion_head", (50, 5)),
    ]
    assert models.shapes(models.WindowClassifier(), 30) == [
        ("flow", (30, 10)),
        ("features.0", (15, 32)),
        ("features.1", (8, 64)),
        ("features.2", (4, 128)),
        ("features", (4, 128)),
        ("spot_head", (1, 1)),
        ("emotion_head", (1, 5)),
    ]


def test_attention_alone_would_not_see_the_order_of_frames():
    torch.manual_seed(0)
    attention = mixers.Attention(8, 2)
    x = torch.randn(1, 5, 8)
    torch.testing.assert_close(attention(x.flip(1)), attention(x).flip(1))
    code = layers.positions(5, 8)
    assert code[0].tolist() == [0, 1] * 4
    assert code[2, :2].tolist() == pytest.approx([0.9092974, -0.4161468])  # sin 2, cos 2
    assert code[3, 6].item() == pytest.approx(3 * 10_000**-0.75, rel=1e-5)
    with pytest.raises(ValueError, match="width 9 is not a multiple of 2"):
        mixers.Attention(9, 2)


def test_attention_equals_softmax_over_frames():
    torch.manual_seed(0)
    layer = mixers.Attention(6, 2).double()
    x = torch.randn(2, 4, 6, dtype=torch.float64)
    query, key, value = layer.in_proj(x).split(6, dim=2)
    mixed = torch.empty_like(x)
    for head in (slice(0, 3), slice(3, 6)):
        weights = torch.softmax(query[..., head] @ key[..., head].mT / 3**0.5, dim=2)
        mixed[..., head] = weights @ value[..., head]
    torch.testing.assert_close(layer(x), layer.out_proj(mixed))


def test_the_window_classifier_says_one_thing_per_window():
    net = small("WindowClassifier").eval()
    spot, emotion = net(flow())
    assert (spot == spot[:, :1]).all() and (emotion == emotion[:, :1]).all()
    assert len(spot[:, 0].unique()) == 3


def test_hard_targets_label_a_window_by_what_it_touches():
    spot = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 0], [1, 0, 0, 1]], dtype=torch.float32)
    emotion = torch.tensor([[4, 4, 4, 4], [4, 4, 4, 2], [0, 3, 3, 4], [1, 4, 4, 0]])
    hard_spot, hard_emotion = models.hard_targets(spot, emotion)
    assert hard_spot.tolist() == [[0] * 4, [1] * 4, [1] * 4, [1] * 4]
    assert hard_emotion.tolist() == [[4] * 4, [2] * 4, [3] * 4, [0] * 4]  # the last is a tie
    assert hard_spot.dtype == torch.float32 and hard_emotion.dtype == torch.int64
    assert spot[3].tolist() == [1, 0, 0, 1]


def test_build_knows_the_networks_by_name():
    net = models.build("METST", 36, dim=8, depth=1, d_state=4)
    assert net.stem[0].weight.shape == (8, 36, 3)
    with pytest.raises(ValueError, match="unknown network 'LSTM'; known: METST, METSTPlus, Transformer"):
        models.build("LSTM", 10)
