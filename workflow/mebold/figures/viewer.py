"""A noise-ceiling map to look through: one HTML file that needs no network."""

from __future__ import annotations

import base64
import html
import io
import re
import warnings

import numpy as np

from mebold.figures.rows import robust_range, round_up, same_grid, warm_map
from mebold.figures.style import png_bytes, with_palette
from mebold.geometry import affines, grids

_MARGIN_MM = 8.0
_VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'
_STYLE = "<style>body { font: 1rem/1.4 sans-serif; }</style>"
_PNG = "data:image/png;base64,"
_UNKNOWN_CHANCE = 5.0  # percent
#: Voxels that are shown: more become larger ones, because a file of 1 MB opens on a phone.
MOST_VOXELS = 600_000


def ceiling(
    percent: np.ndarray,
    affine: np.ndarray,
    *,
    underlay: np.ndarray,
    mask: np.ndarray,
    threshold: float | None = None,
    most_voxels: int = MOST_VOXELS,
    title: str = "Noise ceiling",
) -> str:
    """Return a page with three slices through a noise-ceiling map, which follow the pointer.

    Parameters
    ----------
    percent : (x, y, z) array
        Noise ceiling in percent, 0 outside the brain.
    affine : (4, 4) array
        Voxel to world, mm.
    underlay : (x, y, z) array
        Anatomy on the same grid.
    mask : (x, y, z) array
        Brain; the page holds the box around it.
    threshold : float, optional
        Percent up to which the anatomy shows through; 5 % where it is not known (None, NaN).
    most_voxels : int
        A larger box is shown in larger voxels.
    title : str

    Returns
    -------
    str
        HTML of nilearn's viewer (`nilearn.plotting.view_img`, brainsprite), with everything in it.

    Raises
    ------
    GridMismatchError
        When the arrays differ in shape.
    DataError
        For an empty mask.
    """
    # Both are slow to import, and other figures do without.
    import nibabel as nib
    from nilearn import plotting

    same_grid("the noise-ceiling map", percent, mask)
    same_grid("the anatomy", underlay, mask)
    mask = np.asarray(mask) > 0
    known = threshold is not None and np.isfinite(threshold)
    threshold = float(threshold) if known else _UNKNOWN_CHANCE
    shown = np.where(mask, np.nan_to_num(percent), 0).astype(np.float32)
    top = max(round_up(robust_range(shown[mask], high=99.5)[1]), (threshold + 100) / 2)
    volumes = [shown, np.nan_to_num(np.asarray(underlay, np.float32))]
    cut = [grids.crop_to_mask(one, affine, mask, margin_mm=_MARGIN_MM) for one in volumes]
    volumes, box_affine = [one for one, *_ in cut], cut[0][1]
    if volumes[0].size > most_voxels:
        edge = np.cbrt(volumes[0].size / most_voxels) * affines.voxel_sizes(affine).max()
        cut = [grids.coarsen(one, box_affine, voxel_mm=edge) for one in volumes]
        volumes, box_affine = [one for one, _ in cut], cut[0][1]
        title += f" (in voxels of {edge:.1f} mm)"
    stat, anatomy = (nib.Nifti1Image(one, box_affine) for one in volumes)
    with warnings.catch_warnings():
        # Of matplotlib, and of a threshold that nothing passes: then nothing is coloured.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        view = plotting.view_img(
            stat,
            bg_img=anatomy,
            threshold=threshold,
            vmin=0,
            vmax=top,
            cmap=warm_map(),
            symmetric_cmap=False,
            black_bg=True,
            dim=0,
            resampling_interpolation="nearest",
        )
    chance = "which 5 % of voxels pass by chance" if known else "as chance is not known"
    words = f"Coloured above {threshold:.3g} %, {chance}. Click into a slice to move."
    head = f"<p><strong>{html.escape(title)}</strong><br>{words}</p>"
    page = view.get_standalone().replace("<body>", f"<body>{_STYLE}{head}", 1)
    page = re.sub(f"{_PNG}([A-Za-z0-9+/=]+)", _smaller, page)
    return page.replace("<head>", f"<head>{_VIEWPORT}", 1)


def _smaller(found: re.Match) -> str:
    """Return the picture of the anatomy with a palette; the viewer reads values off the others."""
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(found[1]))) as image:
        channels = np.asarray(image.convert("RGBA"))
        if np.ptp(channels[..., :3], axis=2).any() or (channels[..., 3] < 255).any():
            return found[0]
        return _PNG + base64.b64encode(png_bytes(with_palette(image))).decode("ascii")
