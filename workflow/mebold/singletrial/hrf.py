"""Haemodynamic response shapes of the single-trial fit: a library of 20 and an assumed one.

All shapes are double gamma functions whose parameters are stored in
``hrf.tsv``. The table describes the responses published with the
Natural Scenes Dataset and GLMsingle; cite both where it is used.
"""

from __future__ import annotations

import csv
import math
from functools import lru_cache
from pathlib import Path

import numpy as np

from mebold.errors import ConfigError

STEP_S = 0.1
"""Sampling interval of the response table, in seconds."""


def library(tr: float, stimdur: float) -> np.ndarray:
    """Return the 20 library responses to a stimulus, sampled at the repetition time.

    Parameters
    ----------
    tr : float
        Sampling interval of the data in seconds, above 0.
    stimdur : float
        Stimulus duration in seconds, at least 0; 0 is read as 0.1 s.

    Returns
    -------
    ndarray, shape (n_samples, 20), float32
        Response at 0, tr, 2 tr ... seconds after stimulus onset; every column has maximum 1.

    Raises
    ------
    ConfigError
        If `tr` or `stimdur` is out of range.

    References
    ----------
    Allen et al. 2022, Nature Neuroscience 25:116-126; Prince et al. 2022, eLife 11:e77599.
    """
    table = np.column_stack([_samples(row) for row in _rows() if row["hrf_index"].isdigit()])
    convolved = _convolve(table, tr, stimdur)
    times = np.arange(0, np.ceil(len(convolved) * STEP_S), tr)
    sampled = _resample(convolved, times)
    sampled = (sampled / sampled.max()).astype(np.float32)
    return sampled / sampled.max(axis=0)


def assumed(tr: float, stimdur: float) -> np.ndarray:
    """Return the one assumed ("canonical") response to a stimulus, sampled at the repetition time.

    Parameters
    ----------
    tr : float
        Sampling interval of the data in seconds, above 0.
    stimdur : float
        Stimulus duration in seconds, at least 0; 0 is read as 0.1 s.

    Returns
    -------
    ndarray, shape (n_samples,), float32
        Response at 0, tr, 2 tr ... seconds after stimulus onset, with maximum 1.

    Raises
    ------
    ConfigError
        If `tr` or `stimdur` is out of range.
    """
    convolved = _canonical(tr, stimdur)
    times = np.arange(0, (len(convolved) - 1) * STEP_S, tr)
    sampled = _resample(convolved, times)[:, 0]
    return (sampled / sampled.max()).astype(np.float32)


@lru_cache(maxsize=8)
def half_energy_s(stimdur: float) -> float:
    """Return the time after onset (s) by which the assumed response has half of its energy."""
    # At the steps of the table nothing is to be interpolated, and the plan imports no scipy.
    energy = np.cumsum(_canonical(STEP_S, stimdur)[:-1, 0] ** 2)
    return float(round(np.searchsorted(energy, energy[-1] / 2) * STEP_S, 1))


def minimum_tail_s(asked: float | str, stimdur: float) -> float:
    """Return the time that a trial needs before the end of its run, s.

    Parameters
    ----------
    asked : float or "auto"
        Seconds, or the time by which the assumed response has half of its energy.
    stimdur : float
        Duration of the stimulus, s.
    """
    return half_energy_s(stimdur) if asked == "auto" else float(asked)


@lru_cache(maxsize=1)
def _rows() -> tuple[dict[str, str], ...]:
    """Read the parameter table."""
    path = Path(__file__).with_suffix(".tsv")
    return tuple(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))


def _canonical(tr: float, stimdur: float) -> np.ndarray:
    """Return the assumed response at the steps of the table, as a column."""
    row = next(row for row in _rows() if row["hrf_index"] == "canonical")
    return _convolve(_samples(row).astype(np.float32).astype(float)[:, None], tr, stimdur)


def _samples(row: dict[str, str]) -> np.ndarray:
    """Sample one double gamma response and round it to the digits of the published table."""
    value = {key: float(text) for key, text in row.items() if key not in ("hrf_index", "scale")}
    times = np.arange(int(row["n_samples"])) * value["sampling_interval"] - value["onset"]
    width, under_width = value["dispersion_response"], value["dispersion_undershoot"]
    shape = _gamma_density(times, value["delay_response"] / width, 1 / width)
    undershoot = _gamma_density(times, value["delay_undershoot"] / under_width, 1 / under_width)
    shape -= undershoot / value["ratio_response_to_undershoot"]
    shape = shape / shape.sum() if row["scale"] == "unit_sum" else shape * float(row["scale"])
    digits = int(row["significant_digits"])
    return np.array([float(f"{sample:.{digits - 1}e}") for sample in shape])


def _gamma_density(times: np.ndarray, shape: float, rate: float) -> np.ndarray:
    """Return the gamma probability density, 0 at and before time 0."""
    after = times > 0
    density = np.zeros_like(times)
    logs = np.log(times[after])
    density[after] = np.exp(
        shape * np.log(rate) + (shape - 1) * logs - rate * times[after] - math.lgamma(shape)
    )
    return density


def _convolve(table: np.ndarray, tr: float, stimdur: float) -> np.ndarray:
    """Convolve responses (columns) with a boxcar of the stimulus duration."""
    if not tr > 0:
        raise ConfigError(f"tr is {tr} s: the sampling interval must be above 0 s")
    if not stimdur >= 0:
        raise ConfigError(f"stimdur is {stimdur} s: the stimulus duration must be 0 s or longer")
    # Half a step rounds up, as in the reference, where Python's round() would go to even.
    box = np.ones(max(1, int(np.floor(stimdur / STEP_S + 0.5))))
    return np.column_stack([np.convolve(column, box) for column in table.T])


def _resample(convolved: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Interpolate responses at `times`; the last times may lie just past the table."""
    from scipy.interpolate import PchipInterpolator

    grid = np.arange(len(convolved)) * STEP_S
    return PchipInterpolator(grid, convolved, axis=0, extrapolate=True)(times)
