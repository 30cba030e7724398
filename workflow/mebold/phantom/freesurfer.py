"""Write the FreeSurfer subject folder of a simulated head: surfaces, labels and the volume.

The files hold what FreeSurfer's do: vertices in its surface coordinates, about the centre of a
volume of 256 voxels of 1 mm (LIA), whose place stands at the end of each surface and in
``mri/orig.mgz``.
"""

from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from mebold.geometry import affines
from mebold.phantom import cortex, localizer
from mebold.phantom.anatomy import Head

#: Balls whose cortex is a label, MNI mm: about the calcarine sulcus in both hemispheres, and where
#: the localizer's categories are preferred, in one each, so that none can be taken for the other.
LABELS_MM = {
    "lh": {"V1": (-12, -88, 4)},
    "rh": {"V1": (12, -88, 4)},
}
for _name, _centre in localizer.CENTRES_MM.items():
    LABELS_MM["rh" if _centre[0] > 0 else "lh"][_name] = _centre
LABEL_RADIUS_MM = 20.0
#: Parts of the annotation ``lobes`` by MNI y, mm, and their colours.
LOBES = {"occipital": (-200.0, -62.0, 220), "frontal": (4.0, 200.0, 60)}
_SIZE = 256


def write_subject(folder: Path, head: Head, t1w: np.ndarray, affine: np.ndarray) -> None:
    """Write the folder of a subject.

    Parameters
    ----------
    folder : Path
        New; its name is that of the subject.
    head : Head
    t1w : (x, y, z) int16 array
        As it is stored in the raw dataset.
    affine : (4, 4) array
        Its grid, head frame.
    """
    for name in ("mri", "surf", "label"):
        (folder / name).mkdir(parents=True)
    orig = _conformed(t1w, affine)
    nib.save(orig, folder / "mri/orig.mgz")
    to_surface = orig.header.get_vox2ras_tkr() @ np.linalg.inv(orig.affine)
    for hemi in ("lh", "rh"):
        fitted = cortex.hemisphere(hemi)
        white, pial = (head.from_mni(one) for one in (fitted.white, fitted.pial))
        white, pial = (affines.apply(to_surface, one) for one in (white, pial))
        middle = (fitted.white + fitted.pial) / 2
        for name, vertices in (
            ("white", white),
            ("pial", pial),
            ("sphere", 100 * fitted.sphere),
            ("sphere.reg", 100 * fitted.registered),
        ):
            nib.freesurfer.write_geometry(
                folder / f"surf/{hemi}.{name}", vertices, fitted.faces, volume_info=footer(orig)
            )
        nib.freesurfer.write_morph_data(
            folder / f"surf/{hemi}.thickness", np.linalg.norm(pial - white, axis=1)
        )
        labels = {"cortex": fitted.cortex} | members(hemi, middle, fitted.cortex)
        for name, member in labels.items():
            _write_label(folder / f"label/{hemi}.{name}.label", member, white)
        _write_lobes(folder / f"label/{hemi}.lobes.annot", middle, fitted.cortex)


def members(hemi: str, middle: np.ndarray, cortical: np.ndarray) -> dict[str, np.ndarray]:
    """Return the labels of a hemisphere.

    Parameters
    ----------
    hemi : {"lh", "rh"}
    middle : (N, 3) array
        Middle of the cortex, MNI mm.
    cortical : (N,) bool array

    Returns
    -------
    dict of str to (N,) bool array
    """
    return {
        name: cortical & (np.linalg.norm(middle - np.array(centre), axis=1) <= LABEL_RADIUS_MM)
        for name, centre in LABELS_MM[hemi].items()
    }


def _conformed(t1w: np.ndarray, affine: np.ndarray) -> nib.MGHImage:
    """Return the image in 256 voxels of 1 mm about its middle, bytes, left-inferior-anterior."""
    axes = np.array([[-1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    own = np.eye(4)
    own[:3, :3] = axes
    # FreeSurfer counts its centre from the corner of the volume: voxel n / 2, not (n - 1) / 2.
    own[:3, 3] = affines.apply(affine, np.array(t1w.shape) / 2) - axes @ np.full(3, _SIZE / 2)
    index = np.linalg.inv(affine) @ own
    found = ndimage.affine_transform(
        t1w.astype(np.float32), index[:3, :3], index[:3, 3], output_shape=(_SIZE,) * 3, order=1
    )
    scaled = np.clip(found * (110 / np.percentile(t1w[t1w > t1w.mean()], 75)), 0, 255)
    return nib.MGHImage(scaled.astype(np.uint8), own)


def footer(image: nib.MGHImage) -> dict:
    """Return what FreeSurfer writes at the end of a surface about its volume."""
    header = image.header
    axes = header["Mdc"].T
    found = {"head": [2, 0, 20], "valid": "1  # volume info valid", "filename": "orig.mgz"}
    found |= {"volume": header["dims"][:3], "voxelsize": header["delta"]}
    found |= {f"{name}ras": axes[:, i] for i, name in enumerate("xyz")}
    return found | {"cras": header["Pxyz_c"]}


def _write_label(path: Path, member: np.ndarray, white: np.ndarray) -> None:
    """Write vertices with their places, as text: nibabel reads labels and writes none."""
    index = np.flatnonzero(member)
    rows = (
        f"{i} {x:.3f} {y:.3f} {z:.3f} 0\n" for i, (x, y, z) in zip(index, white[index], strict=True)
    )
    path.write_text(f"#!ascii label, vox2ras=TkReg\n{len(index)}\n" + "".join(rows))


def _write_lobes(path: Path, middle: np.ndarray, cortical: np.ndarray) -> None:
    """Write the annotation with the parts of `LOBES`, and what belongs to none of them."""
    labels, colours = np.zeros(len(middle), int), [[25, 5, 25, 0]]
    for number, (low, high, red) in enumerate(LOBES.values(), 1):
        labels[cortical & (middle[:, 1] >= low) & (middle[:, 1] < high)] = number
        colours.append([red, 20, 220, 0])
    nib.freesurfer.write_annot(path, labels, np.array(colours), ["unknown", *LOBES], fill_ctab=True)
