"""The record of a video's regional flow."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from metst_lib import rois


@dataclass(frozen=True, eq=False)
class RoiFlow:
    """The regions' flow of one video, in windows.

    values: float32 (W, C, k), pixels of the face crop, 0 at each window's first frame. starts: (W,), the
    first frame of each window. flags: bool (W,), whether a window's face came from another frame than its
    first, or it has none. n_frames: T; of mode "released" the (W + 1)·k/2 that the windows cover. fps: frames
    per second, where known. settings: whatever else is worth keeping, JSON-able.
    ValueError where shapes disagree, values are not finite, or a window reaches beyond the video.
    """

    values: np.ndarray
    starts: np.ndarray
    flags: np.ndarray
    n_frames: int
    fps: float | None = None
    roi_set: str = "5"
    mode: str = "exact"
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in (("values", np.float32), ("starts", np.int64), ("flags", bool)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=kind))
        channels = 2 * len(rois.roi_set(self.roi_set))
        if self.values.ndim != 3 or self.values.shape[1] != channels:
            raise ValueError(
                f"flow values have the shape {self.values.shape}, not (windows, {channels}, frames) "
                f"as roi_set {self.roi_set!r} has"
            )
        if self.starts.shape != (len(self.values),) or self.flags.shape != (len(self.values),):
            shapes = f"starts {self.starts.shape} and flags {self.flags.shape}"
            raise ValueError(f"{len(self.values)} windows of flow, but {shapes}")
        if not np.isfinite(self.values).all():
            raise ValueError("flow values are not finite (NaN or infinite)")
        if len(self.starts) and (self.starts.min() < 0 or self.starts.max() + self.window > self.n_frames):
            raise ValueError(
                f"windows of {self.window} frames reach beyond the video's {self.n_frames} frames"
            )

    @property
    def window(self) -> int:
        """k, the frames of a window."""
        return self.values.shape[2]

    @property
    def channels(self) -> list[str]:
        """Names of the C channels: "left brow x", "left brow y", …"""
        return rois.channel_names(self.roi_set)
