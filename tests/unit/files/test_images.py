"""Image I/O: headers, atomic writing, and messages for files that cannot be read."""

import gzip
import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mebold.anat.labels import TISSUES
from mebold.errors import DataError
from mebold.files import atomic, images, segmentation, stream, tables, transforms
from mebold.geometry import affines

AFFINE = affines.rigid_matrix([5, -3, 2, 0.1, -0.2, 0.3], [0, 0, 0]) @ np.diag([2.0, 2.0, 3.0, 1])


def test_image_round_trip_with_both_header_forms(tmp_path, rng):
    data = rng.normal(size=(4, 5, 6, 7)).astype(np.float32)
    images.save(tmp_path / "a.nii.gz", data, AFFINE, tr=1.9, metadata={"TR": np.float64(1.9)})
    loaded, affine = images.load(tmp_path / "a.nii.gz")
    assert np.array_equal(loaded, data)
    assert affine == pytest.approx(AFFINE, abs=1e-5)
    header = nib.load(tmp_path / "a.nii.gz").header
    assert header.get_qform() == pytest.approx(AFFINE, abs=1e-4)
    assert header["sform_code"] == header["qform_code"] == 1
    assert header.get_zooms()[3] == pytest.approx(1.9)
    assert json.loads((tmp_path / "a.json").read_text()) == {"TR": 1.9}


@pytest.mark.parametrize(("tr", "unit"), [(1.5, "sec"), (None, "unknown")])
def test_only_series_in_time_have_a_unit_of_time(tmp_path, tr, unit):
    images.save(tmp_path / "x.nii", np.zeros((2, 2, 2, 3)), np.eye(4), tr=tr)
    assert nib.load(tmp_path / "x.nii").header.get_xyzt_units() == ("mm", unit)


def test_scale_factors_are_applied(tmp_path):
    image = nib.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "scaled.nii")
    data, _ = images.load(tmp_path / "scaled.nii")
    assert data.max() == pytest.approx(nib.load(tmp_path / "scaled.nii").get_fdata().max())


def test_integers_are_rounded_and_must_fit(tmp_path):
    images.save(tmp_path / "i.nii", np.array([[[1.6]]]), np.eye(4), dtype=np.int16)
    assert images.load(tmp_path / "i.nii")[0][0, 0, 0] == 2
    with pytest.raises(DataError, match="do not fit uint8"):
        images.save(tmp_path / "j.nii", np.array([[[300.0]]]), np.eye(4), dtype=np.uint8)
    assert not (tmp_path / "j.nii").exists()


def test_nothing_half_written_is_left_when_a_writer_fails(tmp_path):
    def fail():
        with atomic.atomic(tmp_path / "x.json") as partial:
            partial.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"not an image at all", "cannot be read"), (None, "does not exist")],
)
def test_unreadable_images_are_named(tmp_path, content, message):
    path = tmp_path / "bad.nii.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        images.load(path)
    assert "bad.nii.gz" in str(raised.value)


def test_truncated_image_is_named(tmp_path, rng):
    images.save(tmp_path / "t.nii.gz", rng.normal(size=(20, 20, 20)), np.eye(4))
    whole = (tmp_path / "t.nii.gz").read_bytes()
    (tmp_path / "t.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"t\.nii\.gz is damaged or truncated"):
        images.load(tmp_path / "t.nii.gz")


def test_transforms_round_trip_and_are_lps_on_disk(tmp_path):
    series = np.stack([AFFINE, np.eye(4)])
    transforms.save_xfm(tmp_path / "one_xfm.txt", AFFINE)
    transforms.save_xfm(tmp_path / "many_xfm.txt", series)
    assert transforms.load_xfm(tmp_path / "one_xfm.txt") == pytest.approx(AFFINE)
    assert transforms.load_xfm(tmp_path / "many_xfm.txt") == pytest.approx(series)
    parameters = (tmp_path / "one_xfm.txt").read_text().splitlines()[3].split()
    assert float(parameters[10]) == pytest.approx(-AFFINE[0, 3])


def test_tables_write_missing_values_as_bids_does_and_keep_text(tmp_path):
    table = pd.DataFrame({"label": ["NA", "b"], "run": ["01", "02"], "value": [np.nan, 1.5]})
    tables.write_tsv(tmp_path / "t.tsv", table)
    assert (tmp_path / "t.tsv").read_text().splitlines()[1] == "NA\t01\tn/a"
    back = tables.read_tsv(tmp_path / "t.tsv")
    assert back["label"].tolist() == ["NA", "b"]
    assert back["run"].tolist() == ["01", "02"]
    assert back["value"].isna().tolist() == [True, False]


def test_json_has_no_infinities(tmp_path):
    tables.write_json(tmp_path / "a.json", {"x": np.array([1.0, np.nan]), "y": np.inf})
    assert tables.read_json(tmp_path / "a.json") == {"x": [1.0, None], "y": None}


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 6, 1), (4, 5, 6, 1, 1)])
def test_one_volume_is_read_however_it_is_stored(tmp_path, shape):
    path = tmp_path / "a.nii"
    images.save(path, np.arange(120.0).reshape(shape), AFFINE)
    volume, _ = images.load_volume(path)
    assert volume.shape == (4, 5, 6)
    assert images.load_mask(path)[0].sum() == 119


def test_a_series_is_refused_where_one_volume_is_needed(tmp_path):
    images.save(tmp_path / "a.nii", np.ones((4, 5, 6, 2)), AFFINE)
    with pytest.raises(DataError, match=r"a.nii has the shape 4 x 5 x 6 x 2: one volume is needed"):
        images.load_volume(tmp_path / "a.nii")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("sub-1_desc-preproc_T1w.nii.gz", 1),
        ("sub-1_task-x_desc-hmc_boldref.nii.gz", 1),
        ("sub-1_task-x_space-T1w_desc-optcom_bold.nii.gz", 2),
        ("sub-1_space-boldref_dseg.nii.gz", 2),
        ("sub-1_space-MNI152NLin2009aSym_res-bold_dseg.nii.gz", 4),
        ("sub-1_from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.nii.gz", 4),
        ("sub-1_from-MNI152NLin2009aSym_to-T1w_mode-image_xfm.nii.gz", 2),
        ("sub-1_space-OASIS_dseg.nii.gz", 5),
    ],
)
def test_header_forms_say_what_the_image_is_aligned_to(tmp_path, name, code):
    images.save(tmp_path / name, np.zeros((2, 2, 2)), AFFINE)
    header = nib.load(tmp_path / name).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (code, code)
    series_name = tmp_path / name.replace("1", "2", 1)
    stream.save_volumes(series_name, [np.zeros((2, 2, 2))] * 2, AFFINE, shape=(2, 2, 2, 2))
    assert int(nib.load(series_name).header["sform_code"]) == code


def test_tissues_have_the_labels_of_bids_in_image_sidecar_and_table(tmp_path):
    path = tmp_path / "sub-1_dseg.nii.gz"
    segmentation.save(path, np.arange(8).reshape(2, 2, 2) % 4, AFFINE, metadata={"a": 1})
    about = json.loads((tmp_path / "sub-1_dseg.json").read_text())
    assert about == {"a": 1, "LabelMap": {"1": "GM", "2": "WM", "3": "CSF"}}
    table = tables.read_tsv(tmp_path / "sub-1_dseg.tsv")
    assert list(table.columns) == ["index", "name", "abbreviation"]
    assert table["abbreviation"].tolist() == list(TISSUES)
    assert nib.load(path).get_data_dtype() == np.uint8


@pytest.mark.parametrize("read", ["at once", "in parts"])
def test_no_damaged_bit_of_a_compressed_file_changes_a_voxel(tmp_path, rng, read):
    """Without the checksum at the end 33 of 40 were read with other values."""
    path = tmp_path / "x_bold.nii.gz"
    data = np.round(rng.normal(500, 20, (9, 8, 7, 10)))
    images.save(path, data, np.eye(4), dtype=np.int16, tr=1.0)
    whole, refused = path.read_bytes(), 0
    for bit in rng.integers(0, 8 * len(whole), 60):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        try:
            if read == "at once":
                found = images.load(path)[0]
            else:
                found = np.concatenate([block for _, block in stream.read(path)], axis=3)
        except DataError:
            refused += 1
        else:
            assert np.array_equal(found, data)  # a bit that means nothing, such as the date
    assert refused >= 55


def test_equal_images_are_equal_files_that_any_gzip_reads(tmp_path, rng):
    data = rng.standard_normal((7, 8, 9, 5)).astype(np.float32)
    for name in ("one.nii.gz", "another.nii.gz"):
        images.save(tmp_path / name, data, np.eye(4), tr=1.0)
    written = (tmp_path / "one.nii.gz").read_bytes()
    assert (tmp_path / "another.nii.gz").read_bytes() == written
    assert written[3] == 0  # no name
    assert written[4:8] == bytes(4)  # no time
    plain = gzip.decompress(written)
    images.save(tmp_path / "plain.nii", data, np.eye(4), tr=1.0)
    assert plain == (tmp_path / "plain.nii").read_bytes()
    np.testing.assert_array_equal(images.load(tmp_path / "one.nii.gz")[0], data)
