"""What a subject hangs on: the run that anchors each session, the one that anchors the subject.

They are chosen by rule once, and kept beside the transforms: what is added later, or left out by
other labels, must not move what was made before.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mebold.errors import MetadataError
from mebold.files.tables import read_json, write_json
from mebold.geometry.phase_encoding import opposite
from mebold.inventory.runs import Run

_ABOUT = (
    "Runs and images that all alignments of the subject lead to. Kept so that added sessions, "
    "tasks or other labels move nothing; without this file they are chosen again."
)
_PARTNER = (
    "phase encoding opposite to the session's other runs, and no events: a partner for a "
    "fieldmap at most, not a run to be analysed"
)


@dataclass
class References:
    """References of one subject.

    Attributes
    ----------
    subject : str or None
        Run that the sessions are aligned to.
    sessions : dict
        Session folder to the run that its other runs are aligned to.
    anatomy : dict
        ``T1w`` (or what stands in for it) and ``T2w`` to the path in the dataset, None for none;
        where a T1w is averaged with others, their paths as ``T1wAveragedWith``.
    """

    subject: str | None = None
    sessions: dict[str, str] = field(default_factory=dict)
    anatomy: dict[str, str | list[str] | None] = field(default_factory=dict)


# -- the rule -------------------------------------------------------------------------------------


def partners(runs: Iterable[Run]) -> dict[str, str]:
    """Return the runs that only serve fieldmaps, with the reason.

    These have no events and the phase encoding opposite to most runs of their session, and are
    short (less than half the volumes of these), or are named so (``reverse`` in ``acq-`` or
    ``dir-``), or are of a task that has events in the usual direction.
    """
    found = {}
    sessions = defaultdict(list)
    for run in runs:
        if "mag" in run.bold:
            sessions[run.folder].append(run)
    for members in sessions.values():
        usual = _usual(members, _direction)
        if usual is None:
            continue
        for run in members:
            others = [m for m in members if _direction(m) == usual]
            if _direction(run) == opposite(usual) and not run.first["n_events"]:
                task = run.first["task"]
                tasks = {m.first["task"] for m in others if m.first["n_events"]}
                if task in tasks or _named_reverse(run) or _short(run, others):
                    found[run.stem] = _PARTNER
    return found


def _named_reverse(run: Run) -> bool:
    labels = (run.first["acquisition"], run.first["direction"])
    return any("reverse" in (label or "").lower() for label in labels)


def _short(run: Run, others: list[Run]) -> bool:
    lengths = sorted(m.first["n_volumes"] for m in others if m.first["n_volumes"])
    own = run.first["n_volumes"]
    return bool(own and lengths and 2 * own < lengths[len(lengths) // 2])


def choose(runs: list[Run], fitted: Iterable[str]) -> str:
    """Return the stem of the run that others are aligned to.

    Never one with the phase encoding opposite to most, or without an SBRef where most have one;
    then a run of the GLM, with the echoes and the matrix of most; then the one with most volumes,
    then the first.

    Parameters
    ----------
    runs : list of Run
        In the order of the table.
    fitted : iterable of str
        Stems that enter the GLM.
    """
    fitted = set(fitted)
    direction, sbref = _usual(runs, _direction), _usual(runs, _has_sbref)
    pool = [run for run in runs if run.stem in fitted] or runs
    echoes, matrix = _usual(pool, _echo_times), _usual(pool, _matrix)

    def rank(run: Run) -> tuple:
        return (
            direction is not None and _direction(run) == opposite(direction),
            sbref and not _has_sbref(run),
            run.stem not in fitted,
            _echo_times(run) != echoes,
            _matrix(run) != matrix,
            -(run.first["n_volumes"] or 0),
        )

    return min(runs, key=rank).stem


def _usual(runs: list[Run], of: callable) -> object:
    """Return the commonest value; of several, that of runs with events, then the first."""
    counts = Counter(of(run) for run in runs if of(run) is not None)
    with_events = Counter(of(run) for run in runs if run.first["n_events"])
    return max(counts, key=lambda value: (counts[value], with_events[value]), default=None)


def _direction(run: Run) -> str | None:
    return run.first["phase_encoding_direction"]


def _has_sbref(run: Run) -> bool:
    return any(row["echo_index"] for row in run.sbref.get("mag", []))


def _echo_times(run: Run) -> tuple:
    return tuple(None if time is None else round(time, 4) for time in run.echo_times)


def _matrix(run: Run) -> tuple | None:
    return tuple(run.first["shape"][:3]) if run.first["shape"] else None


# -- kept in the derivatives ----------------------------------------------------------------------


def path(output_dir: str | Path, sub: str) -> Path:
    """Return the file that keeps the references of a subject (``sub-01``)."""
    return Path(output_dir, "preproc", sub, "xfm", f"{sub}_desc-references.json")


def read(output_dir: str | Path) -> dict[str, References]:
    """Return the references that earlier runs of the workflow kept, by subject (``sub-01``)."""
    found = {}
    for file in sorted(Path(output_dir, "preproc").glob("sub-*/xfm/sub-*_desc-references.json")):
        kept = read_json(file)
        sub = file.name.split("_")[0]
        found[sub] = References(kept["Subject"], kept["Sessions"], kept["Anatomy"])
    return found


def write(output_dir: str | Path, references: Mapping[str, References]) -> None:
    """Keep the references of each subject; a file that says the same stays as it is."""
    before = read(output_dir)
    for sub, own in references.items():
        if before.get(sub) != own:
            kept = {"Subject": own.subject, "Sessions": own.sessions, "Anatomy": own.anatomy}
            write_json(path(output_dir, sub), {"Description": _ABOUT, **kept})


def require_known(sub: str, stem: str, known: Iterable[str], output_dir: str | Path) -> None:
    """Refuse to go on when the run that a subject was aligned to is not among the chosen runs.

    Raises
    ------
    MetadataError
    """
    if stem not in known:
        message = (
            f"{sub} was aligned to {stem} before, which is not among the chosen runs: choose its "
            "session and task too (what is made already is not made again). To align anew with "
            f"another reference, delete {path(output_dir, sub)}."
        )
        raise MetadataError(message)
