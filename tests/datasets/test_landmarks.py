"""Landmarks: dlib, files of precomputed ones, and the cache."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import cv2
import dlib
import numpy as np
import pandas as pd
import pytest
from skimage import data

from metst_lib.datasets import landmarks as faces
from metst_lib.datasets.landmarks import (
    CachedLandmarker,
    DlibLandmarker,
    PrecomputedLandmarks,
    read_landmarks,
)


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    grey = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey[0:260, 100:360], (480, 480))


def train(path, parts: int, image: np.ndarray) -> None:
    """The smallest predictor dlib will train: landmarks on a grid in the face's box."""
    box = dlib.get_frontal_face_detector()(image, 0)[0]
    shapes = []
    for shift in (0, 2):
        grid = [(box.left() + 10 * (i % 8) + shift, box.top() + 10 * (i // 8)) for i in range(parts)]
        shapes.append(dlib.full_object_detection(box, [dlib.point(*p) for p in grid]))
    options = dlib.shape_predictor_training_options()
    options.cascade_depth, options.num_trees_per_cascade_level, options.tree_depth = 2, 2, 2
    options.feature_pool_size, options.num_test_splits, options.oversampling_amount = 20, 2, 2
    options.be_verbose = False
    predictor = dlib.train_shape_predictor([image, image], [[shapes[0]], [shapes[1]]], options)
    predictor.save(str(path))


@pytest.fixture(scope="module")
def predictor(tmp_path_factory, astronaut):
    path = tmp_path_factory.mktemp("predictor") / "68.dat"
    train(path, 68, astronaut)
    return path


def test_dlib_finds_whole_pixel_landmarks_or_nothing(predictor, astronaut):
    landmarker = DlibLandmarker(predictor)
    points = landmarker(astronaut, 0)
    box = dlib.get_frontal_face_detector()(astronaut, 0)[0]
    assert points.shape == (68, 2) and np.issubdtype(points.dtype, np.integer)
    assert np.abs(points[0] - (box.left() + 1, box.top())).max() <= 3, "x comes before y"
    assert np.array_equal(landmarker.on_crop(astronaut), points)
    assert landmarker(np.full((200, 200), 128, np.uint8), 0) is None


def test_of_several_faces_the_largest_is_taken(predictor, astronaut):
    small = cv2.resize(astronaut, None, fx=0.6, fy=0.6)
    both = np.full((480, 800), 128, np.uint8)
    both[:288, :288], both[:, 320:] = small, astronaut
    assert len(dlib.get_frontal_face_detector()(both, 0)) == 2
    assert DlibLandmarker(predictor)(both, 0)[:, 0].min() > 320


def test_dlib_gives_the_same_on_several_threads(predictor, astronaut):
    landmarker = DlibLandmarker(predictor)
    images = [np.roll(astronaut, 7 * i, axis=1) for i in range(6)]
    alone = [landmarker(image, 0) for image in images]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda image: landmarker(image, 0), images))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_dlib_landmarker_goes_to_another_process(predictor, astronaut):
    landmarker = DlibLandmarker(predictor)
    copy = pickle.loads(pickle.dumps(landmarker))
    assert np.array_equal(copy(astronaut, 0), landmarker(astronaut, 0))


def test_a_missing_predictor_is_told_with_where_to_get_it_and_put_it(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        DlibLandmarker(tmp_path / "nowhere.dat")
    for part in (
        "nowhere.dat",
        "shape_predictor_68_face_landmarks.dat",
        "dlib-models",
        "commercial",
        "`landmarks`",
    ):
        assert part in str(error.value)
    assert str(faces.PREDICTOR) in str(error.value)


def test_a_file_that_is_no_68_point_predictor_is_refused(tmp_path, astronaut):
    junk = tmp_path / "junk.dat"
    junk.write_bytes(b"not a predictor at all")
    with pytest.raises(ValueError, match=r"junk.dat is not a dlib shape predictor .*dlib-models"):
        DlibLandmarker(junk)
    train(tmp_path / "five.dat", 5, astronaut)
    with pytest.raises(ValueError, match=r"five.dat predicts 5 landmarks, not 68\. Wanted"):
        DlibLandmarker(tmp_path / "five.dat")


def some_points(n: int = 4) -> np.ndarray:
    return np.random.default_rng(0).uniform(50, 200, (n, 68, 2)).round(1)


def test_precomputed_landmarks_come_back_from_their_file(tmp_path):
    points = some_points()
    points[2] = np.nan
    known = PrecomputedLandmarks(points)
    again = read_landmarks(known.save(tmp_path / "lm.npz"))
    assert len(again) == 4
    assert np.array_equal(again(None, 3), points[3])
    assert again(None, 2) is None
    assert not hasattr(again, "on_crop"), "they are scaled into the crop"
    with pytest.raises(ValueError, match=r"no landmarks for frame 4: the file covers frames 0…3"):
        again(None, 4)
    assert np.array_equal(read_landmarks(tmp_path / "lm.npz", frame_step=3)(None, 1), points[3])


def test_landmarks_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(4, 5, 2\), not \(frames, 68, 2\)"):
        PrecomputedLandmarks(np.zeros((4, 5, 2)))


def openface(points: np.ndarray, frames, **columns) -> pd.DataFrame:
    table = pd.DataFrame({"frame": frames, **columns})
    flat = {f"x_{i}": points[:, i, 0] for i in range(68)} | {f"y_{i}": points[:, i, 1] for i in range(68)}
    return pd.concat([table, pd.DataFrame(flat)], axis=1)


def test_openface_tables_are_read_with_blanks_in_their_header(tmp_path):
    points = some_points()
    table = openface(
        points, [1, 2, 3, 5], timestamp=0.0, confidence=[0.9, 0.9, 0.02, 0.9], success=[1, 1, 0, 1]
    )
    table.columns = [table.columns[0], *(" " + name for name in table.columns[1:])]
    table.to_csv(tmp_path / "of.csv", index=False)
    known = read_landmarks(tmp_path / "of.csv")
    assert len(known) == 5, "frame 5 of the table is index 4"
    assert np.array_equal(known(None, 0), points[0])
    assert np.array_equal(known(None, 4), points[3])
    assert known(None, 2) is None, "success 0"
    assert known(None, 3) is None, "no row"


def test_of_several_openface_faces_the_largest_is_taken(tmp_path):
    points = some_points(3)
    points[1] = points[1] * 2
    table = openface(points, [1, 1, 1], face_id=[0, 1, 2], success=1)
    table.to_csv(tmp_path / "of.csv", index=False)
    assert np.array_equal(read_landmarks(tmp_path / "of.csv")(None, 0), points[1])


def test_unusable_landmark_files_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no landmark file at .*gone.npz"):
        read_landmarks(tmp_path / "gone.npz")
    (tmp_path / "a.txt").write_text("1")
    with pytest.raises(ValueError, match=r"a.txt: landmarks are read from .npz or .csv files"):
        read_landmarks(tmp_path / "a.txt")
    table = openface(some_points(), [1, 2, 3, 4])
    table.drop(columns=["y_7", "y_9"]).to_csv(tmp_path / "lacks.csv", index=False)
    with pytest.raises(ValueError, match=r"lacks.csv lacks column 'y_7' \(2 columns missing\)"):
        read_landmarks(tmp_path / "lacks.csv")
    table.assign(frame=[1, 2, 0, 4]).to_csv(tmp_path / "zero.csv", index=False)
    with pytest.raises(ValueError, match=r"zero.csv, line 4: frame .*0.* is not a whole number from 1"):
        read_landmarks(tmp_path / "zero.csv")
    table.iloc[:0].to_csv(tmp_path / "empty.csv", index=False)
    with pytest.raises(ValueError, match=r"empty.csv has no rows"):
        read_landmarks(tmp_path / "empty.csv")
    np.savez(tmp_path / "other.npz", something=np.zeros(3))
    with pytest.raises(ValueError, match=r"other.npz is not a landmark file"):
        read_landmarks(tmp_path / "other.npz")
    np.savez(tmp_path / "shape.npz", landmarks=np.zeros((3, 5, 2)))
    with pytest.raises(ValueError, match=r"shape.npz: landmarks have the shape \(3, 5, 2\)"):
        read_landmarks(tmp_path / "shape.npz")
    whole = PrecomputedLandmarks(some_points()).save(tmp_path / "whole.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"half.npz is not a landmark file, or not a whole one"):
        read_landmarks(tmp_path / "half.npz")
    with pytest.raises(ValueError, match="frame_step 0"):
        read_landmarks(tmp_path / "whole.npz", frame_step=0)


class Counting:
    """A landmarker that looks at pixels and counts how often it is asked."""

    made_by = "counting"

    def __init__(self):
        self.calls = 0

    def __call__(self, image, frame):
        self.calls += 1
        return None if image[0, 0] == 0 else np.full((68, 2), image[0, 0], int)

    def on_crop(self, image):
        return self(image, 0) + 1


def test_the_cache_asks_once_for_each_image(tmp_path):
    inner = Counting()
    cached = CachedLandmarker(inner, tmp_path / "cache.npz")
    image, black = np.full((8, 8), 9, np.uint8), np.zeros((8, 8), np.uint8)
    for _ in range(3):
        assert (cached(image, 0) == 9).all()
        assert (cached.on_crop(image) == 10).all(), "a frame and a crop with the same pixels are not one"
        assert cached(black, 1) is None
        assert (cached(np.full((4, 16), 9, np.uint8), 0) == 9).all()
    assert inner.calls == 4 == len(cached)
    assert not (tmp_path / "cache.npz").exists(), "nothing is written before save"
    cached.save()
    again = CachedLandmarker(Counting(), tmp_path / "cache.npz")
    assert (again(image, 5) == 9).all() and again(black, 5) is None and (again.on_crop(image) == 10).all()
    assert again.landmarker.calls == 0


def test_the_cache_of_another_landmarker_is_not_used(tmp_path):
    cached = CachedLandmarker(Counting(), tmp_path / "cache.npz")
    cached(np.full((8, 8), 9, np.uint8), 0)
    cached.save()
    other = Counting()
    other.made_by = "another predictor"
    assert len(CachedLandmarker(other, tmp_path / "cache.npz")) == 0


def test_a_cache_without_on_crop_finds_none_there(tmp_path):
    cached = CachedLandmarker(lambda image, frame: np.ones((68, 2)), tmp_path / "cache.npz")
    assert cached.on_crop(np.zeros((320, 320), np.uint8)) is None


def test_an_empty_cache_is_a_whole_file(tmp_path):
    CachedLandmarker(Counting(), tmp_path / "cache.npz").save()
    assert len(CachedLandmarker(Counting(), tmp_path / "cache.npz")) == 0


def test_a_broken_cache_is_refused(tmp_path):
    (tmp_path / "cache.npz").write_bytes(b"PK\x03\x04 half of it")
    with pytest.raises(ValueError, match=r"cache.npz is not a landmark cache, or not a whole one"):
        CachedLandmarker(Counting(), tmp_path / "cache.npz")
