"""Content hashes: they follow imports, and nothing else."""

import pytest

from mebold.files import provenance
from mebold.jobs import code_hash


@pytest.fixture
def library(tmp_path, monkeypatch):
    for name, text in {
        "low": "X = 1\n",
        "high": "from mebold import low\n",
        "other": "Y = 1\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "script.py").write_text("import numpy\nfrom mebold.high import f\n")
    monkeypatch.setattr(code_hash, "_PACKAGE", tmp_path)

    def fresh():
        code_hash.code_hash.cache_clear()
        code_hash._source.cache_clear()
        return code_hash.code_hash(tmp_path / "script.py")

    return tmp_path, fresh


def test_hash_follows_indirect_imports(library):
    folder, fresh = library
    before = fresh()
    (folder / "low.py").write_text("X = 2\n")
    assert fresh() != before


def test_hash_ignores_modules_that_are_not_used(library):
    folder, fresh = library
    before = fresh()
    (folder / "other.py").write_text("Y = 2\n")
    assert fresh() == before


def test_versions_are_recorded():
    packages = provenance.generated_by(["numpy", "no-such-package"])["Packages"]
    assert packages["numpy"][0].isdigit()
    assert packages["no-such-package"] == "not installed as a package"
