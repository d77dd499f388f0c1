"""ROI flow: against a plain reference, known motion and the renderer's truth; bad input."""

import threading
import weakref

import cv2
import numpy as np
import pytest
from toys import face

from metst_lib import flow, rois
from metst_lib.flow import MODES, RoiFlow, extract, extract_sets, pool
from metst_lib.rois import Rect
from metst_lib.synthetic.face import Film
from metst_lib.synthetic.script import write_script

HEIGHT, WIDTH, SCALE = 380, 400, 320 / 360  # frames, and pixels of the crop per pixel of the frame


def known(image, frame):
    return face()


def texture() -> np.ndarray:
    noise = np.random.default_rng(7).standard_normal((HEIGHT + 80, WIDTH + 80)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.clip(128 + 45 * noise / noise.std(), 0, 255)


def moved(displacement) -> np.ndarray:
    """The texture displaced; displacement(x, y) gives (dx, dy) in pixels of the frame."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    dx, dy = displacement(x, y)
    image = cv2.remap(texture(), x - dx + 40, y - dy + 40, cv2.INTER_CUBIC)
    return np.clip(image, 0, 255).astype(np.uint8)


def translating(n: int, vx: float, vy: float) -> list[np.ndarray]:
    return [moved(lambda x, y, t=t: (np.float32(vx * t), np.float32(vy * t))) for t in range(n)]


@pytest.fixture(scope="module")
def drifting():
    """40 frames that drift by (0.3, −0.15) px each: 11.7 px in all."""
    return translating(40, 0.3, -0.15)


@pytest.fixture(scope="module")
def film():
    """A synthetic video and its truth."""
    film = Film(write_script(0, 1, 0, 6, 30))
    return film, film.truth()


# ---------------------------------------------------------------- pooling


@pytest.mark.parametrize("q", [0.2, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (7, 9), (20, 20)])
def test_pooling_is_the_mean_of_the_longest_vectors(size, q):
    vectors = np.random.default_rng(size[1]).normal(size=(*size, 2)).astype(np.float32)
    ranked = sorted(vectors.reshape(-1, 2).tolist(), key=lambda v: v[0] ** 2 + v[1] ** 2)
    taken = ranked[int(len(ranked) * (1 - q)) :]
    want = [sum(v[axis] for v in taken) / len(taken) for axis in (0, 1)]
    assert pool(vectors, q) == pytest.approx(want, abs=1e-6)


def test_pooling_takes_ranks_from_the_floor_upwards():
    vectors = np.zeros((1, 5, 2), np.float32)
    vectors[0, :, 0] = [5, 1, 3, 2, 4]
    assert pool(vectors, 0.2) == (5, 0)  # ⌊5 · 0.8⌋ = 4: the longest alone
    assert pool(vectors, 0.3) == (4.5, 0)  # ⌊5 · 0.7⌋ = 3: two
    assert pool(vectors[:, :, ::-1], 0.3) == (0, 4.5)
    assert pool(vectors[:0], 0.3) == (0, 0)


# ---------------------------------------------------------------- mode="exact"


def plain_reference(frames, points, start, k):
    """One window of 18-region flow (36, k) as released, in the plainest form and every number written out."""

    def farneback(before, after):
        if not before.size:
            return np.zeros((0, 0, 2))
        return cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 5, 7, 1.5, 0)

    def top_mean(part, q):
        vectors = part.reshape(-1, 2).astype(float)
        if not len(vectors):
            return np.zeros(2)
        order = np.argsort((vectors**2).sum(1), kind="stable")
        return vectors[order[int(len(order) * (1 - q)) :]].mean(0)

    (lx, ly), (rx, ry) = points[39], points[42]
    g, cx, cy = int((rx - lx) / 2), int((lx + rx) / 2), int((ly + ry) / 2)
    top, bottom = max(cy - int(3.5 * g), 0), cy + int(5.5 * g)
    left, right = max(cx - int(4.5 * g), 0), cx + int(4.5 * g)
    p = np.trunc((points - [left, top]) * [320 / (right - left), 320 / (bottom - top)]).astype(int)
    x, y = p[:, 0], p[:, 1]
    a, ax = y[17:22].min() - 15, x[17:22].min() - 5
    b, bx = y[22:27].min() - 15, x[22:27].min()
    c, cx = y[48:67].min() - 15, x[48:67].min() - 20
    d, dx = y[30:36].min() - 20, x[30:36].min() - 30
    e, ew = (y[36:42].min() + y[36:42].max()) / 2, np.ptp(x[36:42])
    f, fw = (y[42:48].min() + y[42:48].max()) / 2, np.ptp(x[42:48])
    boxes = {
        "A": np.s_[max(0, a) : y[17:22].max() + 5, max(0, ax) : x[17:22].max()],
        "B": np.s_[max(0, b) : y[22:27].max() + 5, bx : x[22:27].max()],
        "C": np.s_[c : y[48:67].max() + 10, max(0, cx) : x[48:67].max() + 20],
        "D": np.s_[d : y[30:36].max() + 5, max(0, dx) : x[30:36].max() + 30],
        "E": np.s_[int(e + ew / 4) : int(e + 3 * ew / 4), max(0, x[36:42].min()) : x[36:42].max()],
        "F": np.s_[int(f + fw / 4) : int(f + 3 * fw / 4), max(0, x[42:48].min()) : x[42:48].max()],
        "G": np.s_[y[29:31].min() - 13 : y[29:31].max() + 13, x[29:31].min() - 13 : x[29:31].max() + 13],
    }
    brow, other = max(0, 10 + min(0, a)), max(0, 10 + min(0, b))

    def around(top, left, point, rows=(-10, 10), columns=(-10, 10)):
        row, column = y[point] - top, x[point] - left
        return np.s_[max(0, row + rows[0]) : row + rows[1], max(0, column + columns[0]) : column + columns[1]]

    parts = [
        ("A", 0.3, np.s_[brow:-10, 10:-10]),
        *(("A", 0.2, around(a, ax, point)) for point in (20, 19, 18)),
        ("B", 0.3, np.s_[other:-10, 10:-10]),
        *(("B", 0.3, around(b, bx, point)) for point in (23, 24, 25)),
        ("C", 0.3, np.s_[10:-10, 10:-10]),
        ("C", 0.2, around(c, cx, 48, columns=(-10, 20))),
        ("C", 0.2, around(c, cx, 54, columns=(-20, 10))),
        *(("C", 0.2, around(c, cx, point)) for point in (51, 57, 62)),
        ("D", 0.2, around(d, dx, 31, (-20, 5), (-20, 10))),
        ("D", 0.2, around(d, dx, 35, (-20, 5), (-10, 20))),
        ("E", 0.3, np.s_[5:-5, 5:-5]),
        ("F", 0.3, np.s_[5:-5, 5:-5]),
    ]
    first = cv2.resize(frames[start][top:bottom, left:right], (320, 320))
    rows = [np.zeros(36)]
    for t in range(1, k):
        for attempt in range(4):
            picture = cv2.resize(frames[start + t][top:bottom, left:right], (320, 320))
            flows = {name: farneback(first[box], picture[box]) for name, box in boxes.items()}
            gx, gy = top_mean(flows["G"][15:-10, 5:-5], 0.7)
            if gx * gx + gy * gy <= 1 or attempt == 3:
                break
            left, right = max(0, left + round(gx)), right + round(gx)
            top, bottom = max(0, top + round(gy)), bottom + round(gy)
        pooled = [top_mean(flows[name][box], q) - (gx, gy) for name, q, box in parts]
        rows.append(np.concatenate(pooled))
    return np.array(rows).T


def test_exact_equals_the_plain_reference(drifting, film):
    frames, truth = film
    points = np.rint(truth["landmarks"]).astype(int)
    clip = [frames[t] for t in range(40)]
    for video, landmarks in ((drifting, lambda t: face()), (clip, lambda t: points[t])):
        found = extract(video, lambda image, frame, at=landmarks: at(frame), "18", 20)
        for w, start in enumerate(found.starts):
            want = plain_reference(video, landmarks(start), start, 20)
            assert np.median(np.abs(found.values[w] - want)) < 1e-6
            assert np.quantile(np.abs(found.values[w] - want), 0.99) < 1e-4
            assert np.abs(found.values[w] - want).max() < 1e-3


def test_windows_overlap_by_half_and_the_last_ends_with_the_video(drifting):
    found = extract(drifting[:37], known, "5", 16)
    assert found.starts.tolist() == [0, 8, 16, 21]
    assert found.values.shape == (4, 10, 16) and found.values.dtype == np.float32
    assert not found.values[:, :, 0].any(), "row 0 of a window is zero flow"
    assert found.values[:, :, 1:].any(axis=2).all()
    assert found.n_frames == 37 and found.window == 16 and not found.flags.any()


def test_eighteen_regions_share_the_flow_of_the_five(drifting):
    five = extract(drifting[:16], known, "5", 16).values
    eighteen = extract(drifting[:16], known, "18", 16).values
    assert eighteen.shape == (1, 36, 16)
    for channel, region in ((0, 1), (2, 5), (4, 9), (6, 15), (8, 16)):
        assert np.array_equal(five[:, channel : channel + 2], eighteen[:, 2 * region - 2 : 2 * region])


@pytest.mark.parametrize("mode", MODES)
def test_two_sets_in_one_pass_are_what_each_gives_alone(drifting, mode):
    both = extract_sets(drifting[:30], known, ("18", "5"), 12, mode)
    assert list(both) == ["18", "5"]
    for roi_set, found in both.items():
        alone = extract(drifting[:30], known, roi_set, 12, mode)
        assert np.array_equal(found.values, alone.values) and np.array_equal(found.starts, alone.starts)
        assert found.roi_set == roi_set


# ---------------------------------------------------------------- mode="released"


def test_released_is_exact_where_face_patches_and_windows_lie_inside(drifting):
    exact, released = (extract(drifting, known, "18", 20, mode) for mode in ("exact", "released"))
    assert released.mode == "released" and not released.flags.any()
    assert np.array_equal(exact.values, released.values) and np.array_equal(exact.starts, released.starts)


def test_released_flow_is_zero_until_the_first_face_which_is_the_reference(drifting):
    def from_frame_7(image, frame):
        return face() if frame >= 7 else None

    found = extract(drifting[:24], from_frame_7, "18", 16, "released")
    assert found.flags.tolist() == [True, False]
    assert not found.values[0, :, :8].any()
    want = plain_reference(drifting, face(), 7, 9)
    assert np.abs(found.values[0, :, 7:] - want).max() < 1e-4
    ours = extract(drifting[:24], from_frame_7, "18", 16)
    assert ours.values[0, :, 1:8].any(), "ours finds that face, and measures from the window's first frame"
    assert np.array_equal(ours.values[1], found.values[1])


def test_released_flow_of_a_window_without_a_face_is_zero_and_flagged(drifting):
    found = extract(drifting[:24], lambda image, t: face() if t < 8 else None, "5", 8, "released")
    assert found.starts.tolist() == [0, 4, 8, 12, 16]
    assert found.flags.tolist() == [False, False, True, True, True]
    assert found.values[:2].any(axis=(1, 2)).all() and not found.values[2:].any()
    none = extract(drifting[:24], lambda image, t: None, "5", 8, "released")
    assert none.flags.all() and not none.values.any()


@pytest.mark.parametrize(
    ("points", "away", "misplaced"),
    [
        (slice(17, 27), (0, -100), [2, 3, 4, 6, 7, 8]),  # both brows' patches begin above the crop
        (slice(17, 22), (-80, 0), [2, 3, 4]),
        (slice(48, 68), (-125, 0), [10, 11, 12, 13, 14]),
    ],
)
def test_released_parts_lie_too_low_or_too_far_right_where_the_crop_cuts_their_patch(
    drifting, points, away, misplaced
):
    landmarks = face()
    landmarks[points] += away
    found = extract(drifting[:6], lambda image, t: landmarks, "18", 6, "released").values[0]
    assert np.abs(found - plain_reference(drifting, landmarks, 0, 6)).max() < 1e-4
    ours = extract(drifting[:6], lambda image, t: landmarks, "18", 6).values[0]
    other = (ours != found).reshape(18, 2, 6).any(axis=(1, 2))
    assert set(np.flatnonzero(other) + 1) <= {*misplaced}
    assert other.sum() >= 2


def test_released_flow_of_a_region_that_is_not_there_is_zero_less_the_noses(drifting):
    landmarks = face()
    landmarks[48:68, 1] += 200
    how = {"roi_set": "18", "window": 6, "mode": "released"}
    found = extract(drifting[:6], lambda image, t: landmarks, **how).values[0]
    assert np.abs(found - plain_reference(drifting, landmarks, 0, 6)).max() < 1e-4
    assert (np.abs(found[16:28, 1:]) > 0.01).all() and np.array_equal(found[16:18], found[26:28])
    still = extract(drifting[:6], lambda image, t: landmarks, **how, align=False).values[0]
    assert not still[16:28].any() and still[:16, 1:].all()
    landmarks[22:27, 0] = -10
    with pytest.raises(ValueError, match=r"nothing of region 'right brow' lies in the face crop \(v, frame"):
        extract(drifting[:6], lambda image, t: landmarks, **how, name="v")


def test_released_has_no_window_aligned_to_the_end(drifting):
    ours, found = (extract(drifting[:37], known, "5", 16, mode) for mode in ("exact", "released"))
    assert ours.starts.tolist() == [0, 8, 16, 21] and ours.n_frames == 37
    assert found.starts.tolist() == [0, 8, 16] and found.n_frames == 32
    assert np.array_equal(ours.values[:3], found.values)


# ---------------------------------------------------------------- known motion


def test_a_translation_is_seen_without_alignment_and_gone_with_it(drifting):
    t = np.arange(10)
    want = np.tile(np.stack([0.3 * SCALE * t, -0.15 * SCALE * t]), (18, 1))
    off = extract(drifting[:10], known, "18", 10, align=False).values[0]
    assert np.abs(off - want).max() < 0.15
    on = extract(drifting, known, "18", 40).values[0]  # 10.4 px of the crop in all: only following keeps up
    assert np.abs(on).max() < 0.1


def test_a_local_movement_shows_in_its_region_only():
    def mouth(x, y):
        bump = np.exp(-((x - 180) ** 2 + (y - 267) ** 2) / (2 * 15**2))
        return np.zeros_like(x), 3 * bump

    found = extract([moved(lambda x, y: (0 * x, 0 * y)), moved(mouth)], known, "5", 2)
    values = dict(zip(found.channels, found.values[0, :, 1], strict=True))
    assert 1.0 < values.pop("mouth y") < 3 * SCALE
    assert max(abs(value) for value in values.values()) < 0.15


def test_flow_is_near_the_renderers_truth(film):
    frames, truth = film
    landmarks = np.rint(truth["landmarks"])
    clip = [frames[t] for t in range(90)]
    k = 30

    def error(**how):
        found = extract(clip, lambda image, frame: landmarks[frame], "18", k, **how)
        want = [truth["rois"][s : s + k] - truth["rois"][s] for s in found.starts]
        return np.sqrt(np.mean((found.values - np.stack(want).reshape(-1, k, 36).transpose(0, 2, 1)) ** 2))

    aligned = error()
    assert aligned < 0.4
    assert error(mode="fast") < aligned + 0.01
    assert error(align=False) > 1.5 * aligned, "head motion is what alignment is for"


def test_a_micro_expression_has_the_true_course(film):
    frames, truth = film
    action = next(a for a in frames.script.actions if a.kind == "micro")
    first = max(0, action.onset - 4)
    window = range(first, first + 30)
    landmarks = np.rint(truth["landmarks"])
    found = extract([frames[t] for t in window], lambda image, t: landmarks[first + t], "18", 30).values[0]
    want = (truth["rois"][window] - truth["rois"][first]).reshape(30, 36).T
    during = slice(action.onset - first, action.offset - first + 1)
    strongest = np.argmax(np.abs(want).max(axis=1))
    assert np.corrcoef(found[strongest, during], want[strongest, during])[0, 1] > 0.8


# ---------------------------------------------------------------- fast, threads, memory


def test_fast_differs_from_exact_by_little(film, drifting):
    frames, truth = film
    landmarks = np.rint(truth["landmarks"])
    clip = [frames[t] for t in range(60)]
    for video, landmarker in ((clip, lambda image, t: landmarks[t]), (drifting, known)):
        exact = extract(video, landmarker, "18", 30).values
        fast = extract(video, landmarker, "18", 30, "fast").values
        assert 0 < np.quantile(np.abs(exact - fast), 0.99) <= 0.03


def test_fast_survives_a_jump_of_the_head_and_a_ruined_frame(film):
    frames, truth = film
    points = np.rint(truth["landmarks"][0])
    clip = [frames[t] if t < 12 else np.roll(frames[t], (4, -5), (0, 1)) for t in range(24)]
    clip[6] = np.random.default_rng(0).integers(0, 255, clip[6].shape, np.uint8)
    exact = extract(clip, lambda image, t: points, "18", 24).values
    fast = extract(clip, lambda image, t: points, "18", 24, "fast").values
    assert np.abs(exact[:, :, 12:]).max() < 2, "the crop has followed the jump"
    assert np.abs(exact - fast)[:, :, 12:].max() < 0.03


@pytest.mark.parametrize("mode", flow.MODES)
def test_the_number_of_threads_changes_nothing(drifting, mode):
    one = extract(drifting, known, "5", 10, mode, threads=1)
    three = extract(drifting, known, "5", 10, mode, threads=3)
    assert np.array_equal(one.values, three.values)


class Reel:
    """A video that counts how often its frames are read and how many are alive at once."""

    def __init__(self, n: int, image: np.ndarray) -> None:
        self.n, self.image = n, image
        self.reads, self.alive, self.most = np.zeros(n, int), 0, 0
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> np.ndarray:
        image = self.image.copy()
        weakref.finalize(image, self._gone)
        with self.lock:
            self.reads[i] += 1
            self.alive += 1
            self.most = max(self.most, self.alive)
        return image

    def _gone(self) -> None:
        with self.lock:
            self.alive -= 1


@pytest.mark.parametrize("threads", [1, 2])
def test_each_frame_is_read_once_and_few_are_kept(drifting, threads):
    reel = Reel(83, drifting[0])
    extract(reel, known, "5", 8, threads=threads)
    assert reel.reads.tolist() == [1] * 83
    assert reel.most <= 8 * (threads + 2)


def test_a_long_search_for_a_face_keeps_no_frames(drifting):
    reel = Reel(83, drifting[0])
    found = extract(reel, lambda image, frame: face() if frame == 80 else None, "5", 8)
    assert found.flags.sum() == len(found.flags)
    assert reel.most <= 24


def test_progress_counts_the_windows(drifting):
    seen = []
    extract(drifting[:20], known, "5", 8, threads=2, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


# ---------------------------------------------------------------- landmarks


class OnCrop:
    def __init__(self, points):
        self.points = points

    def __call__(self, image, frame):
        return face()

    def on_crop(self, image):
        assert image.shape == (320, 320)
        return self.points


def test_without_on_crop_landmarks_are_scaled_and_truncated(drifting):
    scaled = extract(drifting[:6], known, "5", 6).values
    by_hand = (face() - (0, 10)) * 320 // 360
    assert np.array_equal(extract(drifting[:6], OnCrop(by_hand), "5", 6).values, scaled)
    assert np.array_equal(extract(drifting[:6], OnCrop(None), "5", 6).values, scaled)
    assert not np.array_equal(extract(drifting[:6], OnCrop(by_hand + 4), "5", 6).values, scaled)


def test_landmarks_on_the_crop_decide_the_regions(drifting, monkeypatch):
    asked = []
    resolve = rois.resolve
    monkeypatch.setattr(rois, "resolve", lambda *a: asked.append(a[1]) or resolve(*a))
    points = (face() - (0, 10)) * 320 / 360 + 0.9
    extract(drifting[:6], OnCrop(points), "5", 6)
    assert np.array_equal(asked[0], np.trunc(points))


def test_a_window_without_a_face_takes_the_nearest_frames_and_is_flagged(drifting):
    def sometimes(image, frame):
        return {3: face(), 17: face() + 6, 20: face()}.get(frame)

    found = extract(drifting[:30], sometimes, "5", 20)
    assert found.starts.tolist() == [0, 10]
    assert found.flags.tolist() == [True, True]
    assert np.array_equal(found.values, extract(drifting[:30], known, "5", 20).values), "the earlier of two"
    assert extract(drifting[:30], lambda i, f: sometimes(i, f + 3), "5", 20).flags.tolist() == [False, True]


@pytest.mark.parametrize("away", [(5000, 0), (0, 5000), (-5000, 0), (0, -5000)])
def test_landmarks_outside_the_frame_count_as_no_face(drifting, away):
    def lost(image, frame):
        return face() + away if frame == 10 else face()

    assert extract(drifting[:30], lost, "5", 20).flags.tolist() == [False, True]


def test_a_face_partly_outside_the_frame_is_clipped(drifting):
    found = extract(drifting[:6], lambda image, frame: face() + np.array([60, 30]), "18", 6)
    assert not found.flags.any() and np.isfinite(found.values).all()


def test_no_face_in_the_whole_video_is_an_error_that_names_it(drifting):
    with pytest.raises(ValueError, match=r"spNO.1 a: no face found in any of its 20 frames"):
        extract(drifting[:20], lambda image, frame: None, "5", 10, name="spNO.1 a")


def test_a_region_outside_the_crop_is_an_error_that_names_it(drifting):
    points = face()
    points[48:68, 1] += 200
    with pytest.raises(ValueError, match=r"region 'mouth' lies in the face crop \(spNO.1 a, frame 0\)"):
        extract(drifting[:10], lambda image, frame: points, "5", 10, name="spNO.1 a")


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((5, 2)), r"v, frame 0: the landmarker gave float64 \(5, 2\), not the x, y of 68"),
        (np.full((68, 2), np.nan), "v, frame 0: the landmarker gave landmarks that are not finite"),
        ("face", "v, frame 0: the landmarker gave"),
    ],
)
def test_a_landmarker_that_gives_something_else_is_refused(drifting, points, message):
    with pytest.raises(ValueError, match=message):
        extract(drifting[:10], lambda image, frame: points, "5", 10, name="v")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"roi_set": "7"}, "unknown roi_set '7'; known: 5, 18"),
        ({"mode": "quick"}, "unknown mode 'quick'; known: exact, fast, released"),
        ({"window": 9}, r"v: .*even.*9"),
        ({"window": 40}, r"v: .*12 frames.*40"),
        ({"threads": 0}, "threads must be 1 or more"),
    ],
)
def test_unusable_settings_are_refused(drifting, options, message):
    with pytest.raises(ValueError, match=message):
        extract(drifting[:12], known, name="v", **{"roi_set": "5", "window": 10, **options})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), r"v, frame 7: uint8 \(380, 400, 3\), not a grey uint8"),
        (np.zeros((HEIGHT, WIDTH)), r"v, frame 7: float64 .* not a grey uint8"),
        (np.zeros((20, 30), np.uint8), r"v, frame 7: size \(20, 30\), but frame 0 has \(380, 400\)"),
    ],
)
def test_frames_of_another_kind_are_refused(drifting, bad, message):
    with pytest.raises(ValueError, match=message):
        extract([*drifting[:7], bad, *drifting[8:12]], known, "5", 12, name="v", threads=2)


@pytest.mark.parametrize("align", [True, False])
def test_flow_that_is_not_finite_is_an_error(drifting, monkeypatch, align):
    farneback = cv2.calcOpticalFlowFarneback

    def broken(before, after, *rest, **how):
        vectors = farneback(before, after, *rest, **how)
        vectors[len(vectors) // 2] = np.nan
        return vectors

    monkeypatch.setattr(cv2, "calcOpticalFlowFarneback", broken)
    with pytest.raises(ValueError, match="v: flow is not finite at frame 1"):
        extract(drifting[:10], known, "5", 10, align=align, name="v")


def test_the_crop_never_leaves_the_frame(drifting, monkeypatch):
    def runaway(before, after, *rest, **how):
        return np.full((*before.shape, 2), 200, np.float32)

    monkeypatch.setattr(cv2, "calcOpticalFlowFarneback", runaway)
    assert np.isfinite(extract(drifting[:10], known, "5", 10).values).all()


# ---------------------------------------------------------------- records


def test_nan_is_never_a_record():
    values = np.zeros((3, 10, 8))
    values[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="flow values are not finite"):
        RoiFlow(values, np.array([0, 4, 6]), np.zeros(3, bool), 14)


def test_a_record_knows_its_window_and_names_its_channels():
    made = RoiFlow(np.zeros((3, 36, 8)), [0, 4, 6], [0, 1, 0], 14, roi_set="18")
    assert made.window == 8 and made.channels == rois.channel_names("18")
    assert (made.values.dtype, made.starts.dtype, made.flags.dtype) == (np.float32, np.int64, bool)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"values": np.zeros((3, 8, 8))},
            r"shape \(3, 8, 8\), not \(windows, 10, frames\) as roi_set '5' has",
        ),
        ({"starts": np.zeros(2)}, r"3 windows of flow, but starts \(2,\)"),
        ({"n_frames": 13}, "windows of 8 frames reach beyond the video's 13 frames"),
        ({"roi_set": "9"}, "unknown roi_set"),
    ],
)
def test_a_record_that_does_not_fit_together_is_refused(change, message):
    parts = {
        "values": np.zeros((3, 10, 8)),
        "starts": np.array([0, 4, 6]),
        "flags": np.zeros(3),
        "n_frames": 14,
    }
    with pytest.raises(ValueError, match=message):
        RoiFlow(**{**parts, **change})


def test_a_crop_is_the_part_inside_the_frame():
    image = np.arange(100, dtype=np.uint8).reshape(10, 10)
    assert flow.crop_picture(image, Rect(8, 99, 0, 1)).max() == 90
