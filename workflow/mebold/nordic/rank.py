"""Which components of a patch are noise: threshold, Marchenko-Pastur rule, decomposition.

Patches enter as packed Gram matrices (`grams`), so singular values are square roots of
eigenvalues. They are formed in double precision: single precision loses the noise edge when the
signal is a hundred times the noise.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np

from mebold.nordic.grams import Tridiagonal

# Mean of the Tracy-Widom law for real matrices (Tracy & Widom 1996).
_TRACY_WIDOM_MEAN = -1.2065335745820


@functools.lru_cache(maxsize=4096)
def noise_edge(rows: int, columns: int, *, draws: int = 0, seed: int = 0) -> float:
    """Mean of the largest singular value of a real standard normal matrix.

    Parameters
    ----------
    rows, columns : int
    draws : int
        0 takes the closed form (mean of the Tracy-Widom law with the centre and scale of
        Ma 2012, within 0.1 % from 4 columns on); otherwise the mean over this many simulated
        matrices.
    seed : int
        Of the simulation.

    Returns
    -------
    edge : float

    References
    ----------
    Ma 2012, Bernoulli 18:322, doi 10.3150/10-BEJ334.
    """
    m, n = max(rows, columns), min(rows, columns)
    if draws:
        rng = np.random.default_rng(seed)
        values = []
        for _ in range(draws):
            matrix = rng.standard_normal((m, n))
            values.append(np.sqrt(np.linalg.eigvalsh(matrix.T @ matrix)[-1]))
        return float(np.mean(values))
    if n == 1:  # the length of a vector
        return math.sqrt(2) * math.exp(math.lgamma((m + 1) / 2) - math.lgamma(m / 2))
    root_m, root_n = np.sqrt(m - 0.5), np.sqrt(n - 0.5)
    centre = (root_m + root_n) ** 2
    scale = (root_m + root_n) * (1 / root_m + 1 / root_n) ** (1 / 3)
    return float(np.sqrt(centre + _TRACY_WIDOM_MEAN * scale))


def marchenko_pastur(
    eigenvalues: np.ndarray, rows: np.ndarray, columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split the spectrum of each patch into signal and noise.

    Going down the spectrum, the rest is noise as soon as its spread fits the width of a
    Marchenko-Pastur law with a variance no larger than the mean of the rest.

    Parameters
    ----------
    eigenvalues : (patches, n) float64
        Of the Gram matrices (squared singular values), descending.
    rows : (patches,) int
        Voxels of each patch that are not empty.
    columns : int
        Volumes.

    Returns
    -------
    first_removed : (patches,) int
        Components before this one are kept; n where all are.
    variance : (patches,) float64
        Noise variance per matrix element, from the spread of the spectrum.

    References
    ----------
    Veraart et al. 2016, NeuroImage 142:394, doi 10.1016/j.neuroimage.2016.08.016.
    """
    eigenvalues = np.maximum(eigenvalues, 0)
    n_values = eigenvalues.shape[1]
    rows = np.asarray(rows)
    usable = rows > 0
    m = np.where(usable, rows, 1)[:, None]
    limit = np.minimum(np.minimum(m, columns), n_values)
    p = np.arange(n_values)[None, :]
    inside = p < limit
    v = np.where(inside, eigenvalues / columns, 0)
    tail_sum = np.cumsum(v[:, ::-1], axis=1)[:, ::-1]
    tail_mean = tail_sum / np.maximum(limit - p, 1)
    by_mean = tail_mean / np.maximum((np.maximum(m, columns) - p) / columns, 1e-300)
    smallest = np.take_along_axis(v, limit - 1, axis=1)
    by_spread = (v - smallest) / (4 * np.sqrt(np.maximum(m - p, 1) / columns))
    fits = inside & (by_spread < by_mean)
    found = fits.any(axis=1)
    first = np.argmax(fits, axis=1)
    variance = np.take_along_axis(by_spread, first[:, None], axis=1)[:, 0]
    first = np.where(found & usable, first, n_values)
    return first, np.where(usable, variance, 0.0)


@dataclass(frozen=True)
class Rule:
    """How the denoising pass chooses the components that stay.

    Attributes
    ----------
    columns : int
        Volumes.
    rows : int
        Voxels of a patch.
    threshold : float or None
        Components with a smaller singular value are removed; None takes the
        Marchenko-Pastur rule.
    by_filled_rows : bool
        The threshold is that of a patch without empty voxels; beside a background of zeros it is
        lowered to the edge of the noise in the rows that a patch really has.
    """

    columns: int
    rows: int
    threshold: float | None
    by_filled_rows: bool

    def n_kept(self, eigenvalues: np.ndarray, filled_rows: np.ndarray) -> np.ndarray:
        """Count the components that stay, from (patches, n) descending eigenvalues."""
        if self.threshold is None:
            return marchenko_pastur(eigenvalues, filled_rows, self.columns)[0]
        if self.threshold <= 0:
            return np.full(len(eigenvalues), self.columns)
        limits = self.limits(filled_rows)
        return (eigenvalues >= limits[:, None] ** 2).sum(axis=1)

    def limits(self, filled_rows: np.ndarray) -> np.ndarray:
        """Threshold of patches with these numbers of filled voxels: (patches,) float64."""
        limits = np.full(len(filled_rows), float(self.threshold))
        if self.by_filled_rows:
            whole = noise_edge(self.rows, self.columns)
            counts, place = np.unique(filled_rows, return_inverse=True)
            edges = [noise_edge(int(rows), self.columns) if rows else 0.0 for rows in counts]
            limits *= np.array(edges)[place] / whole
        return limits


@dataclass
class Decomposition:
    """What remains of a row of patches: projectors and how much they remove."""

    projectors: np.ndarray
    components_removed: np.ndarray
    energy_removed: np.ndarray
    noise_variance: np.ndarray


def decompose(grams: np.ndarray, filled_rows: np.ndarray, rule: Rule) -> Decomposition:
    """Turn the Gram matrices of patches into projectors on the components that stay.

    Parameters
    ----------
    grams : (patches, n, n) complex128 or float64
        Transposed Gram matrices, of which the upper triangles are read.
    filled_rows : (patches,) int
        Voxels of each patch that are not empty.
    rule : Rule

    Returns
    -------
    Decomposition
        ``projectors`` (patches, n, n) complex64 or float32, to be multiplied from the right to
        rows of voxel series; ``components_removed`` (patches,) counts all singular values that
        are dropped, ``energy_removed`` (patches,) is the square root of the removed fraction of
        the sum of singular values, ``noise_variance`` (patches,) is the noise per matrix
        element (see `bulk_variance`; NaN where nothing is removed).
    """
    n_patches, n = grams.shape[:2]
    n_singular = min(rule.rows, n)
    # Nothing can be told from an empty patch by its spectrum; below a threshold are all its zeros.
    removed_if_empty = 0 if rule.threshold is None else n_singular
    single = np.complex64 if np.iscomplexobj(grams) else np.float32
    result = Decomposition(
        np.zeros((n_patches, n, n), dtype=single),
        np.full(n_patches, float(removed_if_empty)),
        np.zeros(n_patches),
        np.full(n_patches, np.nan),
    )
    for i in np.flatnonzero(filled_rows > 0):
        form = Tridiagonal.of(grams[i])
        values = form.eigenvalues[::-1]
        kept = min(int(rule.n_kept(values[None], filled_rows[i : i + 1])[0]), n_singular)
        singular = np.sqrt(np.maximum(values[:n_singular], 0))
        result.components_removed[i] = n_singular - kept
        result.energy_removed[i] = np.sqrt(singular[kept:].sum() / singular.sum())
        if kept < n_singular:
            result.noise_variance[i] = bulk_variance(singular**2, int(filled_rows[i]), n)
        _projector(form, kept, result.projectors[i])
    return result


def _projector(form: Tridiagonal, kept: int, out: np.ndarray) -> None:
    """Write the projector on the `kept` largest components, from the smaller side, to `out`."""
    n = len(out)
    if kept == 0:
        return
    if kept <= n // 2:
        basis = form.vectors(n - kept, n).astype(out.dtype)
        np.matmul(basis, basis.conj().T, out=out)
        return
    if kept < n:
        basis = form.vectors(0, n - kept).astype(out.dtype)
        np.matmul(-basis, basis.conj().T, out=out)
    out[np.diag_indices(n)] += 1


_ANGLES = 2001
_ROUNDS = 3


@functools.lru_cache(maxsize=1024)
def lower_half_mean(rows: int, columns: int) -> float:
    """Mean of the smaller half (rounded down) of the eigenvalues of ``A^H A`` for white noise.

    Parameters
    ----------
    rows, columns : int
        Of the matrix A; only its ``min(rows, columns)`` eigenvalues that are not 0 by shape count.

    Returns
    -------
    mean : float
        For unit variance, from the law of Marchenko and Pastur, Math USSR-Sb 1:457 (1967).
    """
    long, short = max(rows, columns), min(rows, columns)
    beta = short / long
    # With x = 1 + beta - 2 sqrt(beta) cos(angle) the density has no singular ends.
    angle = np.linspace(0, np.pi, _ANGLES)
    x = 1 + beta - 2 * np.sqrt(beta) * np.cos(angle)
    density = np.sin(angle) ** 2 / np.maximum(x, np.finfo(float).tiny)
    below = np.cumsum(density) / density.sum()
    lower = np.where(below <= (short // 2) / short, density, 0)
    return float(long * (x * lower).sum() / lower.sum())


def bulk_variance(eigenvalues: np.ndarray, rows: int, columns: int) -> float:
    """Noise variance per matrix element.

    Parameters
    ----------
    eigenvalues : (n,) float64
        Of the Gram matrix (squared singular values), descending.
    rows : int
        Voxels that are not empty.
    columns : int
        Volumes.

    Returns
    -------
    variance : float
        Of real and imaginary part together for complex data; NaN for fewer than four
        eigenvalues.

    Notes
    -----
    Components above the edge of the noise are taken as signal, each of which takes a row and a
    column from the noise.
    """
    n = min(rows, columns)
    signal, variance = 0, np.nan
    for _ in range(_ROUNDS):
        if n - signal < 4:
            break
        bulk = eigenvalues[signal:n]
        left = rows - signal, columns - signal
        variance = bulk[-(len(bulk) // 2) :].mean() / lower_half_mean(*left)
        edge = variance * (np.sqrt(left[0]) + np.sqrt(left[1])) ** 2
        signal = int((eigenvalues[:n] > edge).sum())
    return float(variance)
