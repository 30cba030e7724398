"""Single-trial fits against a slow, dense implementation of the same description.

The oracle never uses that the model is block diagonal: designs of all runs are stacked, every
model is a separate least squares problem, badness is a loop over pairs, and ridge regression goes
through the singular value decomposition of the stacked design.
"""

import numpy as np
import pytest

from mebold.singletrial.fit import fit_glmsingle

N_VOXELS = 60


def _library():
    """Return three responses that differ in delay."""
    times = np.arange(14.0)
    shapes = [(times / p) ** 3 * np.exp(3 - 3 * times / p) for p in (3.0, 4.0, 5.5)]
    return (np.column_stack(shapes) / np.max(shapes, axis=1)).astype(np.float32)


def _simulate(n_volumes, n_trials, n_conditions, *, seed=0):
    """Return data, design and regressors; every condition occurs in several runs."""
    rng = np.random.default_rng(seed)
    library, data, design, extra = _library(), [], [], []
    tuning = rng.standard_normal((N_VOXELS, n_conditions)) * 8 + 6
    gain = np.where(np.arange(N_VOXELS) < 30, 1.0, 0.0)[:, None]
    shape = rng.integers(0, 3, N_VOXELS)
    load, effect = rng.standard_normal((N_VOXELS, 2)) * 6, rng.standard_normal((N_VOXELS, 2)) * 3
    for length in n_volumes:
        matrix = np.zeros((length, n_conditions))
        onsets = np.sort(rng.choice(np.arange(1, length - 12, 2), n_trials, replace=False))
        matrix[onsets, rng.permutation(n_conditions)[:n_trials]] = 1
        response = np.zeros((N_VOXELS, length))
        for voxel in range(N_VOXELS):
            impulse = matrix @ tuning[voxel]
            response[voxel] = np.convolve(impulse, library[:, shape[voxel]])[:length]
        common = np.cumsum(rng.standard_normal((2, length)), axis=1)
        regressors = rng.standard_normal((length, 2))
        noise = 4 * rng.standard_normal((N_VOXELS, length)) + load @ common + effect @ regressors.T
        data.append((500 + gain * response + noise).astype(np.float32))
        design.append(matrix)
        extra.append(regressors)
    return data, design, extra


class Dense:
    """The slow model: all runs stacked, float64."""

    def __init__(self, data, design, degree, library):
        self.lengths = [len(matrix) for matrix in design]
        self.library = library.astype(float)
        self.trials = [np.nonzero(matrix) for matrix in design]
        self.run = np.concatenate([np.full(len(v), r) for r, (v, _) in enumerate(self.trials)])
        self.condition = np.concatenate([c for _, c in self.trials])
        self.ends = np.cumsum([0, *self.lengths])
        poly = [
            np.column_stack([np.linspace(-1, 1, n) ** k for k in range(degree + 1)])
            for n in self.lengths
        ]
        self.poly = self.projector(poly)
        self.data = np.hstack(data).astype(float).T
        self.clean = self.poly @ self.data
        self.mean = self.data.mean(axis=0)

    def projector(self, parts):
        """Return the matrix that removes the columns of every run."""
        out = np.eye(sum(self.lengths))
        for r, part in enumerate(parts):
            rows = slice(self.ends[r], self.ends[r + 1])
            out[rows, rows] -= part @ np.linalg.pinv(part)
        return out

    def joint(self, nuisance):
        """Return the projector of polynomials and nuisance regressors."""
        if nuisance is None:
            return self.poly
        clean = [np.hstack([self._run_basis(r), part]) for r, part in enumerate(nuisance)]
        return self.projector(clean)

    def _run_basis(self, r):
        rows = slice(self.ends[r], self.ends[r + 1])
        values, vectors = np.linalg.eigh(np.eye(self.lengths[r]) - self.poly[rows, rows])
        return vectors[:, values > 0.5]

    def design(self, response):
        """Return the stacked design: a column per trial, non-zero in its own run."""
        columns = []
        for r, (volumes, _) in enumerate(self.trials):
            for volume in volumes:
                column = np.zeros(sum(self.lengths))
                tail = response[: self.lengths[r] - volume]
                start = self.ends[r] + volume
                column[start : start + len(tail)] = tail
                columns.append(column)
        return np.column_stack(columns)

    def least_squares(self, design, projector):
        """Return betas (V, N)."""
        return np.linalg.lstsq(projector @ design, projector @ self.data, rcond=None)[0].T

    def r2(self, design, betas):
        """Return R2 over all runs and R2 of every run."""
        rest = (self.clean - self.poly @ design @ betas.T) ** 2
        parts = [slice(a, b) for a, b in zip(self.ends[:-1], self.ends[1:], strict=True)]
        total = self.clean**2
        by_run = [100 * (1 - rest[p].sum(axis=0) / total[p].sum(axis=0)) for p in parts]
        return 100 * (1 - rest.sum(axis=0) / total.sum(axis=0)), np.array(by_run).T

    def badness(self, reference, betas, session, folds):
        """Return the cross-validated error (V,) by looping over pairs of trials."""
        z, zr = np.empty_like(betas), np.empty_like(betas)
        for number in np.unique(session):
            inside = np.isin(self.run, np.flatnonzero(session == number))
            mean = reference[:, inside].mean(axis=1, keepdims=True)
            deviation = reference[:, inside].std(axis=1, ddof=1, keepdims=True)
            z[:, inside] = (betas[:, inside] - mean) / deviation
            zr[:, inside] = (reference[:, inside] - mean) / deviation
        bad = np.zeros(len(betas))
        for fold in folds:
            for i in np.flatnonzero(np.isin(self.run, fold)):
                same = (self.condition == self.condition[i]) & ~np.isin(self.run, fold)
                bad += ((z[:, same] - zr[:, [i]]) ** 2).sum(axis=1)
        return bad

    def ridge(self, design, projector, fractions):
        """Return betas (F, V, N) through the decomposition of the stacked design."""
        u, singular, vt = np.linalg.svd(projector @ design, full_matrices=False)
        rotated = (u.T @ projector @ self.data) / singular[:, None]
        low = np.floor(np.log10(1e-2 * singular.min() ** 2))
        high = np.ceil(np.log10(1e4 * singular.max() ** 2))
        alpha = np.append(0, 10 ** np.arange(low, high, 0.2))
        factor = singular[:, None] ** 2 / (singular[:, None] ** 2 + alpha)
        out = np.empty((len(fractions), self.data.shape[1], design.shape[1]))
        for voxel in range(self.data.shape[1]):
            full = rotated[:, voxel]
            length = np.linalg.norm(full[:, None] * factor, axis=0) / np.linalg.norm(full)
            for f, fraction in enumerate(fractions):
                chosen = np.expm1(np.interp(fraction, length[::-1], np.log1p(alpha)[::-1]))
                chosen = 0 if fraction == 1 else chosen
                out[f, voxel] = vt.T @ (full * singular**2 / (singular**2 + chosen))
        return out


CASES = {
    "plain": {},
    "regressors in three sessions": {"extra": True, "session": [4, 4, 9, 7]},
    "regressors kept": {"extra": True, "keep_extra_regressors": True, "n_pcs": 3},
    "unequal runs, groups": {"n_volumes": (70, 66, 81, 74), "xval_groups": [[0, 2], [1], [3]]},
    "fixed components, fractions without 1": {"pcstop": -2, "fractions": [0.3, 0.9, 0.6]},
    "no library, degree 2, no scaling": {
        "want_library": False,
        "max_poly_degree": 2,
        "autoscale": False,
        "want_glmdenoise": False,
    },
    "given thresholds, groups as an array": {
        "brain_r2": 6.0,
        "pc_r2_cutoff": 11.0,
        "xval_groups": np.array([[0, 3], [1, 2]]),
    },
    "exactly no component": {"pcstop": 0, "extra": True, "fractions": [1, 0.5]},
    "ridge only": {"want_glmdenoise": False, "extra": True},
    "neither": {"want_glmdenoise": False, "want_fracridge": False, "extra": True},
    "fraction 1": {"fractions": [1], "n_volumes": (71, 86, 66, 77)},
    "one fraction": {"fractions": 0.4, "extra": True},
    "no ridge": {"want_fracridge": False, "extra": True, "max_poly_degree": [0, 0, 0, 0]},
}


@pytest.mark.parametrize("name", CASES)
def test_fit_equals_the_dense_description(name):
    options = dict(CASES[name])
    n_volumes = options.pop("n_volumes", (72, 72, 72, 72))
    data, design, extra = _simulate(n_volumes, 14, 18)
    extra = extra if options.pop("extra", False) else None
    library = _library()
    fit = fit_glmsingle(
        data,
        design,
        tr=2.0,
        stimdur=1.0,
        hrf_library=library,
        hrf_assumed=library[:, 1],
        extra_regressors=extra,
        want_denoise_betas=True,
        chunk_voxels=17,
        **{"n_pcs": 4, **options},
    )
    degree = options.get("max_poly_degree", 1)
    dense = Dense(data, design, degree if isinstance(degree, int) else degree[0], library)
    shapes = library if options.get("want_library", True) else library[:, 1:2]
    designs = [dense.design(shape) for shape in shapes.T.astype(float)]
    _check_response(fit, dense, designs, dense.joint(extra))
    candidates = _check_components(fit, dense, designs, extra, options)
    _check_final(fit, dense, designs, candidates, options)


def _check_response(fit, dense, designs, projector):
    """Compare on-off model and response choice."""
    on_off = dense.design(fit.hrf_assumed.astype(float)).sum(axis=1, keepdims=True)
    betas = dense.least_squares(on_off, projector)
    assert np.allclose(fit.onoff_r2, dense.r2(on_off, betas)[0], atol=2e-4)
    assert np.allclose(fit.onoff_betas, betas * 100 / dense.mean[:, None], atol=1e-4)
    assert np.allclose(fit.mean_volume, dense.mean, atol=1e-4)
    all_betas = [dense.least_squares(design, projector) for design in designs]
    scores = [dense.r2(*pair) for pair in zip(designs, all_betas, strict=True)]
    assert np.allclose(fit.fithrf_r2, np.column_stack([s[0] for s in scores]), atol=2e-4)
    index = np.argmax([s[0] for s in scores], axis=0)
    assert np.array_equal(fit.hrf_index, index)
    by_run = np.array([s[1] for s in scores])
    assert np.array_equal(fit.hrf_index_run, np.argmax(by_run, axis=0))
    assert np.allclose(fit.fithrf_r2_run, by_run[index, np.arange(len(index))], atol=4e-4)
    chosen = np.array(all_betas)[index, np.arange(len(index))]
    assert np.allclose(fit.fithrf_betas, chosen * 100 / dense.mean[:, None], atol=2e-4)


def _sessions_and_folds(dense, options):
    session = np.array(options.get("session", [1] * len(dense.lengths)))
    folds = options.get("xval_groups", [[r] for r in range(len(dense.lengths))])
    return session, folds


def _check_components(fit, dense, designs, extra, options):
    """Compare components and their badness; return the nuisance regressors of the final model."""
    keep = options.get("keep_extra_regressors", False)
    assert fit.brain_r2_threshold == options.get("brain_r2", fit.brain_r2_threshold)
    assert fit.pc_r2_threshold == options.get("pc_r2_cutoff", fit.pc_r2_threshold)
    if options.get("want_glmdenoise", True):
        assert np.array_equal(
            fit.noise_pool, (dense.mean > 0.1 * np.percentile(dense.mean, 99)) & _below(fit)
        )
        for r, part in enumerate(fit.pc_regressors):
            rows = slice(dense.ends[r], dense.ends[r + 1])
            unit = dense.clean[rows][:, fit.noise_pool]
            unit /= np.linalg.norm(unit, axis=0)
            left = np.linalg.svd(unit)[0][:, : part.shape[1]]
            left = left / left.std(axis=0, ddof=1)
            assert np.allclose(np.abs(part), np.abs(left), atol=2e-3)

    def nuisance(count):
        parts = [[] for _ in dense.lengths]
        for r, part in enumerate(parts):
            if extra is not None and (count or keep):
                part.append(extra[r])
            if count:
                part.append(fit.pc_regressors[r][:, :count].astype(float))
        return [np.hstack(part) for part in parts] if parts[0] else None

    if fit.glm_badness is not None:
        levels = [
            _select(fit, [dense.least_squares(d, dense.joint(nuisance(k))) for d in designs])
            for k in range(fit.glm_badness.shape[1])
        ]
        session, folds = _sessions_and_folds(dense, options)
        bad = [dense.badness(levels[0], betas, session, folds) for betas in levels]
        bad = np.column_stack(bad)
        assert np.allclose(fit.glm_badness / bad, 1, atol=1e-4)
        assert np.allclose(fit.xval_trend, -np.median(bad[_above(fit)], axis=0), rtol=1e-5)
    elif options.get("pcstop", 1) <= 0:
        assert fit.pc_num == -options["pcstop"]
        assert fit.xval_trend is None
    return nuisance(fit.pc_num)


def _below(fit):
    return fit.onoff_r2 < fit.brain_r2_threshold


def _above(fit):
    assert np.array_equal(fit.pc_voxels, fit.onoff_r2 > fit.pc_r2_threshold)
    return fit.pc_voxels


def _select(fit, per_response):
    """Pick every voxel's betas from the array of its response."""
    return np.array(per_response)[fit.hrf_index, np.arange(len(fit.hrf_index))]


def _check_final(fit, dense, designs, nuisance, options):
    """Compare the final model."""
    if not (options.get("want_glmdenoise", True) or options.get("want_fracridge", True)):
        assert np.array_equal(fit.betas, fit.fithrf_betas)
        return
    projector = dense.joint(nuisance)
    percent = 100 / dense.mean[:, None]
    full = _select(fit, [dense.least_squares(design, projector) for design in designs])
    assert np.allclose(fit.denoise_betas, full * percent, atol=2e-4)
    if not options.get("want_fracridge", True):
        assert fit.rr_badness is None
        assert np.array_equal(fit.betas, fit.denoise_betas)
        return
    fractions = fit.fractions
    betas = np.array([dense.ridge(design, projector, fractions) for design in designs])
    voxels = np.arange(len(fit.hrf_index))
    betas = np.moveaxis(betas[fit.hrf_index, :, voxels], 0, 1)
    best = np.zeros(len(voxels), int)
    if len(fractions) > 1:
        session, folds = _sessions_and_folds(dense, options)
        bad = np.column_stack([dense.badness(full, part, session, folds) for part in betas])
        assert np.allclose(fit.rr_badness / bad, 1, atol=1e-4)
        best = np.argmin(bad, axis=1)
    assert np.array_equal(fit.frac_value, fractions[best].astype(np.float32))
    chosen = betas[best, voxels]
    scores = np.array(
        [np.vstack([*dense.r2(d, chosen)[1].T, dense.r2(d, chosen)[0]]) for d in designs]
    )
    scores = scores[fit.hrf_index, :, voxels]
    assert np.allclose(fit.r2, scores[:, -1], atol=2e-4)
    assert np.allclose(fit.r2_run, scores[:, :-1], atol=4e-4)
    if options.get("autoscale", True) and options.get("fractions") != [1]:
        for voxel in voxels:
            slope, offset = np.polyfit(chosen[voxel], full[voxel], 1)
            slope, offset = (1, 0) if slope < 0 else (slope, offset)
            assert np.allclose(fit.scale_offset[voxel], [slope, offset], atol=3e-4)
            chosen[voxel] = slope * chosen[voxel] + offset
    else:
        assert fit.scale_offset is None
    assert np.allclose(fit.betas, chosen * percent, atol=2e-4)
