"""The authors' weights: they compute what their network does; files that are refused."""

import math

import pytest
import torch
import torch.nn.functional as F
from authors import Hostile, released_state, saved

from metst_lib import models
from metst_lib.released.weights import load_weights, released_names, released_shapes

torch.set_num_threads(1)


def forward_by_hand(state, x):
    """The released network's pass in evaluation mode: the spotting blocks serve both heads."""
    p = {k: v.double() for k, v in state.items()}
    x = x.double()
    for conv, norm in (("Stem.0", "Stem.1"), ("Stem.3", "Stem.4")):
        x = F.conv1d(x, p[f"{conv}.weight"], p[f"{conv}.bias"], padding=1)
        scale = p[f"{norm}.weight"] / torch.sqrt(p[f"{norm}.running_var"] + 1e-5)
        x = (x - p[f"{norm}.running_mean"][:, None]) * scale[:, None] + p[f"{norm}.bias"][:, None]
        x = x.clamp(min=0)
    x = x.mT  # (b, T, 64)

    def layer_norm(v, name):
        v = v - v.mean(-1, keepdim=True)
        v = v / torch.sqrt(v.square().mean(-1, keepdim=True) + 1e-5)
        return v * p[f"{name}.weight"] + p[f"{name}.bias"]

    for i in range(12):
        block, m = f"blocks_spot.{i}", f"blocks_spot.{i}.attn.mamba"
        u, z = (layer_norm(x, f"{block}.attn.norm") @ p[f"{m}.in_proj.weight"].T).split(128, dim=2)
        delayed = [F.pad(u, (0, 0, 3 - j, 0))[:, : u.shape[1]] for j in range(4)]
        u = sum(d * p[f"{m}.conv1d.weight"][:, 0, j] for j, d in enumerate(delayed))
        u = u + p[f"{m}.conv1d.bias"]
        u = u * torch.sigmoid(u)
        dt, B, C = (u @ p[f"{m}.x_proj.weight"].T).split([4, 64, 64], dim=2)
        delta = torch.log1p(torch.exp(dt @ p[f"{m}.dt_proj.weight"].T + p[f"{m}.dt_proj.bias"]))
        h, y = 0, []
        for t in range(u.shape[1]):
            decay = torch.exp(-delta[:, t, :, None] * p[f"{m}.A_log"].exp())
            h = decay * h + (delta[:, t] * u[:, t])[:, :, None] * B[:, t, None]
            y.append((h * C[:, t, None]).sum(2) + p[f"{m}.D"] * u[:, t])
        y = torch.stack(y, dim=1) * z * torch.sigmoid(z)
        x = x + layer_norm(y @ p[f"{m}.out_proj.weight"].T, f"{block}.norm1")
    spot = torch.sigmoid(x @ p["fc_spot.0.weight"].T + p["fc_spot.0.bias"])[..., 0]
    return spot, x @ p["fc_recog.0.weight"].T + p["fc_recog.0.bias"]


@pytest.mark.parametrize("how", [{}, {"_use_new_zipfile_serialization": False}])
def test_released_weights_compute_what_the_released_network_computes(tmp_path, how):
    state = released_state()
    assert len(state) == 378
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    assert sum(x.numel() for k, x in state.items() if not k.endswith(buffers)) == 1_249_926
    model = load_weights(saved(tmp_path / "subject_006.pkl", state, **how))
    assert not model.training
    flow = torch.randn(3, 10, 50, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = model(flow)
    for a, b in zip(found, forward_by_hand(state, flow), strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() < 1e-5 * max(1, b.abs().max())


def test_every_weight_that_is_used_is_loaded(tmp_path):
    state = released_state()
    model = load_weights(saved(tmp_path / "w.pkl", state))
    names = released_names(model)
    assert len(set(names.values())) == len(names) == 378 - 12 * 15 - 12 * 2  # less blocks_recog and norm2
    for ours, theirs in names.items():
        assert torch.equal(model.state_dict()[ours], state[theirs]), ours


def test_the_shapes_wanted_are_those_released():
    wanted = released_shapes()
    assert wanted == {k: tuple(v.shape) for k, v in released_state().items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("Stem.3.bias"), r"1 of 378 entries differ, first: Stem\.3\.bias is missing"),
        (lambda s: s.update(extra=torch.zeros(1)), "first: extra is unknown"),
        (
            lambda s: s.update({"fc_recog.0.weight": torch.zeros(4, 64)}),
            r"fc_recog\.0\.weight has shape \(4, 64\), not \(5, 64\)",
        ),
        (
            lambda s: s.update({"blocks_recog.3.norm2.bias": torch.zeros(32)}),
            r"blocks_recog\.3\.norm2\.bias has shape \(32,\), not \(64,\)",
        ),
        (
            lambda s: s.update({"fc_spot.0.bias": torch.tensor([math.nan])}),
            r"not finite, first in fc_spot\.0\.bias",
        ),
        (lambda s: s.update(epoch=3), "holds 'module.epoch': int where a state dict has tensors"),
    ],
)
def test_differing_weights_are_refused_with_the_first_differences(tmp_path, change, message):
    state = released_state()
    change(state)
    with pytest.raises(ValueError, match=message) as caught:
        load_weights(saved(tmp_path / "w.pkl", state))
    assert "w.pkl" in str(caught.value)


def test_a_foreign_state_dict_lists_its_first_differing_keys(tmp_path):
    torch.save(models.METST(depth=1).state_dict(), tmp_path / "ours.pt")
    with pytest.raises(ValueError, match=r"first: Stem\.0\.weight is missing; Stem\.0\.bias is missing"):
        load_weights(tmp_path / "ours.pt")
    torch.save(torch.zeros(3), tmp_path / "tensor.pt")
    with pytest.raises(ValueError, match=r"tensor\.pt holds a Tensor, not a state dict"):
        load_weights(tmp_path / "tensor.pt")


@pytest.mark.parametrize("part", [0, 3, 1000, 2_000_000, -1])
@pytest.mark.parametrize("how", [{}, {"_use_new_zipfile_serialization": False}])
def test_weights_cut_short_are_refused(tmp_path, part, how):
    path = saved(tmp_path / "w.pkl", released_state(), **how)
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(ValueError, match=r"w\.pkl cannot be read as weights: .*378 tensors.*Stem\.0\.weight"):
        load_weights(path)


def test_hostile_weights_are_named_and_not_run(tmp_path):
    for how in ({}, {"_use_new_zipfile_serialization": False}):
        torch.save({"Stem.0.weight": Hostile(tmp_path / "harm")}, tmp_path / "w.pkl", **how)
        with pytest.raises(ValueError, match=r"cannot be read as weights: it asks for (posix|nt)\.mkdir"):
            load_weights(tmp_path / "w.pkl")
    assert not (tmp_path / "harm").exists()


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weights at .*none"):
        load_weights(tmp_path / "none.pkl")
