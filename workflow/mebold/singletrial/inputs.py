"""Check what is handed to the single-trial fit and put it in one place."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from mebold.confounds import drifts
from mebold.errors import ConfigError, DataError
from mebold.singletrial import blocks, hrf
from mebold.singletrial.blocks import TrialBlock

logger = logging.getLogger(__name__)

#: Upstream warns as well: with less data after the last onset betas become noisy.
SHORT_TAIL_S = 8.0


@dataclass
class Inputs:
    """Runs, trials and responses of one fit.

    N trials in time order, run after run; R runs of T_r volumes; V voxels; H responses.

    Attributes
    ----------
    data : list of ndarray, (V, T_r)
        As given, without the volumes that are left out: any real dtype, possibly memory maps.
    onsets : list of ndarray of int
        Onset volumes of every run, counted from the first that is not left out: negative where a
        trial starts before it.
    skip : list of int
        Volumes that are left out at the start of every run.
    condition : ndarray of int, (N,)
        Design column of every trial.
    run : ndarray of int, (N,)
        Run of every trial.
    session : ndarray of int, (R,)
        Number of the session of every run, 0-based.
    folds : list of ndarray of int
        Runs of every cross-validation fold.
    extra : list of ndarray (T_r, q) or None
        User regressors of every run.
    basis : list of ndarray (T_r, d + 1)
        Orthonormal drift polynomials.
    library : ndarray, (L, H) float32
        Candidate responses.
    assumed : ndarray, (L',) float32
        Response of the on-off model.
    notes : list of str
        What a reader of the results should know.
    """

    data: list[np.ndarray]
    onsets: list[np.ndarray]
    skip: list[int]
    condition: np.ndarray
    run: np.ndarray
    session: np.ndarray
    folds: list[np.ndarray]
    extra: list[np.ndarray] | None
    basis: list[np.ndarray]
    library: np.ndarray
    assumed: np.ndarray
    notes: list[str] = field(default_factory=list)

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return self.data[0].shape[0]

    @property
    def n_volumes(self) -> list[int]:
        """Volumes of every run."""
        return [len(basis) for basis in self.basis]

    @property
    def trial_slices(self) -> list[slice]:
        """Trials of every run."""
        ends = np.cumsum([len(onsets) for onsets in self.onsets])
        return [slice(end - len(on), end) for end, on in zip(ends, self.onsets, strict=True)]

    @property
    def trial_volume(self) -> np.ndarray:
        """Onset volume of every trial in its run as given."""
        pairs = zip(self.onsets, self.skip, strict=True)
        return np.concatenate([onsets + skip for onsets, skip in pairs])

    @property
    def trial_session(self) -> np.ndarray:
        """Session number of every trial."""
        return self.session[self.run]

    def note(self, text: str) -> None:
        """Keep a remark for the results and log it."""
        self.notes.append(text)
        logger.warning("%s", text)

    def projected_trials(self, run: int, response: np.ndarray) -> np.ndarray:
        """Return the trial regressors of one run without drifts, (T, n) float64."""
        basis = self.basis[run]
        regressors = blocks.trial_regressors(self.onsets[run], response, len(basis))
        return blocks.remove_columns(basis, regressors)

    def trial_blocks(self, response: np.ndarray) -> list[TrialBlock]:
        """Factorise the trial design of every run for one response."""
        designs = [self.projected_trials(run, response) for run in range(len(self.data))]
        return [blocks.trial_block(design) for design in designs]

    def projected_extra(self, run: int) -> np.ndarray | None:
        """Return the user regressors of one run without drifts, or None."""
        if self.extra is None:
            return None
        return blocks.remove_drifts(self.basis[run], self.extra[run])


def collect(
    data: Sequence[np.ndarray],
    design: Sequence[np.ndarray],
    *,
    tr: float,
    stimdur: float,
    session: Sequence | None,
    extra_regressors: Sequence | None,
    hrf_library: np.ndarray | None,
    hrf_assumed: np.ndarray | None,
    want_library: bool,
    max_poly_degree: int | Sequence[int] | None,
    xval_groups: Sequence | None,
    skip: Sequence[int] | None = None,
) -> Inputs:
    """Check the arguments of `fit_glmsingle` (documented there) and bring them into one form."""
    for name, runs in (("data", data), ("design", design)):
        if getattr(runs, "ndim", 3) < 3:
            raise DataError(
                f"{name} is one array of shape {runs.shape}; accepted is a list with one array for "
                "each run"
            )
    if len(data) == 0 or len(data) != len(design):
        raise DataError(f"{len(data)} runs of data and {len(design)} of design: both need all runs")
    notes: list[str] = []
    series, matrices = _equal_lengths(data, design, notes)
    extra = _extra(extra_regressors, [len(matrix) for matrix in matrices])
    onsets, conditions = zip(*map(_trials_of_run, range(len(matrices)), matrices), strict=True)
    skip = _skip(skip, [len(matrix) for matrix in matrices])
    lengths = [len(matrix) - first for matrix, first in zip(matrices, skip, strict=True)]
    degrees = _degrees(max_poly_degree, lengths, tr)
    assumed = hrf.assumed(tr, stimdur) if hrf_assumed is None else _responses(hrf_assumed)[:, 0]
    if not want_library:
        library = assumed[:, None]
    else:
        library = hrf.library(tr, stimdur) if hrf_library is None else _responses(hrf_library)
    collected = Inputs(
        data=[values[:, first:] for values, first in zip(series, skip, strict=True)],
        onsets=[volumes - first for volumes, first in zip(onsets, skip, strict=True)],
        skip=skip,
        condition=np.concatenate(conditions),
        run=np.repeat(np.arange(len(onsets)), [len(on) for on in onsets]),
        session=_sessions(session, len(onsets)),
        folds=_folds(xval_groups, len(onsets)),
        extra=extra and [table[first:] for table, first in zip(extra, skip, strict=True)],
        basis=[drifts.polynomials(*pair) for pair in zip(lengths, degrees, strict=True)],
        library=library,
        assumed=assumed,
    )
    for text in notes:
        collected.note(text)
    _note_early_trials(collected)
    _note_late_trials(collected, tr)
    return collected


def _skip(wanted: Sequence[int] | None, lengths: list[int]) -> list[int]:
    """Return how many volumes are left out at the start of every run."""
    counts = [0] * len(lengths) if wanted is None else [int(count) for count in wanted]
    pairs = zip(counts, lengths, strict=False)
    if len(counts) != len(lengths) or not all(0 <= count < length for count, length in pairs):
        raise DataError(
            f"skip is {wanted}: one number of volumes is needed for each run, from 0 to below its "
            f"length {lengths}"
        )
    return counts


def _equal_lengths(
    data: Sequence[np.ndarray], design: Sequence[np.ndarray], notes: list[str]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return data and dense designs of equal length, without touching the caller's lists."""
    series, matrices = [], []
    for run, (values, matrix) in enumerate(zip(data, design, strict=True), start=1):
        dense = matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)
        if np.ndim(values) != 2 or dense.ndim != 2:
            raise DataError(
                f"run {run}: data of shape {np.shape(values)} and design of shape {dense.shape}; "
                "both must have two axes, (voxel, time) and (time, condition)"
            )
        values = np.asanyarray(values)
        length = min(values.shape[1], dense.shape[0])
        if values.shape[1] != dense.shape[0]:
            notes.append(
                f"run {run}: {values.shape[1]} volumes of data, {dense.shape[0]} of design; "
                f"the longer one is cut to {length}"
            )
        series.append(values[:, :length])
        matrices.append(dense[:length])
    if len({values.shape[0] for values in series}) > 1:
        raise DataError(f"runs differ in voxels: {[values.shape[0] for values in series]}")
    if series[0].shape[0] == 0:
        raise DataError("the data have no voxels")
    if len({matrix.shape[1] for matrix in matrices}) > 1:
        raise DataError(f"runs differ in conditions: {[m.shape[1] for m in matrices]}")
    return series, matrices


def _trials_of_run(run: int, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return onset volumes and conditions of one run in time order."""
    if not np.isin(matrix, (0, 1)).all():
        raise DataError(f"run {run + 1}: the design must hold only 0 and 1 (1 marks an onset)")
    volume, condition = np.nonzero(matrix)
    if volume.size == 0:
        raise DataError(f"run {run + 1} has no trial: leave the run out of the fit")
    twice = volume[1:][np.diff(volume) == 0]
    if twice.size:
        raise DataError(f"run {run + 1}: two conditions start at volume {twice[0]}")
    if matrix.all():
        raise DataError(f"run {run + 1}: a trial starts at every volume, no rest to compare with")
    return volume, condition


def _degrees(wanted: int | Sequence[int] | None, lengths: list[int], tr: float) -> list[int]:
    """Return the polynomial degree of every run."""
    if wanted is None:
        return [drifts.degree(length, tr=tr) for length in lengths]
    degrees = [int(degree) for degree in np.atleast_1d(np.asarray(wanted)).ravel()]
    degrees = degrees * len(lengths) if len(degrees) == 1 else degrees
    if len(degrees) != len(lengths) or min(degrees) < 0:
        raise ConfigError(
            f"max_poly_degree is {wanted}: give one degree of 0 or more, or one for each of the "
            f"{len(lengths)} runs"
        )
    return degrees


def _responses(values: np.ndarray) -> np.ndarray:
    """Return user responses as (L, H) float32 columns of maximum 1."""
    table = np.asarray(values, dtype=np.float32)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or not np.isfinite(table).all() or (table.max(axis=0) <= 0).any():
        raise ConfigError(
            f"response shapes must be finite columns (time, response) with a positive maximum; "
            f"got an array of shape {np.shape(values)}"
        )
    return table / table.max(axis=0)


def _sessions(session: Sequence | None, n_runs: int) -> np.ndarray:
    """Return session numbers from 0, in order of first use of the labels."""
    if session is None:
        return np.zeros(n_runs, dtype=np.int64)
    labels = list(np.asarray(session).ravel())
    if len(labels) != n_runs:
        raise ConfigError(f"session has {len(labels)} entries for {n_runs} runs")
    return np.array([list(dict.fromkeys(labels)).index(label) for label in labels])


def _folds(groups: Sequence | None, n_runs: int) -> list[np.ndarray]:
    """Return cross-validation folds: runs, or groups of runs, counted from 0."""
    groups = range(n_runs) if groups is None or len(groups) == 0 else groups
    folds = [np.atleast_1d(np.asarray(group, dtype=np.int64)) for group in groups]
    used = np.concatenate(folds)
    if used.min() < 0 or used.max() >= n_runs or np.unique(used).size != used.size:
        raise ConfigError(
            f"xval_groups {groups} must hold every run at most once, as numbers from 0 to "
            f"{n_runs - 1}"
        )
    return folds


def _extra(regressors: Sequence | None, lengths: list[int]) -> list[np.ndarray] | None:
    """Return user regressors as float64 (T_r, q), zero-padded to one q, or None without any."""
    if regressors is None:
        return None
    if len(regressors) != len(lengths):
        raise DataError(f"extra_regressors has {len(regressors)} entries for {len(lengths)} runs")
    checked = []
    for run, (values, length) in enumerate(zip(regressors, lengths, strict=True), start=1):
        table = np.zeros((length, 0)) if values is None else np.asarray(values, dtype=np.float64)
        table = table[:, None] if table.ndim == 1 else table
        if table.size and (table.shape[0] != length or not np.isfinite(table).all()):
            raise DataError(
                f"run {run}: extra regressors of shape {table.shape} must be finite and have one "
                f"row for each of the {length} volumes"
            )
        checked.append(table if table.size else np.zeros((length, 0)))
    # Every run is looked at: an empty first run must not switch off the others.
    if not any(np.any(table) for table in checked):
        return None
    width = max(table.shape[1] for table in checked)
    return [np.pad(table, ((0, 0), (0, width - table.shape[1]))) for table in checked]


def _note_early_trials(session: Inputs) -> None:
    """Tell which trials start in the volumes that are left out."""
    energy = np.square(session.library.astype(np.float64)).cumsum(axis=0)
    for run, onsets in enumerate(session.onsets):
        early = -onsets[onsets < 0]
        if not early.size:
            continue
        seen = energy[-1] - energy[np.minimum(early, len(energy)) - 1]
        blind = int(np.count_nonzero(seen.min(axis=1) <= blocks.NEGLIGIBLE * energy[-1].max()))
        gone = f"; of {blind} nothing is left, their betas are 0" if blind else ""
        session.note(
            f"run {run + 1}: {early.size} trials start in the first {session.skip[run]} volumes, "
            f"which are left out: their betas rest on what follows and will be noisy{gone}"
        )


def _note_late_trials(session: Inputs, tr: float) -> None:
    """Tell which trials have little or no data after their onset."""
    energy = np.square(session.library.astype(np.float64)).cumsum(axis=0)
    for run, (onsets, length) in enumerate(zip(session.onsets, session.n_volumes, strict=True)):
        left = length - onsets
        seen = energy[np.minimum(left, len(energy)) - 1].min(axis=1)
        blind = int(np.count_nonzero(seen <= blocks.NEGLIGIBLE * energy[-1].max()))
        if blind:
            session.note(
                f"run {run + 1}: {blind} trials start too late for at least one response shape "
                f"(the last leaves {left.min() * tr:.1f} s); their betas are 0 where it is chosen"
            )
        elif left.min() * tr < SHORT_TAIL_S:
            session.note(
                f"run {run + 1}: only {left.min() * tr:.1f} s of data after the last onset, its "
                "beta will be noisy"
            )
