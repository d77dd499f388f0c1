"""The regions: the table, and rectangles worked out by hand on a made-up face."""

import numpy as np
import pytest

from metst_lib import rois
from metst_lib.rois import Rect


def made_up_face() -> np.ndarray:
    """68 landmarks (x, y) of a plain face in the 320 × 320 crop."""
    jaw = [(40 + 15 * i, 140 + int(160 * np.sin(np.pi * i / 16))) for i in range(17)]
    brows = [(60, 110), (75, 100), (90, 96), (105, 98), (120, 104)]
    brows += [(200, 104), (215, 98), (230, 96), (245, 100), (260, 110)]
    nose = [(160, 110), (160, 128), (160, 146), (161, 164)]
    nose += [(136, 180), (148, 184), (160, 186), (172, 184), (184, 180)]
    eyes = [(70, 130), (85, 122), (105, 122), (120, 130), (105, 137), (85, 137)]
    eyes += [(200, 130), (215, 122), (235, 122), (252, 130), (235, 138), (215, 138)]
    lips = [(118, 232), (132, 226), (148, 222), (160, 224), (172, 222), (188, 226)]
    lips += [(202, 232), (188, 244), (172, 250), (160, 252), (148, 250), (132, 244)]
    lips += [(124, 232), (148, 230), (160, 231), (172, 230), (196, 232), (172, 236), (160, 237), (148, 236)]
    return np.array(jaw + brows + nose + eyes + lips)


BY_HAND = {
    1: Rect(91, 105, 65, 110),
    2: Rect(88, 108, 95, 115),
    3: Rect(86, 106, 80, 100),
    4: Rect(90, 110, 65, 85),
    5: Rect(91, 105, 210, 250),
    6: Rect(88, 108, 205, 225),
    7: Rect(86, 106, 220, 240),
    8: Rect(90, 110, 235, 255),
    9: Rect(217, 252, 108, 212),
    10: Rect(222, 242, 108, 138),
    11: Rect(222, 242, 182, 212),
    12: Rect(214, 234, 150, 170),
    13: Rect(242, 262, 150, 170),
    14: Rect(221, 241, 150, 170),
    15: Rect(160, 185, 116, 146),
    16: Rect(160, 185, 174, 204),
    17: Rect(147, 162, 75, 115),
    18: Rect(148, 164, 205, 247),
}
PATCHES_BY_HAND = {
    "A": Rect(81, 115, 55, 120),
    "B": Rect(81, 115, 200, 260),
    "C": Rect(207, 262, 98, 222),
    "D": Rect(144, 191, 106, 214),
    "E": Rect(142, 167, 70, 120),
    "F": Rect(143, 169, 200, 252),
}


def test_rectangles_are_those_worked_out_by_hand():
    layout = rois.resolve(rois.roi_set("18"), made_up_face())
    assert dict(zip(BY_HAND, layout.regions, strict=True)) == BY_HAND
    assert layout.patches == PATCHES_BY_HAND
    assert layout.nose == Rect(133, 177, 147, 174)
    assert layout.nose_core == Rect(148, 167, 152, 169)


def test_five_regions_are_five_of_the_eighteen():
    five, eighteen = rois.roi_set("5"), rois.roi_set("18")
    assert set(five) < set(eighteen)
    assert [roi.number for roi in five] == [1, 5, 9, 15, 16]
    assert [roi.q for roi in five] == [0.3, 0.3, 0.3, 0.2, 0.2]
    assert [roi.q for roi in eighteen] == [0.3] + [0.2] * 3 + [0.3] * 5 + [0.2] * 7 + [0.3] * 2
    assert [roi.number for roi in eighteen] == list(range(1, 19))
    layout = rois.resolve(five, made_up_face())
    assert layout.regions == tuple(BY_HAND[n] for n in (1, 5, 9, 15, 16))
    assert set(layout.patches) == set("ABCD")


def test_three_regions_are_whole_and_fifteen_are_parts():
    grain = [roi.granularity for roi in rois.roi_set("18")]
    assert [n for n, g in enumerate(grain, start=1) if g == "whole"] == [1, 5, 9]
    assert grain.count("part") == 15


def test_channels_are_x_then_y_of_each_region():
    assert rois.channel_names("5")[:4] == ["left brow x", "left brow y", "right brow x", "right brow y"]
    assert len(rois.channel_names("5")) == 10
    assert len(set(rois.channel_names("18"))) == 36


def test_the_mouth_ends_at_landmark_66():
    face = made_up_face()
    face[67] = (5, 300)
    assert rois.resolve(rois.ROIS, face).patches["C"] == PATCHES_BY_HAND["C"]


def test_what_the_crop_cuts_off_above_counts_as_border():
    face = made_up_face()
    face[17:27, 1] -= 88  # brows now reach row 8, their patches row −7
    layout = rois.resolve(rois.roi_set("18"), face)
    assert layout.patches["A"] == Rect(0, 27, 55, 120)
    assert layout.regions[0] == Rect(3, 17, 65, 110)
    assert layout.regions[4] == Rect(3, 17, 210, 250)
    assert layout.regions[2] == Rect(0, 18, 80, 100), "a part is clipped"


def test_as_released_parts_count_from_the_corner_that_was_cut_off():
    face = made_up_face()
    assert rois.resolve(rois.ROIS, face, as_released=True) == rois.resolve(rois.ROIS, face)
    face[17:27, 1] -= 88  # the brows' patches begin at row −7
    ours, theirs = rois.resolve(rois.ROIS, face), rois.resolve(rois.ROIS, face, as_released=True)
    assert theirs.patches == ours.patches
    assert [theirs.regions[i] for i in (0, 4)] == [ours.regions[i] for i in (0, 4)], "whole regions agree"
    assert ours.regions[2] == Rect(0, 18, 80, 100)
    assert theirs.regions[2] == Rect(5, 25, 80, 100), "7 px too low"
    face = made_up_face()
    face[48:68, 0] -= 103  # the mouth's patch begins at column −5
    assert rois.resolve(rois.ROIS, face).regions[11] == Rect(214, 234, 47, 67)
    assert rois.resolve(rois.ROIS, face, as_released=True).regions[11] == Rect(214, 234, 52, 72)


def test_as_released_a_patch_that_begins_outside_where_it_is_not_stopped_is_empty():
    face = made_up_face()
    face[48:68, 1] -= 220  # the mouth's patch begins at row −13, and is not stopped at the top
    theirs = rois.resolve(rois.ROIS, face, as_released=True)
    assert theirs.patches["C"].empty and all(region.empty for region in theirs.regions[8:14])
    face[22:27, 0] -= 205  # nor is the right brow's at the left
    with pytest.raises(ValueError, match="nothing of region 'right brow'"):
        rois.resolve(rois.ROIS, face, as_released=True)
    assert rois.resolve(rois.ROIS, face).patches["B"] == Rect(81, 115, 0, 55)


def test_the_left_edge_clips_the_patch_but_keeps_the_border():
    face = made_up_face()
    face[17:22, 0] -= 57
    layout = rois.resolve(rois.roi_set("5"), face)
    assert layout.patches["A"] == Rect(81, 115, 0, 63)
    assert layout.regions[0] == Rect(91, 105, 10, 53)


@pytest.mark.parametrize(("height", "bottom"), [(22, 101), (23, 96)])
def test_a_flat_left_brow_keeps_more_of_its_lower_border(height, bottom):
    face = made_up_face()
    face[17:22, 1] = 98
    face[17, 1] = 98 + height - 20
    region = rois.resolve(rois.roi_set("5"), face).regions[0]
    assert (region.top, region.bottom) == (93, 83 + height - (4 if height < 23 else 10))
    assert region.bottom == bottom


def test_parts_are_clipped_to_their_patch():
    face = made_up_face()
    face[20] = (117, 110)  # its square would reach rows 100 … 120, columns 107 … 127
    assert rois.resolve(rois.ROIS, face).regions[1] == Rect(100, 115, 107, 120)


def test_nothing_left_of_a_region_is_an_error_that_names_it():
    face = made_up_face()
    face[48:68, 1] += 200
    with pytest.raises(
        ValueError, match=r"nothing of region 'mouth' lies in the face crop \(s1 a, frame 7\)"
    ):
        rois.resolve(rois.roi_set("5"), face, "s1 a, frame 7")
    face = made_up_face()
    face[29:31, 0] = -80
    with pytest.raises(ValueError, match="'nose ridge'"):
        rois.resolve(rois.roi_set("5"), face)


def test_an_unknown_set_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown roi_set '7'; known: 5, 18"):
        rois.roi_set("7")


def eyes_at(left: tuple[int, int], right: tuple[int, int]) -> np.ndarray:
    points = np.zeros((68, 2), int)
    points[39], points[42] = left, right
    return points


def test_crop_is_nine_half_eye_distances_wide():
    # g = 17 (35 // 2), centre (117, 150): 3.5 g = 59, 4.5 g = 76, 5.5 g = 93
    assert rois.face_crop(eyes_at((100, 150), (135, 151))) == Rect(91, 243, 41, 193)


def test_crop_stops_at_the_top_and_left_edges_only():
    assert rois.face_crop(eyes_at((20, 30), (60, 30))) == Rect(0, 140, 0, 130)


@pytest.mark.parametrize("right", [(100, 150), (101, 150), (40, 150)])
def test_eye_corners_that_give_no_rectangle_are_refused(right):
    with pytest.raises(ValueError, match="no face crop: inner eye corners"):
        rois.face_crop(eyes_at((100, 150), right))
