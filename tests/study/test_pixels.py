"""Sweeps in pixels: frames encoded anew, landmarks that jitter, the demonstration's videos tested again."""

import numpy as np
import pytest
from trials import SMALLEST, shorten

from metst_lib import experiment
from metst_lib.study import pixels


def test_frames_encoded_anew_are_the_same_picture_less_well():
    frames = list(np.random.default_rng(0).integers(0, 255, (3, 64, 64)).astype(np.uint8))
    good, bad = pixels.Encoded(frames, 95), pixels.Encoded(frames, 30)
    assert len(bad) == 3
    off = [np.abs(each[1].astype(int) - frames[1]).mean() for each in (good, bad)]
    assert 0 < off[0] < off[1] < 40
    assert bad[1].shape == (64, 64) and bad[1].dtype == np.uint8


class Fixed:
    """A landmarker that always sees the same face, and none on crops."""

    def __call__(self, image, frame):
        return np.full((68, 2), 100.0)

    def on_crop(self, image):
        return None


def test_landmarks_lie_off_by_so_many_pixels_and_by_the_image_alone():
    landmarker = pixels.Jittered(Fixed(), 2.0)
    images = [np.full((9, 9), value, np.uint8) for value in range(40)]
    off = np.array([landmarker(image, 0) - 100 for image in images])
    assert np.std(off) == pytest.approx(2, rel=0.05) and abs(np.mean(off)) < 0.1
    assert np.array_equal(landmarker(images[3], 7), landmarker(images[3], 0))
    assert landmarker.on_crop(images[0]) is None


@pytest.fixture
def small(tiny_root, monkeypatch):
    """The tiny set, small networks, 5 regions."""
    monkeypatch.delenv("METST_FIGURES", raising=False)
    shorten(monkeypatch, sizes=SMALLEST)
    monkeypatch.setattr(pixels, "SWEPT", ("flow-magnitude", "me-tst"))
    return tiny_root


def test_landmarks_without_jitter_give_the_demonstrations_own_flow(small):
    config = experiment.configure(root=small)
    video = experiment.load_data(config).videos[0]
    own = experiment.load_flow(config, [video])[video.key]
    none, two = (pixels._extracted(config, [video], 1, "landmark jitter in pixels", px) for px in (0, 2))
    assert np.array_equal(none["5"][video.key].values, own.values)
    assert not np.array_equal(two["5"][video.key].values, own.values)
    assert two["18"][video.key].values.shape[1] == 36


def test_every_level_tests_the_same_fit_on_the_first_half_of_the_subjects(small, monkeypatch):
    asked = []

    def unchanged(config, videos, jobs, sweep, level):
        asked.append((sweep, level, [video.subject for video in videos]))
        return {"5": experiment.load_flow(config, videos)}

    monkeypatch.setattr(pixels, "_extracted", unchanged)
    made = pixels.run(root=small)
    tested = ["spNO.1", "spNO.2"]
    assert asked == [(sweep, level, tested) for sweep, *_, levels in pixels.SWEEPS for level in levels]
    assert set(made["part"]) == {"pixels"} and set(made["difficulty"]) == {"demo"}
    assert made.groupby("sweep", sort=False)["level"].unique().map(list).to_dict() == {
        "compression": [30, 50, 75, 90, 95], "landmark jitter in pixels": [0, 0.5, 1, 2],
    }  # fmt: skip
    assert list(made.loc[made["own"], "level"].unique()) == [90, 0]
    assert made.groupby("variant")[["tp", "fp", "fn"]].nunique().eq(1).all().all()  # flow is unchanged here
