"""The adapter to the original package, with stand-ins: the package itself is not installed."""

import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mebold.errors import ConfigError
from mebold.singletrial.upstream import fit_upstream, require_package


def _session(n_voxels=5, n_volumes=(60, 60)):
    """Two runs with three conditions, each twice, and rest at the end."""
    rng = np.random.default_rng(3)
    data = [rng.standard_normal((n_voxels, n)).astype(np.float32) + 100 for n in n_volumes]
    design = [np.zeros((n, 3), np.float32) for n in n_volumes]
    for matrix in design:
        matrix[[4, 10, 16], [0, 1, 2]] = 1
    return data, design


def _badness(ddof_sessions):
    """Return a slow badness that standardises the sessions listed."""

    def calcbadness(xvals, validcolumns, stimix, results, sessionindicator):
        scaled = [part.copy() for part in results]
        for number in ddof_sessions:
            runs = np.flatnonzero(sessionindicator == number)
            columns = np.concatenate([validcolumns[run] for run in runs])
            mean = results[0][:, columns].mean(axis=1, keepdims=True)
            deviation = results[0][:, columns].std(axis=1, ddof=1, keepdims=True)
            for target, source in zip(scaled, results, strict=True):
                target[:, columns] = (source[:, columns] - mean) / deviation
        bad = np.zeros((len(results[0]), len(results)))
        for test in xvals:
            for i, label in zip(validcolumns[test], stimix[test], strict=True):
                for train in np.setdiff1d(xvals, test):
                    for j, other in zip(validcolumns[train], stimix[train], strict=True):
                        if label == other:
                            for k, part in enumerate(scaled):
                                bad[:, k] += (part[:, j] - scaled[0][:, i]) ** 2
        return bad

    return calcbadness


class _Recorder:
    """Stand-in for GLM_single: notes how it is called, returns arrays in the package's shapes."""

    calls: list = []  # noqa: RUF012 - one test, one list

    def __init__(self, options):
        self.params = dict(options, brainR2=1.5, pcR2cutoff=1.5)

    def fit(self, design, data, *_times, outputdir=None, **_folders):
        _Recorder.calls.append(
            {
                "options": self.params,
                "data": [run.copy() for run in data],
                "cwd": str(Path.cwd()),
                "outputdir": outputdir,
                "draw": np.random.random(),  # noqa: NPY002 - the package draws from it too
            }
        )
        n, trials, runs = len(data[0]), int(sum(m.sum() for m in design)), len(data)
        design.clear()
        data.clear()
        shape = (n, 1, 1)
        common = {"R2": np.ones(shape), "R2run": np.ones((*shape, runs))}
        common["betasmd"] = np.full((*shape, trials), 2.0, np.float32)
        return {
            "typea": {
                "onoffR2": np.ones(shape),
                "betasmd": np.ones((*shape, 1)),
                "meanvol": np.full(shape, 100.0),
            },
            "typeb": common
            | {
                "FitHRFR2": np.ones((*shape, 20)),
                "HRFindex": np.full(shape, 7),
                "HRFindexrun": np.full((*shape, runs), 7),
            },
            "typec": common,
            "typed": common
            | {
                "glmbadness": np.ones((*shape, 11)),
                "xvaltrend": np.arange(11.0),
                "noisepool": np.ones(shape, bool),
                "pcvoxels": np.ones(shape, bool),
                "pcregressors": [np.ones((60, 11))] * runs,
                "pcnum": 4,
                "rrbadness": [],
                "FRACvalue": np.full(shape, 0.5),
                "scaleoffset": None,
            },
        }


@pytest.fixture
def package(monkeypatch):
    """Install a stand-in package whose cross-validation has the fix."""
    modules = {name: ModuleType(name) for name in ("glmsingle", "glmsingle.ssq")}
    modules["glmsingle.glmsingle"] = ModuleType("glmsingle.glmsingle")
    modules["glmsingle.glmsingle"].GLM_single = _Recorder
    modules["glmsingle.ssq.calcbadness"] = ModuleType("glmsingle.ssq.calcbadness")
    modules["glmsingle.ssq.calcbadness"].calcbadness = _badness([1, 2])
    for name, module in modules.items():
        module.__path__ = []
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(_Recorder, "calls", [])
    return modules


def test_absent_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "glmsingle", None)
    data, design = _session()
    with pytest.raises(ConfigError, match=r"not on the package index.*pip install git\+https"):
        fit_upstream(data, design, tr=1.0, stimdur=2.0)


def test_a_package_before_the_session_fix_is_refused(package):
    package["glmsingle.ssq.calcbadness"].calcbadness = _badness([2])
    with pytest.raises(ConfigError, match="only in the last session"):
        require_package()


def test_results_lose_singleton_axes_and_the_caller_keeps_everything(package):
    data, design = _session()
    data[1][2, 5] = np.nan
    originals = [run.copy() for run in data]
    before, state = Path.cwd(), np.random.get_state()[1].copy()  # noqa: NPY002
    fit = fit_upstream(data, design, tr=1.0, stimdur=2.0, session=["a", "b"], brain_r2=0)
    assert len(data) == len(design) == 2
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(data, originals, strict=True))
    assert Path.cwd() == before
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    call = _Recorder.calls[0]
    assert call["cwd"] != str(before)
    assert not Path(call["cwd"]).exists()
    assert os.path.dirname(call["outputdir"]) == call["cwd"]  # noqa: PTH120
    assert np.array_equal(call["options"]["sessionindicator"], [[1, 2]])
    assert call["data"][1][2].sum() == 0
    assert fit.betas.shape == (5, 6)
    assert np.isnan(fit.betas[2]).all()
    assert np.isfinite(np.delete(fit.betas, 2, axis=0)).all()
    assert fit.hrf_index.tolist() == [7] * 5
    assert (fit.pc_num, fit.model, fit.rr_badness) == (4, "FITHRF_GLMDENOISE_RR", None)


def test_a_threshold_of_zero_stays_a_threshold(package):
    class Stop(Exception):  # noqa: N818
        pass

    seen = {}

    def record(options):
        seen.update(options)
        raise Stop

    package["glmsingle.glmsingle"].GLM_single = record
    data, design = _session()
    with pytest.raises(Stop):
        fit_upstream(data, design, tr=1.0, stimdur=2.0, brain_r2=0, xval_groups=[[0], [1]])
    assert 0 < seen["brainR2"] < 1e-6
    assert "pcR2cutoff" not in seen
    assert np.array_equal(seen["xvalscheme"], [0, 1])
    assert seen["wantmemoryoutputs"] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep_extra_regressors": True}, "cannot keep extra regressors"),
        ({"extra_regressors": [np.zeros((60, 1)), np.ones((60, 1))]}, "those of the first run"),
        ({"xval_groups": [[0, 1], [2]]}, "cannot mix folds"),
    ],
)
def test_what_the_package_gets_wrong_is_refused(package, change, message):
    data, design = _session(n_volumes=(60, 60, 60) if "xval_groups" in change else (60, 60))
    with pytest.raises(ConfigError, match=message):
        fit_upstream(data, design, tr=1.0, stimdur=2.0, **change)


def test_unequal_runs_with_regressors_are_refused(package):
    data, design = _session(n_volumes=(60, 70))
    extra = [np.ones((60, 1)), np.ones((70, 1))]
    with pytest.raises(ConfigError, match="different length"):
        fit_upstream(data, design, tr=1.0, stimdur=2.0, extra_regressors=extra)
