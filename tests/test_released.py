"""The authors' files: weights that compute what their network does, caches, and files that are refused."""

import importlib.util
import json
import math
import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from metst_lib import models, released, rois
from metst_lib.flow import RoiFlow

torch.set_num_threads(1)


def released_state(seed=0):
    """A state dict as the authors saved theirs, written down key by key, with random values."""
    g = torch.Generator().manual_seed(seed)

    def r(*shape, scale=0.3):
        return torch.randn(*shape, generator=g) * scale

    state = {}
    for conv, norm, channels in (("0", "1", 10), ("3", "4", 64)):
        state[f"Stem.{conv}.weight"] = r(64, channels, 3)
        state[f"Stem.{conv}.bias"] = r(64)
        state[f"Stem.{norm}.weight"] = 1 + r(64)
        state[f"Stem.{norm}.bias"] = r(64)
        state[f"Stem.{norm}.running_mean"] = r(64)
        state[f"Stem.{norm}.running_var"] = 1 + r(64).abs()
        state[f"Stem.{norm}.num_batches_tracked"] = torch.tensor(7)
    for branch in ("blocks_spot", "blocks_recog"):
        for i in range(12):
            block = f"{branch}.{i}"
            for norm in ("norm1", "norm2", "attn.norm"):
                state[f"{block}.{norm}.weight"] = 1 + r(64)
                state[f"{block}.{norm}.bias"] = r(64)
            mamba = f"{block}.attn.mamba"
            state[f"{mamba}.A_log"] = torch.log(torch.arange(1.0, 65)).repeat(128, 1) + r(128, 64, scale=0.1)
            state[f"{mamba}.D"] = 1 + r(128)
            state[f"{mamba}.in_proj.weight"] = r(256, 64)
            state[f"{mamba}.conv1d.weight"] = r(128, 1, 4)
            state[f"{mamba}.conv1d.bias"] = r(128)
            state[f"{mamba}.x_proj.weight"] = r(132, 128, scale=0.1)
            state[f"{mamba}.dt_proj.weight"] = r(128, 4)
            state[f"{mamba}.dt_proj.bias"] = r(128) - 3
            state[f"{mamba}.out_proj.weight"] = r(64, 128)
    for head, classes in (("fc_spot", 1), ("fc_recog", 5)):
        state[f"{head}.0.weight"] = r(classes, 64)
        state[f"{head}.0.bias"] = r(classes)
    return state


def saved(path, state, **how):
    torch.save({f"module.{key}": value for key, value in state.items()}, path, **how)
    return path


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
    model = released.load_weights(saved(tmp_path / "subject_006.pkl", state, **how))
    assert not model.training
    flow = torch.randn(3, 10, 50, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = model(flow)
    for a, b in zip(found, forward_by_hand(state, flow), strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() < 1e-5 * max(1, b.abs().max())


def test_every_weight_that_is_used_is_loaded(tmp_path):
    state = released_state()
    model = released.load_weights(saved(tmp_path / "w.pkl", state))
    names = released.released_names(model)
    assert len(set(names.values())) == len(names) == 378 - 12 * 15 - 12 * 2  # less blocks_recog and norm2
    for ours, theirs in names.items():
        assert torch.equal(model.state_dict()[ours], state[theirs]), ours


def test_the_shapes_wanted_are_those_released():
    wanted = released.released_shapes()
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
        released.load_weights(saved(tmp_path / "w.pkl", state))
    assert "w.pkl" in str(caught.value)


def test_a_foreign_state_dict_lists_its_first_differing_keys(tmp_path):
    torch.save(models.METST(depth=1).state_dict(), tmp_path / "ours.pt")
    with pytest.raises(ValueError, match=r"first: Stem\.0\.weight is missing; Stem\.0\.bias is missing"):
        released.load_weights(tmp_path / "ours.pt")
    torch.save(torch.zeros(3), tmp_path / "tensor.pt")
    with pytest.raises(ValueError, match=r"tensor\.pt holds a Tensor, not a state dict"):
        released.load_weights(tmp_path / "tensor.pt")


@pytest.mark.parametrize("part", [0, 3, 1000, 2_000_000, -1])
@pytest.mark.parametrize("how", [{}, {"_use_new_zipfile_serialization": False}])
def test_weights_cut_short_are_refused(tmp_path, part, how):
    path = saved(tmp_path / "w.pkl", released_state(), **how)
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(ValueError, match=r"w\.pkl cannot be read as weights: .*378 tensors.*Stem\.0\.weight"):
        released.load_weights(path)


class Hostile:
    """Runs a command where it is unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_hostile_weights_are_named_and_not_run(tmp_path):
    for how in ({}, {"_use_new_zipfile_serialization": False}):
        torch.save({"Stem.0.weight": Hostile(tmp_path / "harm")}, tmp_path / "w.pkl", **how)
        with pytest.raises(ValueError, match=r"cannot be read as weights: it asks for (posix|nt)\.mkdir"):
            released.load_weights(tmp_path / "w.pkl")
    assert not (tmp_path / "harm").exists()


def cache(videos=(3, 2), k=30, dtype=np.float64):
    rng = np.random.default_rng(0)
    return [[rng.standard_normal((10, k)).astype(dtype) for _ in range(windows)] for windows in videos]


def written(path, content, protocol=4):
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_caches_of_every_protocol_are_read(tmp_path, protocol, dtype):
    content = cache(dtype=dtype)
    videos = released.load_cache(written(tmp_path / "c.pkl", content, protocol))
    assert [v.shape for v in videos] == [(3, 10, 30), (2, 10, 30)]
    assert all(v.dtype == np.float32 for v in videos)
    np.testing.assert_array_equal(videos[1][0], content[1][0].astype(np.float32))


def test_caches_of_numpy_1_are_read(tmp_path):
    content = cache(k=7)
    new = pickle.dumps(content, protocol=2)
    old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != new
    (tmp_path / "c.pkl").write_bytes(old)
    np.testing.assert_array_equal(released.load_cache(tmp_path / "c.pkl")[0], np.float32(content[0]))


def test_a_video_may_be_one_array_fortran_ordered_or_without_windows(tmp_path):
    content = [np.stack(cache()[0]), [np.asfortranarray(w) for w in cache()[1]], []]
    first, second, none = released.load_cache(written(tmp_path / "c.pkl", content))
    np.testing.assert_array_equal(first, np.float32(content[0]))
    np.testing.assert_array_equal(second, np.float32(content[1]))
    assert none.shape == (0, 10, 30)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_cache_is_named_and_not_run(tmp_path, protocol):
    content = [*cache(), [Hostile(tmp_path / "harm")]]
    with pytest.raises(
        ValueError, match=r"c\.pkl cannot be read.*it asks for (posix|nt)\.mkdir, and only numpy"
    ):
        released.load_cache(written(tmp_path / "c.pkl", content, protocol))
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("pickled", "name"),
    [
        (b"cbuiltins\neval\n(V1\ntR.", "builtins.eval"),
        (b"cnumpy\nload\n(Vx\ntR.", "numpy.load"),
        (b"cnumpy.core.multiarray\nfromfile\n(Vx\ntR.", "numpy.core.multiarray.fromfile"),
        (b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.", "numpy.ndarray.__class__"),
        (b"c_codecs\nencode\n(Vx\nVrot13\ntR.", "rot13"),
        (b"Pname\n.", "persistent"),
        (b"\x82\x01.", "extension"),
    ],
)
def test_names_beside_numpy_arrays_are_refused(tmp_path, pickled, name):
    (tmp_path / "c.pkl").write_bytes(pickled)
    with pytest.raises(ValueError, match="cannot be read as a cache of flow") as caught:
        released.load_cache(tmp_path / "c.pkl")
    assert name in str(caught.value)


@pytest.mark.parametrize("part", [0, 1, 10, 500, -1])
def test_a_cache_cut_short_is_refused(tmp_path, part):
    path = written(tmp_path / "c.pkl", cache())
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(ValueError, match=r"c\.pkl cannot be read as a cache of flow"):
        released.load_cache(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "should hold a list of videos, not an empty dict"),
        ([], "should hold a list of videos, not an empty list"),
        ([3], "video 0 should be a list of windows, not a int"),
        (
            [[np.zeros((10, 5))], [np.zeros((9, 5))]],
            r"video 1, window 0 should be .* not an array of shape \(9, 5\)",
        ),
        ([[np.zeros((10, 5), int)]], "window 0 should be a float array"),
        ([[np.zeros((10, 5), object)]], "window 0 should be a float array"),
        ([[[1.0, 2.0]]], r"should be a float array \(10, k\), not a list"),
        ([[np.zeros((10, 5)), np.zeros((10, 6))]], r"video 0 has windows of \(10, 5\) and \(10, 6\)"),
        ([[np.zeros((10, 5))], [np.zeros((10, 6))]], "windows of different lengths: 5, 6 frames"),
        ([[np.zeros((10, 5)), np.full((10, 5), np.nan)]], "video 0, window 1 holds NaN or infinity"),
    ],
)
def test_a_cache_of_another_form_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        released.load_cache(written(tmp_path / "c.pkl", content))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weights at .*none"):
        released.load_weights(tmp_path / "none.pkl")
    with pytest.raises(FileNotFoundError, match=r"no cache at .*none"):
        released.load_cache(tmp_path / "none.pkl")


# --- caches as flow files -------------------------------------------------------------------------------


def lookalikes():
    """Workbooks that look like the owners' (tests/datasets/lookalikes.py)."""
    path = Path(__file__).parent / "datasets" / "lookalikes.py"
    spec = importlib.util.spec_from_file_location("lookalikes_of_workbooks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WINDOWS = (4, 5, 2)  # of 600, 700 and 400 frames at 200 fps, every 7th taken, k = 30
SAMMLV = [("004", "004_1"), ("005", "005_2"), ("012", "012_3")]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A data folder with the tables of two sets, and no frames."""
    data = tmp_path_factory.mktemp("tables")
    lookalikes().sammlv(data / "sammlv")
    lookalikes().casme3(data / "casme3")
    return data


def imported(tables, folder, files, name="sammlv", window=30, frame_step=7):
    return released.import_cache(name, files, tables, folder, window=window, frame_step=frame_step)


def test_a_cache_becomes_a_flow_file_of_each_video_with_an_me(tmp_path, tables):
    content = cache(WINDOWS)
    report = imported(tables, tmp_path / "flow", [written(tmp_path / "c.pkl", content)])
    assert sorted(p.name for p in (tmp_path / "flow").iterdir()) == [
        "004_004_1.npz",
        "005_005_2.npz",
        "012_012_3.npz",
        "complete.json",
    ]
    for (subject, video), windows in zip(SAMMLV, content, strict=True):
        flow = RoiFlow.load(tmp_path / "flow" / f"{subject}_{video}.npz")
        np.testing.assert_array_equal(flow.values, np.float32(windows))
        np.testing.assert_array_equal(flow.starts, 15 * np.arange(len(windows)))
        assert flow.n_frames == 15 * (len(windows) + 1)
        assert flow.fps == pytest.approx(200 / 7)
        assert flow.settings == {"imported": ["c.pkl"]}
    assert json.loads((tmp_path / "flow" / "complete.json").read_text()) == report
    assert report["failed"] == {}
    assert report["videos"]["005 005_2"]["windows"] == 5
    assert report["imported"]["ranges"] == [
        ["004", "004_1", 1, 525],
        ["005", "005_2", 1, 630],
        ["012", "012_3", 1, 315],
    ]


def test_the_channels_of_a_cache_are_in_our_order():
    released_order = ("left brow", "right brow", "mouth", "left nose wing", "right nose wing")
    assert rois.channel_names("5") == [f"{name} {axis}" for name in released_order for axis in "xy"]


def test_caches_in_parts_are_joined_and_leave_out_what_the_released_code_cannot_place(tmp_path, tables):
    content = cache((7, 7, 6), k=50)  # 207, 205 and 201 frames; spNO.10 J finds no folder
    parts = [written(tmp_path / f"{i}.pkl", part) for i, part in enumerate((content[:2], content[2:]))]
    report = imported(tables, tmp_path / "flow", parts, "casme3", 50, 1)
    assert [r[:3] for r in report["imported"]["ranges"]] == [
        ["spNO.1", "a", 1],
        ["spNO.1", "b", 1],
        ["spNO.2", "e", 1],
    ]
    assert [r[3] for r in report["imported"]["ranges"]] == [200, 200, 175]
    flow = RoiFlow.load(tmp_path / "flow" / "spNO.2_e.npz")
    np.testing.assert_array_equal(flow.values, np.float32(content[2]))


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (
            cache((4, 5)),
            {},
            r"c\.pkl: 2 videos, but the tables of sammlv have 3 with a micro-expression\. Nothing was",
        ),
        (cache((4, 5, 2, 2)), {}, "4 videos, but the tables of sammlv have 3"),
        (  # it begins at frame 450, index 64, so there are at least 65 frames: 65 // 15 − 1 windows
            cache((4, 2, 5)),
            {},
            "video 005 005_2: 2 windows of 30 frames, but a micro-expression begins at frame 450, "
            "which takes at least 3",
        ),
        ([*cache((4, 5)), []], {}, "video 012 012_3: 0 windows of 30 frames, but .* takes at least 1"),
        (cache(WINDOWS, k=50), {}, "video 004 004_1: windows of 50 frames, not of 30"),
        ([*cache((4, 5)), [np.full((10, 30), np.nan)]], {}, "video 2, window 0 holds NaN or infinity"),
        ([*cache((4, 5)), [np.full((10, 30), 1e300)] * 2], {}, "not finite"),
        ([*cache((4, 5)), [Hostile("harm")]], {}, r"it asks for (posix|nt)\.mkdir, and only numpy"),
        (cache(WINDOWS), {"name": "casme2sq"}, "released no cache of 'casme2sq'; .* sammlv, casme3"),
        (cache(WINDOWS), {"files": []}, "no file is named"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_cache_that_does_not_fit_imports_nothing(tmp_path, tables, content, options, message):
    options = {"files": [written(tmp_path / "c.pkl", content)], "name": "sammlv"} | options
    with pytest.raises(ValueError, match=message):
        imported(tables, tmp_path / "flow", options["files"], options["name"])
    assert not (tmp_path / "flow").exists()


def test_a_truncated_part_or_a_missing_table_imports_nothing(tmp_path, tables):
    path = written(tmp_path / "c.pkl", cache(WINDOWS))
    with pytest.raises(FileNotFoundError, match=r"no table of SAMM.*SAMM_LongVideos_V3_Release\.xlsx"):
        imported(tmp_path, tmp_path / "flow", [path])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"c\.pkl cannot be read as a cache of flow"):
        imported(tables, tmp_path / "flow", [path])
    assert not (tmp_path / "flow").exists()


def test_flow_made_from_frames_is_never_replaced_and_imported_flow_is(tmp_path, tables):
    path, folder = written(tmp_path / "c.pkl", cache(WINDOWS)), tmp_path / "flow"
    imported(tables, folder, [path])
    imported(tables, folder, [written(path, cache((4, 6, 2)))])
    assert RoiFlow.load(folder / "005_005_2.npz").n_frames == 105
    own = RoiFlow(np.zeros((1, 10, 30)), [0], [False], 30).save(folder / "012_012_3.npz", inputs="frames")
    before = own.read_bytes()
    with pytest.raises(ValueError, match=r"made from frames, first 012_012_3\.npz: move or delete it"):
        imported(tables, folder, [path])
    assert own.read_bytes() == before


def test_an_import_that_is_cut_short_does_not_count_as_whole(tmp_path, tables, monkeypatch):
    path, folder = written(tmp_path / "c.pkl", cache(WINDOWS)), tmp_path / "flow"
    imported(tables, folder, [path])
    real = RoiFlow.save

    def full_disk(self, to, **settings):
        if to.name.startswith("012"):
            raise OSError("no space left")
        return real(self, to, **settings)

    monkeypatch.setattr(RoiFlow, "save", full_disk)
    with pytest.raises(OSError, match="no space left"):
        imported(tables, folder, [path])
    assert not (folder / "complete.json").exists()


def test_the_owners_tables_fit_caches_of_their_videos_lengths():
    folder = Path(os.environ.get("METST_TABLES", "none")) / "casme3"
    if not folder.is_dir():
        pytest.skip("set METST_TABLES to a folder with the owners' tables (casme3/ in it)")
    onsets = released._last_onsets("casme3", folder)
    assert len(onsets) == 462
    assert ("spNO.14", "j") not in onsets
    lengths = pd.read_csv(folder / "video_frames.csv").set_index(["subject", "video"])["last_jpg"]
    for key, onset in onsets.items():
        windows = np.empty((lengths[key] // 25 - 1, 10, 50), np.float32)
        released._check_windows(" ".join(key), windows, onset, 50, 1)
    first = np.empty((lengths["spNO.1", "a"] // 25 - 1, 10, 50), np.float32)  # in another video's place
    with pytest.raises(ValueError, match="32 windows of 50 frames, but a micro-expression begins at frame"):
        released._check_windows("spNO.4 g", first, onsets["spNO.4", "g"], 50, 1)
