"""Brain mask by the network of ANTsPyNet, an optional package, with weights that are at hand.

The package fetches weights by itself, without asking and without a check. Here it finds them in a
folder of the user, or is allowed to fetch them once, with a checksum.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mebold.errors import ConfigError, DataError
from mebold.geometry import masks
from mebold.registration.ants import from_ants, to_ants

#: What the network for T1w images needs: weights, and the template that it turns heads to.
NEEDED = ("brainExtractionRobustT1.h5", "S_template3.nii.gz")
_BLOCK = 1 << 20


def brain_mask(
    volume: np.ndarray,
    affine: np.ndarray,
    *,
    weights: str | None,
    fetch: bool,
    sha256: Mapping[str, str],
) -> np.ndarray:
    """Find the brain of a T1w with a trained network.

    Parameters
    ----------
    volume : (x, y, z) array
        T1w, any scale.
    affine : (4, 4) array
    weights : str or None
        Folder with the files of `NEEDED`.
    fetch : bool
        Whether the package may fetch those that are absent.
    sha256 : mapping
        File of `NEEDED` to its checksum, hexadecimal; a fetched file needs one.

    Returns
    -------
    (x, y, z) bool array

    Raises
    ------
    ConfigError
        When the package or files are absent, or a fetched file would not be checked.
    DataError
        When a file is not what its checksum says, or the network finds no brain.

    References
    ----------
    Tustison et al. 2021, Scientific Reports 11:9068; ANTsPyNet 0.3.2.
    """
    folder = prepared(weights, fetch=fetch, sha256=sha256)
    package = _package()
    package.set_antsxnet_cache_directory(str(folder))
    image = to_ants(np.nan_to_num(volume), affine)
    for name in NEEDED:
        if not (folder / name).is_file():
            network = name.endswith(".h5")
            get = package.get_pretrained_network if network else package.get_antsxnet_data
            get(name.partition(".")[0], target_file_name=name)
        _check(folder / name, sha256.get(name))
    probability = from_ants(package.brain_extraction(image, modality="t1"))[0]
    found = masks.largest_component(probability > 0.5)
    if not found.any():
        raise DataError("antspynet: the network finds no brain in the T1w.")
    return found


def prepared(weights: str | None, *, fetch: bool, sha256: Mapping[str, str]) -> Path:
    """Return the folder of the weights when all that is needed is there or may be fetched.

    Raises
    ------
    ConfigError
    """
    if not weights:
        message = (
            "`antspynet.weights` names no folder: give one that holds "
            f"{' and '.join(NEEDED)}, or one to fetch them into with `antspynet.fetch: true`."
        )
        raise ConfigError(message)
    folder = Path(weights)
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing and not fetch:
        message = (
            f"`antspynet.weights`: {weights} lacks {' and '.join(missing)}. Copy them from a "
            "machine that has them (the folder .keras/ANTsXNet of its user), or allow the network "
            "with `antspynet.fetch: true` and their checksums in `antspynet.sha256`."
        )
        raise ConfigError(message)
    unchecked = [name for name in missing if not sha256.get(name)]
    if unchecked:
        message = (
            f"`antspynet.fetch` would fetch {' and '.join(unchecked)} unchecked: give the sha256 "
            "of each in `antspynet.sha256`."
        )
        raise ConfigError(message)
    return folder


def _check(path: Path, wanted: str | None) -> None:
    """Raise when a file differs from its checksum; what was fetched goes with it."""
    if not wanted:
        return
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != wanted.lower():
        message = (
            f"{path} is not the file that `antspynet.sha256` names (its sha256 is "
            f"{digest.hexdigest()}, {wanted} is expected): remove it, or correct the key."
        )
        raise DataError(message)


def _package() -> object:
    try:
        import antspynet
    except ImportError:
        message = (
            "`antspynet.use` asks for the package antspynet, which is not installed in this "
            "environment: `pip install antspynet` (with TensorFlow, about 2 GB), or leave the key "
            "false: the brain is then found by registration of a template."
        )
        raise ConfigError(message) from None
    return antspynet
