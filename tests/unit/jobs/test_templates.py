"""Which files a template has."""

import pytest

from mebold.errors import ConfigError
from mebold.jobs import templates

NONE = {"image": None, "mask": None, "home": None, "fetch": False}


def test_the_bundled_one_needs_no_files():
    assert templates.files(["MNI152NLin2009aSym"], NONE) == {"MNI152NLin2009aSym": {}}


def test_given_files_win():
    given = NONE | {"image": "a.nii.gz", "mask": "b.nii.gz"}
    found = templates.files(["Own"], given)
    assert found == {"Own": {"template": "a.nii.gz", "template_mask": "b.nii.gz"}}


def test_what_is_not_at_hand_is_refused_or_fetched(monkeypatch, tmp_path):
    monkeypatch.delenv("TEMPLATEFLOW_HOME", raising=False)
    with pytest.raises(ConfigError, match=r"MNIInfant:cohort-2.*template.fetch: true"):
        templates.files(["MNIInfant:cohort-2"], NONE)
    allowed = NONE | {"fetch": True}
    # A dry-run asks no network.
    assert templates.files(["MNIInfant:cohort-2"], allowed) == {"MNIInfant:cohort-2": {}}
    monkeypatch.setattr("mebold.files.templateflow.fetch", lambda *_: ("t1w", "mask"))
    found = templates.files(["MNIInfant:cohort-2"], allowed, fetch=True)
    assert found["MNIInfant:cohort-2"] == {"template": "t1w", "template_mask": "mask"}
