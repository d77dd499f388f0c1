"""The demonstration's landmark predictor: dlib's 68-point predictor, trained on rendered faces.

dlib's own 68-point file is trained on photographs whose licence excludes commercial use, and is the user's to
fetch. So that the synthetic set needs no download and yet takes the same landmark path as real recordings
(paper, Sec. III-A: face alignment before optical flow), a predictor of the same kind is trained here, on
rendered frames of subjects who are not in the set, with the boxes that dlib's frontal face detector finds.
It knows this one base face only: it is of no use for real faces.
"""

from pathlib import Path

import dlib
import numpy as np
from tqdm.auto import tqdm

from metst_lib._files import atomic
from metst_lib.synthetic.face import Film
from metst_lib.synthetic.script import write_script

NAME = "shape_predictor_68_synthetic.dat"
ACTORS = 30
FRAMES_EACH = 8
_SECONDS = 20


def train(
    path: str | Path,
    seed: int = 0,
    actors: int = ACTORS,
    frames: int = FRAMES_EACH,
    progress: bool = False,
) -> Path:
    """Train a 68-point predictor on `frames` rendered frames of each of `actors` subjects, into `path`.

    The actors are the script's cast "predictor", whose random keys are not those of the set. RuntimeError
    where dlib's detector finds a face on fewer than half the frames, OSError where the file cannot be written
    whole.
    """
    detector = dlib.get_frontal_face_detector()
    examples = []
    silent = None if progress else True
    for actor in tqdm(range(actors), desc="landmark predictor", unit="actor", disable=silent):
        examples += _examples(detector, seed, actor, frames)
    if 2 * len(examples) < actors * frames:
        raise RuntimeError(f"dlib found a face on only {len(examples)} of {actors * frames} rendered frames")
    options = dlib.shape_predictor_training_options()
    options.cascade_depth = 10
    options.num_trees_per_cascade_level = 80
    options.tree_depth = 4
    options.nu = 0.1
    options.oversampling_amount = 10
    options.num_threads = 1  # with more, dlib counts references to the images without a lock
    options.random_seed = f"synthetic {seed}"
    predictor = dlib.train_shape_predictor(*map(list, zip(*examples, strict=True)), options)
    with atomic(path) as temporary:
        predictor.save(str(temporary))
        try:  # dlib does not say when the disk is full, but half a file does not load
            dlib.shape_predictor(str(temporary))
        except RuntimeError as error:
            raise OSError(f"the predictor could not be written whole: {error}") from error
    return Path(path)


def _examples(
    detector: dlib.fhog_object_detector, seed: int, actor: int, frames: int
) -> list[tuple[np.ndarray, list[dlib.full_object_detection]]]:
    """Frames of one actor with box and true landmarks: half of them at the height of an action."""
    film = Film(write_script(seed, actor, 0, _SECONDS, cast="predictor"))
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2, actor)))
    apexes = rng.permutation([action.apex for action in film.script.actions])[: frames // 2]
    chosen = [int(t) for t in (*apexes, *rng.choice(len(film), frames - len(apexes), replace=False))]
    examples = []
    for t, landmarks in zip(chosen, film.truth(chosen)["landmarks"], strict=True):
        image = film[t]
        boxes = detector(image)
        if len(boxes):
            points = [dlib.point(int(x), int(y)) for x, y in np.rint(landmarks)]
            examples.append((image, [dlib.full_object_detection(boxes[0], points)]))
    return examples
