"""Whether a configuration asks for a part of a dataset only."""

from collections.abc import Mapping
from typing import Any

#: Keys of the configuration that list labels, and the BIDS entity of these labels.
LABELS = {"participant_label": "sub", "session_label": "ses", "task_label": "task"}


def is_selected(config: Mapping[str, Any]) -> bool:
    """Tell whether labels choose a part of the dataset."""
    return any(config.get(key) for key in LABELS)


def is_restricted(config: Mapping[str, Any]) -> bool:
    """Tell whether anything is left out, by labels that choose or by ``exclude``."""
    return is_selected(config) or bool(config.get("exclude"))
