"""Maps where they are known, and series as their mean."""

import nibabel as nib
import numpy as np

from mebold.files import tables
from mebold.jobs import coverage

AFFINE = np.diag([2.0, 2, 2, 1])


def image(path, values, **said):
    nib.save(nib.Nifti1Image(np.asarray(values), AFFINE), path)
    tables.write_json(tables.sidecar(path), said)
    return path


def test_a_series_is_read_as_its_mean_where_it_is_known(tmp_path, rng):
    mask = rng.random((4, 5, 3)) < 0.6
    known = mask & (rng.random(mask.shape) < 0.7)
    image(tmp_path / "desc-coverage_mask.nii.gz", known.astype(np.uint8))
    betas = rng.standard_normal((*mask.shape, 37)).astype(np.float32)
    said = coverage.known(tmp_path / "desc-coverage_mask.nii.gz")
    path = image(tmp_path / "betas.nii.gz", betas, **said)
    found = coverage.read_known(path, mask)
    np.testing.assert_array_equal(np.isfinite(found), known[mask])
    np.testing.assert_allclose(found[known[mask]], betas[known].mean(axis=1), atol=1e-6)
    one = image(tmp_path / "one.nii.gz", betas[..., 0], **said)
    np.testing.assert_allclose(coverage.read_known(one, known), betas[known][:, 0])
