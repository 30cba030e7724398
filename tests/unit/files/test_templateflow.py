"""Templates of TemplateFlow in a local home, and what is said without one."""

import sys
import types

import pytest

from mebold.errors import ConfigError, DataError
from mebold.files import templateflow


def write(home, name, *, empty=False):
    for end in ("T1w", "desc-brain_mask"):
        path = home / f"{name}_{end}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if empty else b"x")


def test_names_and_cohorts():
    assert templateflow.parse("MNIInfant:cohort-2") == ("MNIInfant", "2")
    assert templateflow.label("MNIPediatricAsym:cohort-4") == "MNIPediatricAsym+4"
    assert templateflow.label("MNI152NLin2009cAsym") == "MNI152NLin2009cAsym"
    with pytest.raises(ConfigError, match="names no template"):
        templateflow.parse("MNIInfant:2")


@pytest.mark.parametrize("folder", ["cohort-4/", ""])
def test_files_of_a_cohort_are_found(tmp_path, folder):
    write(tmp_path, f"tpl-MNIPediatricAsym/{folder}tpl-MNIPediatricAsym_cohort-4_res-1")
    found = templateflow.find("MNIPediatricAsym:cohort-4", tmp_path)
    assert [path.rsplit("res-1_", 1)[1] for path in found] == [
        "T1w.nii.gz", "desc-brain_mask.nii.gz",
    ]  # fmt: skip
    assert templateflow.find("MNIPediatricAsym:cohort-3", tmp_path) is None


def test_the_finest_resolution_with_content_is_taken(tmp_path):
    name = "tpl-MNI152NLin2009cAsym/tpl-MNI152NLin2009cAsym_res-0"
    write(tmp_path, f"{name}1", empty=True)
    write(tmp_path, f"{name}2")
    found = templateflow.find("MNI152NLin2009cAsym", tmp_path)
    assert "_res-02_" in found[0]


def test_what_is_absent_is_said(tmp_path, monkeypatch):
    text = templateflow.absent("MNIInfant:cohort-2", tmp_path)
    for part in ("tpl-MNIInfant_cohort-2_res-1_T1w", "`template.home`", "`template.image`",
                 "`template.fetch: true`"):  # fmt: skip
        assert part in text
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path))
    assert templateflow.home(None) == tmp_path
    assert str(templateflow.home("other")) == "other"
    monkeypatch.delenv("TEMPLATEFLOW_HOME")
    assert templateflow.home(None) is None
    assert "neither `template.home`" in templateflow.absent("X", None)


def client(monkeypatch, get):
    module = types.ModuleType("templateflow")
    module.api = types.SimpleNamespace(get=get)
    monkeypatch.setitem(sys.modules, "templateflow", module)


def test_the_client_is_asked_for_one_image_and_one_mask(tmp_path, monkeypatch):
    asked = []

    def get(name, **options):
        asked.append((name, options["suffix"], options["desc"], options["cohort"]))
        path = tmp_path / f"{options['suffix']}.nii.gz"
        path.write_bytes(b"x")
        return path

    client(monkeypatch, get)
    monkeypatch.setenv("TEMPLATEFLOW_HOME", "elsewhere")
    found = templateflow.fetch("MNIInfant:cohort-2", tmp_path)
    assert found == (str(tmp_path / "T1w.nii.gz"), str(tmp_path / "mask.nii.gz"))
    assert asked == [("MNIInfant", "T1w", None, "2"), ("MNIInfant", "mask", "brain", "2")]


def test_without_client_or_network_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "templateflow", None)
    monkeypatch.setenv("TEMPLATEFLOW_HOME", "elsewhere")
    with pytest.raises(ConfigError, match="pip install templateflow"):
        templateflow.fetch("MNIInfant:cohort-2", tmp_path)

    def broken(name, **options):
        raise OSError("no route to host")

    client(monkeypatch, broken)
    with pytest.raises(DataError, match=r"did not give MNIInfant:cohort-2: no route"):
        templateflow.fetch("MNIInfant:cohort-2", tmp_path)
    client(monkeypatch, lambda *_, **__: [])
    with pytest.raises(DataError, match="0 files for the T1w"):
        templateflow.fetch("MNIInfant:cohort-2", tmp_path)
