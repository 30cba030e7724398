"""A file is known by what it holds: not by its date, and not by where it lies."""

import gzip
import os

import pytest

from mebold.files.identity import identity

LARGE = 3 << 20


def written(path, data, *, date=1_000_000):
    path.write_bytes(data)
    os.utime(path, (date, date))
    return path


@pytest.mark.parametrize("name", ["a_events.tsv", "a_bold.nii.gz", "a_bold.nii"])
def test_other_content_of_the_same_size_and_date_is_seen(tmp_path, rng, name):
    size = LARGE if name.endswith("nii") else 500
    first = rng.integers(0, 255, size, dtype="uint8").tobytes()
    second = bytes([first[0] ^ 1]) + first[1:]
    pack = (lambda data: gzip.compress(data, mtime=0)) if name.endswith("gz") else bytes
    one, other = (
        written(tmp_path / f"{i}{name}", pack(data)) for i, data in enumerate((first, second))
    )
    assert one.stat().st_size == other.stat().st_size
    assert one.stat().st_mtime == other.stat().st_mtime
    assert identity(one) != identity(other)


@pytest.mark.parametrize("name", ["a_events.tsv", "a_bold.nii.gz"])
def test_a_copy_of_another_date_is_the_same(tmp_path, name):
    data = b"onset\tduration\n1\t2\n"
    data = gzip.compress(data) if name.endswith("gz") else data
    one = written(tmp_path / name, data)
    (tmp_path / "copy").mkdir()
    other = written(tmp_path / "copy" / name, data, date=2_000_000)
    assert identity(one) == identity(other)
    link = tmp_path / f"link_{name}"
    link.symlink_to(other)  # git-annex
    assert identity(link) == identity(one)


def test_compression_does_not_count(tmp_path, rng):
    data = rng.integers(0, 9, LARGE, dtype="uint8").tobytes()
    one = written(tmp_path / "one.nii.gz", gzip.compress(data, 1, mtime=1))
    other = written(tmp_path / "other.nii.gz", gzip.compress(data, 9, mtime=2))
    assert one.stat().st_size != other.stat().st_size
    assert identity(one) == identity(other)


def test_large_files_without_a_checksum_of_their_own_count_with_their_date(tmp_path, rng):
    """A change between the blocks that are read would not be seen otherwise."""
    data = bytearray(rng.integers(0, 255, LARGE, dtype="uint8").tobytes())
    first = identity(written(tmp_path / "a.nii", bytes(data)))
    assert identity(written(tmp_path / "a.nii", bytes(data))) == first
    assert identity(written(tmp_path / "a.nii", bytes(data), date=2_000_000)) != first
    # Pieces of bgzip end with an empty one, whose checksum is that of nothing.
    pieces = b"\x1f\x8b\x08\x04" + bytes(data) + bytes(8)
    others = b"\x1f\x8b\x08\x04" + bytes(data[::-1]) + bytes(8)
    found = [identity(written(tmp_path / "a.nii.gz", piece)) for piece in (pieces, others)]
    assert found[0] != found[1]
    assert {text.split()[0] for text in found} == {"part"}


def test_what_is_not_there_has_none(tmp_path):
    assert identity(tmp_path / "absent.nii.gz") is None
    (tmp_path / "link.nii.gz").symlink_to(tmp_path / "absent.nii.gz")
    assert identity(tmp_path / "link.nii.gz") is None
    assert identity(written(tmp_path / "empty.nii.gz", b"")) == "crc32 00000000 0"
