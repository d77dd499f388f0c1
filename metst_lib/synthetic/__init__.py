"""The synthetic long-video set: a rendered face with known truth, in CAS(ME)³'s layout (paper, Sec. IV-A).

`script` says who does what when, `face` turns it into pixels, `writer` puts the set on disk and `truth` what
was rendered, `predictor` trains the demonstration's landmark predictor; `signals` makes flow without pixels,
at any size. The study set, the second edition, has its own `difficulty`, `study_script` and `study_signals`,
which reckon with a face's `shape` and its `answers`; `replicates` draws whole sets of it. Results on either
are results on one rendered face: they show that the method works end to end, and nothing about real people.

May import the method, `kernels` and `datasets`.
"""

from metst_lib.synthetic.truth import read_truth as read_truth
from metst_lib.synthetic.writer import plan as plan
from metst_lib.synthetic.writer import write as write
