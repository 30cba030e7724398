"""Run the original GLMsingle package behind the interface of `mebold.singletrial`.

The package is not on the package index and holds the whole session in memory several times. Its
known traps are met here: it changes the caller's lists, deletes and creates folders, depends on
the global random state, and fails or errs for some inputs, which are refused with the reason.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module, metadata
from types import ModuleType

import numpy as np

from mebold.errors import ConfigError
from mebold.singletrial import stream
from mebold.singletrial.badness import Pairs, standardise
from mebold.singletrial.final import fraction_list
from mebold.singletrial.inputs import Inputs, collect
from mebold.singletrial.result import SingleTrialFit, blank
from mebold.singletrial.stream import one_blas_thread

logger = logging.getLogger(__name__)

COMMIT = "19e6617"
INSTALL = (
    "The engine 'upstream' needs the Python package glmsingle, commit 19e6617 (2025-08-28) or "
    "later. It is not on the package index; install it from its repository into the environment "
    "of the single-trial rules: pip install git+https://github.com/cvnlab/GLMsingle@main . "
    "The engine 'mebold' gives the same numbers without it."
)
#: The package reads 0 as "not given"; this threshold means the same as 0.
TINY_R2 = 1e-12


def fit_upstream(
    data: Sequence[np.ndarray],
    design: Sequence[np.ndarray],
    *,
    tr: float,
    stimdur: float,
    session: Sequence | None = None,
    extra_regressors: Sequence[np.ndarray] | None = None,
    hrf_library: np.ndarray | None = None,
    hrf_assumed: np.ndarray | None = None,
    want_library: bool = True,
    want_glmdenoise: bool = True,
    want_fracridge: bool = True,
    n_pcs: int = 10,
    pcstop: float = 1.05,
    fractions: Sequence[float] | float | None = None,
    max_poly_degree: int | Sequence[int] | None = None,
    autoscale: bool = True,
    xval_groups: Sequence | None = None,
    brain_r2: float | None = None,
    pc_r2_cutoff: float | None = None,
    keep_extra_regressors: bool = False,
    chunk_voxels: int | None = None,
    n_threads: int = 1,
    seed: int = 0,
    want_denoise_betas: bool = False,
    skip: Sequence[int] | None = None,
) -> SingleTrialFit:
    """Fit single-trial betas with the original package.

    Parameters and results are those of `mebold.singletrial.fit.fit_glmsingle`. All data are loaded
    into memory. `n_threads` above 1 lets BLAS use threads. All trials of a fit get finite numbers
    only if every response reaches into the run.

    Returns
    -------
    SingleTrialFit

    Raises
    ------
    ConfigError
        If the package is absent or too old, or cannot do what is asked for.
    DataError
        If the inputs do not fit together.

    References
    ----------
    Prince et al. 2022, eLife 11:e77599; GLMsingle, BSD-3-Clause.
    """
    package = require_package()
    inputs = collect(
        data,
        design,
        tr=tr,
        stimdur=stimdur,
        session=session,
        extra_regressors=extra_regressors,
        hrf_library=hrf_library,
        hrf_assumed=hrf_assumed,
        want_library=want_library,
        max_poly_degree=max_poly_degree,
        xval_groups=xval_groups,
        skip=skip,
    )
    _refuse(inputs, keep_extra_regressors)
    options = {
        "wantlibrary": int(want_library),
        "wantglmdenoise": int(want_glmdenoise),
        "wantfracridge": int(want_fracridge),
        "wantautoscale": int(autoscale),
        "n_pcs": n_pcs,
        "pcstop": pcstop,
        "fracs": fraction_list(fractions),
        "maxpolydeg": [basis.shape[1] - 1 for basis in inputs.basis],
        "hrflibrary": inputs.library,
        "hrftoassume": inputs.assumed,
        "sessionindicator": (inputs.session + 1)[None],
        # Type B must be asked for: without it a fit with the assumed response fails.
        "wantmemoryoutputs": [1, 1, 1, 1],
        "wantfileoutputs": [0, 0, 0, 0],
    }
    if xval_groups is not None:
        options["xvalscheme"] = _folds(inputs.folds)
    if inputs.extra is not None:
        options["extra_regressors"] = [part.astype(np.float32) for part in inputs.extra]
    for name, value in (("brainR2", brain_r2), ("pcR2cutoff", pc_r2_cutoff)):
        if value is not None:
            options[name] = float(value) or TINY_R2
    if chunk_voxels is not None:
        options["chunklen"] = chunk_voxels
    series, lacking = _load(inputs)
    threads = contextlib.nullcontext() if n_threads > 1 else one_blas_thread()
    with _scratch() as folder, _random_state(seed), threads:
        fitted = package.GLM_single(options)
        results = fitted.fit(
            _onset_matrices(inputs),
            series,
            stimdur,
            tr,
            outputdir=os.path.join(folder, "results"),  # noqa: PTH118 - the package wants text
            figuredir=os.path.join(folder, "figures"),  # noqa: PTH118
        )
    fit = _translate(inputs, fitted.params, results, lacking)
    if (bad := blank(fit)).any():
        # The package saw zeros in their place.
        fit.mean_volume[bad] = np.nan
        fit.notes.append(f"{bad.sum()} voxels have no data in at least one run: results are NaN")
    if not want_denoise_betas:
        fit.denoise_betas = None
    return fit


def require_package() -> ModuleType:
    """Return the module ``glmsingle.glmsingle`` after checking that it is recent enough.

    Raises
    ------
    ConfigError
        If the package is absent or behaves like versions before the fix of its cross-validation.
    """
    try:
        module = import_module("glmsingle.glmsingle")
        badness = import_module("glmsingle.ssq.calcbadness").calcbadness
    except ImportError as error:
        raise ConfigError(
            f"The package glmsingle cannot be imported ({error}). {INSTALL}"
        ) from error
    # Version numbers did not change with the fix, so behaviour is asked instead.
    if not _standardises_every_session(badness):
        raise ConfigError(
            f"glmsingle {_version()} is older than {COMMIT}: it standardises betas only in the "
            f"last session. {INSTALL}"
        )
    logger.info("engine upstream: glmsingle %s", _version())
    return module


def _version() -> str:
    """Return the version of the package as it is installed."""
    try:
        return metadata.version("glmsingle")
    except metadata.PackageNotFoundError:
        return "of unknown version"


def _standardises_every_session(badness: Callable) -> bool:
    """Compare the package's badness with ours on four runs in two sessions."""
    rng = np.random.default_rng(0)
    betas = [rng.standard_normal((2, 12)) * np.repeat([1, 5], 6) for _ in range(2)]
    run, condition = np.repeat(np.arange(4), 3), np.tile(np.arange(3), 4)
    columns = [np.flatnonzero(run == number) for number in range(4)]
    conditions = [condition[part] for part in columns]
    theirs = badness(
        np.arange(4), columns, conditions, [part.copy() for part in betas], np.array([1, 1, 2, 2])
    )
    trials = [slice(3 * number, 3 * number + 3) for number in range(4)]
    pairs = Pairs.build(condition, run, list(np.arange(4)[:, None]), trials, run // 2)
    reference = standardise(betas[0], pairs)
    z = (betas[1] - reference.mean[:, run // 2]) * reference.inverse_sd[:, run // 2]
    ours = (z**2 @ pairs.train_weight) - 2 * np.sum(z * reference.target, axis=1)
    return bool(np.allclose(np.asarray(theirs)[:, 1], ours + reference.constant, rtol=1e-4))


def _refuse(inputs: Inputs, keep_extra: bool) -> None:
    """Raise for inputs that the package cannot fit, or fits wrongly without saying so."""
    if keep_extra:
        raise ConfigError("engine 'upstream' cannot keep extra regressors; use engine 'mebold'")
    if any("too late" in note for note in inputs.notes):
        raise ConfigError(
            "engine 'upstream' fails for trials near the end of a run: leave them out, or use "
            f"engine 'mebold' ({'; '.join(inputs.notes)})"
        )
    if min(onsets.min() for onsets in inputs.onsets) < 0:
        raise ConfigError(
            "engine 'upstream' cannot fit trials that start in volumes left out at the start of a "
            "run (before the steady state); use engine 'mebold'"
        )
    if inputs.extra is None:
        return
    if len(set(inputs.n_volumes)) > 1:
        raise ConfigError(
            "engine 'upstream' fails for extra regressors with runs of different length "
            f"({inputs.n_volumes} volumes); use engine 'mebold'"
        )
    if not np.any(inputs.extra[0]):
        raise ConfigError(
            "engine 'upstream' ignores all extra regressors when those of the first run are 0; "
            "use engine 'mebold'"
        )


def _folds(folds: list[np.ndarray]) -> list[np.ndarray] | np.ndarray:
    """Return folds in one of the two forms that the package understands."""
    sizes = [fold.size for fold in folds]
    if max(sizes) == 1:
        return np.concatenate(folds)
    if min(sizes) > 1:
        return list(folds)
    raise ConfigError(
        f"engine 'upstream' cannot mix folds of one run with folds of several: sizes {sizes}"
    )


def _load(inputs: Inputs) -> tuple[list[np.ndarray], np.ndarray]:
    """Copy the data to memory, with 0 in voxels that a run has no data of; return which, (V, R)."""
    series = [np.array(run, dtype=np.float32) for run in inputs.data]
    lacking = ~stream.finite_voxels(series)
    for number, (run, basis) in enumerate(zip(series, inputs.basis, strict=True)):
        known = np.flatnonzero(~lacking[:, number])
        _, energy = stream.detrend(run[known], basis.astype(np.float32))
        lacking[known, number] = energy == 0
    for run in series:
        run[lacking.any(axis=1)] = 0
    return series, lacking


def _onset_matrices(inputs: Inputs) -> list[np.ndarray]:
    """Return fresh onset matrices, because the package changes the lists it is given."""
    width = int(inputs.condition.max()) + 1
    matrices = []
    for onsets, length, trials in zip(
        inputs.onsets, inputs.n_volumes, inputs.trial_slices, strict=True
    ):
        matrix = np.zeros((length, width), np.float32)
        matrix[onsets, inputs.condition[trials]] = 1
        matrices.append(matrix)
    return matrices


@contextlib.contextmanager
def _scratch() -> Iterator[str]:
    """Work in a new folder: the package deletes its output folders and writes to others."""
    before = os.getcwd()  # noqa: PTH109
    with tempfile.TemporaryDirectory(prefix="glmsingle-") as folder:
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


@contextlib.contextmanager
def _random_state(seed: int) -> Iterator[None]:
    """Seed the global random state, which the package uses, and restore it afterwards."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _translate(
    inputs: Inputs, params: Mapping, results: Mapping, lacking: np.ndarray
) -> SingleTrialFit:
    """Put the package's results under our names, without its singleton axes."""
    on_off, fit_hrf = results["typea"], results["typeb"]
    fit = SingleTrialFit(
        hrf_assumed=inputs.assumed,
        hrf_library=inputs.library,
        onoff_r2=_flat(on_off, "onoffR2"),
        onoff_betas=_flat(on_off, "betasmd"),
        mean_volume=_flat(on_off, "meanvol"),
        lacking=lacking,
        brain_r2_threshold=float(np.squeeze(params["brainR2"])),
        pc_r2_threshold=float(np.squeeze(params["pcR2cutoff"])),
        fithrf_r2=_flat(fit_hrf, "FitHRFR2"),
        fithrf_betas=_flat(fit_hrf, "betasmd"),
        hrf_index=_flat(fit_hrf, "HRFindex").astype(np.int16),
        hrf_index_run=_flat(fit_hrf, "HRFindexrun").astype(np.int16),
        fithrf_r2_run=_flat(fit_hrf, "R2run"),
        trial_run=inputs.run,
        trial_volume=inputs.trial_volume,
        trial_condition=inputs.condition,
        fractions=np.atleast_1d(np.asarray(params["fracs"], dtype=np.float64)),
        notes=inputs.notes,
    )
    denoised, ridge = results.get("typec"), results.get("typed")
    last = ridge or denoised or fit_hrf
    fit.r2, fit.r2_run, fit.betas = (_flat(last, key) for key in ("R2", "R2run", "betasmd"))
    if denoised:
        fit.denoise_r2, fit.denoise_betas = _flat(denoised, "R2"), _flat(denoised, "betasmd")
    if last is not fit_hrf:
        fit.glm_badness, fit.xval_trend = _flat(last, "glmbadness"), _flat(last, "xvaltrend")
        fit.noise_pool, fit.pc_voxels = _flat(last, "noisepool"), _flat(last, "pcvoxels")
        fit.pc_regressors = list(last.get("pcregressors") or [])
        fit.pc_num = int(np.squeeze(last.get("pcnum") or 0))
    if ridge:
        fit.rr_badness, fit.frac_value = _flat(ridge, "rrbadness"), _flat(ridge, "FRACvalue")
        fit.scale_offset = _flat(ridge, "scaleoffset")
    parts = ["FITHRF"] + ["GLMDENOISE"] * bool(denoised) + ["RR"] * bool(ridge)
    fit.model = "_".join(parts)
    return fit


def _flat(results: Mapping, key: str) -> np.ndarray | None:
    """Return one result as (V, ...), None for a stage that did not run."""
    value = results.get(key)
    if value is None or np.size(value) == 0:
        return None
    array = np.asarray(value)
    if array.ndim >= 3 and array.shape[1:3] == (1, 1):
        array = array.reshape(array.shape[0], *array.shape[3:])
    return array.astype(np.float32) if array.dtype == np.float64 else array
