"""From events to numbers: matching, spotting and recognition scores, STRS; chance, ranking, sorts of errors.

Paper, Sec. IV-A: IoU (Eq. 4), UAR (Eq. 5), UF1 (Eq. 6), STRS (Eq. 7); Tables I–V.

Counts are pooled over the whole data set, then turned into ratios: the scores of several folds are the
scores of the union of their videos (`pool`), never the mean of the folds' ratios. A ratio 0/0 counts as 0.

Recognition is scored on spotting true positives whose true class is negative, positive or surprise. The
predicted class may be "others" (or none at all): a miss of the true class and nobody's false positive, hence
FP ≠ FN in Table IV.

Glossary: TP, FP, FN true positives, false positives, false negatives; S subjects; C scored emotions,
3 but for `MEANS`.
"""

from metst_lib.metrics.chance import Chance as Chance
from metst_lib.metrics.chance import chance as chance
from metst_lib.metrics.matching import IOU as IOU
from metst_lib.metrics.matching import SCORERS as SCORERS
from metst_lib.metrics.matching import match_events as match_events
from metst_lib.metrics.ranking import Ranking as Ranking
from metst_lib.metrics.ranking import average_precision as average_precision
from metst_lib.metrics.ranking import per_minute as per_minute
from metst_lib.metrics.ranking import ranking as ranking
from metst_lib.metrics.scores import COLUMNS as COLUMNS
from metst_lib.metrics.scores import MEANS as MEANS
from metst_lib.metrics.scores import MEASURES as MEASURES
from metst_lib.metrics.scores import SCORED as SCORED
from metst_lib.metrics.scores import Confusion as Confusion
from metst_lib.metrics.scores import Counts as Counts
from metst_lib.metrics.scores import Match as Match
from metst_lib.metrics.scores import Recognition as Recognition
from metst_lib.metrics.scores import Scores as Scores
from metst_lib.metrics.scores import SubjectScores as SubjectScores
from metst_lib.metrics.scores import evaluate as evaluate
from metst_lib.metrics.scores import harmonic_mean as harmonic_mean
from metst_lib.metrics.scores import pool as pool
