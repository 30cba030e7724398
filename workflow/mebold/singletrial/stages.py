"""The order of the stages of a single-trial fit, and which of them run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial

import numpy as np

from mebold.errors import ConfigError, DataError
from mebold.singletrial import components, final, hrf_search
from mebold.singletrial.badness import Pairs
from mebold.singletrial.blocks import TrialBlock
from mebold.singletrial.hrf_search import SearchResult
from mebold.singletrial.inputs import Inputs
from mebold.singletrial.on_off import OnOff, fit_on_off
from mebold.singletrial.result import SingleTrialFit, blank
from mebold.singletrial.threshold import mixture_threshold


@dataclass
class Options:
    """Options of a fit, named as in `mebold.singletrial.fit.fit_glmsingle`."""

    glmdenoise: bool
    fracridge: bool
    n_pcs: int
    pcstop: float
    fractions: np.ndarray
    autoscale: bool
    keep_extra: bool
    denoise_betas: bool
    brain_r2: float | None
    pc_r2_cutoff: float | None
    seed: int
    exclude: np.ndarray | None
    pc_mask: np.ndarray | None
    chunk: int
    n_threads: int
    progress: Callable[[str, float], None] | None = None
    out: dict[str, np.ndarray | None] = field(default_factory=dict)

    def check(self, n_voxels: int, n_trials: int) -> None:
        """Raise for options out of range."""
        if self.n_pcs < 0 or int(self.n_pcs) != self.n_pcs:
            raise ConfigError(f"n_pcs is {self.n_pcs}: a whole number of 0 or more is needed")
        fixed = -self.pcstop
        if fixed >= 0 and (fixed != int(fixed) or fixed > self.n_pcs):
            raise ConfigError(
                f"pcstop is {self.pcstop}: 0 or less asks for exactly -pcstop components, a whole "
                f"number up to n_pcs = {self.n_pcs}"
            )
        if 0 < self.pcstop < 1:
            raise ConfigError(f"pcstop is {self.pcstop}: it must be at least 1, or 0 or less")
        if self.fractions.size == 0 or self.fractions[-1] <= 0 or self.fractions[0] > 1:
            raise ConfigError(f"fractions {self.fractions.tolist()} must lie above 0 and up to 1")
        for name, mask in (("brain_exclude", self.exclude), ("pc_r2_mask", self.pc_mask)):
            if mask is not None and np.shape(mask) != (n_voxels,):
                raise DataError(f"{name} has shape {np.shape(mask)}; the data have ({n_voxels},)")
        for name, array in self.out.items():
            if name not in ("fithrf_betas", "denoise_betas", "betas"):
                raise ConfigError(f"out has no field {name!r}")
            if array is not None and array.shape != (n_voxels, n_trials):
                raise DataError(
                    f"out[{name!r}] has shape {array.shape}; needed is ({n_voxels}, {n_trials})"
                )

    def streaming(self, stage: str) -> dict:
        """Return how a stage visits the voxels, for `stream.for_blocks`."""
        report = self.progress and partial(self.progress, stage)
        return {"chunk": self.chunk, "n_threads": self.n_threads, "progress": report}

    def array(self, name: str, shape: tuple[int, int]) -> np.ndarray:
        """Return the caller's array for a result, or a new one."""
        given = self.out.get(name)
        return np.empty(shape, np.float32) if given is None else given


@dataclass
class _Noise:
    """Noise pool, the voxels that judge the components, and the components of every run."""

    pool: np.ndarray
    judges: np.ndarray
    components: list[np.ndarray]


def run(inputs: Inputs, options: Options) -> SingleTrialFit:
    """Run the stages that the options and the design allow.

    Parameters
    ----------
    inputs : Inputs
    options : Options
        Options that this session does not allow are changed in it.

    Returns
    -------
    SingleTrialFit
    """
    options.check(inputs.n_voxels, len(inputs.run))
    pairs = Pairs.build(
        inputs.condition,
        inputs.run,
        inputs.folds,
        inputs.trial_slices,
        inputs.trial_session,
    )
    _drop_stages_without_repeats(inputs, options, pairs)
    on_off = fit_on_off(inputs, **options.streaming("on-off"))
    _note_voxels(inputs, on_off)
    thresholds = _thresholds(options, on_off)
    noise = _noise(inputs, options, on_off, thresholds) if options.glmdenoise else None
    blocks = [inputs.trial_blocks(response) for response in inputs.library.T]
    found = _search(inputs, options, on_off, blocks, noise, pairs)
    fit = _collect(inputs, options, on_off, thresholds, noise, found)
    if options.glmdenoise or options.fracridge:
        _finish(fit, inputs, options, on_off, blocks, pairs)
    else:
        chosen = fit.hrf_index[:, None].astype(np.int64)
        fit.r2 = np.take_along_axis(fit.fithrf_r2, chosen, axis=1)[:, 0]
        fit.r2_run, fit.betas = fit.fithrf_r2_run, fit.fithrf_betas
    blank(fit)
    return fit


def _drop_stages_without_repeats(inputs: Inputs, options: Options, pairs: Pairs) -> None:
    """Switch off cross-validated stages when no condition has a partner in another fold."""
    if pairs.exist:
        return
    dropped = []
    if options.glmdenoise and options.pcstop > 0:
        options.glmdenoise = False
        dropped.append("GLMdenoise")
    if options.fracridge and len(options.fractions) > 1:
        options.fracridge = False
        dropped.append("fractional ridge regression")
    if dropped:
        inputs.note(
            f"no condition occurs in more than one run (or fold): {' and '.join(dropped)} left "
            "out, because nothing can be cross-validated"
        )


def _note_voxels(inputs: Inputs, on_off: OnOff) -> None:
    """Tell how many voxels single runs lack; voxels that no run has are no news.

    Raises
    ------
    DataError
        When no voxel is left to fit.
    """
    none = not on_off.fitted.any()
    chosen = ~on_off.fitted & (none | ~on_off.lacking.all(axis=1))
    count = int(np.count_nonzero(chosen))
    if not count:
        return
    each = ", ".join(
        f"{lacking} in run {number}"
        for number, lacking in enumerate(on_off.lacking[chosen].sum(axis=0), start=1)
        if lacking
    )
    what = "have no data (samples that are not finite, or nothing but drift)"
    if none:
        raise DataError(f"all {count} voxels {what} in at least one run: {each}")
    inputs.note(f"{count} of {inputs.n_voxels} voxels {what}: {each}. Their results are NaN")


def _thresholds(options: Options, on_off: OnOff) -> tuple[float, float]:
    """Return the thresholds of noise pool and judging voxels; a given 0 is a value."""
    if options.brain_r2 is not None and options.pc_r2_cutoff is not None:
        return float(options.brain_r2), float(options.pc_r2_cutoff)
    found = mixture_threshold(on_off.r2, seed=options.seed)
    given = (options.brain_r2, options.pc_r2_cutoff)
    return tuple(found if value is None else float(value) for value in given)


def _noise(
    inputs: Inputs, options: Options, on_off: OnOff, thresholds: tuple[float, float]
) -> _Noise | None:
    """Select voxels and derive the noise components; None when the pool is empty."""
    pool = components.noise_pool(on_off.mean, on_off.r2, thresholds[0], options.exclude)
    if not pool.any():
        options.glmdenoise = False
        inputs.note(
            f"no bright voxel has an on-off R2 below {thresholds[0]:.3g} %: without a noise pool "
            "GLMdenoise is left out"
        )
        return None
    judges = components.response_voxels(on_off.r2, thresholds[1], options.pc_mask)
    found = components.components(
        inputs, pool, options.n_pcs + 1, **options.streaming("components")
    )
    return _Noise(pool, judges, found)


def _search(
    inputs: Inputs,
    options: Options,
    on_off: OnOff,
    blocks: list[list[TrialBlock]],
    noise: _Noise | None,
    pairs: Pairs,
) -> SearchResult:
    """Choose responses and cross-validate components."""
    candidates = None
    if noise is not None and options.pcstop > 0:
        candidates = [regressors[:, : options.n_pcs] for regressors in noise.components]
    model = hrf_search.SearchModel(inputs, blocks, candidates, pairs, keep_extra=options.keep_extra)
    last = not (options.glmdenoise or options.fracridge)
    name = "betas" if last and "betas" in options.out else "fithrf_betas"
    skip = not last and name in options.out and options.out[name] is None
    shape = (inputs.n_voxels, len(inputs.run))
    return hrf_search.search(
        model,
        on_off,
        betas_out=None if skip else options.array(name, shape),
        **options.streaming("responses"),
    )


def _collect(
    inputs: Inputs,
    options: Options,
    on_off: OnOff,
    thresholds: tuple[float, float],
    noise: _Noise | None,
    found: SearchResult,
) -> SingleTrialFit:
    """Put the results up to the choice of components together."""
    fit = SingleTrialFit(
        hrf_assumed=inputs.assumed,
        hrf_library=inputs.library,
        onoff_r2=on_off.r2.astype(np.float32),
        onoff_betas=on_off.betas,
        mean_volume=on_off.mean,
        lacking=on_off.lacking,
        brain_r2_threshold=thresholds[0],
        pc_r2_threshold=thresholds[1],
        fithrf_r2=found.r2,
        fithrf_betas=found.betas,
        hrf_index=found.index,
        hrf_index_run=found.index_run,
        fithrf_r2_run=found.r2_run,
        trial_run=inputs.run,
        trial_volume=inputs.trial_volume,
        trial_condition=inputs.condition,
        fractions=options.fractions,
        glm_badness=found.badness,
        notes=inputs.notes,
    )
    if noise is None:
        return fit
    fit.noise_pool, fit.pc_regressors = noise.pool, noise.components
    fit.pc_num = int(-options.pcstop) if options.pcstop <= 0 else 0
    if found.badness is not None:
        fit.pc_voxels = noise.judges
        fit.xval_trend = -np.median(found.badness[noise.judges], axis=0)
        fit.pc_num = components.choose_count(fit.xval_trend, options.pcstop)
    return fit


def _finish(
    fit: SingleTrialFit,
    inputs: Inputs,
    options: Options,
    on_off: OnOff,
    blocks: list[list[TrialBlock]],
    pairs: Pairs,
) -> None:
    """Fit the final model and add it to the results."""
    model = final.FinalModel(
        inputs,
        blocks,
        np.unique(fit.hrf_index),
        _final_nuisance(fit, inputs, options),
        pairs,
        fractions=options.fractions if options.fracridge else np.ones(1),
        want_autoscale=options.autoscale,
    )
    shape = (inputs.n_voxels, len(inputs.run))
    denoise = options.array("denoise_betas", shape) if options.denoise_betas else None
    result = model.allocate(options.array("betas", shape), denoise)
    final.finish(model, on_off, fit.hrf_index, result, **options.streaming("betas"))
    for item in fields(result):
        setattr(fit, item.name, getattr(result, item.name))
    if not options.fracridge:
        fit.frac_value = None
        fit.denoise_betas = fit.betas
    parts = ["FITHRF"] + ["GLMDENOISE"] * options.glmdenoise + ["RR"] * options.fracridge
    fit.model = "_".join(parts)


def _final_nuisance(
    fit: SingleTrialFit, inputs: Inputs, options: Options
) -> list[np.ndarray] | None:
    """Return the regressors of the final model: the user's, if any component joins them."""
    if fit.pc_num == 0 and not options.keep_extra:
        if inputs.extra is not None:
            inputs.note(
                "no noise component was chosen: like the reference, the final model leaves out "
                "the extra regressors too (keep_extra_regressors keeps them)"
            )
        return None
    parts: list[list[np.ndarray]] = []
    if inputs.extra is not None:
        parts.append(inputs.extra)
    if fit.pc_num:
        parts.append([part[:, : fit.pc_num].astype(np.float64) for part in fit.pc_regressors])
    return [np.hstack(columns) for columns in zip(*parts, strict=True)] if parts else None
