"""Checks of one run: its echoes and parts must be complete, alike and possible."""

from collections import defaultdict
from collections.abc import Iterator

from mebold.inventory.findings import Finding, by, error, listed, refused, series_of, warning
from mebold.inventory.runs import Run

LONGEST_ECHO_TIME_S = 0.2
_LONGEST_TR_S = 60.0
_READOUT_LIMITS_S = (0.001, 0.5)
_DIRECTIONS = ("i", "i-", "j", "j-", "k", "k-")
_CORRECT = "Correct the sidecars"


def _parts(run: Run) -> Iterator[Finding]:
    magnitude, phase = run.bold.get("mag"), run.bold.get("phase")
    if not magnitude:
        message = f"the run has {', '.join(sorted(run.bold))} images but no magnitude"
        fix = "Add the part-mag images, or remove the others"
        yield error(run.first["path"], "part", message, fix)
        return
    if not phase:
        return
    fix = "Add it, or remove the phase images of the run (magnitude alone is enough)"
    for one, other, name in ((magnitude, phase, "phase"), (phase, magnitude, "magnitude")):
        have = {row["echo_index"] for row in other}
        for row in one:
            if row["echo_index"] not in have:
                message = f"the {name} image of this echo is missing"
                yield error(row["path"], "part", message, fix)


def _duplicates(run: Run) -> Iterator[Finding]:
    for suffixes in (run.bold, run.sbref, run.norf):
        for component, rows in suffixes.items():
            seen: dict[str | None, str] = {}
            for row in rows:
                other = seen.setdefault(row["echo"], row["path"])
                if other != row["path"] and component != "other":
                    message = f"{other} is the same image: same echo, same part ({component})"
                    yield error(row["path"], "part", message, "Remove one of the two files")


def _echoes(run: Run) -> Iterator[Finding]:
    labels = {row["echo"] for row in run.images}
    numbers = {int(label) for label in labels if label and label.isdigit()}
    missing = sorted(set(range(1, max(numbers, default=0) + 1)) - numbers)
    if missing and len(labels) > 1:
        message = f"of {max(numbers)} echoes, the one with the label {missing[0]} is missing"
        yield error(run.first["path"], "echo", message, "Add the missing echo, or remove the run")


def _echo_time_keys(run: Run) -> Iterator[Finding]:
    several = run.n_echoes > 1
    for row in run.images:
        time = row["echo_time"]
        if time is None:
            report = error if several else warning
            fix = "Add EchoTime in seconds to its sidecar"
            yield report(row["path"], "EchoTime", "the key is absent", fix)
        elif not 0 < time < LONGEST_ECHO_TIME_S:
            message = f"{time:g} s cannot be an echo time (0 to {LONGEST_ECHO_TIME_S} s)"
            yield error(row["path"], "EchoTime", message, "Write it in seconds, such as 0.0288")


def _echo_times(run: Run) -> Iterator[Finding]:
    by_echo = defaultdict(set)
    for row in run.images:
        if row["echo_time"] is not None and 0 < row["echo_time"] < LONGEST_ECHO_TIME_S:
            by_echo[row["echo"]].add(row["echo_time"])
    path = run.first["path"]
    for echo, times in by_echo.items():
        if len(times) > 1:
            message = f"the parts of echo {echo} disagree: {listed(times)} s"
            yield error(path, "EchoTime", message, _CORRECT)
    time = {echo: min(times) for echo, times in by_echo.items()}
    if len(set(time.values())) < len(time):
        message = f"two of {len(time)} echoes have the same echo time: {listed(time.values())} s"
        yield error(path, "EchoTime", message, "Give each echo its own EchoTime")
    by_label = [time[e] for e in sorted((e for e in time if e and e.isdigit()), key=int)]
    if by_label != sorted(by_label):
        message = "the labels do not ascend with EchoTime; echoes are ordered by EchoTime"
        yield warning(path, "echo", message, "Nothing needs to be done")


def _repetition_time(run: Run) -> Iterator[Finding]:
    key, path = "RepetitionTime", run.first["path"]
    if run.refusal:
        fix = "Add RepetitionTime if the volumes are evenly spaced"
        yield refused(path, key, run.refusal, fix)
        return
    for row in run.images:
        time = row["repetition_time"]
        if time is None:
            fix = "Add RepetitionTime in seconds to its sidecar"
            yield error(row["path"], key, "the key is absent", fix)
        elif not 0 < time < _LONGEST_TR_S:
            message = f"{time:g} s cannot be a repetition time (0 to {_LONGEST_TR_S:g} s)"
            yield error(row["path"], key, message, "Write it in seconds")
    times = {row["repetition_time"] for row in run.images} - {None}
    if len(times) > 1:
        message = f"the images of one run disagree: {listed(times)} s"
        yield error(path, key, message, _CORRECT)


def _shapes(run: Run) -> Iterator[Finding]:
    known = [row for row in run.images if row["shape"]]
    if not known:
        return
    first = known[0]
    for row in known[1:]:
        if [*row["shape"], 1][:4] != [*first["shape"], 1][:4]:  # (x, y, z) is (x, y, z, 1)
            message = f"{by(row['shape'])} differs from {by(first['shape'])} of {first['path']}"
            fix = "All echoes and parts of a run need the same matrix and number of volumes"
            yield error(row["path"], "shape", message, fix)
    for row in (row for rows in run.sbref.values() for row in rows if row["shape"]):
        if series_of(row):
            message = f"{by(row['shape'])} is a series, an SBRef is one volume"
            yield error(row["path"], "shape", message, "Keep one volume, or remove the SBRef")
        if row["shape"][:3] != first["shape"][:3]:
            message = f"{by(row['shape'])} differs from the BOLD matrix {by(first['shape'][:3])}"
            fix = "Remove the SBRef if it belongs to another run"
            yield warning(row["path"], "shape", message, fix)


def _sbrefs(run: Run) -> Iterator[Finding]:
    """SBRefs are matched with the echoes of the series by EchoTime; they may be incomplete."""
    series = run.bold.get("mag", run.images)
    have = {row["echo_index"] for row in run.sbref.get("mag", [])}
    for row in run.sbref.get("mag", []):
        if row["echo_index"] is None:
            time = "no EchoTime" if row["echo_time"] is None else f"{row['echo_time']:g} s"
            known = listed(image["echo_time"] for image in series) or "unknown"
            message = f"{time} belongs to no echo of the series ({known} s); the SBRef is not used"
            yield warning(row["path"], "EchoTime", message, "Correct it, or remove the SBRef")
    missing = [row for row in series if row["echo_index"] not in have]
    if have - {None} and missing:
        which = ", ".join(str(row["echo_index"]) for row in missing)
        message = (
            f"echo {which} has no SBRef, others have; where that echo is the reference, it is "
            "the robust mean of its series"
        )
        yield warning(run.first["path"], "SBRef", message, "Add it if it was acquired")


def _noise_scans(run: Run) -> Iterator[Finding]:
    """Noise scans must go with every echo and part of the series, on the same grid."""
    scans = {(row["echo"], part): row for part, rows in run.norf.items() for row in rows}
    series = {(row["echo"], part): row for part, rows in run.bold.items() for row in rows}
    if not scans:
        return
    fix = "Add it, or remove the noRF images of the run"
    for (echo, part), row in series.items():
        if part in ("mag", "phase") and (echo, part) not in scans:
            message = f"the noRF image of this echo and part ({part}) is missing, others are there"
            yield error(row["path"], "noRF", message, fix)
    for (echo, part), row in scans.items():
        partner = series.get((echo, part))
        if partner is None:
            message = f"the run has no BOLD image of this echo and part ({part})"
            yield error(row["path"], "noRF", message, "Rename or remove it")
        elif row["shape"] and partner["shape"] and row["shape"][:3] != partner["shape"][:3]:
            message = f"{by(row['shape'])} differs from the matrix {by(partner['shape'][:3])} of "
            fix_shape = "A noise scan needs the matrix of its series; remove it if it has another"
            yield error(row["path"], "noRF", message + partner["path"], fix_shape)


def _slices(run: Run) -> Iterator[Finding]:
    row = run.first
    times, tr, key = row["slice_timing"], row["repetition_time"], "SliceTiming"
    if not times:
        return
    axis = "ijk".find((row["slice_encoding_direction"] or "k")[0])
    if row["shape"] and len(times) != row["shape"][axis]:
        message = f"{len(times)} times for {row['shape'][axis]} slices"
        fix = "Correct SliceTiming, or remove it (then no slice-timing correction is made)"
        yield error(row["path"], key, message, fix)
    if tr and (max(times) > tr or min(times) < 0):
        message = (
            f"times from {min(times):g} to {max(times):g} s do not lie within RepetitionTime "
            f"({tr:g} s)"
        )
        yield error(row["path"], key, message, "Write them in seconds from the volume's start")


def _encoding(run: Run) -> Iterator[Finding]:
    row, key = run.first, "PhaseEncodingDirection"
    directions = {image["phase_encoding_direction"] for image in run.images} - {None}
    wrong = sorted(directions - set(_DIRECTIONS))
    if wrong:
        fix = f"Use one of {', '.join(_DIRECTIONS)}"
        yield error(row["path"], key, f"{wrong[0]!r} is unknown", fix)
    elif len(directions) > 1:
        message = f"the images of one run disagree: {', '.join(sorted(directions))}"
        yield error(row["path"], key, message, _CORRECT)
    readout, (low, high) = row["total_readout_time"], _READOUT_LIMITS_S
    if readout is not None and not low < readout < high:
        message = f"the total readout time is {readout:g} s ({low} to {high} s are possible)"
        yield error(row["path"], row["readout_by"], message, "Write it in seconds")


def _events(run: Run) -> Iterator[Finding]:
    row = run.first
    if row["events_problem"]:
        fix = "Correct or remove the events file"
        yield error(row["events"], "events", row["events_problem"], fix)


#: The rules, each a generator of findings on one run.
RUN_RULES = (
    _parts,
    _duplicates,
    _echoes,
    _echo_time_keys,
    _echo_times,
    _repetition_time,
    _shapes,
    _sbrefs,
    _noise_scans,
    _slices,
    _encoding,
    _events,
)
