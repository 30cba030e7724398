"""The session that a single-trial fit or its quality is made of, from files."""

from collections.abc import Mapping, Sequence

from mebold.files import series, tables
from mebold.singletrial.session import Session, prepare


def read(files: object, *, runs: Sequence[Mapping], design: Mapping) -> Session:
    """Open the series of a session's runs, read their events, and prepare both for a fit.

    Parameters
    ----------
    files : object
        Paths by the names ``series``, ``samples`` and ``events``, each in the order of the runs.
    runs : sequence of mapping
        ``single_echo`` (position from 0, used where a series holds all echoes), and what
        `mebold.singletrial.session.prepare` needs.
    design : mapping
        Section ``design`` of the configuration.

    Returns
    -------
    Session
        Series stay memory maps.

    Raises
    ------
    DataError
        As `mebold.singletrial.session.prepare`.
    """
    data = [
        series.open_variant(path, echo=run["single_echo"])
        for path, run in zip(files.series, runs, strict=True)
    ]
    events = [tables.read_tsv(path) for path in files.events]
    early = [tables.read_json(path)["NonSteadyStateSamples"] for path in files.samples]
    return prepare(data, events, runs=runs, non_steady=early, **design)
