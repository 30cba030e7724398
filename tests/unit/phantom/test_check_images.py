"""The comparison of anatomical images with the truth of the phantom."""

import numpy as np

from mebold.files.images import save
from mebold.phantom import check_images


def test_errors_are_measured_in_the_right_voxels(tmp_path):
    truth, output = tmp_path / "truth/sub-01", tmp_path / "out"
    truth.mkdir(parents=True)
    shape = (6, 6, 6)
    brain = np.zeros(shape, np.float32)
    brain[1:5, 1:5, 1:5] = 1.0
    t2star, field = np.full(shape, 0.03), np.full(shape, 20.0)
    known = {"t2star_s": t2star, "field_hz": field, "brain": brain, "pure": brain > 0.5}
    np.savez(truth / "megre.npz", affine=np.eye(4), **known)
    t1_s, transmit = np.where(brain > 0, 1.2, 4.4), np.where(brain > 0, 1.0, 1.2)
    np.savez(truth / "mp2rage.npz", t1_s=t1_s, transmit=transmit, head=brain, affine=np.eye(4))
    ses, anat = (output / "anatomical/sub-01" / part for part in ("ses-01", "anat"))
    # Outside of the tissue everything is wrong, which is nobody's business.
    inside = brain > 0.5
    for path, values in (
        (ses / "anat/sub-01_ses-01_T2starmap.nii.gz", np.where(inside, 1.02 * t2star, 9.0)),
        (ses / "fmap/sub-01_ses-01_fieldmap.nii.gz", np.where(inside, field + 0.5, 999.0)),
        (anat / "sub-01_T1map.nii.gz", np.where(inside, 0.96 * t1_s, 9.0)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, values.astype(np.float32), np.eye(4), metadata={})
    found = check_images.images(output, tmp_path / "truth")
    assert [round(row.value, 2) for row in found] == [2.0, 0.5, 4.0]
    assert all(row.ok for row in found)


def test_a_phantom_without_these_images_has_no_rows(tmp_path):
    assert check_images.images(tmp_path, tmp_path) == []
