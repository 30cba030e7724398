"""TE-dependent ICA denoising of one run through tedana's workflow, with a recorded outcome.

tedana computes its own adaptive mask, T2* and optimal combination of the brain (unless a T2* map is
handed in), and its decision tree judges the components that `components.decompose` finds, or that
it finds itself. The rejected ones are removed from the optimal combination of all voxels, of which
the brain is two thirds or less: the rest would cost memory and time. What depends
on the data (no convergence, no BOLD component, too few volumes, a singular matrix) is an outcome
of the run, not an error: the caller then uses the optimal combination and says so.
"""

import logging
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mebold.errors import ConfigError, DataError, GridMismatchError
from mebold.files import atomic, series
from mebold.multiecho import (
    components,
    judged,
    rejection,
    tedana_folder,
    tedana_lean,
    tedana_log,
)
from mebold.multiecho.decay import check_echo_times

logger = logging.getLogger(__name__)
_ORDERS = ("aic", "kic", "mdl", "kundu", "kundu-stabilize")
_TREES = ("tedana_orig", "meica", "minimal")
_DATA_ERRORS = (ValueError, ArithmeticError, RuntimeError, LookupError)
_NO_BOLD = "No BOLD components detected"


@dataclass(frozen=True)
class IcaResult:
    """Denoised run, or the reason why there is none.

    Attributes
    ----------
    denoised : (V, T) float32 array or None
        Optimal combination without the rejected components, in units of the data. None when
        `outcome` is a fallback.
    outcome : dict
        ``run``, ``status`` ("ok" or "fallback"), ``reason``, ``n_components``, ``n_accepted``,
        ``n_rejected``, ``variance_accepted`` and ``variance_rejected`` (percent of the
        variance that all components explain),
        ``converged``, ``warnings`` and the parameters of the run; JSON-ready.
    mixing : (T, C) DataFrame or None
        Component time courses, columns ``ICA_NN``.
    metrics : (C, ...) DataFrame or None
        One row per component with ``Component`` and ``classification``.
    """

    denoised: np.ndarray | None
    outcome: dict[str, Any]
    mixing: pd.DataFrame | None
    metrics: pd.DataFrame | None


def check_order(order: str | float) -> str | int | float:
    """Return the PCA order in the type that tedana expects.

    Parameters
    ----------
    order : str, int or float
        A criterion ("aic", "kic", "mdl", "kundu", "kundu-stabilize"), a number of components
        (2 or more), or a share of variance between 0 and 1. After NORDIC the rank is already
        reduced, so a share near 1 or a fixed number describes the data better than a criterion.

    Raises
    ------
    ConfigError
        For anything else.
    """
    if isinstance(order, str) and order in _ORDERS:
        return order
    try:
        number = float(order)
    except (TypeError, ValueError):
        number = np.nan
    if 0 < number < 1:
        return number
    if number >= 2 and number == int(number):
        return int(number)
    message = (
        f"ICA order {order!r}: use one of {_ORDERS}, a whole number of components from 2, "
        "or a share of variance between 0 and 1."
    )
    raise ConfigError(message)


def _check_inputs(
    echoes: np.ndarray, te_s: Sequence[float], optcom: np.ndarray, mask: np.ndarray, tree: str
) -> np.ndarray:
    """Return echo times after the checks that no data can cure."""
    times = check_echo_times(te_s, echoes.shape[0], minimum=3)
    if optcom.shape != echoes.shape[1:]:
        message = f"The optimal combination has the shape {optcom.shape}, echoes {echoes.shape}."
        raise GridMismatchError(message)
    if mask.ndim != 3 or int(np.count_nonzero(mask)) != echoes.shape[1]:
        message = (
            f"The mask of shape {mask.shape} has {int(np.count_nonzero(mask))} voxels, "
            f"the series {echoes.shape[1]}."
        )
        raise GridMismatchError(message)
    if tree not in _TREES and not Path(tree).is_file():
        message = f"ICA decision tree {tree!r} is neither one of {_TREES} nor a file."
        raise ConfigError(message)
    return times


def _converged(messages: Sequence[str]) -> bool:
    """Tell from tedana's log whether the last FastICA attempt converged."""
    state = True
    for text in messages:
        if "failed to converge" in text:
            state = False
        elif re.search(r"converged in \d+ iterations", text):
            state = True
    return state


def _robust_failures(messages: Sequence[str]) -> bool:
    """Tell whether every single run of robust ICA failed to converge."""
    for text in messages:
        found = re.search(r"FastICA did not converge in (\d+) of (\d+)", text)
        if found and found[1] == found[2]:
            return True
    return False


def _counts(metrics: pd.DataFrame) -> dict[str, Any]:
    """Count components and sum their variance by classification."""
    accepted = metrics["classification"] == "accepted"
    rejected = metrics["classification"] == "rejected"
    variance = metrics["variance explained"]
    return {
        "n_components": len(metrics),
        "n_accepted": int(accepted.sum()),
        "n_rejected": int(rejected.sum()),
        "variance_accepted": float(variance[accepted].sum()),
        "variance_rejected": float(variance[rejected].sum()),
    }


def _fallback(outcome: dict[str, Any], reason: str) -> IcaResult:
    """Return a result without data, and say so in the log."""
    logger.warning("ICA denoising not used: %s", reason)
    return IcaResult(None, {**outcome, "status": "fallback", "reason": reason}, None, None)


def _result_files(arguments: dict[str, Any]) -> list[Path]:
    """Name the files of tedana that are read back: mixing and metrics."""
    names = ("desc-ICA_mixing.tsv", "desc-tedana_metrics.tsv")
    return [Path(arguments["out_dir"]) / f"{arguments['prefix']}_{name}" for name in names]


def _complete(files: Sequence[Path]) -> bool:
    """Tell whether all files exist."""
    return all(file.is_file() for file in files)


def _run_tedana(
    arguments: dict[str, Any], n_threads: int, *, combined: np.ndarray | None, keep_images: bool
) -> tuple[str | None, Any]:
    """Run the workflow; return the reason for a failure (or None) and the record of messages."""
    import matplotlib as mpl
    from threadpoolctl import threadpool_limits

    failure = None
    backend = mpl.get_backend()
    with tedana_log.recorded() as record:
        # Inside the block, since the import alone warns (old escapes in a dependency).
        from tedana.workflows import tedana_workflow

        mpl.use("agg")
        try:
            with (
                threadpool_limits(limits=n_threads),
                tedana_lean.lean(combined=combined, keep_images=keep_images),
            ):
                tedana_workflow(**arguments, n_threads=n_threads)
        except Exception as error:
            # With all results on disk only the report can have failed, for whatever reason. Of a
            # full disk nothing is known: the last of them may be there in part.
            full = isinstance(error, OSError) and error.errno in atomic.FULL
            known = isinstance(error, _DATA_ERRORS) or _complete(_result_files(arguments))
            if full or not known:
                raise
            failure = f"tedana stopped with {type(error).__name__}: {error}"
            logger.warning("%s", failure, exc_info=True)
        finally:
            mpl.use(backend)
    for text in record.warnings:
        logger.warning("tedana: %s", text)
    for text in record.python_warnings:
        logger.info("Python warning in tedana: %s", text)
    return failure, record


def _collect(
    files: Sequence[Path],
    optcom: np.ndarray,
    outcome: dict[str, Any],
    failure: str | None,
    record: tedana_log.Record,
    own: np.ndarray | None,
) -> IcaResult:
    """Read tedana's verdicts, decide whether they can be used, and remove what it rejects."""
    outcome = {**outcome, "warnings": list(record.warnings)}
    outcome["converged"] = _converged(record.messages) and not _robust_failures(record.messages)
    if not _complete(files):
        return _fallback(outcome, failure or "tedana wrote no verdict on components")
    if failure:
        outcome["warnings"].append(f"report incomplete: {failure}")
    mixing = pd.read_csv(files[0], sep="\t")
    if own is not None:
        courses = judged.with_signs(own, mixing.to_numpy())
        mixing = pd.DataFrame(courses, columns=mixing.columns)
    metrics = pd.read_csv(files[1], sep="\t")
    outcome |= _counts(metrics)
    if not outcome["converged"]:
        return _fallback(outcome, "ICA did not converge in any of its attempts")
    if outcome["n_accepted"] == 0 or any(_NO_BOLD in text for text in record.warnings):
        return _fallback(outcome, "no component was classified as BOLD")
    rejected = (metrics["classification"] == "rejected").to_numpy()
    courses = mixing.to_numpy()
    if outcome["orthogonalised"]:
        courses = rejection.orthogonal(courses, rejected)
    denoised = rejection.without(optcom, courses, rejected)
    if not np.isfinite(denoised).all():
        return _fallback(outcome, "the denoised series is not finite")
    return IcaResult(denoised, {**outcome, "status": "ok", "reason": ""}, mixing, metrics)


def denoise(
    echoes: np.ndarray,
    te_s: Sequence[float],
    *,
    optcom: np.ndarray,
    mask: np.ndarray,
    affine: np.ndarray,
    tr: float,
    out_dir: str | Path,
    prefix: str,
    seed: int,
    brain: np.ndarray | None = None,
    decomposed: np.ndarray | None = None,
    engine: str = "mebold",
    tree: str = "tedana_orig",
    order: str | float = "aic",
    starts: int = 20,
    sample: int = 40_000,
    robust: bool = False,
    robust_runs: int = 30,
    max_iterations: int = 500,
    max_restarts: int = 20,
    orthogonalise: bool = False,
    t2star: np.ndarray | None = None,
    minimum_volumes: int = 30,
    n_acquired: int | None = None,
    fit_method: str = "loglin",
    judged_share: float | None = None,
    n_threads: int = 1,
    report: bool = True,
    keep_images: bool = False,
    scratch: str | Path | None = None,
) -> IcaResult:
    """Denoise a multi-echo run with tedana's ICA.

    Parameters
    ----------
    echoes : (E, V, T) array
        Aligned echoes in the voxels of the mask (C order); may be a memory map.
    te_s : (E,) sequence of float
        Echo times in seconds; at least three.
    optcom : (V, T) array
        Optimal combination, from which components are removed; may be a memory map.
    mask : (x, y, z) bool array
        V voxels.
    affine : (4, 4) array
        Voxel to world of the mask.
    tr : float
        Seconds between samples of the series.
    out_dir : path
        Folder for tedana's tables, figures and report (made if absent).
    prefix : str
        BIDS entities of the run, start of every file name: ``<prefix>_desc-ICA_mixing.tsv`` and
        ``<prefix>_desc-tedana_metrics.tsv`` are what nilearn looks for.
    seed : int
        Seed of the decomposition; equal seeds give equal results.
    brain : (x, y, z) bool array, optional
        Voxels of the mask by which tedana judges components, in their bounding box; all by default.
    decomposed : (V,) bool array, optional
        Voxels of the optimal combination that are decomposed, those with three good echoes; all of
        the brain by default.
    engine : {"mebold", "tedana"}
        Who decomposes. A criterion for the order and robust ICA are tedana's in any case.
    tree : str
        Decision tree: "tedana_orig", "meica", "minimal" or a JSON file.
    order : str, int or float
        See `check_order`.
    starts, sample : int
        See `components.decompose`.
    robust : bool
        Cluster `robust_runs` decompositions of tedana instead of using one.
    max_iterations : int
        Limit of each decomposition.
    max_restarts : int
        Limit of tedana's new attempts with the next seed.
    orthogonalise : bool
        Remove from rejected time courses what accepted ones explain before they are regressed
        out.
    t2star : (V,) array, optional
        Seconds; replaces tedana's own fit of this run, so that the combination has the weights of
        the optcom variant.
    minimum_volumes : int
        Shorter runs are not decomposed.
    n_acquired : int, optional
        Volumes that the scanner acquired, where the series is resampled in time; T otherwise.
    fit_method : {"loglin", "curvefit"}
        T2* fit of tedana, unless `t2star` is given.
    judged_share : float, optional
        Samples by which tedana judges components that `components` found, as a share of
        `n_acquired` that they do not fall below: every so many of the series. All by default.
    report, keep_images : bool
        Keep figures and HTML page; keep tedana's images.
    scratch : path, optional
        Where the temporary folder is made (about 3 times the size of the brain's box).

    Returns
    -------
    IcaResult

    Raises
    ------
    ConfigError
        For fewer than three echoes, an unknown tree or order.
    MetadataError
        For wrong echo times.
    GridMismatchError
        When mask, brain, combination and echoes disagree.

    References
    ----------
    DuPre et al. 2021, J Open Source Softw 6(66):3669; tedana 26.0.1.
    """
    import tedana

    mask = np.asarray(mask, dtype=bool)
    times = _check_inputs(echoes, te_s, optcom, mask, tree)
    chosen = judged.voxels(mask, brain, t2star)
    order = check_order(order)
    outcome: dict[str, Any] = {
        "run": prefix,
        "software": f"tedana {tedana.__version__}",
        "engine": "tedana",
        "method": "robustica" if robust else "fastica",
        "order": order,
        "tree": str(tree),
        "seed": int(seed),
        "orthogonalised": orthogonalise,
        "t2star_source": "given map" if t2star is not None else "fit of this run by tedana",
        "n_volumes": int(echoes.shape[2]),
        "n_components": 0,
        "n_accepted": 0,
        "n_rejected": 0,
    }
    n_acquired = echoes.shape[2] if n_acquired is None else n_acquired
    if n_acquired < minimum_volumes:
        reason = f"{n_acquired} volumes acquired, at least {minimum_volumes} are needed"
        return _fallback(outcome, reason)
    if isinstance(order, int) and order >= echoes.shape[2]:
        return _fallback(outcome, f"{order} components asked of {echoes.shape[2]} volumes")
    found = None
    if engine == "mebold" and not robust and order not in _ORDERS:
        within = chosen if decomposed is None else chosen & decomposed
        options = {"starts": starts, "sample": sample, "max_iterations": max_iterations}
        try:
            found = components.decompose(optcom[within], order=order, seed=seed, **options)
        except DataError as error:
            return _fallback(outcome, str(error).rstrip("."))
        numbers = {"explained": found.explained, "contrast": found.contrast}
        outcome |= {"engine": "mebold", "iterations": found.iterations, **numbers}
        if not found.converged:
            outcome["converged"] = False
            return _fallback(outcome, f"ICA did not converge in {max_iterations} iterations")
    # What tedana decomposes itself has to hold all samples: its time courses are those it is given.
    step = 1 if found is None else judged.step(echoes.shape[2], n_acquired, judged_share)
    outcome["judged_samples"] = len(range(0, echoes.shape[2], step))
    with tempfile.TemporaryDirectory(dir=scratch, prefix="tedana-") as temporary:
        folder = Path(temporary) / "out"
        folder.mkdir()
        files, mask_file, t2star_file = tedana_folder.write_inputs(
            Path(temporary), echoes, mask, affine, tr, t2star, chosen=chosen, step=step
        )
        combined = None if found is None else np.asarray(optcom[chosen, ::step])
        series.let_go(echoes, optcom)
        arguments = {
            "data": files, "tes": times.tolist(), "out_dir": str(folder), "mask": mask_file,
            "prefix": prefix, "tree": str(tree), "tedpca": order, "fixed_seed": int(seed),
            "ica_method": outcome["method"], "n_robust_runs": robust_runs,
            "maxit": max_iterations, "maxrestart": max_restarts, "tedort": orthogonalise,
            "fittype": fit_method, "t2smap": t2star_file, "no_reports": not report,
            "overwrite": True,
        }  # fmt: skip
        if found is not None:
            given = tedana_folder.write_mixing(Path(temporary), found.mixing[::step])
            arguments["mixing_file"] = str(given)
        failure, record = _run_tedana(
            arguments, n_threads, combined=combined, keep_images=keep_images
        )
        own = None if found is None else found.mixing
        result = _collect(_result_files(arguments), optcom, outcome, failure, record, own)
        tedana_folder.keep(folder, Path(out_dir), prefix=prefix, keep_images=keep_images)
    return result
