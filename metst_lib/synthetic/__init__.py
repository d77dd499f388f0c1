"""The synthetic long-video set: a rendered face with known truth, in CAS(ME)³'s layout (paper, Sec. IV-A).

`script` says who does what when, `face` turns it into pixels, `writer` puts the set on disk, `predictor`
trains the demonstration's landmark predictor. Results on this set are results on one rendered face: they show
that the method works end to end, and nothing about real people.
"""

from metst_lib.synthetic.writer import is_complete, plan, write

__all__ = ["is_complete", "plan", "write"]
