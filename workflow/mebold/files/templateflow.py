"""Templates of TemplateFlow: their names, and their files in a local home.

An identifier names a template and, for some, a cohort: ``MNI152NLin2009cAsym``,
``MNIPediatricAsym:cohort-4``. Files are found by their names in a folder that holds a copy; only
`fetch` goes to the network, and only where a user asks for it.
"""

import os
import re
from pathlib import Path

from mebold.errors import ConfigError, DataError

_IDENTIFIER = re.compile(r"([A-Za-z0-9]+)(?::cohort-([A-Za-z0-9]+))?\Z")
#: Resolutions by their labels, the finest first.
_RESOLUTIONS = ("01", "1", "02", "2")
_ENDS = ("T1w", "desc-brain_mask")


def parse(identifier: str) -> tuple[str, str | None]:
    """Split an identifier into template and cohort.

    Raises
    ------
    ConfigError
        When it is neither ``Name`` nor ``Name:cohort-N``.
    """
    match = _IDENTIFIER.match(identifier)
    if not match:
        message = (
            f"{identifier!r} names no template; accepted are a label such as MNI152NLin2009cAsym, "
            "and one with its cohort such as MNIPediatricAsym:cohort-4."
        )
        raise ConfigError(message)
    return match.group(1), match.group(2)


def label(identifier: str) -> str:
    """Return an identifier as names of files hold it: ``MNIPediatricAsym+4``."""
    name, cohort = parse(identifier)
    return f"{name}+{cohort}" if cohort else name


def home(given: str | None) -> Path | None:
    """Return the folder of local templates: that of the configuration, else TEMPLATEFLOW_HOME."""
    found = given or os.environ.get("TEMPLATEFLOW_HOME")
    return Path(found) if found else None


def find(identifier: str, folder: Path | None) -> tuple[str, str] | None:
    """Return the T1w and the brain mask of a template in a local home, or None.

    Parameters
    ----------
    identifier : str
    folder : Path or None
        Holds ``tpl-<name>``. Of a template with cohorts both forms of their place are known. Empty
        files are those that a client listed and did not fetch.
    """
    if folder is None:
        return None
    name, cohort = parse(identifier)
    root = folder / f"tpl-{name}"
    start = f"tpl-{name}" + (f"_cohort-{cohort}" if cohort else "")
    places = [root / f"cohort-{cohort}", root] if cohort else [root]
    for place in places:
        for resolution in _RESOLUTIONS:
            files = [place / f"{start}_res-{resolution}_{end}.nii.gz" for end in _ENDS]
            if all(file.is_file() and file.stat().st_size for file in files):
                return str(files[0]), str(files[1])
    return None


def absent(identifier: str, folder: Path | None) -> str:
    """Say what is missing of a template, and what can be done."""
    name, cohort = parse(identifier)
    start = f"tpl-{name}" + (f"_cohort-{cohort}" if cohort else "")
    looked = f"{folder} holds" if folder else "neither `template.home` nor TEMPLATEFLOW_HOME names"
    what = f"no {start}_res-1_T1w.nii.gz with its desc-brain_mask"
    if not folder:
        what = f"a folder with {start}_res-1_T1w.nii.gz and its desc-brain_mask"
    return (
        f"{looked} {what}. Give the folder of a local TemplateFlow in `template.home`, or local "
        "files in `template.image` and `template.mask`, or allow the network with "
        "`template.fetch: true` (needs the package templateflow)."
    )


def fetch(identifier: str, folder: Path | None) -> tuple[str, str]:
    """Fetch the T1w and the brain mask of a template with the client of TemplateFlow.

    Parameters
    ----------
    identifier : str
    folder : Path or None
        Where the client keeps them; its own place when not given.

    Raises
    ------
    ConfigError
        When the package templateflow is not installed.
    DataError
        When TemplateFlow has no such files, or cannot be reached.
    """
    name, cohort = parse(identifier)
    if folder:
        # The client reads it when it is imported.
        os.environ["TEMPLATEFLOW_HOME"] = str(folder)
    try:
        from templateflow import api
    except ImportError:
        message = (
            f"`template.fetch` asks for {identifier}, and the package templateflow is not "
            "installed: `pip install templateflow` into the environment of the workflow, or give "
            "local files (`template.home`, or `template.image` with `template.mask`)."
        )
        raise ConfigError(message) from None
    options = {"cohort": cohort} if cohort else {}
    found = []
    for wanted in ({"suffix": "T1w", "desc": None}, {"suffix": "mask", "desc": "brain"}):
        try:
            files = api.get(name, resolution=1, extension=".nii.gz", **wanted, **options)
        except Exception as error:  # whatever the network raises
            raise DataError(f"TemplateFlow did not give {identifier}: {error}") from None
        files = files if isinstance(files, list) else [files]
        if len(files) != 1 or not Path(files[0]).is_file() or not Path(files[0]).stat().st_size:
            message = (
                f"TemplateFlow has {len(files)} files for the {wanted['suffix']} of {identifier} "
                "at the resolution 1; exactly one with content is needed. Give local files in "
                "`template.image` and `template.mask`."
            )
            raise DataError(message)
        found.append(str(files[0]))
    return found[0], found[1]
