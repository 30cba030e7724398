"""Estimates of runs from job to job, maps over runs and halves, their table and files."""

import nibabel as nib
import numpy as np
import pytest

from mebold.files import arrays, tables
from mebold.jobs import contrast_maps
from mebold.jobs.contrast_maps import Fits
from mebold.rois.condition_glm import Estimate

MASK = np.ones((3, 2, 1), bool)


def estimate(effect, variance=1.0):
    return Estimate(np.full(6, effect, np.float32), np.full(6, variance, np.float32), 50.0)


def test_estimates_of_sessions_join_in_the_order_of_their_runs(tmp_path):
    first = Fits({"faces": {"s1_run-01": estimate(1.0), "s1_run-02": estimate(2.0)}, "motion": {}})
    second = Fits({"faces": {"s2_run-01": estimate(6.0)}, "motion": {"s2_run-01": estimate(4.0)}})
    held = []
    for number, fit in enumerate((first, second)):
        arrays.save_named(tmp_path / f"{number}.npz", **fit.packed())
        held.append(arrays.load_named(tmp_path / f"{number}.npz"))
    joined = Fits.unpacked(held)
    assert list(joined.estimates["faces"]) == ["s1_run-01", "s1_run-02", "s2_run-01"]
    maps = joined.over_runs(halves=True)
    np.testing.assert_allclose(maps["effect.faces"], 3.0)
    np.testing.assert_allclose(maps["effect.faces.1"], 3.5)  # the first and the third
    np.testing.assert_allclose(maps["effect.faces.2"], 2.0)
    assert (maps["dof.faces"], maps["dof.faces.2"]) == (150, 50)
    assert "z.motion" in maps
    assert "z.motion.1" not in maps  # one run has no halves
    assert "z.faces.1" not in joined.over_runs()


def test_files_and_table(tmp_path):
    fits = Fits({"faces": {"run-01": estimate(1.0), "run-02": estimate(3.0)}, "words": {}})
    maps = fits.over_runs(halves=True)
    maps["z.faces"][2] = np.nan
    prefix = str(tmp_path / "sub-01_task-floc_space-T1w")
    contrast_maps.write(maps, MASK, np.eye(4), prefix=prefix, about=lambda **keys: keys)
    assert sorted(p.name for p in tmp_path.glob("*.nii.gz")) == [
        f"sub-01_task-floc_space-T1w_contrast-faces_stat-{kind}_statmap.nii.gz"
        for kind in ("effect", "z")
    ]
    z = nib.load(f"{prefix}_contrast-faces_stat-z_statmap.nii.gz").get_fdata()
    assert z.ravel()[2] == 0
    assert z.max() == pytest.approx(2 * 2**0.5, rel=0.03)
    said = tables.read_json(f"{prefix}_contrast-faces_stat-effect_statmap.json")
    assert (said["Units"], said["Contrast"]) == ("percent", "faces")
    meanings = {"faces": "faces > scenes", "words": "word > number"}
    left_out = {"words": {"run-01": ["word"], "run-02": ["word", "number"]}}
    table = contrast_maps.table(meanings, fits, maps, left_out).set_index("contrast")
    assert table.loc["faces", ["runs", "dof", "left_out"]].tolist() == [2, 100.0, "n/a"]
    assert table.loc["words", "runs"] == 0
    assert table.loc["words", "left_out"] == "run-01 (no word); run-02 (no word, number)"
    assert set(contrast_maps.MEANINGS) == {"contrast", *table.columns}
