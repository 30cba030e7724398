"""How well a design can tell responses, whatever the data: variances of least squares."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mebold.confounds import drifts

# Smallest eigenvalue over the largest below which trials cannot be told apart.
_SINGULAR = 1e-10


@dataclass(frozen=True)
class Efficiency:
    """Efficiency of the design of a session, ``1 / (c (X'X)^-1 c')``, in 1 / noise variance.

    The noise is white, of one variance in all samples; responses have the assumed shape with a
    peak of 1; slow drifts are taken off. The root of the inverse is the standard error of the
    estimate in units of the noise's standard deviation.

    Attributes
    ----------
    detection : float
        Of one amplitude that all trials share, against the baseline.
    trial : float
        Of single trials: the inverse of the mean variance of their estimates (A-optimality). 0
        where two of a run cannot be told apart.
    trial_alone : float
        The same if no other trial overlapped.
    image : float
        Of images, each with one amplitude in all runs. 0 where two cannot be told apart.

    References
    ----------
    Dale 1999, Human Brain Mapping 8:109-114; Liu, Frank, Wong and Buxton 2001, NeuroImage
    13:759-773 (efficiency and detection power); Mumford, Turner, Ashby and Poldrack 2012,
    NeuroImage 59:2636-2643 (single trials).
    """

    detection: float
    trial: float
    trial_alone: float
    image: float

    @property
    def overlap_share(self) -> float:
        """Percent of the efficiency of trials alone that their overlap leaves."""
        return 100 * self.trial / self.trial_alone


def of_session(
    regressors: Sequence[np.ndarray], labels: Sequence[Sequence[str]], *, tr: float
) -> Efficiency:
    """Return the efficiency of a session's design.

    Parameters
    ----------
    regressors : sequence of (trials, samples) array
        Assumed response to each trial, per run, see `mebold.singletrial.as_acquired.of_onsets`.
    labels : sequence of sequence of str
        Image of each trial.
    tr : float
        Seconds between samples; each run is freed of polynomials of `drifts.degree`.

    Returns
    -------
    Efficiency
    """
    column = {name: i for i, name in enumerate(sorted({one for run in labels for one in run}))}
    detection, alone, variances = 0.0, [], []
    of_images = np.zeros((len(column), len(column)))
    for trials, names in zip(regressors, labels, strict=True):
        design = np.asarray(trials, dtype=np.float64)
        n_samples = design.shape[1]
        basis = drifts.polynomials(n_samples, drifts.degree(n_samples, tr=tr))
        design = design - (design @ basis) @ basis.T
        gram = design @ design.T
        detection += float(gram.sum())
        alone.append(np.diag(gram))
        variances.append(_mean_variance(gram))
        shown = np.zeros((len(names), len(column)))
        shown[np.arange(len(names)), [column[name] for name in names]] = 1
        of_images += shown.T @ gram @ shown
    sizes = [len(names) for names in labels]
    mean = float(np.average(variances, weights=sizes))
    image = _mean_variance(of_images)
    return Efficiency(
        detection=detection,
        trial=1 / mean,
        trial_alone=float(1 / np.mean(1 / np.concatenate(alone))),
        image=1 / image,
    )


def _mean_variance(gram: np.ndarray) -> float:
    """Return the mean of the diagonal of an inverse; infinite for a singular matrix."""
    values = np.linalg.eigvalsh(gram)
    if values[0] <= _SINGULAR * values[-1]:
        return np.inf
    return float(np.mean(1 / values))
