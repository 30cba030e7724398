"""tedana's workflow without the work whose results nobody keeps.

At full size half of its time, and 9 of 10 GB, go into images that are thrown away, into a second
optimal combination, and into carpet plots of 300,000 rows for 500 pixels. Of what is left, a third
were least-squares fits of every voxel by themselves to the same few time courses, and a quarter the
search for garbage among all modules, which nilearn makes for each picture. tedana has no switch for
these, so five of its functions stand aside for the length of a block; metrics, decision tree and
report are its own.
"""

import contextlib
import copy
import gc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mebold.errors import GridMismatchError

# Of a carpet plot: some forty for each row of its pixels.
_ROWS = 20_000


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Let an attribute have another value inside the block."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _combination(combined: np.ndarray) -> Callable:
    """Return a function that hands tedana what it would compute from all echoes."""

    def make_optcom(data: np.ndarray, *_: Any, **__: Any) -> np.ndarray:
        if len(data) != len(combined):
            message = f"tedana has {len(data)} voxels, the optimal combination {len(combined)}."
            raise GridMismatchError(message)
        return combined

    return make_optcom


def _thinned(carpet_plot: Callable) -> Callable:
    """Return tedana's function for carpet plots, of voxels at equal steps, all in one row."""
    import nibabel as nib
    from nilearn import masking

    def plot(*series: np.ndarray, mask: Any, io_generator: Any, **options: Any) -> None:
        names = ("optcom_ts", "denoised_ts", "hikts", "lowkts")
        options |= dict(zip(names, series, strict=False))
        shown = np.flatnonzero(masking.apply_mask(mask, io_generator.mask))
        shown = shown[:: -(-len(shown) // _ROWS)]
        # Where a voxel lies does not matter here; an image of the whole box would be 1 GB.
        row = nib.Nifti1Image(np.ones((len(shown), 1, 1), dtype=np.int8), np.eye(4))
        generator = copy.copy(io_generator)
        generator.mask = row
        options |= {name: options[name][shown] for name in names}
        carpet_plot(mask=row, io_generator=generator, **options)

    return plot


def _coefficients(data: np.ndarray, x: np.ndarray, add_const: bool = False) -> np.ndarray:
    """Fit time courses (T, C) to voxels (V, T) as tedana's ``get_coeffs`` does: (V, C).

    By one pseudo-inverse for all voxels, of the same rank as that of ``numpy.linalg.lstsq``.
    """
    known = np.column_stack([x, np.ones(len(x))]) if add_const else x
    inverse = np.linalg.pinv(known, rcond=max(known.shape) * np.finfo(np.float64).eps)
    return data @ inverse[: x.shape[1]].T


@contextlib.contextmanager
def _without_garbage() -> Iterator[None]:
    """Let searches for garbage leave out what is there before the block."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextlib.contextmanager
def lean(*, combined: np.ndarray | None, keep_images: bool) -> Iterator[None]:
    """Let ``tedana_workflow`` take less time and memory inside the block.

    Parameters
    ----------
    combined : (V, T) array or None
        Optimal combination of the voxels that tedana works on (C order of its mask), which it
        uses instead of computing one.
    keep_images : bool
        Images of series and components are written, compressed.
    """
    from nibabel.openers import Opener
    from tedana import combine, io, stats
    from tedana.metrics import dependence
    from tedana.reporting import static_figures

    thinned = _thinned(static_figures.carpet_plot)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_without_garbage())
        for module in (stats, dependence, io):
            stack.enter_context(_replaced(module, "get_coeffs", _coefficients))
        stack.enter_context(_replaced(static_figures, "carpet_plot", thinned))
        if combined is not None:
            stack.enter_context(_replaced(combine, "make_optcom", _combination(combined)))
        if not keep_images:
            stack.enter_context(_replaced(io, "writeresults", lambda *_, **__: None))
            stack.enter_context(_replaced(Opener, "default_compresslevel", 0))
        yield
