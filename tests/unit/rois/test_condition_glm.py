"""The GLM of a localizer against nilearn's own model, and against what the simulation knows."""

import warnings

import localizer_runs as simulated
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm import compute_fixed_effects
from nilearn.glm.first_level import FirstLevelModel

from mebold.errors import DataError, GridMismatchError, MetadataError
from mebold.rois import condition_glm, contrasts, localizer

HOW = {"response": "glover", "drift": "cosine", "cut_off_s": 128.0}
BASELINE = ("rest",)
FACES = contrasts.Contrast(("faces",), ("bodies", "scenes", "characters", "objects"))


def design(run, *, confounds=True, **changes):
    events = condition_glm.events_of(
        run.events, column="trial_type", baseline=BASELINE, end_s=1e9, name="events.tsv"
    )
    clock = {"n_samples": simulated.SAMPLES, "tr": simulated.TR, "first_s": 0.0}
    nuisance = run.motion - run.motion.mean(axis=0) if confounds else None
    return condition_glm.design(events, **clock, **HOW | changes, confounds=nuisance)


def estimates(run, wanted, *, noise="ar1", **changes):
    matrix = design(run, **changes)
    labels = [name for name in matrix.columns if name in simulated.CATEGORIES]
    own = {name: contrasts.weights(one, labels, {})[0] for name, one in wanted.items()}
    usable = {name: vector for name, vector in own.items() if vector}
    return condition_glm.fit(run.data, matrix, usable, noise=noise)


@pytest.fixture(scope="module")
def session():
    """Four runs; the third shows no bodies."""
    rng = np.random.default_rng(5)
    return [simulated.run(rng, without=("bodies",) if n == 2 else ()) for n in range(4)]


def test_it_is_what_nilearn_finds_on_images(session):
    """Two runs at once: response, drift, confounds, AR(1), scaling, fixed effects."""
    box = (15, 10, 4)
    few = slice(0, int(np.prod(box)))
    found = [estimates(run, {"faces": FACES})["faces"] for run in session[:2]]
    effect, z, _ = condition_glm.combined(found)
    model = FirstLevelModel(
        t_r=simulated.TR, hrf_model="glover", drift_model="cosine", high_pass=1 / 128,
        mask_img=nib.Nifti1Image(np.ones(box, np.uint8), np.eye(4)), noise_model="ar1",
        signal_scaling=0, minimize_memory=False,
    )  # fmt: skip
    images = [nib.Nifti1Image(r.data[few].reshape(*box, -1), np.eye(4)) for r in session[:2]]
    nuisance = [pd.DataFrame(r.motion - r.motion.mean(axis=0)).add_prefix("m") for r in session[:2]]
    events = [r.events[r.events["trial_type"] != "rest"] for r in session[:2]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(images, events=events, confounds=nuisance)
        text = "faces - (bodies + scenes + characters + objects) / 4"
        theirs = model.compute_contrast(text, output_type="all")
    for ours, name in ((effect, "effect_size"), (z, "z_score")):
        peer = theirs[name].get_fdata().ravel()
        np.testing.assert_allclose(ours[few], peer, rtol=2e-3, atol=2e-3)


def test_runs_are_combined_as_nilearn_combines_images(rng):
    found = [
        condition_glm.Estimate(
            rng.standard_normal(60).astype(np.float32), rng.random(60).astype(np.float32), 40.0 + n
        )
        for n in range(3)
    ]
    mask = nib.Nifti1Image(np.ones((3, 4, 5), np.uint8), np.eye(4))
    images = [
        [nib.Nifti1Image(getattr(one, kind).reshape(3, 4, 5), np.eye(4)) for one in found]
        for kind in ("effect", "variance")
    ]
    theirs = compute_fixed_effects(*images, mask, dofs=[one.dof for one in found])
    effect, z, dof = condition_glm.combined(found)
    np.testing.assert_allclose(effect, theirs[0].get_fdata().ravel(), rtol=1e-5)
    np.testing.assert_allclose(z, theirs[3].get_fdata().ravel(), rtol=1e-4)
    assert dof == 123


def test_effects_are_right_in_spite_of_drift_motion_and_other_responses(session):
    found = [estimates(run, {"faces": FACES}) for run in session]
    assert "faces" not in found[2]  # one condition is lacking: the contrast would be another one
    effect, z, dof = condition_glm.combined([one["faces"] for one in found if one])
    own = simulated.ball(simulated.CENTRES["faces"]).ravel()
    other = simulated.responds().ravel()
    for centre in simulated.CENTRES.values():
        other &= ~simulated.ball(centre).ravel()
    # Of the response function's own scale; that of the simulation is another one of the library.
    size = (simulated.PREFERRED - simulated.OTHERS) / design(session[0])["faces"].max()
    assert effect[own].mean() == pytest.approx(size, rel=0.1)
    assert abs(effect[other].mean()) < 0.1 * size
    quiet = ~simulated.responds().ravel()
    # Regressors (15 for 130 samples) hide a part of the memory of the noise from its estimate.
    assert 0.95 < np.std(z[quiet]) < 1.25
    assert 300 < dof < 3 * simulated.SAMPLES


def test_noise_with_memory_passes_for_responses_without_a_model_of_it(session):
    quiet = ~simulated.responds().ravel()
    spread = {}
    for noise in ("ar1", "ols"):
        found = [estimates(run, {"faces": FACES}, noise=noise)["faces"] for run in session[:2]]
        spread[noise] = np.std(condition_glm.combined(found)[1][quiet])
    assert spread["ols"] - 1 > 1.8 * (spread["ar1"] - 1)


def test_z_of_white_noise_is_right_and_the_autoregression_makes_it_larger():
    """Scaling, degrees of freedom and fixed effects are right; what is left is nilearn's AR(1)."""
    rng = np.random.default_rng(4)
    spread = {}
    for noise in ("ols", "ar1"):
        found = []
        for _ in range(2):
            run = simulated.run(rng)
            white = 1000 + 20 * rng.standard_normal((3000, simulated.SAMPLES))
            white = simulated.Run(white, run.events, run.motion)
            found.append(estimates(white, {"faces": FACES}, noise=noise)["faces"])
        one, two = (condition_glm.combined(found[:n])[1] for n in (1, 2))
        spread[noise] = np.std(one), np.std(two)
    np.testing.assert_allclose(spread["ols"], 1, atol=0.05)
    # The coefficient of residuals is below that of the noise, here below 0.
    np.testing.assert_allclose(spread["ar1"], 1.1, atol=0.06)


def test_motion_with_the_task_needs_its_confounds():
    rng = np.random.default_rng(8)
    run = simulated.run(rng, task_motion=4.0)
    quiet = ~simulated.responds().ravel()
    with_, without = (
        estimates(run, {"faces": FACES}, confounds=asked)["faces"].effect[quiet]
        for asked in (True, False)
    )
    assert np.std(without) > 2 * np.std(with_)


def test_regions_are_found_again_and_share_no_voxel(session):
    """Dice with the truth, neighbours of one set, a blob at the edge of its parcel."""
    wanted = {
        name: contrasts.Contrast((name,), tuple(c for c in simulated.CATEGORIES if c != name))
        for name in simulated.CENTRES
    }
    runs = [estimates(run, wanted) for run in session]

    def over(chosen, name):
        return condition_glm.combined([run[name] for run in chosen if name in run])

    z, halves = {}, [({}, {}), ({}, {})]
    for name in wanted:
        z[name] = over(runs, name)[1].reshape(simulated.SHAPE)
        for part, (scores, effects) in zip((runs[::2], runs[1::2]), halves, strict=True):
            effect, score, _ = over(part, name)
            effects[name], scores[name] = (one.reshape(simulated.SHAPE) for one in (effect, score))
    edge = np.zeros(simulated.SHAPE, bool)
    edge[:, 12:] = True  # the blob of scenes begins at 11
    parcels = {"faces": None, "bodies": None, "scenes": edge}
    functional = {
        name: localizer.Functional(5.0, parcels[name], least_voxels=10, exclusive="high")
        for name in wanted
    }
    found, without = localizer.regions(z, functional)
    assert without == {}
    for name, mask in found.items():
        truth = simulated.ball(simulated.CENTRES[name])
        truth &= True if parcels[name] is None else parcels[name]
        dice = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
        assert dice >= 0.8, (name, dice)
        assert parcels[name] is None or not (mask & ~parcels[name]).any()
    assert np.sum(list(found.values()), axis=0).max() == 1
    # A region that would take the voxels of the others shares none with them.
    people = contrasts.Contrast(("faces", "bodies"), ("scenes", "characters", "objects"))
    own = [estimates(run, {"people": people}) for run in session]
    score = condition_glm.combined([run["people"] for run in own if run])[1]
    z["people"] = score.reshape(simulated.SHAPE)
    assert (z["people"][found["faces"]] > 5).any()
    more = functional | {"people": localizer.Functional(5.0, exclusive="high")}
    together = np.sum(list(localizer.regions(z, more)[0].values()), axis=0)
    assert together.max() == 1
    size = (simulated.PREFERRED - simulated.OTHERS) / design(session[0])["faces"].max()
    for name, (value, note) in localizer.selectivity(halves, functional).items():
        assert value == pytest.approx(size, rel=0.15), name
        assert note == ""


def test_selectivity_is_not_that_of_the_noise_that_chose(session):
    """In noise a region's contrast is far above 0 where it was found, and 0 elsewhere."""
    rng = np.random.default_rng(3)
    quiet = ~simulated.responds()
    runs = [estimates(simulated.run(rng), {"faces": FACES})["faces"] for _ in range(2)]
    halves = []
    for run in runs:
        effect, z, _ = condition_glm.combined([run])
        z = np.where(quiet, z.reshape(simulated.SHAPE), np.nan)
        halves.append(({"A": z}, {"A": effect.reshape(simulated.SHAPE)}))
    how = {"A": localizer.Functional(2.0, largest_cluster=False)}
    own = localizer.regions({"A": halves[0][0]["A"]}, how)[0]["A"]
    assert halves[0][1]["A"][own].mean() > 0.4
    value, _ = localizer.selectivity(halves, how)["A"]
    assert abs(value) < 0.1
    assert np.isnan(localizer.selectivity([], how)["A"][0])
    alone = [halves[0], ({}, {})]
    assert localizer.selectivity(alone, how)["A"][1].startswith("no selectivity: one run")
    high = {"A": localizer.Functional(50.0)}
    assert "found in neither half" in localizer.selectivity(halves, high)["A"][1]


def test_voxels_without_data_have_no_estimate(session):
    data = session[0].data[:300].copy()
    data[3] = 0
    data[4, 7] = np.nan
    data[5] = 1000.0
    short = simulated.Run(data, session[0].events, session[0].motion)
    found = estimates(short, {"faces": FACES})["faces"]
    assert np.flatnonzero(~np.isfinite(found.effect)).tolist() == [3, 4, 5]
    _effect, z, _ = condition_glm.combined([found, found])
    assert np.flatnonzero(~np.isfinite(z)).tolist() == [3, 4, 5]
    nothing = condition_glm.Estimate(np.full(3, np.nan), np.full(3, np.nan), 5.0)
    assert not np.isfinite(condition_glm.combined([nothing])[1]).any()


def test_what_cannot_be_fitted_is_told(session):
    run = session[0]
    rng = np.random.default_rng(0)
    wide = simulated.Run(run.data, run.events, rng.standard_normal((simulated.SAMPLES, 125)))
    with pytest.raises(DataError, match=r"130 samples for 1\d\d regressors \(5 conditions, 125"):
        design(wide)
    late = run.events.copy()
    late.loc[late["trial_type"] == "faces", "onset"] += 1e4
    lost = simulated.Run(run.data, late, run.motion)
    with pytest.raises(DataError, match="contrast faces cannot be estimated: faces"):
        estimates(lost, {"faces": FACES})
    with pytest.raises(GridMismatchError, match="a series of 9 samples, a design of 130"):
        condition_glm.fit(run.data[:5, :9], design(run), {}, noise="ar1")


def events(table, **more):
    how = {"column": "trial_type", "baseline": ["rest"], "end_s": 100.0, "name": "x_events.tsv"}
    return condition_glm.events_of(pd.DataFrame(table), **how | more)


def test_events_that_are_none():
    table = {"onset": ["0", "5", "200"], "duration": [4, 4, 4], "trial_type": ["a", "Rest", "b"]}
    assert events(table)["trial_type"].tolist() == ["a"]
    with pytest.raises(MetadataError, match=r"x_events.tsv: events have no column 'kind' \(they"):
        events(table, column="kind")
    with pytest.raises(
        DataError, match="1 of 2 events have no usable duration, such as 'n/a' of b"
    ):
        events(table | {"duration": [4, 4, "n/a"]})
    with pytest.raises(DataError, match="no usable duration, such as '-1' of a"):
        events(table | {"duration": [-1, 4, 4]})
    with pytest.raises(DataError, match="1 of 2 events have no usable onset"):
        events(table | {"onset": ["x", 5, 200]})
    with pytest.raises(DataError, match=r"no event of a condition begins before the run ends \(0"):
        events(table, end_s=0)
