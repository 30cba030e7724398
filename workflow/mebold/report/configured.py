"""The settings that an output folder was made with, as its last call kept them."""

from collections.abc import Mapping
from pathlib import Path

from mebold.files import tables

_NAME = "config.json"


def write(work: str | Path, config: Mapping) -> None:
    """Keep the complete configuration of a call in the folder ``work`` of its output."""
    tables.write_json(Path(work) / _NAME, dict(config))


def read(root: str | Path) -> dict:
    """Return the configuration of an output folder; empty where none was kept."""
    try:
        return tables.read_json(Path(root) / "work" / _NAME)
    except (OSError, ValueError):
        return {}
