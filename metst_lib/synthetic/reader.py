"""The readers of the sets that we write: the rendered one, and the rehearsal of a real one.

Both have the layout of CAS(ME)³. The rehearsal has no frames: the annotations and the lengths of the real
set's videos, and flow made of `signals`.
"""

from dataclasses import replace
from functools import partial

from metst_lib.datasets import casme3
from metst_lib.synthetic import predictor, signals, writer

SYNTHETIC = replace(
    casme3.READER,
    name=writer.NAME,
    title="synthetic",
    licence="Written by this package: free to use; the face is a public-domain photograph by NASA.",
    read=partial(casme3.read, repair=False),
    source="",
    command="metst data synth",
    window=30,
    expected={},
    unreadable=0,
    released=False,
    predictor=f"{writer.NAME}/{predictor.NAME}",
    synthetic=True,
    origin="rendered motion of one face",
    marker="complete.json",
    truth="truth",
    all_blinks=True,
)
REHEARSAL = replace(
    casme3.READER,
    name="casme3-rehearsal",
    title=f"synthetic rehearsal of {casme3.READER.title}",
    licence=f"Its annotations are those of {casme3.READER.title}, under their owners' licence.",
    source="",
    command="metst data rehearse casme3",
    predictor="none",
    synthetic=True,
    origin="flow made up for the real labels, with no face in it",
    ranges="video_frames.csv",
    flow=signals.roi_flow,
    flow_key=lambda roi_set: signals.response(roi_set).key,
    flow_mode=signals.MODE,
    rehearses=casme3.READER.name,
)
