"""Write what the simulator knows, beside the dataset and not in it."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy import ndimage

from mebold.files.images import save
from mebold.geometry import affines
from mebold.phantom import nuclei
from mebold.phantom.scene import Scene
from mebold.phantom.spec import PhantomSpec

README = """# Truth of a simulated dataset

Coordinates: world RAS+ mm; the head frame is the world frame of the T1w image. A matrix
`a_to_b` takes points of a to points of b (4 x 4, column vectors). Seconds, Hz, 1/s.
Percent = percent signal change at the second echo; at echo e it is
(1 + percent/100) ** (TE_e / TE_2) - 1. Phases are -pi..pi stored as 0..4095 (or -4096..4094):
radians = stored * 2 pi / 4096 - pi (or stored * pi / 4096).

- `spec.json`: all parameters.
- `sub-*/*.nii.gz`, on the T1w grid, at EPI resolution (blurred like the EPI voxel): `S0`,
  `T2star` (s), `GM`, `WM`, `CSF`, `brain`, `field_hz`; `roi` responsive voxels, `hrfindex` row
  of the response library (-1 outside), `response` mean response (percent).
- `sub-*/tissue-*.nii.gz`, averaged over each voxel of the T1w: `GM` with its deep nuclei, `WM`,
  `CSF` (which reaches beyond `brain`), `brain`, and `deep`, the nuclei alone.
- `sub-*/responses.npz`, `sub-*/ses-*/run-*.npz`: see below.
- `sub-*/ses-*/fmap-*.npz`: `affine`, `t1w_to_gre`, `field_hz` (x, y, z), `dropout` (2, x, y, z),
  `kept`, `receive_bias` (x, y, z), `start_s`, `drift_hz`.

- `sub-*/mp2rage.npz` (with `mp2rage`): `affine`, `t1_s` of the mean rate, `transmit` (B1+ over
  nominal), `head` (x, y, z). `sub-*/megre.npz` (with `megre_echo_times_s`): `affine`, `t2star_s` of
  the mean rate, `field_hz`, `brain`, `pure` (x, y, z).

With `surfaces` the dataset has `derivatives/freesurfer/sub-*`, as FreeSurfer writes it: its cortex
is where GM begins and ends, but at most 4 mm thick and without the narrowest sulci.

Maps of the field are complete: they know nothing of dropout, of masks or of the field of view.
`S0` is the signal at TE 0 of the series in its steady state, fully relaxed grey matter 1; `R2star`
and `T2star` are those of the tissue: dephasing within a slice is in `dropout` alone, unless the
size has the smooth field, whose dropout is extra R2*. Where distortion folds the image (readout_s
times the field's change over a voxel near 1) the EPI has no signal.

`responses.npz` (V truth voxels on a grid of the head frame, C images):
`affine` (4, 4) and `shape` of that grid, `voxel` (V, 3) indices, `point` (V, 3) head mm,
`hrf_index` (V,), `prefers` (V,) category of the localizer (index in faces, bodies, scenes,
characters, objects; -1 none), `mean` (V,) percent, `betas` (V, C) percent, `image` (C,) stim_name,
`voxel_of` (X, Y, Z) row or -1, and the head maps `S0`, `R2star`, `field_hz`, `field_drift`
(X, Y, Z): the field of a run is field_hz + drift_hz * field_drift.
`t1w_to_t2w` (4, 4).

`run-*.npz`, and `localizer-*.npz` of the runs of a localizer (blocks in the place of trials):
`affine`, `shape` EPI grid; `centre` (3,) of rotation; `t1w_to_boldref` (4, 4);
`motion` (t, 4, 4) boldref point to volume point at `motion_times_s` (t,) = middle of the
acquisition; `motion_start` the same at the start of each volume; `motion_parameters` (t, 6)
mm, rad about `centre`; `field_hz` (x, y, z) in the undistorted boldref frame at the EPI grid;
`field_offset_hz` (t,) uniform field change, mean over slices; `brain` (x, y, z) fraction,
undistorted; `slice_times_s`, `echo_times_s`, `repetition_time_s`, `readout_s`,
`phase_encoding`; `thermal_sigma` SD of real and of imaginary part in stored units, times
`gfactor` (x, y, z); `receive_bias`, `coil_phase` (x, y, z); `start_s` in the session,
`drift_hz`; `n_noise_volumes` at the end of the series, `n_non_steady_volumes` at its start,
brighter than the others; `dropout` (E, x, y, z) share of signal that dephasing leaves,
undistorted; `kept` (x, y, z) voxels not set to 0, as stored; `in_grid` and `in_grid_always`
(X, Y, Z), on the grid of `responses.npz`: brain voxels inside the EPI grid at the pose of the
SBRef, and in every volume as well (undistorted, at the start of the volume); `trial_onset_s`,
`trial_image` (column of `betas`, -1 blank), `trial_amplitude` (V, trials) percent, with
trial-to-trial variability. Noise-only volumes have no entry in (t, ...) arrays.
"""


def write_truth_root(root: Path, spec: PhantomSpec) -> None:
    """Write the README and the parameters."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "README.md").write_text(README)
    (root / "spec.json").write_text(json.dumps(spec.to_dict(), indent=1) + "\n")


def write_tissue(root: Path, tissue: Mapping[str, np.ndarray], affine: np.ndarray) -> None:
    """Write the tissue fractions (x, y, z) of the voxels of the T1w image."""
    root.mkdir(parents=True, exist_ok=True)
    deep = sum(tissue[name] for name in nuclei.NAMES)
    maps = {name.upper(): tissue[name] for name in ("gm", "wm", "csf")}
    for name, volume in {**maps, "brain": tissue["brain"], "deep": deep}.items():
        save(root / f"tissue-{name}.nii.gz", volume, affine)


def write_subject_truth(
    root: Path,
    scene: Scene,
    *,
    images: list[str],
    t1w_shape: tuple[int, int, int],
    t1w_affine: np.ndarray,
    t1w_to_t2w: np.ndarray,
) -> None:
    """Write the maps and responses of a head.

    Parameters
    ----------
    root : Path
        Folder of the subject.
    scene : Scene
    images : list of str
        Label of each column of the betas.
    t1w_shape, t1w_affine : grid of the T1w image
    t1w_to_t2w : (4, 4) array
    """
    root.mkdir(parents=True, exist_ok=True)
    index = affines.grid_points(t1w_shape, np.linalg.inv(scene.affine) @ t1w_affine).T
    index = index.astype(np.float32)

    def on_t1w(volume: np.ndarray, order: int = 1) -> np.ndarray:
        sampled = ndimage.map_coordinates(volume, index, order=order, mode="constant")
        return sampled.reshape(t1w_shape)

    responses = scene.responses
    maps = {"S0": scene.s0, "field_hz": scene.field_hz}
    maps |= {name.upper(): scene.tissue[name] for name in ("gm", "wm", "csf")}
    maps["brain"] = scene.tissue["brain"]
    for name, volume in maps.items():
        save(root / f"{name}.nii.gz", on_t1w(volume), t1w_affine)
    t2star = 1 / np.maximum(on_t1w(scene.r2star), 1e-3)
    save(root / "T2star.nii.gz", np.where(on_t1w(scene.s0) > 0.01, t2star, 0), t1w_affine)
    voxel = on_t1w(scene.voxel_of.astype(np.float32), 0).astype(int)
    outside = on_t1w(np.ones(scene.s0.shape, dtype=np.float32), 0) == 0
    voxel[outside] = -1
    roi = voxel >= 0
    save(root / "roi.nii.gz", roi.astype(np.uint8), t1w_affine, dtype=np.uint8)
    hrf = np.where(roi, responses.hrf_index[voxel], -1).astype(np.int16)
    save(root / "hrfindex.nii.gz", hrf, t1w_affine, dtype=np.int16)
    save(root / "response.nii.gz", np.where(roi, responses.mean[voxel], 0), t1w_affine)
    _write_responses(root / "responses.npz", scene, images, t1w_to_t2w)


def _write_responses(path: Path, scene: Scene, images: list[str], t1w_to_t2w: np.ndarray) -> None:
    """Write the responses and the maps of the head on the head grid."""
    responses = scene.responses
    voxels = np.argwhere(scene.voxel_of >= 0)
    np.savez(
        path,
        affine=scene.affine,
        shape=np.array(scene.s0.shape),
        voxel=voxels.astype(np.int16),
        point=affines.apply(scene.affine, voxels),
        hrf_index=responses.hrf_index,
        prefers=responses.prefers,
        mean=responses.mean,
        betas=responses.betas.astype(np.float32),
        image=np.array(images),
        voxel_of=scene.voxel_of,
        S0=scene.s0,
        R2star=scene.r2star,
        field_hz=scene.field_hz,
        field_drift=scene.field_drift,
        t1w_to_t2w=t1w_to_t2w,
    )


def sample_betas(responses: Mapping[str, np.ndarray], points: np.ndarray) -> np.ndarray:
    """Return the true response to each image at points of the T1w world.

    Parameters
    ----------
    responses : mapping
        The content of ``responses.npz``: `affine`, `voxel_of` and `betas` are used.
    points : (N, 3) array
        T1w world mm.

    Returns
    -------
    (N, C) float32 array
        Percent at echo 2, interpolated linearly as the simulator does; 0 outside the
        responsive voxels.
    """
    voxel_of, betas = responses["voxel_of"], responses["betas"]
    index = affines.apply(np.linalg.inv(responses["affine"]), points)
    cell = np.clip(np.floor(index).astype(int), 0, np.array(voxel_of.shape) - 2)
    fraction = np.clip(index - cell, 0, 1)
    out = np.zeros((len(points), betas.shape[1]), dtype=np.float32)
    for corner in np.ndindex(2, 2, 2):
        weight = np.where(corner, fraction, 1 - fraction).prod(axis=1)
        voxel = voxel_of[tuple((cell + corner).T)]
        inside = voxel >= 0
        out[inside] += (weight[inside, None] * betas[voxel[inside]]).astype(np.float32)
    return out
