"""The session that a single-trial fit or its quality is made of, from files."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mebold.errors import MetadataError
from mebold.files import arrays, images, series, tables
from mebold.inventory.tree import read_sidecar
from mebold.singletrial import regressors
from mebold.singletrial.session import Session, prepare, shares_of

logger = logging.getLogger(__name__)


def read(
    files: object, *, runs: Sequence[Mapping], design: Mapping, confounds: Sequence[str] = ()
) -> Session:
    """Open the series of a session's runs, read their events, and prepare both for a fit.

    Parameters
    ----------
    files : object
        Paths by the names ``series``, ``samples``, ``coverage`` and ``events``, and ``confounds``
        where these are asked for, each in the order of the runs, and ``mask`` and ``brain``.
    runs : sequence of mapping
        ``single_echo`` (position from 0, used where a series holds all echoes), and what
        `mebold.singletrial.session.prepare` needs.
    design : mapping
        Section ``design`` of the configuration.
    confounds : sequence of str
        Columns of the confound tables that the fit takes as regressors.

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
        (arrays.load(path) >= one["LeastCoverage"])[brain]
        for path, one in zip(files.coverage, about, strict=True)
    ]
    return prepare(
        data,
        events,
        runs=runs,
        non_steady=[one["NonSteadyStateSamples"] for one in about],
        coverage=shares_of(seen),
        cells=[tables.read_cells(path) for path in files.events],
        confounds=_confounds(files, runs, confounds) if confounds else None,
        **design,
    )


def described(paths: Sequence[str]) -> dict:
    """Return the content of the events.json files that apply, the most general first.

    A damaged one is left out with a warning: descriptions are not worth a fit.
    """
    content: dict = {}
    for path in paths:
        try:
            content |= read_sidecar(Path(path))
        except MetadataError as error:
            logger.warning("%s", error)
    return content


def _confounds(files: object, runs: Sequence[Mapping], names: Sequence[str]) -> list[np.ndarray]:
    found = [tables.read_tsv(path) for path in files.confounds]
    return regressors.of_runs(found, names, runs=[run["stem"] for run in runs])
