"""The two passes of NORDIC over the patches of a stabilised series.

The first pass estimates the noise level of every voxel (g-factor map), the second removes the
components below the threshold. Both stream along x with a pool of threads.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from mebold.nordic.grams import eigenvalues, gram_layers, row_of_grams
from mebold.nordic.patches import Axis, box_sums, spread
from mebold.nordic.rank import Rule, decompose, marchenko_pastur

_LAYER_FRACTION = 0.03  # of the series, for the Gram matrices of one position along x

Progress = Callable[[str, float], None]


def filled_voxels(parts: list[np.ndarray], n_volumes: int) -> np.ndarray:
    """Voxels that are not zero in all of the first `n_volumes` volumes: (x, y, z) bool."""
    filled = np.zeros(parts[0].shape[:3], dtype=bool)
    for part in parts:
        for x in range(part.shape[0]):
            filled[x] |= part[x, :, :, :n_volumes].any(axis=-1)
    return filled


def _group_size(parts: list[np.ndarray], n_rows: int, n_volumes: int) -> int:
    """How many patches along z to take at once, so that their Gram matrices stay small."""
    series = sum(part.nbytes for part in parts)
    return max(1, int(_LAYER_FRACTION * series / (n_rows * n_volumes**2 * 8)))


def estimate_gfactor(
    parts: list[np.ndarray],
    axes: tuple[Axis, Axis, Axis],
    n_volumes: int,
    pool: Executor,
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray]:
    """Noise level of every voxel from the Marchenko-Pastur rule in each patch.

    Parameters
    ----------
    parts : list of (x, y, z, t) float32
        Stabilised data, [real] or [real, imaginary].
    axes : tuple of Axis
    n_volumes : int
        Volumes used, from the first.
    pool : Executor
    progress : callable
        Receives the name of the pass and the fraction done.

    Returns
    -------
    gfactor : (x, y, z) float64
        Square root of the mean noise variance over the patches that cover a voxel; for complex
        data the variance is that of real and imaginary part together. NaN where no patch lies.
    components_removed : (x, y, z) float64
        Mean number of noise components.
    """
    filled = box_sums(filled_voxels(parts, n_volumes).astype(int), axes)
    rows = int(np.prod([axis.kernel for axis in axes]))
    n_singular = min(rows, n_volumes)
    variance, removed = np.zeros(filled.shape), np.zeros(filled.shape)

    def analyse(place: tuple, terms: list[np.ndarray], row: int) -> None:
        grams = row_of_grams(terms, row, is_complex=len(parts) == 2)
        first, noise = marchenko_pastur(eigenvalues(grams), filled[place], n_volumes)
        variance[place] = noise
        removed[place] = np.maximum(n_singular - first, 0)

    x_axis, y_axis, z_axis = axes
    size = _group_size(parts, len(y_axis.positions), n_volumes)
    for start in range(0, len(z_axis.positions), size):
        group = z_axis.group(start, start + size)
        for position, terms in gram_layers(parts, (x_axis, y_axis, group), n_volumes, pool):
            jobs = [
                pool.submit(analyse, np.s_[position, row, start : start + size], terms, row)
                for row in range(len(y_axis.positions))
            ]
            for job in jobs:
                job.result()
        progress("g-factor", min(1, (start + size) / len(z_axis.positions)))
    return np.sqrt(spread(variance, axes)), spread(removed, axes)


@dataclass
class Maps:
    """Per-voxel results of the denoising pass: (x, y, z) float64."""

    components_removed: np.ndarray
    energy_removed: np.ndarray
    residual_sd: np.ndarray
    noise_variance: np.ndarray


class _Averager:
    """Applies to each cell of voxels the mean projector of the patches that cover it."""

    def __init__(self, parts, axes, layers: dict, residual_sd: np.ndarray):
        self.parts = parts
        self.axes = axes
        self.layers = layers
        self.residual_sd = residual_sd

    def _weighted_sum(self, dim: int, cell: int, terms) -> np.ndarray:
        """Sum patch arrays over the patches that cover a cell along one axis."""
        axis = self.axes[dim]
        total = None
        for patch in axis.cell_patches[cell]:
            term = terms(patch)
            weight = np.float32(axis.weights[patch])
            if total is None:
                total = term * weight
            elif weight == 1:
                total += term
            else:
                total += term * weight
        return total

    def apply(self, x_cell: int, y_cell: int) -> None:
        """Denoise all voxels over one x and y cell, in place."""
        x_axis, y_axis, z_axis = self.axes
        (x0, x1), (y0, y1) = x_axis.cells[x_cell], y_axis.cells[y_cell]
        weight_xy = x_axis.coverage[x0] * y_axis.coverage[y0]

        def along_x(row):
            return self._weighted_sum(0, x_cell, lambda position: self.layers[position][row])

        column = self._weighted_sum(1, y_cell, along_x)
        for z_cell, (z0, z1) in enumerate(z_axis.cells):
            projector = self._weighted_sum(2, z_cell, lambda patch: column[patch])
            projector *= np.float32(1 / (weight_xy * z_axis.coverage[z0]))
            block = np.s_[x0:x1, y0:y1, z0:z1]
            self._apply_block(block, projector)

    def _apply_block(self, block: tuple, projector: np.ndarray) -> None:
        """Multiply the series of one block by its projector and note what was removed."""
        shape = self.parts[0][block].shape
        data = np.empty((int(np.prod(shape[:3])), shape[3]), dtype=projector.dtype)
        if len(self.parts) == 1:
            data[...] = self.parts[0][block].reshape(data.shape)
        else:
            data.real = self.parts[0][block].reshape(data.shape)
            data.imag = self.parts[1][block].reshape(data.shape)
        denoised = data @ projector
        data -= denoised
        self.residual_sd[block] = data.std(axis=1, ddof=1).reshape(shape[:3])
        self.parts[0][block] = denoised.real.reshape(shape)
        if len(self.parts) == 2:
            self.parts[1][block] = denoised.imag.reshape(shape)


def _ready_cells(x_axis: Axis, position: int) -> list[int]:
    """Cells along x whose last patch is the one at `position`."""
    return [
        i for i, patches in enumerate(x_axis.cell_patches) if patches and patches[-1] == position
    ]


def remove_noise(
    parts: list[np.ndarray],
    axes: tuple[Axis, Axis, Axis],
    rule: Rule,
    pool: Executor,
    progress: Progress,
) -> Maps:
    """Project every patch on the components that stay and average the patches, in place.

    Parameters
    ----------
    parts : list of (x, y, z, t) float32
        Stabilised data divided by the g-factor; overwritten by the result.
    axes : tuple of Axis
    rule : Rule
    pool : Executor
    progress : callable
        Receives the name of the pass and the fraction done.

    Returns
    -------
    Maps
        NaN where no patch lies; there the series become 0.
    """
    x_axis, y_axis, _ = axes
    filled = box_sums(filled_voxels(parts, rule.columns).astype(int), axes)
    removed, energy, variance = (np.zeros(filled.shape) for _ in range(3))
    residual_sd = np.full(parts[0].shape[:3], np.nan)
    layers: dict[int, list] = {}
    averager = _Averager(parts, axes, layers, residual_sd)

    def split(position: int, terms: list[np.ndarray], row: int) -> np.ndarray:
        grams = row_of_grams(terms, row, is_complex=len(parts) == 2)
        result = decompose(grams, filled[position, row], rule)
        removed[position, row] = result.components_removed
        energy[position, row] = result.energy_removed
        variance[position, row] = result.noise_variance
        return result.projectors

    for position, terms in gram_layers(parts, axes, rule.columns, pool):
        jobs = [pool.submit(split, position, terms, row) for row in range(len(y_axis.positions))]
        layers[position] = [job.result() for job in jobs]
        ready = _ready_cells(x_axis, position)
        jobs = [
            pool.submit(averager.apply, x_cell, y_cell)
            for x_cell in ready
            for y_cell in range(len(y_axis.cells))
        ]
        for job in jobs:
            job.result()
        done = max(x_axis.cells[cell][1] for cell in ready) if ready else 0
        for old in [p for p in layers if x_axis.positions[p] + x_axis.kernel <= done]:
            del layers[old]
        progress("denoising", (position + 1) / len(x_axis.positions))
    for part in parts:
        part[x_axis.coverage == 0] = 0
    known = np.isfinite(variance)
    with np.errstate(invalid="ignore"):
        noise = spread(np.where(known, variance, 0), axes) / spread(known.astype(float), axes)
    return Maps(spread(removed, axes), spread(energy, axes), residual_sd, noise)
