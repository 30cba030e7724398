"""Surfaces and their regions from files of FreeSurfer and GIFTI."""

import nibabel as nib
import numpy as np
import pytest
from icospheres import CENTRES, PIAL_MM, subject_folder, volume_of_freesurfer

from mebold.errors import DataError
from mebold.files import surfaces, tables
from mebold.geometry import affines
from mebold.phantom.cortex import icosphere
from mebold.rois.surfaces import tkr_to_scanner

N = 162


@pytest.fixture
def folder(tmp_path):
    return subject_folder(tmp_path / "fs", level=2)


def test_a_surface_comes_back_in_the_world_of_the_scanner(folder):
    unit, faces = icosphere(2)
    for hemi, centre in CENTRES.items():
        vertices, read, geometry = surfaces.read_surface(folder / f"surf/{hemi}.pial")
        np.testing.assert_array_equal(read, faces)
        found = affines.apply(tkr_to_scanner(geometry), vertices)
        np.testing.assert_allclose(found, centre + PIAL_MM * unit, atol=1e-3)


def test_without_a_footer_the_volume_tells(folder):
    vertices, faces, geometry = surfaces.read_surface(folder / "surf/lh.white")
    path = folder / "surf/lh.bare"
    nib.freesurfer.write_geometry(path, vertices, faces)
    with pytest.raises(DataError, match=r"lh.bare does not say where .*orig.mgz"):
        surfaces.read_surface(path)
    bare, _, nothing = surfaces.read_surface(path, placed=False)  # as spheres are read
    assert (bare.shape, nothing) == (vertices.shape, {})
    (folder / "mri").mkdir()
    nib.save(volume_of_freesurfer(np.array([3.0, -9, 21])), folder / "mri/orig.mgz")
    told = tkr_to_scanner(surfaces.read_surface(path)[2])
    np.testing.assert_allclose(told, tkr_to_scanner(geometry), atol=1e-4)


def test_damaged_and_absent_surfaces(folder):
    (folder / "surf/lh.bad").write_bytes(b"no surface")
    with pytest.raises(DataError, match=r"lh.bad cannot be read as a surface"):
        surfaces.read_surface(folder / "surf/lh.bad")
    with pytest.raises(DataError, match=r"lh.none does not exist"):
        surfaces.read_surface(folder / "surf/lh.none")


def gifti(path, values, intent="NIFTI_INTENT_NONE", table=None):
    array = nib.gifti.GiftiDataArray(np.asarray(values), intent=intent)
    nib.save(nib.gifti.GiftiImage(darrays=[array], labeltable=table), path)


def read(path, **more):
    return surfaces.read_regions(path, vertices=N, name="FFA1", **more)


def test_all_kinds_of_regions(tmp_path):
    wanted = np.arange(N) % 7 == 0
    (tmp_path / "lh.a.label").write_text(
        f"#!ascii label\n{wanted.sum()}\n"
        + "".join(f"{i} 0 0 0 1\n" for i in np.flatnonzero(wanted))
    )
    gifti(tmp_path / "lh.a.func.gii", wanted.astype(np.float32))
    nib.save(
        nib.MGHImage(wanted.astype(np.float32).reshape(N, 1, 1), np.eye(4)), tmp_path / "lh.a.mgz"
    )
    for name in ("lh.a.label", "lh.a.func.gii", "lh.a.mgz"):
        found = read(tmp_path / name)
        assert list(found) == ["FFA1"]
        np.testing.assert_array_equal(found["FFA1"], wanted)
    colours = np.array([[0, 0, 0, 0, 0], [10, 0, 0, 0, 10], [20, 0, 0, 0, 20]])
    labels = np.where(wanted, 1, 2)
    nib.freesurfer.write_annot(tmp_path / "lh.b.annot", labels, colours, ["unknown", "V1_v", "V2"])
    found = read(tmp_path / "lh.b.annot")
    assert list(found) == ["V1v", "V2"]
    np.testing.assert_array_equal(found["V1v"], wanted)
    table = nib.gifti.GiftiLabelTable()
    for key, name in enumerate(("???", "V1", "V2")):
        label = nib.gifti.GiftiLabel(key=key)
        label.label = name
        table.labels.append(label)
    gifti(tmp_path / "lh.c.label.gii", labels.astype(np.int32), "NIFTI_INTENT_LABEL", table)
    np.testing.assert_array_equal(read(tmp_path / "lh.c.label.gii")["V1"], wanted)


def test_regions_of_another_surface_are_refused(tmp_path):
    gifti(tmp_path / "lh.a.func.gii", np.ones(N + 3, np.float32))
    with pytest.raises(DataError, match=r"lh.a.func.gii has values for 165 vertices, .* 162"):
        read(tmp_path / "lh.a.func.gii")
    (tmp_path / "lh.b.label").write_text(f"#!ascii label\n1\n{N + 4} 0 0 0 1\n")
    with pytest.raises(DataError, match=r"lh.b.label has values for 167 vertices"):
        read(tmp_path / "lh.b.label")
    gifti(tmp_path / "lh.c.func.gii", np.zeros(N, np.float32))
    with pytest.raises(DataError, match=r"lh.c.func.gii is empty"):
        read(tmp_path / "lh.c.func.gii")
    (tmp_path / "lh.d.annot").write_bytes(b"no")
    with pytest.raises(DataError, match=r"lh.d.annot cannot be read as regions"):
        read(tmp_path / "lh.d.annot")


def test_hemispheres_by_name():
    for name in ("lh.V1.label", "sub-01_hemi-L_label-V1_mask.func.gii", "x/lh.aparc.annot"):
        assert surfaces.hemisphere(name) == "L"
    assert surfaces.hemisphere("V1_rh.mgz") == "R"
    with pytest.raises(DataError, match=r"V1.label does not say which hemisphere"):
        surfaces.hemisphere("V1.label")


def test_maps_are_written_for_other_readers(tmp_path):
    path = tmp_path / "a_hemi-R_space-fsnative_statmap.func.gii"
    values = np.where(np.arange(N) < 5, np.nan, np.arange(N)).astype(np.float32)
    surfaces.save_map(path, values, hemi="R", metadata={"Units": "percent"})
    image = nib.load(path)
    np.testing.assert_array_equal(image.agg_data(), values)
    np.testing.assert_array_equal(surfaces.read_map(path), values)
    assert image.meta["AnatomicalStructurePrimary"] == "CortexRight"
    beside = tmp_path / "a_hemi-R_space-fsnative_statmap.json"
    assert tables.read_json(beside) == {"Units": "percent"}
