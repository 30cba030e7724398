"""Series of a localizer as arrays: blobs that prefer a category, in noise that could mislead."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from mebold.phantom.task import response_functions

CATEGORIES = ("faces", "bodies", "scenes", "characters", "objects")
SHAPE = (20, 18, 12)
TR, SAMPLES, BLOCK_S = 1.9, 130, 12.0
#: Where each category is preferred; faces lie beside bodies, scenes at the edge of their parcel.
CENTRES = {"faces": (5, 5, 6), "bodies": (10, 5, 6), "scenes": (5, 13, 6)}
RADIUS = 2.6
PREFERRED, OTHERS = 3.5, 1.2  # percent: every category drives every visual voxel
_AR, _HRF = 0.4, 6


@dataclass(frozen=True)
class Run:
    """A run: series (V, T), events, motion (T, 6)."""

    data: np.ndarray
    events: pd.DataFrame
    motion: np.ndarray


def ball(centre, radius=RADIUS):
    place = np.indices(SHAPE) - np.array(centre).reshape(3, 1, 1, 1)
    return (place**2).sum(axis=0) <= radius**2


def responds() -> np.ndarray:
    """Return the voxels that respond to anything."""
    return np.any([ball(centre, RADIUS + 1) for centre in CENTRES.values()], axis=0)


def events(rng, without=()) -> pd.DataFrame:
    shown = [name for name in CATEGORIES if name not in without]
    order = np.concatenate([rng.permutation([*shown, "rest"]) for _ in range(3)])
    onsets = 10.0 + BLOCK_S * np.arange(len(order))
    return pd.DataFrame({"onset": onsets, "duration": BLOCK_S, "trial_type": order})


def run(rng, *, without=(), noise=1.0, task_motion=0.0) -> Run:
    """Simulate a run.

    AR(1) noise, drift, and signal that follows the motion; with `task_motion` the head moves with
    the blocks of faces.
    """
    table = events(rng, without)
    times = TR * np.arange(SAMPLES)
    response = {}
    for name in CATEGORIES:
        onsets = table.loc[table["trial_type"] == name, "onset"].to_numpy()
        lags = times[:, None] - onsets[None]
        response[name] = response_functions(lags.ravel(), BLOCK_S)[_HRF].reshape(lags.shape).sum(1)
    visual = responds().ravel()
    percent = np.zeros((visual.size, SAMPLES))
    for name, course in response.items():
        amplitude = OTHERS * visual
        if name in CENTRES:
            amplitude = np.where(ball(CENTRES[name]).ravel(), PREFERRED, amplitude)
        percent += amplitude[:, None] * course
    motion = np.cumsum(rng.standard_normal((SAMPLES, 6)), axis=0) * 0.05
    motion[:, 0] += task_motion * response["faces"]
    percent += rng.standard_normal((visual.size, 6)) @ motion.T  # every voxel its own
    percent += rng.standard_normal((visual.size, 2)) @ [times / times[-1], np.cos(times / 60)]
    white = rng.standard_normal((visual.size, SAMPLES + 20))
    percent += noise * autoregressive(white)
    level = rng.uniform(500, 1500, visual.size)
    return Run(level[:, None] * (1 + percent / 100), table, motion)


def autoregressive(white):
    """Return noise of order 1 with deviation 1."""
    return lfilter([np.sqrt(1 - _AR**2)], [1, -_AR], white, axis=1)[:, 20:]
