"""Every figure of the compendium, drawn by code from arrays and events (Fig. 1–8 and the notebooks' own).

One look (`theme`), one colour for each emotion (`PALETTE`), a text alternative with every figure
(`alt_text`), the data's origin by `stamp`, PNG and PDF by `save`. A figure function takes plain arrays,
`Event`s and small records and returns a figure, which a notebook shows when it stands last in a cell.

| module | figures |
|---|---|
| data.py | durations, class_counts, timeline, blink_rates, set_statistics, event_strip |
| faces.py | landmarks_on_canvas, regions_on_canvas, flow_of_event, alignment_on_off, blink_beside_me |
| training.py | training_curves, discretisation, scan, five_intervals |
| results.py | score_to_events, confusion (Fig. 5), one_video (6), two_variants (7), key_regions (8) |
| schematics.py | state_transition (Fig. 1), window_against_video (2), result_synergy (4) |
| architecture.py | architecture (Fig. 3) |
| ablation.py | forest, sensitivity |
| sweeps.py | sweeps |
| decoders.py | decoder_differences |
| evidence.py | against_chance, dumbbells, hits_by_chance, alarms, error_shares, thresholds, protocols, … |
| power.py | power |
| rehearsal.py | flow_lengths |
| explorer.py | the picture of `app.explorer` |
| recording.py | recording |

Nothing is imported before it is asked for. The drawer may import the method and the drawers before it; a
side file that says what a figure was drawn from is the caller's to write (`experiment.provenance`).

Glossary: T frames of a video; k frames of a window; C channels of flow (region × x, y).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "_style": ["FULL", "PALETTE", "Drawing", "alt_text", "describe", "png", "save", "stamp", "theme"],
        "ablation": ["forest", "sensitivity"],
        "architecture": ["architecture"],
        "data": ["blink_rates", "class_counts", "durations", "event_strip", "set_statistics", "timeline"],
        "decoders": ["decoder_differences"],
        "evidence": [
            "Row",
            "against_chance",
            "alarms",
            "curve",
            "dumbbells",
            "error_shares",
            "hits_by_chance",
            "parts",
            "protocols",
            "thresholds",
        ],
        "faces": [
            "alignment_on_off",
            "blink_beside_me",
            "flow_of_event",
            "landmarks_on_canvas",
            "regions_on_canvas",
        ],
        "power": ["power"],
        "recording": ["recording"],
        "rehearsal": ["flow_lengths"],
        "results": [
            "EventView",
            "Output",
            "confusion",
            "key_regions",
            "one_video",
            "score_to_events",
            "two_variants",
        ],
        "schematics": ["result_synergy", "state_transition", "window_against_video"],
        "sweeps": ["sweeps"],
        "training": ["discretisation", "five_intervals", "scan", "training_curves"],
    },
)
