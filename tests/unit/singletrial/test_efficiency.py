"""Efficiency of a design against variances of estimates, computed directly and simulated."""

import numpy as np
import pytest

from mebold.confounds import drifts
from mebold.singletrial import as_acquired, efficiency

TR = 1.0


def regressors(onsets, n_volumes=100):
    return as_acquired.of_onsets(np.array(onsets), tr=TR, n_volumes=n_volumes, stimulus_s=2.5)


@pytest.fixture
def session():
    rng = np.random.default_rng(0)
    onsets = [12 + 3 * np.sort(rng.permutation(24)[:n]) for n in (18, 20)]
    labels = [[f"image{i}" for i in rng.integers(0, 12, len(run))] for run in onsets]
    return [regressors(run) for run in onsets], labels


def whole_model(trials):
    """Return the columns of a run as a GLM has them: one per trial, then drifts."""
    n = trials.shape[1]
    return np.column_stack([trials.T, drifts.polynomials(n, drifts.degree(n, tr=TR))])


def test_single_trials_have_the_variances_of_the_whole_model(session):
    runs, labels = session
    found = efficiency.of_session(runs, labels, tr=TR)
    variances = []
    for trials in runs:
        model = whole_model(trials)
        variances += list(np.diag(np.linalg.inv(model.T @ model))[: len(trials)])
    assert found.trial == pytest.approx(1 / np.mean(variances))
    assert found.trial < found.trial_alone
    assert found.overlap_share == pytest.approx(100 * found.trial / found.trial_alone)


def test_detection_is_the_inverse_variance_of_the_common_amplitude(session):
    runs, labels = session
    found = efficiency.of_session(runs, labels, tr=TR)
    n = sum(trials.shape[1] for trials in runs)
    model, place = np.zeros((n, 1 + 2 * 3)), 0  # 100 s: constant and slope; room for more
    for run, trials in enumerate(runs):
        rows = slice(place, place + trials.shape[1])
        model[rows, 0] = trials.sum(axis=0)
        basis = whole_model(trials)[:, len(trials) :]
        model[rows, 1 + 3 * run : 1 + 3 * run + basis.shape[1]] = basis
        place += trials.shape[1]
    inverse = np.linalg.pinv(model.T @ model)
    assert found.detection == pytest.approx(1 / inverse[0, 0])


def test_images_are_estimated_from_all_of_their_showings(session):
    runs, labels = session
    found = efficiency.of_session(runs, labels, tr=TR)
    rng = np.random.default_rng(1)
    names = sorted({name for run in labels for name in run})
    blocks = []
    for trials, shown in zip(runs, labels, strict=True):
        sums = np.stack(
            [
                trials[[i for i, one in enumerate(shown) if one == name]].sum(axis=0)
                for name in names
            ]
        )
        basis = whole_model(trials)[:, len(trials) :]
        blocks.append(sums - (sums @ basis) @ basis.T)
    design = np.concatenate(blocks, axis=1).T
    noise = rng.normal(size=(len(design), 4000))
    estimates = np.linalg.lstsq(design, noise, rcond=None)[0]
    assert found.image == pytest.approx(1 / estimates.var(axis=1).mean(), rel=0.02)


def test_trials_far_apart_lose_nothing_but_drifts():
    # 40 s lie between them; 0.4 of a percent goes to the projection of slow drifts they share.
    far = efficiency.of_session([regressors([10, 55, 100], 160)], [["a", "b", "c"]], tr=TR)
    assert far.overlap_share == pytest.approx(100, abs=5)
    near = efficiency.of_session([regressors([10, 13, 16], 160)], [["a", "b", "c"]], tr=TR)
    assert near.overlap_share < 40


def test_two_trials_at_one_time_cannot_be_told_apart():
    found = efficiency.of_session([regressors([10, 10, 40])], [["a", "b", "c"]], tr=TR)
    assert (found.trial, found.image) == (0, 0)
    assert found.detection > 0
    same = efficiency.of_session([regressors([10, 10, 40])], [["a", "a", "c"]], tr=TR)
    assert (same.trial, same.image > 0) == (0, True)
