"""The authors' weights: they compute what their networks do; files that are refused."""

import math

import pytest
import torch
import torch.nn.functional as F
from authors import Hostile, TheirBoosting, TheirPlus, TheirWide, filled, released_state, saved

from metst_lib import models
from metst_lib.released.weights import (
    SPELLINGS,
    load_weights,
    read_weights,
    released_names,
    released_shapes,
)

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


def february(state):
    """The second spelling of the first network."""
    renamed = {"blocks_spot": "blocks", "blocks_recog": "blocks_fast"}
    return {".".join(renamed.get(part, part) for part in key.split(".")): x for key, x in state.items()}


STATES = {
    "ME-TST, 2024": released_state,
    "ME-TST, February 2025": lambda: february(released_state()),
    "ME-TST, July 2025": lambda: filled(TheirWide()).state_dict(),
    "ME-TST+": lambda: filled(TheirPlus()).state_dict(),
    "BoostingVRME": lambda: filled(TheirBoosting()).state_dict(),
}


@pytest.mark.parametrize(
    ("theirs", "name", "parameters", "tensors", "entries"),
    [
        (TheirPlus, "ME-TST+", 16_671_750, 756, 780),
        (TheirWide, "ME-TST, July 2025", 3_753_222, 372, 378),
        (TheirBoosting, "BoostingVRME", 8_368_902, 384, 399),
    ],
)
def test_equal_weights_give_equal_scores_in_a_network_written_a_second_time(
    tmp_path, theirs, name, parameters, tensors, entries
):
    theirs = filled(theirs())
    assert (sum(x.numel() for x in theirs.parameters()), len(list(theirs.parameters()))) == (
        parameters,
        tensors,
    )
    found, ours = read_weights(saved(tmp_path / "w.pkl", theirs.state_dict()))
    assert (found, len(theirs.state_dict()), ours.training) == (name, entries, False)
    g = torch.Generator().manual_seed(1)
    for frames in (30, 50):
        flow = torch.randn(2, ours.in_channels, frames, generator=g)
        with torch.no_grad():
            for a, b in zip(ours(flow), theirs(flow), strict=True):
                assert b.std() > 0.05
                torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling.name)
@pytest.mark.parametrize("prefix", ["module.", ""])
def test_every_spelling_is_told_by_its_keys_and_every_used_weight_loaded(tmp_path, spelling, prefix):
    state = STATES[spelling.name]()
    assert released_shapes(spelling) == {key: tuple(x.shape) for key, x in state.items()}
    torch.save({prefix + key: x for key, x in state.items()}, tmp_path / "w.pkl")
    name, model = read_weights(tmp_path / "w.pkl")
    assert name == spelling.name
    names = released_names(spelling)
    assert names.keys() == model.state_dict().keys()
    assert len(set(names.values())) == len(names)
    unused = state.keys() - set(names.values())
    second = "never" if spelling.name in ("ME-TST+", "BoostingVRME") else spelling.branches[1]
    assert unused == {key for key in state if ".norm2." in key or key.startswith(second)}
    for ours, theirs in names.items():
        assert torch.equal(model.state_dict()[ours], state[theirs]), ours


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
        (
            lambda s: s.update({"fc_spot.0.bias": torch.tensor([1e300], dtype=torch.float64)}),
            r"not finite, first in fc_spot\.0\.bias",
        ),
        *(
            (
                lambda s, to=to: s.update({"fc_spot.0.bias": torch.zeros(1).to(to)}),
                f"of torch.{kind} on {place}",
            )
            for to, kind, place in (
                (torch.int64, "int64", "cpu"),
                (torch.complex64, "complex64", "cpu"),
                (torch.float8_e4m3fn, "float8_e4m3fn", "cpu"),
                ("meta", "float32", "meta"),
            )
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("spot_pathway.fuse_2.conv.1.running_var"), r"running_var is missing"),
        (
            lambda s: s.update(
                {"recog_pathway.block3_fast.1.attn.mamba.x_proj.weight": torch.zeros(144, 256)}
            ),
            r"block3_fast\.1\.attn\.mamba\.x_proj\.weight has shape \(144, 256\), not \(136, 256\)",
        ),
        (lambda s: s.update({"spot_pathway.fuse_3.conv.0.bias": torch.zeros(256)}), r"fuse_3\S+ is unknown"),
    ],
)
def test_damage_is_named_against_the_nearest_spelling(tmp_path, change, message):
    state = STATES["ME-TST+"]()
    change(state)
    with pytest.raises(ValueError, match=rf"state dict of ME-TST\+, .* 1 of 780 entries.*{message}"):
        load_weights(saved(tmp_path / "w.pkl", state))


def test_a_pointer_of_git_lfs_says_what_to_run(tmp_path):
    (tmp_path / "w.pkl").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 66700000\n"
    )
    with pytest.raises(ValueError, match=r"w\.pkl is a git-lfs pointer.*`git lfs pull`"):
        load_weights(tmp_path / "w.pkl")


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
    with pytest.raises(
        ValueError, match=r"w\.pkl cannot be read as weights: .*state dict of ME-TST, 2024, .*BoostingVRME"
    ):
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
