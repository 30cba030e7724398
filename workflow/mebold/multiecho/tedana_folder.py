"""What goes into and comes out of a folder in which tedana works."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from mebold.files import images, series, tables

# tedana's launcher for a viewer that is downloaded at run time, and absolute paths of this run.
_LEFT_OUT = ("open_rica_report.py", "desc-tedana_registry.json", "dataset_description.json")
# tedana puts a copy of what it is given beside its own table of the same courses.
_GIVEN = "given_mixing.tsv"


def write_inputs(
    folder: Path,
    echoes: np.ndarray,
    mask: np.ndarray,
    affine: np.ndarray,
    tr: float,
    t2star: np.ndarray | None,
    *,
    chosen: np.ndarray,
    step: int = 1,
) -> tuple[list[str], str, str | None]:
    """Write echoes, mask and T2* map of chosen voxels on their bounding box.

    Parameters
    ----------
    folder : path
        Exists.
    echoes : (E, V, T) array
    mask : (x, y, z) bool array
        V voxels.
    affine : (4, 4) array
        Voxel to world of the mask.
    tr : float
        Seconds between samples of the echoes.
    t2star : (V,) array or None
        Seconds.
    chosen : (V,) bool array
        Voxels that are written.
    step : int
        Every so many samples are written.

    Returns
    -------
    echo_files : list of str
    mask_file : str
    t2star_file : str or None
    """
    mask = series.unmask(chosen, mask)
    corner = np.argwhere(mask).min(axis=0)
    end = np.argwhere(mask).max(axis=0) + 1
    small = mask[tuple(slice(a, b) for a, b in zip(corner, end, strict=True))]
    moved = np.array(affine, dtype=np.float64)
    moved[:3, 3] = (moved @ np.append(corner, 1.0))[:3]
    names = []
    for index in range(echoes.shape[0]):
        name = folder / f"echo-{index + 1}.nii"
        images.save(name, series.unmask(echoes[index][chosen, ::step], small), moved, tr=tr * step)
        names.append(str(name))
    mask_name = folder / "mask.nii"
    # tedana saves every image in the data type of the mask: with an integer mask the denoised
    # series would come back in 256 steps.
    images.save(mask_name, small.astype(np.float32), moved)
    t2star_name = None
    if t2star is not None:
        # tedana copies this file to a name with .nii.gz, whatever it holds.
        t2star_name = str(folder / "t2star.nii.gz")
        images.save(
            t2star_name, series.unmask(np.asarray(t2star, np.float32)[chosen], small), moved
        )
    return names, str(mask_name), t2star_name


def write_mixing(folder: Path, mixing: np.ndarray) -> Path:
    """Write time courses (T, C) of components where tedana can read them."""
    path = folder / _GIVEN
    columns = [f"ICA_{index:02d}" for index in range(mixing.shape[1])]
    tables.write_tsv(path, pd.DataFrame(mixing, columns=columns))
    return path


def keep(source: Path, target: Path, *, prefix: str, keep_images: bool) -> None:
    """Copy tables, sidecars, log, figures and report of tedana out of its folder.

    Parameters
    ----------
    source : path
        Output folder of tedana.
    target : path
        Made if absent; existing files of the same names are replaced.
    prefix : str
        Start of the file names.
    keep_images : bool
        Copy images too; they lie on the bounding box of the mask.
    """
    target.mkdir(parents=True, exist_ok=True)
    for item in sorted(source.rglob("*")):
        if item.is_dir() or item.name.endswith((*_LEFT_OUT, _GIVEN)):
            continue
        if item.name.endswith((".nii", ".nii.gz")) and not keep_images:
            continue
        relative = item.relative_to(source)
        if re.fullmatch(r"tedana_[\dT:-]+\.tsv", item.name):
            relative = Path(f"{prefix}_desc-tedana_log.txt")
        elif item.name.endswith("_desc-confounds_timeseries.tsv"):
            # Errors of the decay fit: that name belongs to the confounds of the run.
            relative = Path(f"{prefix}_desc-decayfit_timeseries.tsv")
        destination = target / relative
        destination.parent.mkdir(parents=True, exist_ok=True)
        if destination.suffix in (".txt", ".html"):
            # The command line in these would name a folder that is gone.
            destination.write_text(item.read_text().replace(str(source.parent), "scratch"))
        else:
            shutil.copyfile(item, destination)
