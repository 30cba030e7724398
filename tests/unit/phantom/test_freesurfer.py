"""The FreeSurfer folder of a simulated head, read as other programs read it."""

import nibabel as nib
import numpy as np
import pytest

from mebold.errors import ConfigError
from mebold.phantom import anatomy, cortex, freesurfer
from mebold.phantom.spec import make_spec

SPEC = make_spec("tiny")


@pytest.fixture(scope="module")
def head():
    return anatomy.make_head(SPEC, "01")


@pytest.fixture(scope="module")
def grid(head):
    shape, affine = anatomy.centred_grid(head.centre, 4.0, np.array(SPEC.t1w_fov_mm))
    return anatomy.oriented_grid(shape, affine, "PSR")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, head, grid):
    shape, affine = grid
    tissue = anatomy.voxel_tissue(head, shape, affine)
    t1w = (1000 * (tissue["wm"] + 0.6 * tissue["gm"] + 0.2 * tissue["csf"])).astype(np.int16)
    place = tmp_path_factory.mktemp("freesurfer") / "sub-01"
    freesurfer.write_subject(place, head, t1w, affine)
    return place


def in_head(folder, name):
    """Return vertices in the world of the T1w, by the volume that they were made from."""
    vertices, faces, told = nib.freesurfer.read_geometry(folder / "surf" / name, read_metadata=True)
    orig = nib.load(folder / "mri/orig.mgz")
    np.testing.assert_allclose(told["cras"], orig.header["Pxyz_c"], atol=1e-3)
    to_world = orig.affine @ np.linalg.inv(orig.header.get_vox2ras_tkr())
    return nib.affines.apply_affine(to_world, vertices), faces


def test_vertices_lie_where_the_template_has_them(folder, head):
    for hemi in ("lh", "rh"):
        fitted = cortex.hemisphere(hemi)
        for name in ("white", "pial"):
            found, faces = in_head(folder, f"{hemi}.{name}")
            np.testing.assert_array_equal(faces, fitted.faces)
            np.testing.assert_allclose(head.mni(found), getattr(fitted, name), atol=0.01)
        grey = head.tissue((in_head(folder, f"{hemi}.white")[0] + found) / 2)["gm"]
        assert grey[fitted.cortex].mean() > 0.88


def test_the_volume_is_that_of_freesurfer_and_shows_the_head(folder, head, grid):
    orig = nib.load(folder / "mri/orig.mgz")
    assert nib.aff2axcodes(orig.affine) == ("L", "I", "A")
    assert orig.shape == (256, 256, 256)
    assert np.linalg.norm(orig.header["Pxyz_c"]) > 5  # surface coordinates are not the world
    points, _ = in_head(folder, "rh.white")
    index = np.rint(nib.affines.apply_affine(np.linalg.inv(orig.affine), points)).astype(int)
    seen = np.asarray(orig.dataobj)[tuple(index.T)].astype(float)
    tissue = head.tissue(points)
    wanted = tissue["wm"] + 0.6 * tissue["gm"] + 0.2 * tissue["csf"]
    assert np.corrcoef(seen, wanted)[0, 1] > 0.4  # of voxels of 4 mm
    assert np.median(seen) > 60


def test_labels_and_annotations_name_what_they_hold(folder):
    sizes = {}
    for path in sorted((folder / "label").glob("*.label")):
        sizes[path.name] = len(nib.freesurfer.read_label(path))
    assert set(sizes) == {
        "lh.cortex.label", "lh.V1.label", "lh.scenes.label",
        "rh.cortex.label", "rh.V1.label", "rh.faces.label", "rh.bodies.label",
    }  # fmt: skip
    assert min(sizes.values()) > 50
    thickness = nib.freesurfer.read_morph_data(folder / "surf/lh.thickness")
    listed = nib.freesurfer.read_label(folder / "label/lh.cortex.label")
    assert np.median(thickness[listed]) > 2 > np.median(np.delete(thickness, listed))
    labels, _, names = nib.freesurfer.read_annot(folder / "label/rh.lobes.annot")
    assert names == [b"unknown", b"occipital", b"frontal"]
    points, _ = in_head(folder, "rh.white")
    assert points[labels == 1, 1].max() < points[labels == 2, 1].min()


def test_a_head_without_t1w_has_no_surfaces():
    with pytest.raises(ConfigError, match="surfaces needs the T1w that mp2rage leaves out"):
        make_spec("tiny", surfaces=True, mp2rage=True)
