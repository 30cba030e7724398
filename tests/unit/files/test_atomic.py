"""Second names of files."""

from pathlib import Path

import pytest

from mebold.files import atomic


def written(folder: Path) -> Path:
    file = folder / "a_desc-optcom_bold.nii.gz"
    file.write_bytes(b"series")
    return file


def test_a_second_name_moves_with_its_folder(tmp_path):
    folder = tmp_path / "func"
    folder.mkdir()
    file = written(folder)
    second = folder / "a_desc-preproc_bold.nii.gz"
    second.write_text("an older file")
    atomic.link(file, second)
    atomic.link(file, second)
    assert second.is_symlink()
    moved = folder.rename(tmp_path / "elsewhere")
    assert (moved / second.name).read_bytes() == b"series"
    assert sorted(path.name for path in moved.iterdir()) == [file.name, second.name]


def test_a_file_system_without_links_gets_a_copy(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError

    monkeypatch.setattr(Path, "symlink_to", refused)
    file = written(tmp_path)
    atomic.link(file, tmp_path / "hard.nii.gz")
    assert (tmp_path / "hard.nii.gz").samefile(file)
    monkeypatch.setattr(Path, "hardlink_to", refused)
    atomic.link(file, tmp_path / "copy.nii.gz")
    assert (tmp_path / "copy.nii.gz").read_bytes() == b"series"
    assert not (tmp_path / "copy.nii.gz").samefile(file)


def test_a_second_name_in_another_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="folder of"):
        atomic.link(written(tmp_path), tmp_path / "there" / "b.nii.gz")
