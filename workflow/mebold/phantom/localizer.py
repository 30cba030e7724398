"""A localizer of the simulated experiment: blocks of categories, and where each is preferred."""

import numpy as np
import pandas as pd

from mebold.phantom.spec import PhantomSpec

CATEGORIES = ("faces", "bodies", "scenes", "characters", "objects")
#: Where three of them are preferred, MNI mm, away from the dropout above the ears; all others drive
#: the same voxels, but less.
CENTRES_MM = {"faces": (42, -60, 4), "bodies": (22, -84, 34), "scenes": (-30, -64, 8)}
_BASELINE = "rest"


def preferences(spec: PhantomSpec, mni_mm: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Return the category that each place prefers.

    Parameters
    ----------
    spec : PhantomSpec
    mni_mm : (N, 3) array
    brain : (N,) array
        Share of brain. Balls take all of it: voxels of 6 mm hold cortex anywhere.

    Returns
    -------
    (N,) int8 array
        Index in `CATEGORIES`, -1 outside of every ball and in a dataset without a localizer.
    """
    found = np.full(len(mni_mm), -1, dtype=np.int8)
    for name, centre in CENTRES_MM.items() if spec.localizer_runs else ():
        near = np.linalg.norm(mni_mm - np.array(centre), axis=1) <= spec.localizer_radius_mm
        found[near & (np.asarray(brain) > 0.5)] = CATEGORIES.index(name)
    return found


def events(spec: PhantomSpec, index: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return the blocks of one run, 0-based: every category and a rest, again and again in turn."""
    lacks = spec.localizer_lacks if index == spec.localizer_runs - 1 else ""
    shown = [name for name in CATEGORIES if name != lacks] + [_BASELINE]
    room = spec.localizer_volumes * spec.repetition_time_s - spec.baseline_s
    count = int(room / spec.localizer_block_s / len(shown))
    order = np.concatenate([rng.permutation(shown) for _ in range(max(count, 1))])
    onset = spec.baseline_s + spec.localizer_block_s * np.arange(len(order))
    columns = {"onset": onset.round(3), "duration": spec.localizer_block_s, "trial_type": order}
    return pd.DataFrame(columns)


def amplitudes(spec: PhantomSpec, prefers: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Return the response (V, blocks) of every voxel to every block, percent at echo 2."""
    shown = np.array([CATEGORIES.index(t) if t in CATEGORIES else -2 for t in table["trial_type"]])
    own, others = spec.localizer_percent
    size = np.where(prefers[:, None] == shown[None], own, others) * (prefers[:, None] >= 0)
    return (size * (shown >= 0)).astype(np.float32)
