"""Frames and landmarks → the optical flow of the face's regions, window by window: what the networks read.

Paper, Sec. III-B and Fig. 3, "optical flow". For each window the face is found on the first frame and
cropped; Farnebäck's dense flow then runs from that frame to each other one, on a few patches of the crop; a
region's value is the mean flow of those of its pixels that move most. The head is followed by the flow of
the nose ridge: the crop moves along by whole pixels, and what is left is subtracted.

mode="exact" has the arithmetic of the authors' released extraction, to rounding. mode="fast" starts each
patch's flow from the last frame's, moved along with the head, and refines it by two iterations at full size:
about half the time, for a difference of a few thousandths of a pixel. Where the head jumps it starts anew.

mode="released" is "exact" with the other three ways of the authors' extraction, so that their caches can be
made again from frames: no search for a face where a window's first frame has none, regions laid wrongly
where the crop cuts their patch (`rois.resolve`), no last window. It is not the default: it writes zeros
where a face is a few frames away, moves regions, and leaves up to k/2 − 1 frames at the end without a score.

Glossary: T frames of a video; k frames of a window (`window`); W windows of a video; C channels, two
for each region. Lengths are pixels of the 320 × 320 face crop.
"""

from metst_lib.flow.extraction import MODES as MODES
from metst_lib.flow.extraction import extract as extract
from metst_lib.flow.extraction import extract_sets as extract_sets
from metst_lib.flow.faces import Landmarker as Landmarker
from metst_lib.flow.motion import crop_picture as crop_picture
from metst_lib.flow.motion import farneback as farneback
from metst_lib.flow.motion import pool as pool
from metst_lib.flow.record import RoiFlow as RoiFlow
