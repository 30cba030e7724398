"""Areas of Benson's atlas: vertices of each, voxels of both hemispheres, no neuropythy."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mebold.errors import ConfigError, DataError
from mebold.jobs import benson
from mebold.jobs.cortex import Hemisphere
from mebold.jobs.region_masks import Grid
from mebold.phantom.cortex import icosphere

SHAPE, LEVEL = (40, 40, 40), 4
AFFINE = np.diag([2.0, 2, 2, 1])
#: The border of the upper and the lower field lies between two layers of voxels.
CENTRES = {"L": np.array([24.0, 40, 41]), "R": np.array([56.0, 40, 41])}


def maps(unit):
    """V1 behind (y below -0.5) and V3a before it, upper field below: as on a real cortex."""
    area = np.where(unit[:, 1] < -0.5, 1, np.where(unit[:, 1] > 0.8, 12, 0))
    return {"varea": area, "angle": 90 + 80 * unit[:, 2], "eccen": 10 * (1 + unit[:, 0])}


def shells():
    unit, faces = icosphere(LEVEL)
    sizes = [r * unit for r in (11.0, 14.0)]
    cortex = {
        hemi: Hemisphere(*(centre + one for one in sizes), faces)
        for hemi, centre in CENTRES.items()
    }
    return unit, Grid(np.ones(SHAPE, bool), AFFINE, {}, cortex, least_fill=0.5)


@pytest.fixture
def folder(tmp_path):
    """Return the folder of a subject with that of fsaverage beside it."""
    (tmp_path / "fsaverage/surf").mkdir(parents=True)
    return tmp_path / "sub-01"


def neuropythy(found):
    """A stand-in with the functions that are called."""
    held = SimpleNamespace(folders=[])
    held.freesurfer = SimpleNamespace(add_subject_path=held.folders.append)
    held.freesurfer_subject = lambda path: held.folders.append(path) or path
    held.vision = SimpleNamespace(predict_retinotopy=lambda _: found)
    return held


def test_areas_are_cut_at_the_horizontal_meridian_and_end_with_the_screen():
    angle = np.array([10.0, 89, 91, 170, -30, 45, 45])
    area = np.array([1, 1, 1, 2, 3, 4, 0])
    eccen = np.array([2.0, 20, 2, 2, 2, 2, 2])
    found = benson.areas({"varea": area, "angle": angle, "eccen": eccen}, most_eccentric_deg=8)
    assert {name: np.flatnonzero(one).tolist() for name, one in found.items()} == {
        "V1v": [0], "V1d": [2], "V2d": [3], "V3v": [4], "hV4": [5],
    }  # fmt: skip


def test_both_hemispheres_fill_the_voxels_between_white_and_pial(folder, monkeypatch):
    unit, grid = shells()
    held = neuropythy((maps(unit), maps(unit)))
    monkeypatch.setitem(sys.modules, "neuropythy", held)
    found = benson.regions(folder, grid, most_eccentric_deg=90)
    assert list(found) == ["V1v", "V1d", "V3a"]
    assert held.folders == [str(folder.parent), str(folder)]
    points = 2.0 * np.indices(SHAPE).reshape(3, -1).T
    for hemi, centre in CENTRES.items():
        own = points - centre
        radius = np.linalg.norm(own, axis=1)
        upper = (own[:, 2] < -3) & (own[:, 1] < -0.6 * radius) & (abs(radius - 12.5) < 0.6)
        lower = (own[:, 2] > 3) & (own[:, 1] < -0.6 * radius) & (abs(radius - 12.5) < 0.6)
        assert found["V1v"].mask.ravel()[upper].mean() > 0.9, hemi
        assert found["V1d"].mask.ravel()[lower].mean() > 0.9, hemi
    assert not (found["V1v"].mask & found["V1d"].mask).any()
    # A cap of the shell: its volume, of both hemispheres, in voxels of 8 mm3.
    whole = sum(found[name].mask.sum() for name in ("V1v", "V1d"))
    assert whole == pytest.approx(2 * 0.25 * 4 / 3 * np.pi * (14**3 - 11**3) / 8, rel=0.1)
    assert found["V1v"].category == "retinotopy"
    assert "Benson's atlas on sub-01 (neuropythy)" in found["V1v"].sources


def test_an_atlas_of_another_surface_is_refused(folder, monkeypatch):
    unit, grid = shells()
    other, _ = icosphere(LEVEL - 1)
    monkeypatch.setitem(sys.modules, "neuropythy", neuropythy((maps(unit), maps(other))))
    with pytest.raises(DataError, match=r"sub-01: the atlas has 642 vertices in hemisphere R"):
        benson.regions(folder, grid, most_eccentric_deg=90)


def test_what_neuropythy_lacks_is_named(folder, monkeypatch):
    _, grid = shells()

    def nothing(_):
        raise StopIteration  # what neuropythy raises without an image

    held = neuropythy(None)
    held.freesurfer_subject = nothing
    monkeypatch.setitem(sys.modules, "neuropythy", held)
    with pytest.raises(DataError, match=r"cannot read .*sub-01 .*\(StopIteration.*ribbon\.mgz"):
        benson.regions(folder, grid, most_eccentric_deg=90)
    (folder.parent / "fsaverage/surf").rmdir()
    with pytest.raises(DataError, match=r"fsaverage is missing: .*beside its subjects"):
        benson.regions(folder, grid, most_eccentric_deg=90)


def test_without_neuropythy_the_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "neuropythy", None)
    with pytest.raises(
        ConfigError, match=r"neuropythy is not installed, .*\(pip install neuropythy\)"
    ):
        benson.predict("fs/sub-01")
