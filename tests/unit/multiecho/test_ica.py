import contextlib
import errno
import gc
import logging
import sys
import types

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import CubicSpline

from mebold.errors import ConfigError, GridMismatchError, MetadataError
from mebold.files import images, series, tables
from mebold.multiecho import (
    combine,
    decay,
    ica,
    ica_outcome,
    judged,
    summary,
    tedana_lean,
    tedana_log,
)

TE = (0.011, 0.02882, 0.04662)
TR = 1.5
N_TIMES = 80
PREFIX = "sub-01_task-images_run-1"
# What tedana's own decomposition of so small a run finds depends on the machine's rounding.
FOUND = {"engine": "mebold", "starts": 100}


def make_run():
    """Four BOLD sources (signal change grows with TE) and four that scale all echoes."""
    rng = np.random.default_rng(0)
    mask = np.zeros((14, 14, 6), dtype=bool)
    mask[1:-1, 1:-1, 1:-1] = True
    voxels = np.argwhere(mask)
    s0 = rng.uniform(800, 1200, len(voxels))
    t2star = rng.uniform(0.02, 0.05, len(voxels))
    rate = np.zeros((len(voxels), N_TIMES))
    scale = np.zeros_like(rate)
    bold = []
    centres = [(3, 3), (3, 7), (3, 11), (7, 3), (7, 11), (11, 3), (11, 7), (11, 11)]
    for index, (x, y) in enumerate(centres):
        blob = np.exp(-((voxels - [x, y, 3]) ** 2).sum(axis=1, keepdims=True) / 4)
        if index % 2 == 0:
            blocks = np.repeat(rng.choice([-1.0, 1.0], size=N_TIMES // 4 + 1), 4)[:N_TIMES]
            course = np.convolve(blocks, [0.3, 0.5, 0.2], "same")
            course = (course - course.mean()) / np.std(course)
            bold.append(course)
            rate -= 1.5 * blob * course
        else:
            course = rng.laplace(size=N_TIMES)
            scale += 0.04 * blob * course / course.std()
    te = np.asarray(TE)[:, None, None]
    data = s0[:, None] * (1 + scale) * np.exp(-te * (1 / t2star[:, None] + rate))
    data += 4 * rng.standard_normal(data.shape)
    return data.astype(np.float32), mask, np.array(bold)


@pytest.fixture(scope="module", autouse=True)
def _cheap_garbage_collection():
    # nilearn collects garbage at each unmasking, which dominates such small runs.
    with tedana_log.recorded():
        import tedana.workflows  # noqa: F401
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def run():
    return make_run()


def combined(data, t2star=None):
    fitted = decay.fit(summary.summarise(data), TE)
    weights = fitted.t2star if t2star is None else t2star
    return combine.optcom(data, weights, TE, fitted.adaptive_mask)


def denoise(run, out_dir, **options):
    data, mask, _ = run
    settings = {"order": 10, "seed": 1, "report": False, "engine": "tedana"} | options
    settings.setdefault("optcom", combined(data))
    return ica.denoise(
        data,
        TE,
        mask=mask,
        affine=np.diag([2.0, 2.0, 2.0, 1.0]),
        tr=TR,
        out_dir=out_dir,
        prefix=PREFIX,
        **settings,
    )


@pytest.fixture(scope="module")
def denoised(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ica") / "out"
    return denoise(run, folder, **FOUND), folder


def test_run_is_denoised_and_recorded(run, denoised):
    result, folder = denoised
    data = run[0]
    assert result.outcome["status"] == "ok", result.outcome["reason"]
    assert result.denoised.shape == data.shape[1:]
    assert result.denoised.dtype == np.float32
    outcome = result.outcome
    assert (outcome["n_components"], outcome["n_accepted"], outcome["n_rejected"]) == (10, 4, 6)
    total = outcome["variance_accepted"] + outcome["variance_rejected"]
    assert total == pytest.approx(100)
    assert outcome["converged"]
    assert outcome["software"] == "tedana 26.0.1"
    tables.write_json(folder.parent / "outcome.json", outcome)


@pytest.mark.parametrize("orthogonalise", [False, True])
def test_tedana_denoises_alike(run, tmp_path, orthogonalise):
    """Its own image of the voxels that it is given holds the same series."""
    options = {"orthogonalise": orthogonalise, "keep_images": True}
    result = denoise(
        run, tmp_path, t2star=decay.fit(summary.summarise(run[0]), TE).t2star, **options
    )
    own = images.load(tmp_path / f"{PREFIX}_desc-denoised_bold.nii.gz")[0]
    # Of a mask with a rim of one voxel the bounding box has none.
    np.testing.assert_allclose(result.denoised, own[run[1][1:-1, 1:-1, 1:-1]], atol=5e-3)
    assert np.abs(result.denoised - combined(run[0])).max() > 5


def test_tedana_sees_the_brain_alone_and_all_voxels_are_denoised(run, tmp_path):
    data, mask, _ = run
    brain = mask.copy()
    brain[:, :, -2] = False  # a layer that only the mask has
    result = denoise(run, tmp_path, brain=brain, keep_images=True, **FOUND)
    own = images.load(tmp_path / f"{PREFIX}_desc-denoised_bold.nii.gz")[0]
    assert own.shape == (12, 12, 3, N_TIMES)
    assert result.denoised.shape == data.shape[1:]
    whole = combined(data).astype(float)
    rejected = (result.metrics["classification"] == "rejected").to_numpy()
    mixing = result.mixing.to_numpy()
    centred = (whole - whole.mean(axis=1, keepdims=True)).T
    weights = np.linalg.lstsq(mixing, centred, rcond=None)[0]
    expected = whole - (mixing[:, rejected] @ weights[rejected]).T
    np.testing.assert_allclose(result.denoised, expected, atol=2e-3)
    outside = ~brain[mask]
    assert np.abs(result.denoised - whole)[outside].max() > 5
    # What lies outside of the brain does not decide.
    other = combined(data)
    other[outside] *= np.random.default_rng(0).uniform(0.5, 1.5, (outside.sum(), N_TIMES))
    again = denoise(run, tmp_path / "b", brain=brain, optcom=other, **FOUND)
    np.testing.assert_array_equal(again.mixing, result.mixing)


def test_verdicts_and_tables_are_those_of_the_whole_workflow(run, denoised, tmp_path, monkeypatch):
    lean, folder = denoised
    monkeypatch.setattr(tedana_lean, "lean", lambda **_: contextlib.nullcontext())
    whole = denoise(run, tmp_path / "whole", **FOUND)
    pd.testing.assert_frame_equal(lean.metrics, whole.metrics, rtol=1e-3)
    np.testing.assert_array_equal(lean.denoised, whole.denoised)
    kept = [{one.name for one in at.iterdir()} for at in (folder, tmp_path / "whole")]
    assert kept[0] == kept[1]


def test_the_report_is_drawn(run, tmp_path):
    denoise(run, tmp_path, report=True, **FOUND)
    figures = {one.name.removeprefix(f"{PREFIX}_") for one in (tmp_path / "figures").iterdir()}
    carpets = {f"carpet_{name}.svg" for name in ("optcom", "denoised", "accepted", "rejected")}
    assert carpets | {"comp_000.png", "comp_009.png"} <= figures
    assert (tmp_path / f"{PREFIX}_tedana_report.html").exists()


def test_kept_components_carry_the_bold_time_courses(run, denoised):
    result, _ = denoised
    accepted = (result.metrics["classification"] == "accepted").to_numpy()
    correlations = np.abs(np.corrcoef(result.mixing.to_numpy().T, run[2])[:10, 10:])
    assert correlations[accepted].max(axis=0).min() > 0.8
    assert correlations[~accepted].max() < 0.5


def test_equal_seeds_give_equal_results(run, denoised, tmp_path):
    again = denoise(run, tmp_path / "again", **FOUND)
    np.testing.assert_array_equal(again.denoised, denoised[0].denoised)


def test_given_t2star_sets_the_weights(run, tmp_path):
    data = run[0]
    given = np.full(data.shape[1], 0.01, np.float32)
    result = denoise(run, tmp_path / "out", t2star=given, keep_images=True)
    assert result.outcome["t2star_source"] == "given map"
    expected = combine.optcom(data, given, TE, np.full(data.shape[1], 3)).mean(axis=1)
    own = images.load(tmp_path / "out" / f"{PREFIX}_desc-optcom_bold.nii.gz")[0]
    found = own[run[1][1:-1, 1:-1, 1:-1]].mean(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_folder_holds_tables_and_no_images_or_traces_of_the_scratch_folder(denoised):
    _, folder = denoised
    names = {item.name for item in folder.rglob("*") if item.is_file()}
    assert f"{PREFIX}_desc-ICA_mixing.tsv" in names
    assert f"{PREFIX}_desc-tedana_metrics.tsv" in names
    assert f"{PREFIX}_desc-tedana_log.txt" in names
    assert f"{PREFIX}_desc-confounds_timeseries.tsv" not in names
    assert not [name for name in names if name.endswith((".nii", ".nii.gz", ".py"))]
    text = (folder / f"{PREFIX}_desc-tedana_log.txt").read_text()
    assert "tedana-" not in text.replace("tedana-newsletter", "")


def test_nilearn_loads_the_components(run, denoised):
    import nibabel as nib
    from nilearn.interfaces.fmriprep import load_confounds

    result, folder = denoised
    image = folder / f"{PREFIX}_space-T1w_desc-optcom_bold.nii.gz"
    nib.save(nib.Nifti1Image(series.unmask(result.denoised, run[1]), np.eye(4)), image)
    try:
        rejected, _ = load_confounds(str(image), strategy=["tedana"], tedana="aggressive")
        everything, _ = load_confounds(str(image), strategy=["tedana"], tedana="non-aggressive")
    finally:
        image.unlink()
    assert rejected.shape == (N_TIMES, result.outcome["n_rejected"])
    assert everything.shape == (N_TIMES, 10)


def test_unconverged_ica_is_a_fallback(run, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="mebold.multiecho.ica"):
        result = denoise(run, tmp_path / "out", engine="tedana", max_iterations=1, max_restarts=2)
    assert result.outcome["status"] == "fallback"
    assert "did not converge" in result.outcome["reason"]
    assert not result.outcome["converged"]
    assert result.denoised is result.mixing is result.metrics is None
    assert "ICA denoising not used" in caplog.text
    assert any("failed to converge" in text for text in result.outcome["warnings"])


def test_tedana_judges_components_that_were_found_here(run, tmp_path):
    bold = run[2]
    result = denoise(run, tmp_path / "out", report=True, **FOUND)
    outcome = result.outcome
    assert (outcome["engine"], outcome["status"]) == ("mebold", "ok")
    assert not [text for text in outcome["warnings"] if "incomplete" in text]
    assert outcome["converged"]
    assert 0 < outcome["explained"] < 1
    assert (outcome["n_components"], outcome["n_accepted"]) == (10, 4)
    accepted = (result.metrics["classification"] == "accepted").to_numpy()
    correlations = np.abs(np.corrcoef(result.mixing.to_numpy().T, bold)[:10, 10:])
    assert correlations[accepted].max(axis=0).min() > 0.7
    assert correlations[~accepted].max() < 0.5
    names = {item.name for item in (tmp_path / "out").rglob("*")}
    assert f"{PREFIX}_desc-ICA_mixing.tsv" in names
    assert f"{PREFIX}_tedana_report.html" in names
    assert not [name for name in names if "given" in name]


def test_a_series_of_more_samples_than_were_acquired_is_judged_by_every_other(run, tmp_path):
    data, mask, bold = run
    course = CubicSpline(np.arange(N_TIMES), data, axis=2)
    fine = course(np.arange(0, N_TIMES - 0.5, 0.5)).astype(np.float32), mask, bold
    options = {"t2star": decay.fit(summary.summarise(data), TE).t2star, **FOUND}
    whole = denoise(fine, tmp_path / "whole", n_acquired=N_TIMES, **options)
    thin = denoise(fine, tmp_path / "thin", n_acquired=N_TIMES, judged_share=0.9, **options)
    samples = fine[0].shape[2]
    assert (whole.outcome["judged_samples"], thin.outcome["judged_samples"]) == (samples, N_TIMES)
    # tedana turns a component round by its map, which the left out samples may tip.
    signs = np.sign((thin.mixing * whole.mixing).sum())
    np.testing.assert_allclose(thin.mixing * signs, whole.mixing, atol=1e-6)
    assert list(thin.metrics["classification"]) == list(whole.metrics["classification"])
    assert 0 < thin.outcome["n_rejected"] < 10
    np.testing.assert_allclose(thin.denoised, whole.denoised, atol=1e-3)
    # Its own time courses, of the samples that it saw, have the signs of those of the run.
    own = pd.read_csv(tmp_path / "thin" / f"{PREFIX}_desc-ICA_mixing.tsv", sep="\t")
    np.testing.assert_allclose(own, thin.mixing[::2], atol=1e-6)


def test_tedana_decomposes_all_samples(run, tmp_path, fake_tedana):
    """Its time courses are as long as what it is given."""
    fake_tedana(write_fake_results)
    options = {"engine": "tedana", "n_acquired": N_TIMES // 2, "judged_share": 0.9}
    assert denoise(run, tmp_path, **options).outcome["judged_samples"] == N_TIMES


@pytest.mark.parametrize(
    ("samples", "acquired", "share", "step"),
    [(304, 160, 0.9, 2), (304, 160, None, 1), (304, 160, 1.0, 1), (160, 160, 0.9, 1),
     (240, 160, 0.9, 1), (480, 160, 0.9, 3), (100, 160, 0.9, 1)],
)  # fmt: skip
def test_no_fewer_samples_are_judged_than_the_share_of_those_acquired(
    samples, acquired, share, step
):
    assert judged.step(samples, acquired, share) == step
    assert step == 1 or len(range(0, samples, step)) >= share * acquired


def test_what_tedana_has_to_decompose_itself(run, tmp_path, fake_tedana):
    asked = []
    fake_tedana(lambda arguments: (asked.append(arguments), write_fake_results(arguments)))
    for options in ({"engine": "tedana"}, {"order": "aic"}, {"robust": True}):
        outcome = denoise(run, tmp_path / "out", **{"engine": "mebold", **options}).outcome
        assert outcome["engine"] == "tedana"
    assert not any("mixing_file" in arguments for arguments in asked)


def test_components_that_cannot_be_found_are_outcomes(run, tmp_path):
    few = denoise(run, tmp_path / "a", engine="mebold", max_iterations=1)
    assert few.outcome["reason"] == "ICA did not converge in 1 iterations"
    assert not few.outcome["converged"]
    nothing = np.zeros(run[0].shape[1:], np.float32)
    none = denoise(run, tmp_path / "b", engine="mebold", optcom=nothing)
    assert none.outcome["reason"].startswith("a series without one voxel with data")


def write_fake_results(arguments, *, classes=("accepted", "rejected")):
    stem = f"{arguments['out_dir']}/{arguments['prefix']}_"
    columns = {f"ICA_{i}": np.cos(np.arange(N_TIMES) * (i + 1)) for i in range(len(classes))}
    tables.write_tsv(stem + "desc-ICA_mixing.tsv", pd.DataFrame(columns))
    table = pd.DataFrame({"Component": list(columns), "classification": classes})
    table["variance explained"] = 100 / len(classes)
    tables.write_tsv(stem + "desc-tedana_metrics.tsv", table)


@pytest.fixture
def fake_tedana(monkeypatch):
    """Replace tedana's workflow by a function of its keyword arguments."""

    def install(function):
        module = types.ModuleType("tedana.workflows")
        module.tedana_workflow = lambda **arguments: function(arguments)
        monkeypatch.setitem(sys.modules, "tedana.workflows", module)

    return install


def test_data_driven_failures_are_outcomes(run, tmp_path, fake_tedana):
    def singular(_):
        raise np.linalg.LinAlgError("SVD did not converge")

    fake_tedana(singular)
    reason = denoise(run, tmp_path / "a").outcome["reason"]
    assert reason == "tedana stopped with LinAlgError: SVD did not converge"

    fake_tedana(lambda arguments: write_fake_results(arguments, classes=("rejected",) * 3))
    outcome = denoise(run, tmp_path / "b").outcome
    assert outcome["reason"] == "no component was classified as BOLD"
    assert (outcome["n_components"], outcome["n_rejected"]) == (3, 3)

    def accepted_by_default(arguments):
        logging.getLogger("GENERAL").warning("No BOLD components detected! Please check data")
        write_fake_results(arguments)

    fake_tedana(accepted_by_default)
    assert denoise(run, tmp_path / "c").outcome["reason"] == "no component was classified as BOLD"

    fake_tedana(write_fake_results)
    broken = np.full(run[0].shape[1:], np.nan)
    assert "not finite" in denoise(run, tmp_path / "d", optcom=broken).outcome["reason"]

    fake_tedana(lambda _: None)
    assert "wrote no verdict" in denoise(run, tmp_path / "e").outcome["reason"]


def test_robust_ica_counts_as_converged_unless_every_run_failed(run, tmp_path, fake_tedana):
    def failing(count):
        def workflow(arguments):
            text = f"For RobustICA, FastICA did not converge in {count} of 5 interations."
            logging.getLogger("GENERAL").warning(text)
            write_fake_results(arguments)

        return workflow

    fake_tedana(failing(4))
    assert denoise(run, tmp_path / "a", robust=True).outcome["status"] == "ok"
    fake_tedana(failing(5))
    assert "did not converge" in denoise(run, tmp_path / "b", robust=True).outcome["reason"]


def test_a_report_that_fails_does_not_cost_the_result(run, tmp_path, fake_tedana):
    def late_failure(arguments):
        write_fake_results(arguments)
        raise OSError("cannot draw")

    fake_tedana(late_failure)
    result = denoise(run, tmp_path / "out", report=True)
    assert result.outcome["status"] == "ok"
    assert "report incomplete: tedana stopped with OSError" in result.outcome["warnings"][-1]
    assert result.denoised.shape == run[0].shape[1:]


def test_a_full_disk_is_no_report_that_fails(run, tmp_path, fake_tedana):
    """The last result may be there in part, under its own name."""

    def late_failure(arguments):
        write_fake_results(arguments)
        raise OSError(errno.ENOSPC, "No space left on device")

    fake_tedana(late_failure)
    with pytest.raises(OSError, match="No space left"):
        denoise(run, tmp_path / "out")


def test_other_errors_are_raised_and_loggers_left_clean(run, tmp_path, fake_tedana):
    def no_space(_):
        logging.getLogger("GENERAL").addHandler(logging.StreamHandler())
        raise OSError("No space left on device")

    fake_tedana(no_space)
    before = list(logging.getLogger("GENERAL").handlers)
    with pytest.raises(OSError, match="No space left"):
        denoise(run, tmp_path / "out")
    assert logging.getLogger("GENERAL").handlers == before


def test_products_of_a_run_without_ica_say_so(run, tmp_path):
    data, mask, bold = run
    short = denoise((data[..., :20], mask, bold), tmp_path).outcome
    fine = {"run": "b", "status": "ok", "reason": "", "n_components": 9, "n_rejected": 4}
    assert ica_outcome.metadata(short) == {
        "IcaStatus": "fallback",
        "Description": "The optimal combination, because ICA was not used: 20 volumes acquired, "
        "at least 30 are needed.",
    }
    assert ica_outcome.metadata(fine)["IcaComponentsRejected"] == 4
    found = ica_outcome.fallbacks([fine, short])
    assert found == [{"run": PREFIX, "reason": "20 volumes acquired, at least 30 are needed"}]


def test_short_runs_are_outcomes(run, tmp_path):
    data, mask, bold = run
    short = denoise((data[..., :20], mask, bold), tmp_path / "a")
    assert short.outcome["reason"] == "20 volumes acquired, at least 30 are needed"
    wide = denoise(run, tmp_path / "b", order=N_TIMES)
    assert wide.outcome["reason"] == "80 components asked of 80 volumes"


def test_bad_requests_are_named(run, tmp_path):
    data, mask, _ = run
    place = {"affine": np.eye(4), "tr": TR, "out_dir": tmp_path, "prefix": PREFIX, "seed": 1}
    place["optcom"] = data[0]
    with pytest.raises(ConfigError, match=r"2 echo\(es\) found, at least 3"):
        ica.denoise(data[:2], TE[:2], mask=mask, **place)
    with pytest.raises(MetadataError, match="in seconds"):
        ica.denoise(data, [11.0, 28.82, 46.62], mask=mask, **place)
    with pytest.raises(GridMismatchError, match="has 0 voxels, the series 576"):
        ica.denoise(data, TE, mask=np.zeros_like(mask), **place)
    with pytest.raises(ConfigError, match="decision tree 'oak'"):
        ica.denoise(data, TE, mask=mask, tree="oak", **place)
    with pytest.raises(GridMismatchError, match="no voxel of the brain"):
        ica.denoise(data, TE, mask=mask, brain=~mask, **place)
    with pytest.raises(GridMismatchError, match=r"brain has the shape \(2, 2, 2\)"):
        ica.denoise(data, TE, mask=mask, brain=np.ones((2, 2, 2), bool), **place)
    place["optcom"] = data[0, :, 1:]
    with pytest.raises(GridMismatchError, match="combination has the shape"):
        ica.denoise(data, TE, mask=mask, **place)


@pytest.mark.parametrize(
    ("order", "expected"), [("aic", "aic"), (0.99, 0.99), ("0.99", 0.99), (50, 50), ("50", 50)]
)
def test_order_is_read_as_criterion_share_or_count(order, expected):
    value = ica.check_order(order)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize("order", ["bic", 1, 0, 1.5, -3, None, float("nan")])
def test_impossible_orders_are_refused(order):
    with pytest.raises(ConfigError, match="ICA order"):
        ica.check_order(order)


def test_quiet_restores_levels():
    logger = logging.getLogger("GENERAL")
    logger.setLevel(logging.INFO)
    try:
        with tedana_log.quiet():
            assert logger.level == logging.ERROR
        assert logger.level == logging.INFO
    finally:
        logger.setLevel(logging.NOTSET)


def test_the_terminal_stays_silent(capfd, tmp_path):
    from tedana import utils

    log = tmp_path / "log.tsv"
    with tedana_log.recorded() as record:
        utils.setup_loggers(log, tmp_path / "report.txt")
        logging.getLogger("GENERAL").info("Computing EPI mask")
        print("42 %", file=sys.stderr)
    assert capfd.readouterr().err == ""
    assert record.messages == ["Computing EPI mask"]
    assert "Computing EPI mask" in log.read_text()
