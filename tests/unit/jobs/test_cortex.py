"""Surfaces of a subject as jobs read them, and regions on them."""

import shutil

import numpy as np
import pytest
from icospheres import CENTRES, PIAL_MM, WHITE_MM, subject_folder

from mebold.errors import DataError
from mebold.geometry import affines
from mebold.jobs import cortex, region_masks
from mebold.phantom.cortex import icosphere

SHAPE = (80, 44, 46)
GRID = np.diag([-2.0, 2, 2, 1])
GRID[:3, 3] = (75, -54, -36)
POINTS = affines.grid_points(SHAPE, GRID)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return subject_folder(tmp_path_factory.mktemp("surfaces") / "sub-01")


def brain(shift=0):
    near = [np.linalg.norm(POINTS - centre - shift, axis=1) for centre in CENTRES.values()]
    return (np.min(near, axis=0) < PIAL_MM + 1).reshape(SHAPE)


def read(folder, **more):
    files = {
        name: [str(folder / f"surf/{hemi}.{name}") for hemi in ("lh", "rh")]
        for name in ("white", "pial")
    }
    options = {"brain": brain(), "affine": GRID, "least_inside": 0.9} | files | more
    return cortex.read(options.pop("white"), options.pop("pial"), **options)


def test_both_hemispheres_lie_where_they_were(folder):
    unit, _ = icosphere(4)
    found = read(folder)
    for hemi, centre in (("L", CENTRES["lh"]), ("R", CENTRES["rh"])):
        np.testing.assert_allclose(found[hemi].white, centre + WHITE_MM * unit, atol=1e-3)
        np.testing.assert_allclose(found[hemi].pial, centre + PIAL_MM * unit, atol=1e-3)


def test_the_folder_of_another_subject_is_named(folder, tmp_path):
    with pytest.raises(DataError, match=r"sub-01: \d+ % of the cortex of lh.white"):
        read(folder, brain=brain(shift=np.array([0, 0, 40.0])))
    other = subject_folder(tmp_path / "sub-02", level=2)
    mixed = [str(other / f"surf/{hemi}.pial") for hemi in ("lh", "rh")]
    with pytest.raises(DataError, match=r"sub-01/surf/lh.white has 2562 vertices and .*sub-02"):
        read(folder, pial=mixed)


def test_a_region_of_both_hemispheres_fills_its_voxels(folder, tmp_path):
    """The back of both spheres; a mark on the left alone tells left from right."""
    copy = shutil.copytree(folder, tmp_path / "sub-01")
    unit, _ = icosphere(4)
    entries = []
    for hemi, side in (("lh", "L"), ("rh", "R")):
        member = unit[:, 1] < -0.5
        if hemi == "lh":
            member &= unit[:, 2] > 0
        path = copy / f"label/{hemi}.V1.label"
        rows = "".join(f"{i} 0 0 0 1\n" for i in np.flatnonzero(member))
        path.write_text(f"#!ascii label\n{member.sum()}\n{rows}")
        found = {"path": str(path), "name": "V1", "category": "x", "space": "surface"}
        entries.append(found | {"threshold": 0.5, "hemi": side, "labels": [], "lookup": None})
    grid = region_masks.Grid(brain(), GRID, {}, read(copy), 0.5)
    region = region_masks.gather(entries, grid, least_inside=0.5)["V1"]
    wanted = np.zeros(len(POINTS), bool)
    for hemi, centre in CENTRES.items():
        place = POINTS - centre
        radius = np.linalg.norm(place, axis=1)
        inside = (radius > WHITE_MM) & (radius < PIAL_MM) & (place[:, 1] < -0.5 * radius)
        wanted |= inside & ((place[:, 2] > 0) | (hemi == "rh"))
    wanted = wanted.reshape(SHAPE)
    both = region.mask & wanted
    assert 2 * both.sum() / (region.mask.sum() + wanted.sum()) > 0.85  # by centres of voxels
    assert region.mask.sum() == pytest.approx(wanted.sum(), rel=0.08)
    left = (POINTS[:, 0] < 0).reshape(SHAPE)
    assert region.mask[left].sum() == pytest.approx(region.mask[~left].sum() / 2, rel=0.15)
    assert region.notes[-1] == "two hemispheres joined"
    full = region_masks.Grid(brain(), GRID, {}, read(copy), 1.01)
    with pytest.raises(DataError, match=r"region V1: .*lh.V1.label fills no voxel to 101 %"):
        region_masks.gather(entries[:1], full, least_inside=0.5)


def test_a_damaged_surface_is_named(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "sub-01")
    (copy / "surf/rh.pial").write_bytes(b"")
    with pytest.raises(DataError, match=r"rh.pial cannot be read as a surface"):
        read(copy)
