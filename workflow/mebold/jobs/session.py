"""The session that a single-trial fit or its quality is made of, from files."""

from collections.abc import Mapping, Sequence

import numpy as np

from mebold.files import images, series, tables
from mebold.singletrial.session import Session, prepare, shares_of


def read(files: object, *, runs: Sequence[Mapping], design: Mapping) -> Session:
    """Open the series of a session's runs, read their events, and prepare both for a fit.

    Parameters
    ----------
    files : object
        Paths by the names ``series``, ``samples``, ``coverage`` and ``events``, each in the order
        of the runs, and ``mask`` and ``brain``.
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
    about = [tables.read_json(path) for path in files.samples]
    brain = images.load_mask(files.brain)[0][images.load_mask(files.mask)[0]]
    seen = [
        (np.load(path) >= one["LeastCoverage"])[brain]
        for path, one in zip(files.coverage, about, strict=True)
    ]
    early = [one["NonSteadyStateSamples"] for one in about]
    known = {"runs": runs, "non_steady": early, "coverage": shares_of(seen)}
    return prepare(data, events, **known, **design)
