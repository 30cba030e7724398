"""The adapter of the optional network: what it refuses, and what it asks of the package."""

import hashlib
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from mebold.anat import antspynet
from mebold.errors import ConfigError, DataError

VOLUME = np.random.default_rng(0).random((12, 14, 10)).astype(np.float32)
AFFINE = np.diag([-2.0, 2.0, 2.0, 1.0])


def asked(folder, **change):
    settings = {"weights": str(folder), "fetch": False, "sha256": {}} | change
    return antspynet.brain_mask(VOLUME, AFFINE, **settings)


@pytest.fixture
def weights(tmp_path):
    for name in antspynet.NEEDED:
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


@pytest.fixture
def package(monkeypatch):
    """Stand in for the package: it notes its calls, and "finds" the bright half of the image."""
    calls = []
    module = types.ModuleType("antspynet")
    module.set_antsxnet_cache_directory = lambda folder: calls.append(("folder", folder))

    def fetched(kind):
        def get(name, target_file_name):
            calls.append((kind, name))
            folder = next(value for key, value in calls if key == "folder")
            Path(folder, target_file_name).write_bytes(b"from afar")

        return get

    def extraction(image, modality):
        calls.append(("mask", modality))
        return image.new_image_like((np.indices(image.shape)[0] < 6).astype(np.float32))

    module.get_pretrained_network = fetched("network")
    module.get_antsxnet_data = fetched("data")
    module.brain_extraction = extraction
    monkeypatch.setitem(sys.modules, "antspynet", module)
    return calls


def test_without_the_package_a_sentence(weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "antspynet", None)
    with pytest.raises(ConfigError, match=r"pip install antspynet"):
        asked(weights)


def test_nothing_is_fetched_without_being_asked(tmp_path, package):
    with pytest.raises(ConfigError, match=r"lacks brainExtractionRobustT1.h5 and S_template3"):
        asked(tmp_path)
    with pytest.raises(ConfigError, match="names no folder"):
        asked(tmp_path, weights=None)
    assert package == []


def test_what_is_fetched_needs_a_checksum(tmp_path, package):
    with pytest.raises(ConfigError, match="unchecked"):
        asked(tmp_path, fetch=True)
    assert package == []
    right = hashlib.sha256(b"from afar").hexdigest()
    found = asked(tmp_path, fetch=True, sha256=dict.fromkeys(antspynet.NEEDED, right))
    assert found.sum() == VOLUME.size // 2
    assert ("network", "brainExtractionRobustT1") in package
    assert ("data", "S_template3") in package


def test_a_file_that_differs_from_its_checksum_is_refused(weights, package):
    with pytest.raises(DataError, match="is not the file"):
        asked(weights, sha256={"S_template3.nii.gz": "0" * 64})
    assert all(kind != "mask" for kind, _ in package)


def test_the_mask_comes_back_on_the_grid_of_the_image(weights, package):
    found = asked(weights)
    np.testing.assert_array_equal(found, np.indices(VOLUME.shape)[0] < 6)
    assert package == [("folder", str(weights)), ("mask", "t1")]
