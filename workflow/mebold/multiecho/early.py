"""Samples before the steady state, which ICA does not see.

Their brightness would be a component of its own, or part of many. So a run is decomposed without
them, and they come back as the optimal combination that they are: the image and its mixing matrix
keep the number of samples, and a regression with the rejected components leaves them alone.
"""

import numpy as np
import pandas as pd


def restored(denoised: np.ndarray | None, optcom: np.ndarray, *, early: int) -> np.ndarray:
    """Put the first samples of the optimal combination before a denoised series.

    Parameters
    ----------
    denoised : (V, T - early) array or None
        Without the first samples; None where ICA was not used.
    optcom : (V, T) array
    early : int
        Samples that were left out.

    Returns
    -------
    (V, T) array
        The optimal combination throughout where `denoised` is None.
    """
    if denoised is None:
        return optcom
    return np.concatenate([optcom[:, :early], denoised], axis=1) if early else denoised


def padded(mixing: pd.DataFrame, *, early: int) -> pd.DataFrame:
    """Return component time courses with rows of 0 for the first `early` samples."""
    if not early:
        return mixing
    first = pd.DataFrame(0.0, index=range(early), columns=mixing.columns)
    return pd.concat([first, mixing], ignore_index=True)
