"""Task of the simulated experiment: trial order, events table, response patterns, BOLD."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import gammaln

from mebold.phantom.spec import PhantomSpec

_PARAMETERS = Path(__file__).parents[1] / "singletrial" / "hrf.tsv"
N_HRFS = 20


def image_names(spec: PhantomSpec) -> list[str]:
    """Return the labels of all images: first the frequent ones, then the rare ones."""
    n_sessions = len(spec.sessions)
    frequent = spec.frequent_shows * n_sessions
    return [f"shared_{frequent}rep_item_{i:03d}.jpg" for i in range(spec.frequent_images)] + [
        f"shared_{2 * n_sessions}rep_item_{i:03d}.jpg" for i in range(spec.rare_images)
    ]


def trial_orders(spec: PhantomSpec, rng: np.random.Generator) -> list[np.ndarray]:
    """Draw the images of every trial of a session.

    Rare images come twice, in different runs when there are several; frequent images are
    spread evenly over the runs. No image follows itself and no run begins with a blank.

    Parameters
    ----------
    spec : PhantomSpec
    rng : numpy.random.Generator

    Returns
    -------
    list of (trials,) int64 arrays
        One per run: index into `image_names`, -1 for a blank.
    """
    lists: list[list[int]] = [[] for _ in range(spec.runs)]
    for image in rng.permutation(spec.frequent_images):
        start = rng.integers(spec.runs)
        for show in range(spec.frequent_shows):
            lists[(start + show) % spec.runs].append(int(image))
    room = spec.trials - spec.blanks
    for image in spec.frequent_images + rng.permutation(spec.rare_images):
        # The two emptiest runs: every run ends full and the two shows differ in run.
        jitter = rng.random(spec.runs)
        emptiest = np.lexsort((jitter, [len(images) for images in lists]))
        for run in np.resize(emptiest, 2):
            lists[run].append(int(image))
    lists = _level(lists, room)
    return [_shuffle(rng, np.array(images + [-1] * spec.blanks)) for images in lists]


def _level(lists: list[list[int]], room: int) -> list[list[int]]:
    """Move frequent images from runs that are too long to runs that are too short."""
    long = [images for images in lists if len(images) > room]
    short = [images for images in lists if len(images) < room]
    while long and short:
        short[0].append(long[0].pop(0))
        long = [images for images in lists if len(images) > room]
        short = [images for images in lists if len(images) < room]
    return lists


def _shuffle(rng: np.random.Generator, images: np.ndarray) -> np.ndarray:
    """Permute trials until no two equal ones touch and the first is an image."""
    order = rng.permutation(images)
    for _ in range(10_000):
        touching = np.flatnonzero(order[1:] == order[:-1]) + 1
        if order[0] == -1:
            touching = np.append(touching, 0)
        if not touching.size:
            break
        other = rng.integers(len(order), size=len(touching))
        for a, b in zip(touching, other, strict=True):
            order[[a, b]] = order[[b, a]]
    return order


def events_table(
    spec: PhantomSpec,
    order: np.ndarray,
    shown_before: dict[int, int],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the events of one run and count its images in `shown_before`.

    Parameters
    ----------
    spec : PhantomSpec
    order : (trials,) int array
        From `trial_orders`.
    shown_before : dict of int to int
        Presentations of each image in all earlier runs of the subject. **Updated.**
    rng : numpy.random.Generator
        Onset and duration jitter, responses.

    Returns
    -------
    pandas.DataFrame
        One row a trial; ``n/a`` in the columns that mean nothing for a blank.
    """
    names = image_names(spec)
    rows, stimulus = [], 0
    for trial, image in enumerate(order):
        onset = spec.baseline_s + trial * spec.trial_s + rng.choice([0.048, 0.049])
        row = {
            "onset": round(onset, 3),
            "duration": round(spec.stimulus_s + rng.uniform(-6e-4, 6e-4), 4),
            "trial_number": trial + 1,
        }
        if image < 0:
            row |= {"trial_type": "blank", "stim_name": "blank"}
        else:
            stimulus += 1
            seen = shown_before.get(int(image), 0)
            shown_before[int(image)] = seen + 1
            answer = rng.random() < 0.85
            row |= {
                "trial_type": "old" if seen else "new",
                "response": (2 if seen else 1) if answer else (1 if seen else 2),
                "response_correct": float(answer),
                "response_time": round(rng.uniform(0.5, 1.6), 4),
                "stim_number": stimulus,
                "stim_name": names[image],
                "stim_occurrence": seen + 1,
            }
        rows.append(row)
    table = pd.DataFrame(rows, columns=EVENT_COLUMNS, dtype=object)
    return table.where(table.notna(), "n/a")


EVENT_COLUMNS = [
    "onset",
    "duration",
    "trial_type",
    "trial_number",
    "response",
    "response_correct",
    "response_time",
    "stim_number",
    "stim_name",
    "stim_occurrence",
]


@dataclass(frozen=True)
class Responses:
    """Response of each truth voxel to each image.

    Attributes
    ----------
    mean : (V,) float32 array
        Percent signal change at echo 2, averaged over images.
    features, images : (V, K), (K, C) float32 arrays
        Their product, times `mean`, is what distinguishes the images.
    hrf_index : (V,) int8 array
        Row of the response library.
    prefers : (V,) int8 array
        Category of the localizer (`localizer.CATEGORIES`), -1 for none.
    """

    mean: np.ndarray
    features: np.ndarray
    images: np.ndarray
    hrf_index: np.ndarray
    prefers: np.ndarray

    @property
    def betas(self) -> np.ndarray:
        """(V, C) float32 true response, percent at echo 2 and at the peak of the response."""
        return self.mean[:, None] * (1 + self.features @ self.images)


def trial_amplitudes(
    responses: Responses, order: np.ndarray, spec: PhantomSpec, rng: np.random.Generator
) -> np.ndarray:
    """Return the response of every voxel to every trial, with trial-to-trial variability.

    Parameters
    ----------
    responses : Responses
    order : (trials,) int array
    spec : PhantomSpec
        `trial_sd` is split between arousal (all voxels), patterns and single voxels.
    rng : numpy.random.Generator

    Returns
    -------
    (V, trials) float32 array
        Percent at echo 2; 0 for blanks.
    """
    n_voxels, n_features = responses.features.shape
    latent = rng.standard_normal((n_features, len(order)), dtype=np.float32)
    latent *= np.float32(1 / np.sqrt(np.mean(responses.features**2) * n_features))
    variable = 0.5 * rng.standard_normal(len(order), dtype=np.float32)
    variable = variable + 0.7 * responses.features @ latent
    variable += 0.5 * rng.standard_normal((n_voxels, len(order)), dtype=np.float32)
    image = np.maximum(order, 0)
    signal = 1 + (responses.features @ responses.images)[:, image]
    amplitudes = responses.mean[:, None] * (signal + np.float32(spec.trial_sd) * variable)
    return (amplitudes * (order >= 0)).astype(np.float32)


def response_functions(times_s: np.ndarray, stimulus_s: float) -> np.ndarray:
    """Return the 20 library responses to a stimulus of given length, peak 1.

    Parameters
    ----------
    times_s : (n,) array
        Seconds after stimulus onset.
    stimulus_s : float
        Length of the stimulus.

    Returns
    -------
    (20, n) float64 array
    """
    table = pd.read_csv(_PARAMETERS, sep="\t").iloc[:N_HRFS]
    step = 0.05
    fine = step * np.arange(1100)
    box = np.ones(max(round(stimulus_s / step), 1))
    out = np.empty((N_HRFS, len(times_s)))
    for row, p in enumerate(table.itertuples()):
        shape = _gamma(fine - p.onset, p.delay_response, p.dispersion_response)
        if np.isfinite(p.ratio_response_to_undershoot):
            undershoot = _gamma(fine - p.onset, p.delay_undershoot, p.dispersion_undershoot)
            shape = shape - undershoot / p.ratio_response_to_undershoot
        response = np.convolve(shape, box)[: len(fine)]
        out[row] = np.interp(times_s, fine, response / response.max(), left=0.0, right=0.0)
    return out


def _gamma(t: np.ndarray, delay: float, dispersion: float) -> np.ndarray:
    """Return the gamma density with shape delay / dispersion and rate 1 / dispersion."""
    shape, rate = delay / dispersion, 1 / dispersion
    out = np.zeros_like(t)
    u = t[t > 0]
    out[t > 0] = np.exp(shape * np.log(rate) + (shape - 1) * np.log(u) - rate * u - gammaln(shape))
    return out


def bold_series(
    amplitudes: np.ndarray,
    hrf_index: np.ndarray,
    onsets_s: np.ndarray,
    times_s: np.ndarray,
    stimulus_s: float,
) -> np.ndarray:
    """Return percent signal change at echo 2 of every voxel at given times.

    Parameters
    ----------
    amplitudes : (V, trials) float32 array
    hrf_index : (V,) int array
    onsets_s : (trials,) array
    times_s : (n,) array
        Acquisition times, s after the start of volume 0.
    stimulus_s : float

    Returns
    -------
    (n, V) float32 array
    """
    lag = np.asarray(times_s)[:, None] - np.asarray(onsets_s)[None, :]
    responses = response_functions(lag.ravel(), stimulus_s).astype(np.float32)
    out = np.zeros((len(hrf_index), len(times_s)), dtype=np.float32)
    for index in np.unique(hrf_index):
        voxels = hrf_index == index
        out[voxels] = amplitudes[voxels] @ responses[index].reshape(lag.shape).T
    return np.ascontiguousarray(out.T)
