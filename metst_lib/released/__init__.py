"""What the authors released, read safely: weights, caches of flow, and what they score.

`README.md` beside this file tells what was released when, what of it stands here, and what is not known.

May import the method, `kernels`, `datasets` and `synthetic`.
"""

from metst_lib.released.caches import CACHED as CACHED
from metst_lib.released.caches import load_cache as load_cache
from metst_lib.released.caches import read_caches as read_caches
from metst_lib.released.weights import load_weights as load_weights
from metst_lib.released.weights import read_weights as read_weights
