"""Every figure of the compendium, drawn by code from arrays and events (Fig. 1–8 and the notebooks' own).

One look (`theme`), one colour for each emotion (`PALETTE`), a text alternative with every figure
(`alt_text`), the data's origin by `stamp`, PNG and PDF by `save`. A figure function takes plain arrays,
`Event`s and small records and returns a figure, which a notebook shows when it stands last in a cell.

| module | figures |
|---|---|
| data.py | durations, class_counts, timeline, blink_rates, event_strip |
| faces.py | landmarks_on_canvas, regions_on_canvas, flow_of_event, alignment_on_off, blink_beside_me |
| training.py | training_curves, discretisation, scan, five_intervals |
| results.py | score_to_events, confusion (Fig. 5), one_video (6), two_variants (7), key_regions (8) |
| schematics.py | state_transition (Fig. 1), window_against_video (2), result_synergy (4) |
| architecture.py | architecture (Fig. 3) |
| ablation.py | forest, sensitivity |
| rehearsal.py | flow_lengths |
| explorer.py | the picture of `widgets.explore` |
| recording.py | recording |

Glossary: T frames of a video; k frames of a window; C channels of flow (region × x, y).
"""

from metst_lib.figures._style import (
    DASHES,
    FULL,
    HALF,
    HATCHES,
    PALETTE,
    TEXT,
    Drawing,
    alt_text,
    describe,
    png,
    save,
    stamp,
    theme,
)
from metst_lib.figures.ablation import forest, sensitivity
from metst_lib.figures.architecture import Stage, architecture, arrange
from metst_lib.figures.data import blink_rates, class_counts, durations, event_strip, timeline
from metst_lib.figures.faces import (
    alignment_on_off,
    blink_beside_me,
    draw_landmarks,
    flow_of_event,
    landmarks_on_canvas,
    regions_on_canvas,
)
from metst_lib.figures.recording import recording
from metst_lib.figures.rehearsal import flow_lengths
from metst_lib.figures.results import (
    EventView,
    Output,
    confusion,
    key_regions,
    one_video,
    score_to_events,
    two_variants,
)
from metst_lib.figures.schematics import (
    Synergy,
    result_synergy,
    state_transition,
    window_against_video,
)
from metst_lib.figures.training import discretisation, five_intervals, scan, training_curves

__all__ = [
    "DASHES",
    "FULL",
    "HALF",
    "HATCHES",
    "PALETTE",
    "TEXT",
    "Drawing",
    "EventView",
    "Output",
    "Stage",
    "Synergy",
    "alignment_on_off",
    "alt_text",
    "architecture",
    "arrange",
    "blink_beside_me",
    "blink_rates",
    "class_counts",
    "confusion",
    "describe",
    "discretisation",
    "draw_landmarks",
    "durations",
    "event_strip",
    "five_intervals",
    "flow_lengths",
    "flow_of_event",
    "forest",
    "key_regions",
    "landmarks_on_canvas",
    "one_video",
    "png",
    "recording",
    "regions_on_canvas",
    "result_synergy",
    "save",
    "scan",
    "score_to_events",
    "sensitivity",
    "stamp",
    "state_transition",
    "theme",
    "timeline",
    "training_curves",
    "two_variants",
    "window_against_video",
]
