"""Metadata of raw images as pybids has it: the peer of our own inheritance of sidecars."""

import re
import warnings
from pathlib import Path

from mebold.files.bids import ENTITIES


def pybids_config() -> dict:
    """Return the entity table as a configuration of pybids, with every label a string.

    The configuration of pybids itself turns ``run-01`` into a number and knows only four ``part``
    labels, so that the sidecar of another part would count for all parts.
    """
    entities = [
        {"name": long, "pattern": rf"(?:^|[_/\\]){short}-([a-zA-Z0-9+]+)"}
        for long, short in ENTITIES.items()
    ]
    entities += [
        {"name": "suffix", "pattern": r"(?:^|[_/\\])([a-zA-Z0-9+]+)\.[^/\\]+$"},
        {"name": "datatype", "pattern": r"[/\\](anat|fmap|func)[/\\]"},
        {"name": "extension", "pattern": r"[^./\\](\.[^/\\]+)$"},
    ]
    return {"name": "mebold", "entities": entities}


def read_metadata(root: Path, images: list) -> dict[str, dict]:
    """Return path to metadata, inheritance resolved, of the images under these folders."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside pybids and its dependencies
        from bids import BIDSLayout, BIDSLayoutIndexer

        class Layout(BIDSLayout):
            """A layout that does not look up the BOLD runs that each SBRef goes with.

            pybids makes two database queries for every SBRef, five sixths of the time to index
            a multi-echo session; the answer is not used here.
            """

            def get(self, return_type: str = "object", **filters: object) -> list:
                if return_type == "filename":
                    return []
                return super().get(return_type=return_type, **filters)

        indexer = BIDSLayoutIndexer(validate=False, ignore=_ignored(images))
        layout = Layout(str(root), validate=False, config=[pybids_config()], indexer=indexer)
        found = layout.get(extension=[".nii", ".nii.gz"])
        return {Path(file.path).relative_to(root).as_posix(): file.get_metadata() for file in found}


def _ignored(images: list) -> list[re.Pattern]:
    """Return patterns of what pybids is not to enter: other folders, other kinds of file."""
    folders = sorted({file.path.rpartition("/")[0] for file in images})
    opened = {"/".join(folder.split("/")[:n]) for folder in folders for n in range(1, 9)}
    wanted_folders = "|".join(re.escape(folder) for folder in sorted(opened))
    return [
        re.compile(rf"^/(?!(?:{wanted_folders})(?:/[^/]*)?$)[^/]+/"),
        re.compile(rf"^/(?!(?:{wanted_folders})$)[^/.]+$"),
        re.compile(r"/[^/.]+\.(?!(?:nii|nii\.gz|json)$)[^/]*$"),
    ]
