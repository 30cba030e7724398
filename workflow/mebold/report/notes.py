"""What the stages warned of: sentences of their sidecars, with the stage and whose they are."""

from collections.abc import Iterator
from dataclasses import dataclass

from mebold.report.folder import Folder


@dataclass(frozen=True)
class Note:
    """A warning.

    Attributes
    ----------
    section : str
        Section of the page that it belongs to, see `mebold.report.gallery`.
    owner : str
        Run, session, subject or group.
    text : str
    judges : bool
        Whether it counts in the verdict on the run; what is to be known of a method does not.
    """

    section: str
    owner: str
    text: str
    judges: bool = True


# Section, dataset, name without its owner, whether it judges the run.
_WARNED = (
    ("motion", "preproc", r"desc-native_motion\.json", True),
    ("distortion", "preproc", r"desc-boldref_fieldmap\.json", True),
    ("alignment", "preproc", r"from-boldref_to-\w+_mode-image_desc-\w+_xfm\.json", True),
    ("anatomy", "anatomical", r"from-T1w_to-\w+_mode-image_xfm\.json", True),
    ("nordic", "nordic", r"(echo-\w+_)?part-mag_desc-nordic_bold\.json", True),
    ("nordic", "nordic", r"(echo-\w+_)?desc-weakestResponse_boldmap\.json", False),
)


def of(folder: Folder, owner: str) -> Iterator[Note]:
    """Yield the warnings of a run, session, subject or group."""
    for section, dataset, name, judges in _WARNED:
        for file in folder.find(owner, name, dataset):
            for text in folder.read_json(file.path).get("Warnings") or ():
                echo = file.rest.partition("_")[0] if file.rest.startswith("echo-") else ""
                yield Note(section, owner, f"{echo}: {text}" if echo else str(text), judges)
    for file in folder.find(owner, r"desc-ICA_outcome\.json", r"preproc-\w+Ica"):
        outcome = folder.read_json(file.path)
        if outcome.get("status") == "fallback":
            text = f"{file.dataset}: ICA was not used ({outcome.get('reason')})"
            yield Note("multiecho", owner, text)
    for file in folder.find(owner, r"desc-GLMsingle_summary\.json"):
        summary = folder.read_json(file.path)
        for text in summary.get("Remarks") or ():
            yield Note("singletrial", owner, f"{file.dataset}: {text}", judges=False)
        for key, words in (("RunsLeftOut", "runs left out"), ("TrialsLeftOut", "trials left out")):
            if left := summary.get(key):
                text = f"{file.dataset}: {words}: {_listed(left)}"
                yield Note("singletrial", owner, text, judges=False)


def _listed(items: list) -> str:
    shown = [item if isinstance(item, str) else _words(item) for item in items[:5]]
    return ", ".join(shown) + (f" and {len(items) - 5} more" if len(items) > 5 else "")


def _words(item: object) -> str:
    if isinstance(item, dict):
        return " ".join(str(value) for value in item.values())
    return str(item)
