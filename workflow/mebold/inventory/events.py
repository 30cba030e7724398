"""Events files: which one belongs to a run, and how often the labels in it repeat."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from mebold.inventory.tree import Inheritance

# No run has more: an event every 0.1 s for three hours. What has is a recording, not events.
_MOST_ROWS, _MOST_BYTES = 100_001, 50_000_000
_NOT_LABELS = ("onset", "duration")
#: Columns that most datasets name images and blanks with.
USUAL_COLUMNS = ("stim_name", "trial_type")
_COLUMNS = (
    *("events", "n_events", "events_columns", "events_repeats", "events_problem"),
    *("events_trials", "events_sidecars"),
)


def attach(
    rows: list[dict],
    root: Path,
    paths: list[str],
    keep: Iterable[str] = USUAL_COLUMNS,
    sidecars: Iterable[str] = (),
) -> None:
    """Fill the events columns of the BOLD rows, in place.

    Parameters
    ----------
    rows : list of dict
        Rows of the run table.
    root : Path
        Of the dataset.
    paths : list of str
        Dataset-relative paths of all ``*_events.tsv``; they inherit like sidecars, so that one
        at the root may serve every run.
    keep : iterable of str
        Columns whose values are kept, with onsets and durations, in one row of each run.
    sidecars : iterable of str
        Dataset-relative paths of all ``*_events.json``.
    """
    inheritance, described = Inheritance(paths), Inheritance(list(sidecars))
    contents: dict[str, dict[str, list[str]]] = {}
    runs = {}
    for row in rows:
        row |= dict.fromkeys(_COLUMNS)
        if row["suffix"] != "bold" or row["datatype"] != "func":
            continue
        found = inheritance.applicable(row["path"], suffix="events")
        if found:
            row["events"] = found[-1]
            row["events_sidecars"] = described.applicable(row["path"], suffix="events")
            if found[-1] not in contents:
                contents[found[-1]] = _read(root / found[-1])
            columns = contents[found[-1]]
            if isinstance(columns, str):
                row["events_problem"] = columns
                continue
            row["events_columns"] = list(columns)
            row["n_events"] = len(columns["onset"])
            runs[row["folder"], row["stem"]] = row
    kept = ("onset", "duration", *keep)
    for row in runs.values():
        columns = contents[row["events"]]
        row["events_trials"] = {name: columns[name] for name in kept if name in columns}
    _count_repeats(list(runs.values()), contents)
    for row in rows:
        run = runs.get((row["folder"], row["stem"]))
        if run is not None and row["events_columns"]:
            row["events_repeats"] = run["events_repeats"]
            row["events_trials"] = run["events_trials"] if row["echo_index"] == 1 else None


def _read(path: Path) -> dict[str, list[str]] | str:
    """Return the columns of an events file as text, or the words that say why there are none."""
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            return (
                f"the file has {size / 1e6:.0f} MB; up to {_MOST_BYTES / 1e6:.0f} MB are accepted"
            )
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return f"the file cannot be read ({error})"
    if len(lines) > _MOST_ROWS:
        return f"the file has {len(lines) - 1} rows; up to {_MOST_ROWS - 1} are accepted"
    header = lines[0].split("\t") if lines else []
    for column in _NOT_LABELS:
        if column not in header:
            return f"there is no column {column!r}, only: {', '.join(header) or 'nothing'}"
    cells = [line.split("\t") for line in lines[1:] if line.strip()]
    for number, row in enumerate(cells, 2):
        if len(row) != len(header):
            return f"line {number} has {len(row)} values for {len(header)} columns"
    return {column: [row[i] for row in cells] for i, column in enumerate(header)}


def _count_repeats(runs: list[dict], contents: dict) -> None:
    """Write, per column, how many labels occur twice or more: [in the session, in the subject]."""
    by_session, by_subject = defaultdict(list), defaultdict(list)
    for run in runs:
        by_session[run["group"]].append(run)
        by_subject[_without_session(run)].append(run)
    in_session = {key: _repeats(members, contents) for key, members in by_session.items()}
    in_subject = {key: _repeats(members, contents) for key, members in by_subject.items()}
    for run in runs:
        session, subject = in_session[run["group"]], in_subject[_without_session(run)]
        run["events_repeats"] = {
            column: [session[column], subject[column]]
            for column in run["events_columns"]
            if column not in _NOT_LABELS
        }


def _without_session(run: dict) -> str:
    return run["group"].replace(f"_ses-{run['session']}", "", 1)


def _repeats(runs: list[dict], contents: dict) -> Counter:
    """Return, per column, the number of labels that occur at least twice in these runs."""
    shown = defaultdict(Counter)
    for run in runs:
        for column, values in contents[run["events"]].items():
            if column not in _NOT_LABELS:
                shown[column].update(value for value in values if value not in ("n/a", ""))
    return Counter({c: sum(n > 1 for n in counts.values()) for c, counts in shown.items()})
