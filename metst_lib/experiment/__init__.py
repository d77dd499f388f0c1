"""Experiments: what can be run, where it lies, what a fold leaves behind, tables (paper, Sec. IV).

May import the method, `kernels`, `datasets`, `synthetic` and `released`. What notebooks call stands on the
package itself.
"""

from metst_lib import moved
from metst_lib.experiment.config import Config as Config
from metst_lib.experiment.config import configure as configure
from metst_lib.experiment.config import home as home
from metst_lib.experiment.flows import flow_report as flow_report
from metst_lib.experiment.flows import landmarker as landmarker
from metst_lib.experiment.flows import landmarks_along as landmarks_along
from metst_lib.experiment.flows import load_data as load_data
from metst_lib.experiment.flows import load_flow as load_flow
from metst_lib.experiment.flows import prepare as prepare
from metst_lib.experiment.provenance import versions as versions
from metst_lib.experiment.runs import Run as Run
from metst_lib.experiment.runs import chosen as chosen
from metst_lib.experiment.runs import fit as fit
from metst_lib.experiment.runs import folds as folds
from metst_lib.experiment.runs import read_fold as read_fold
from metst_lib.experiment.runs import read_run as read_run
from metst_lib.experiment.runs import run_fold as run_fold
from metst_lib.experiment.runs import run_folds as run_folds
from metst_lib.experiment.variants import ABLATION as ABLATION
from metst_lib.experiment.variants import PRESETS as PRESETS
from metst_lib.experiment.variants import TABLED as TABLED
from metst_lib.experiment.variants import VARIANTS as VARIANTS
from metst_lib.experiment.variants import Preset as Preset
from metst_lib.experiment.variants import Variant as Variant

_MOVED = """
build:Config.recipe.build finished:runs.states flow_path:store.flow_path fold_folder:store.fold_folder
git_revision:provenance.git_revision landmark_file:flows.landmark_file presets_of:variants.presets_of
score_fitted:runs.score_fitted with_flow:flows.load_flow Fit:fold.fit Fold:fold.Fold Key:events.Key
"""


__getattr__ = moved("metst_lib.experiment", _MOVED)
