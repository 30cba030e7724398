"""Which images a choice of subjects, sessions and tasks keeps."""

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

from mebold.errors import MetadataError
from mebold.files import bids
from mebold.inventory.rows import wanted
from mebold.inventory.tree import File

# Entities that select images, and the datatypes that the selection leaves alone.
_SELECTED = {"subject": (), "session": ("anat",), "task": ("anat", "fmap")}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the dataset and the choice of its images to a command line."""
    parser.add_argument("bids_dir", help="root of the dataset")
    for entity in _SELECTED:
        parser.add_argument(
            f"--{'participant' if entity == 'subject' else entity}-label",
            metavar="LABELS",
            dest=f"{'participant' if entity == 'subject' else entity}_labels",
            type=lambda text: [label.strip() for label in text.split(",") if label.strip()],
            help=f"only these {entity}s, with commas between",
        )
    parser.add_argument(
        "--fieldmaps",
        choices=("named", "session"),
        default="named",
        dest="assign",
        help="whether a fieldmap that names other runs corrects just those or all of its session",
    )


def select(root: Path, files: list[File], *labels: Iterable[str] | None) -> list[File]:
    """Return the images that the table will list, by subject, session and task labels."""
    images = [file for file in files if wanted(file.path)]
    if not images:
        message = (
            f"{root} holds no BOLD, fieldmap or anatomical image: expected files such as "
            "sub-<label>/func/sub-<label>_task-<label>_bold.nii.gz."
        )
        raise MetadataError(message)
    parsed = {file.path: bids.parse(file.path) for file in images}
    for (entity, spared), asked in zip(_SELECTED.items(), labels, strict=True):
        if asked is None:
            continue
        key = bids.ENTITIES[entity]
        present = {parsed[file.path].get(entity) for file in images} - {None}
        chosen = {as_named(str(label).removeprefix(f"{key}-"), present) for label in asked}
        if unknown := sorted(chosen - present):
            there = ", ".join(sorted(present, key=natural)) or "none"
            message = f"No image of {key}-{unknown[0]} in {root}; {entity}s there: {there}."
            raise MetadataError(message)
        images = [
            file
            for file in images
            if parsed[file.path].get(entity) in chosen or file.path.split("/")[-2] in spared
        ]
    return images


def as_named(label: str, present: set[str]) -> str:
    """Return the label of the dataset that is meant: Snakemake reads ``--config x=01`` as 1."""
    alike = [name for name in present if name.isdecimal() and name.lstrip("0") == label]
    return alike[0] if label not in present and len(alike) == 1 else label


def natural(text: str) -> list:
    """Sort ``run-2`` before ``run-10``."""
    return [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", text)]
