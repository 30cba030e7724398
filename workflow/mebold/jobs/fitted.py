"""The files of a single-trial fit, for the workflow and for the command line."""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path

import numpy as np

from mebold.files import bids, model, series, stream, tables
from mebold.jobs import coverage
from mebold.singletrial import contents, derived, fit
from mebold.singletrial.result import SingleTrialFit
from mebold.singletrial.session import Session


def write(
    out: Mapping[str, str | Path],
    session: Session,
    found: SingleTrialFit,
    *,
    mask: np.ndarray,
    affine: np.ndarray,
    about: Callable[..., dict],
    columns: Mapping[str, Mapping],
    remarks: Mapping | None = None,
) -> dict:
    """Write the files of a fit, one volume or chunk in memory beside the betas.

    Parameters
    ----------
    out : mapping
        Paths ``trials``, ``summary``, ``model``, ``betas``, ``coverage``, the maps of `fit.maps`,
        and what is written on request: ``images`` with ``images_table``, ``zscored_run``,
        ``zscored_session``.
    session, found
        What was fitted, and the results.
    mask : (x, y, z) bool array
        Voxels of the results, in C order.
    affine : (4, 4) array
        Of the mask.
    about : callable
        Makes a sidecar from its own keys.
    columns : mapping
        Sidecar of the trial table.
    remarks : mapping, optional
        Further keys of the summary.

    Returns
    -------
    dict
        The fields of the fit, see `fit.fields`.
    """
    fields = fit.fields(found)
    summary = fit.summary(session, found) | dict(remarks or {})
    tables.write_tsv(out["trials"], session.trials)
    tables.write_json(tables.sidecar(out["trials"]), bids.described(columns))
    tables.write_json(out["summary"], about(**summary))
    percent = about(Units="percent signal change")
    stream.save(out["betas"], found.betas, mask, affine, metadata=percent)
    for key, (values, dtype, units) in fit.maps(fields).items():
        series.save_map(out[key], values, mask, affine, dtype=dtype, metadata=about(**units))
    coverage.save_known(out["coverage"], fit.fitted(fields), mask, affine, about=about)
    _write_model(out["model"], session, fields, mask, affine, columns, about, summary)
    _write_on_request(out, session, found.betas, mask, affine, about)
    return fields


def _write_model(path, session, fields, mask, affine, columns, about, summary) -> None:
    held = contents.model(session, fields)
    told = about(**summary, Contents=contents.described(held))
    model.write(
        path,
        held | {"trials": model.columns_of(session.trials)},
        mask=mask,
        affine=affine,
        attributes=contents.attributes(columns),
        links=contents.links(),
        about=told,
    )
    tables.write_json(tables.sidecar(path), told)


def _write_on_request(
    out: Mapping[str, str | Path],
    session: Session,
    betas: np.ndarray,
    mask: np.ndarray,
    affine: np.ndarray,
    about: Callable[..., dict],
) -> None:
    if "images" in out:
        listed = derived.images(session.trials)
        tables.write_tsv(out["images_table"], listed)
        tables.write_json(tables.sidecar(out["images_table"]), derived.IMAGE_COLUMNS)
        blocks = derived.image_means(betas, session.trials["label"].tolist())
        told = about(Units="percent signal change")
        _save_blocks(out["images"], blocks, mask, affine, len(listed), told)
    for within in ("run", "session"):
        if path := out.get(f"zscored_{within}"):
            blocks = derived.zscored(betas, session.trials, within=within)
            told = about(Units="1", ZscoredWithin=within)
            _save_blocks(path, blocks, mask, affine, betas.shape[1], told)


def _save_blocks(
    path: str | Path,
    blocks: Iterable[np.ndarray],
    mask: np.ndarray,
    affine: np.ndarray,
    count: int,
    metadata: dict,
) -> None:
    volumes = chain.from_iterable(stream.volumes(block, mask) for block in blocks)
    shape = (*mask.shape, count)
    stream.save_volumes(path, volumes, affine, shape=shape, metadata=metadata)
