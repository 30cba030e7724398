"""Files that claim more than they hold are refused in words, before memory is asked for."""

import gzip
import math
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest

from mebold.errors import DataError, MetadataError
from mebold.files import arrays, atomic, images, model, series, stream, tables
from mebold.inventory import events, table, tree


@pytest.fixture(autouse=True)
def _little_memory():
    """Nothing here may take more than 100 MB."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def header(shape, dtype=np.float32):
    made = nib.Nifti1Header()
    made.set_data_dtype(dtype)
    made.set_data_shape(shape)
    made.set_data_offset(352)
    made["magic"] = b"n+1"
    return made.binaryblock + bytes(4)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("read", [images.load_header, images.load, lambda p: list(stream.read(p))])
def test_a_header_that_claims_a_trillion_voxels(tmp_path, suffix, read):
    path = tmp_path / f"x_bold{suffix}"
    content = header((1000, 1000, 1000, 1000))
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    with pytest.raises(DataError) as caught:
        read(path)
    for words in ("x_bold.nii", "1000 x 1000 x 1000 x 1000", "4000.0 GB", "Accepted"):
        assert words in str(caught.value)


def test_a_truncated_image_is_known_by_its_header(tmp_path):
    path = tmp_path / "x.nii"
    images.save(path, np.ones((10, 10, 10)), np.eye(4))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"10 x 10 x 10 values \(4\.0 kB\).*at most 4\.0 kB"):
        images.load_header(path)
    path.write_bytes(whole)
    images.load_header(path)


def zeros(count):
    """Return so many bytes of zeros as gzip has them: a thousandth of their size."""
    return gzip.compress(bytes(10_000_000)) * (count // 10_000_000)


def test_a_gzip_bomb_that_is_what_it_claims(tmp_path):
    path = tmp_path / "x.nii.gz"
    shape = (1000, 1000, 100, 12)
    path.write_bytes(gzip.compress(header(shape, np.uint8)) + zeros(math.prod(shape)))
    assert path.stat().st_size < 2e6
    with pytest.raises(DataError, match=r"1000 x 1000 x 100 x 12 values \(1\.2 GB\)"):
        images.load(path)


@pytest.mark.parametrize("read", [images.load, lambda path: list(stream.read(path))])
def test_a_gzip_bomb_behind_a_small_image(tmp_path, read):
    path = tmp_path / "x_bold.nii.gz"
    content = header((4, 4, 4, 4), np.uint8) + bytes(256)
    path.write_bytes(gzip.compress(content) + zeros(300_000_000))
    with pytest.raises(DataError, match=r"more than 1\.0 MB follow the voxels"):
        read(path)


def test_zeros_compress_well_and_are_read(tmp_path):
    path = tmp_path / "x_mask.nii.gz"
    images.save(path, np.zeros((200, 200, 100), np.uint8), np.eye(4), dtype=np.uint8)
    assert path.stat().st_size < 40_000
    assert not images.load_mask(path)[0].any()


@pytest.mark.parametrize("shape", [(0, 5, 5), (5, -5, 5)])
def test_an_axis_without_voxels(tmp_path, shape):
    path = tmp_path / "x.nii"
    content = bytearray(header((5, 5, 5)) + bytes(500))
    content[42:48] = np.array(shape, np.int16).tobytes()
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.nii"):
        images.load(path)


def test_no_bit_of_a_header_ends_in_a_traceback(tmp_path, rng):
    path = tmp_path / "x.nii"
    images.save(path, rng.normal(size=(4, 5, 6, 3)), np.eye(4), dtype=np.float32, tr=1.0)
    whole = path.read_bytes()
    for bit in range(0, 8 * 352, 7):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        for read in (images.load, lambda path: list(stream.read(path))):
            try:
                read(path)
            except DataError as error:
                assert "x.nii" in str(error)  # noqa: PT017 - others are read


def test_objects_are_never_unpickled(tmp_path):
    evil = np.array([{"a": 1}], dtype=object)
    np.save(tmp_path / "a.npy", evil, allow_pickle=True)
    np.savez(tmp_path / "a.npz", allow_pickle=True, x=evil)
    with pytest.raises(DataError, match=r"a\.npy"):
        arrays.load(tmp_path / "a.npy")
    with pytest.raises(DataError, match=r"a\.npy"):
        series.open(tmp_path / "a.npy")
    with pytest.raises(DataError, match=r"a\.npz"):
        arrays.load_named(tmp_path / "a.npz")
    code = {path.name: path.read_text() for path in Path(arrays.__file__).parents[2].rglob("*.py")}
    # What a call hands to its own jobs is a private file of theirs, see `unit/jobs/test_handed`.
    del code["handed.py"]
    for word in ("allow_pickle=True", "import pickle", "yaml.load(", "shelve", "marshal", "joblib"):
        assert not any(word in text for text in code.values()), word


def test_arrays_that_claim_more_than_they_hold(tmp_path):
    claim = {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, claim)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.write(tmp_path / "a.npy", "x.npy")
    with pytest.raises(DataError, match=r"a\.npy is damaged"):
        arrays.load(tmp_path / "a.npy")
    with pytest.raises(DataError, match=r"a\.npy is no complete series"):
        series.open(tmp_path / "a.npy")
    with pytest.raises(DataError, match=r"a\.npz is damaged .*x\.npy claims 4000000000000 bytes"):
        arrays.load_named(tmp_path / "a.npz")


def test_no_damaged_bit_of_an_npz_changes_a_value(tmp_path, rng):
    path, saved = tmp_path / "a.npz", {"x": rng.normal(size=300), "y": np.arange(5)}
    arrays.save_named(path, **saved)
    assert {name: value.tolist() for name, value in arrays.load_named(path).items()} == {
        name: value.tolist() for name, value in saved.items()
    }
    whole, refused = path.read_bytes(), 0
    for bit in rng.integers(0, 8 * len(whole), 100):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        try:
            found = arrays.load_named(path)
        except DataError:
            refused += 1
        else:  # a bit that means nothing, or a letter of a name
            for name in found.keys() & saved.keys():
                assert np.array_equal(found[name], saved[name])
    assert refused > 80


def write_model(path, **changes):
    results = {"betas": np.ones((8, 3), np.float32), "trials": {"onset": np.arange(3.0)}}
    model.write(path, results | changes, mask=np.ones((2, 2, 2), bool))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"betas": np.ones((7, 3))},
            r"shape \(7, 3\) for 8 voxels and \[3\] trials",
        ),
        ({"betas": np.ones((8, 4))}, r"betas have the shape \(8, 4\)"),
        ({"betas": np.ones((8, 3, 1))}, r"betas have the shape \(8, 3, 1\)"),
        ({"mask": np.ones((2, 4))}, r"mask has the shape \(2, 4\); \(x, y, z\) is needed"),
        ({"betas": {"a": 1}}, r"betas have the shape \(\)"),
    ],
)
def test_model_files_of_odd_shapes(tmp_path, changes, message):
    with model.open_model(write_model(tmp_path / "m.h5")) as opened:
        assert opened["betas"].shape == (8, 3)
    path = write_model(tmp_path / "odd.h5", **changes)
    with pytest.raises(DataError, match=message) as caught, model.open_model(path):
        pass
    assert "odd.h5" in str(caught.value)


def test_a_model_file_that_claims_a_trillion_values(tmp_path):
    path = write_model(tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        del file["betas"]
        file.create_dataset("betas", (10**6, 10**6), "f4", chunks=(100, 100))
    with pytest.raises(DataError, match=r"betas claims 4000\.0 GB and has 0 bytes"):  # noqa: SIM117
        with model.open_model(path):
            pass
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"m\.h5 cannot be read"), model.open_model(path):
        pass


def test_a_million_events_are_no_events(tmp_path):
    path = tmp_path / "sub-01_task-x_events.tsv"
    path.write_text("onset\tduration\n" + "1.5\t1\n" * 1_000_000)
    assert "1000000 rows; up to 100000 are accepted" in events._read(path)
    with path.open("r+b") as file:
        file.truncate(10**12)  # a hole
    assert "1000000 MB; up to 50 MB are accepted" in events._read(path)


def test_sidecars_without_an_end(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("[" * 100_000)
    with pytest.raises(MetadataError, match=r"x\.json"):
        tree.read_sidecar(path)
    with path.open("r+b") as file:
        file.truncate(10**12)
    with pytest.raises(MetadataError, match="1000000 MB, up to 50 MB are accepted"):
        tree.read_sidecar(path)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("stem", "../../etc/x"),
        ("stem", "/etc/x"),
        ("subject", "../01"),
        ("folder", "sub-01/../../x"),
        ("folder", "/etc"),
        ("group", "a/b"),
        ("fieldmap_folder", ".."),
        ("task", "a b;rm"),
    ],
)
def test_a_run_table_leads_nowhere_else(tmp_path, column, value):
    rows = dict.fromkeys(table.COLUMNS, table.ABSENT)
    rows |= {"subject": "01", "stem": "sub-01_task-x", "folder": "sub-01/ses-01"}
    path = tmp_path / "runs.tsv"
    lines = [rows, rows | {column: value}]
    text = ["\t".join(rows), *("\t".join(line.values()) for line in lines)]
    path.write_text("\n".join(text[:2]) + "\n")
    assert len(table.read_table(path)) == 1
    path.write_text("\n".join(text) + "\n")
    with pytest.raises(MetadataError) as caught:
        table.read_table(path)
    assert f"{value!r} as {column} in line 3" in str(caught.value)


def test_links_are_replaced_and_never_written_through(tmp_path):
    """Outputs that DataLad has taken are links into its store, where nothing may change."""
    store = tmp_path / "annex/objects/key"
    store.parent.mkdir(parents=True)
    (tmp_path / "out").mkdir()
    for name, write in {
        "a.json": lambda path: tables.write_json(path, {}),
        "a.nii.gz": lambda path: images.save(path, np.ones((2, 2, 2)), np.eye(4)),
        "a.npz": lambda path: arrays.save_named(path, x=np.ones(2)),
        "a.h5": write_model,
    }.items():
        store.write_text("kept")
        path = tmp_path / "out" / name
        path.symlink_to(store)
        write(path)
        assert store.read_text() == "kept"
        assert not path.is_symlink()
    folder = tmp_path / "annex/folder"
    (folder / "kept").mkdir(parents=True)
    link = tmp_path / "out/tedana"
    link.symlink_to(folder)
    with atomic.atomic_folder(link) as partial:
        (partial / "x").touch()
    assert (folder / "kept").exists()
    assert [path.name for path in link.iterdir()] == ["x"]
    assert not link.is_symlink()


def test_a_linked_image_is_read(tmp_path):
    images.save(tmp_path / "key.nii.gz", np.ones((3, 3, 3)), np.eye(4))
    (tmp_path / "x.nii.gz").symlink_to(tmp_path / "key.nii.gz")
    (tmp_path / "key.nii.gz").chmod(0o444)
    assert images.load(tmp_path / "x.nii.gz")[0].sum() == 27
    assert images.load_header(tmp_path / "x.nii.gz").shape == (3, 3, 3)


def test_a_copy_of_the_structure_alone_can_be_planned_with_but_not_read(tmp_path):
    path = tmp_path / "x.nii"
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4)), path)
    path.write_bytes(path.read_bytes()[:352])
    assert images.load_header(path, without_voxels=True).shape == (4, 4, 4)
    with pytest.raises(DataError, match="damaged or truncated"):
        images.load_header(path)
    with pytest.raises(DataError, match="damaged or truncated"):
        images.load(path)
