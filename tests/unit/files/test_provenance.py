"""What made a file: versions of the packages."""

from mebold.files import provenance


def test_versions_are_recorded():
    packages = provenance.generated_by(["numpy", "no-such-package"])["Packages"]
    assert packages["numpy"][0].isdigit()
    assert packages["no-such-package"] == "not installed as a package"
