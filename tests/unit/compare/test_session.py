"""Metrics of a variant, tables and their failures."""

import numpy as np
import pandas as pd
import pytest

from mebold.compare import response, session, tables, variant
from mebold.compare.metrics import METRICS, ica_fallbacks
from mebold.errors import ConfigError, DataError
from mebold.noiseceiling import bootstrap, ceilings


def design(seed=0):
    labels = np.r_[np.repeat(np.arange(20), 2), np.arange(100, 110)]
    np.random.default_rng(seed).shuffle(labels)
    return labels, np.arange(labels.size) // 10


LABELS, RUNS = design()
NAMES = {"subject": "01", "session": "01", "task": "images"}
ROI = np.arange(40) < 15


def betas(seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((40, 110)) * np.where(ROI, 1.0, 0.2)[:, None]
    return 1.5 * ROI[:, None] + images[:, LABELS] + noise * rng.standard_normal((40, LABELS.size))


def evaluate(data, *, n_resamples=60, seed=0, **options):
    cells, resamples = session.prepare(LABELS, RUNS, n_resamples=n_resamples, seed=seed)
    options = {"labels": LABELS, "runs": RUNS, "roi": ROI} | options
    return variant.evaluate(data, cells=cells, resamples=resamples, **options)


def compared(data, *, roi=ROI, quality=None, summaries=None):
    n = len(roi)
    quality = quality or {v: {"tsnr": np.full((5, n), 30.0), "fwhm": np.full(5, 2.0)} for v in data}
    summaries = summaries or {v: {"NoiseComponents": 0} for v in data}
    return session.evaluate_variants(
        data, trials=pd.DataFrame({"label": LABELS, "run": RUNS}), quality=quality,
        summaries=summaries, seen={v: session.voxels_with_data(b, RUNS) for v, b in data.items()},
        roi=roi, brain=np.ones(n, bool), threshold=2.0, zscore="run", n_resamples=60, seed=0,
    )  # fmt: skip


def test_metrics_follow_their_definitions():
    data = betas()
    tsnr = np.random.default_rng(1).uniform(20, 80, (5, 40))
    counts = {"n_components": 4, "n_ica_fallbacks": 2}
    result = evaluate(data, tsnr=tsnr, fwhm=[2.0, 2.2, 2.1, 2.0, 2.3], **counts)
    z = ceilings.zscore_betas(data.astype(np.float32), RUNS)
    nc = ceilings.noise_ceiling(z, LABELS).nc
    apart = ceilings.noise_ceiling(z, LABELS, runs=RUNS, different_runs_only=True).nc
    pooled = np.sqrt((nc[ROI].var(ddof=1) + nc[~ROI].var(ddof=1)) / 2)
    expected = {
        "noise_ceiling_median": np.median(nc[ROI]),
        "noise_ceiling_median_different_runs": np.median(apart[ROI]),
        "dprime": (nc[ROI].mean() - nc[~ROI].mean()) / pooled,
        "percent_signal_change": np.median(data[ROI].mean(axis=1)),
        "tsnr_median_roi": np.median(tsnr[:, ROI], axis=1).mean(),
        "tsnr_median_brain": np.median(tsnr, axis=1).mean(),
        "smoothness_fwhm": 2.12,
        "glmdenoise_components": 4,
        "ica_fallback_runs": 2,
        "voxels_roi": 15,
        "voxels_brain": 40,
    }
    assert list(result.values) == [metric for metric in METRICS if metric in expected]
    for name, value in expected.items():
        assert result.values[name] == pytest.approx(value, rel=1e-4), name


def test_voxels_that_a_run_never_saw_have_no_tsnr():
    tsnr = np.full((5, 40), 30.0)
    tsnr[1, np.flatnonzero(ROI)[2:]] = 0.0  # most of the ROI lies outside in one run
    values = evaluate(betas(), tsnr=tsnr).values
    assert values["tsnr_median_roi"] == 30.0  # 24 with zeros counted
    assert values["tsnr_median_brain"] == 30.0


def test_chunks_do_not_change_the_result():
    data = betas()
    whole, parts = evaluate(data), evaluate(data, chunk_voxels=7)
    for method, samples in whole.samples.items():
        for metric, values in samples.items():
            np.testing.assert_allclose(values, parts.samples[method][metric], rtol=1e-4)


def test_betas_of_a_file_are_read_in_slices():
    class Dataset:
        """Knows what a dataset of an open file knows, and refuses to be read at once."""

        shape = betas().shape

        def __getitem__(self, part):
            assert isinstance(part, slice)
            assert part.stop - part.start == 7
            return betas()[part]

    parts = evaluate(Dataset(), chunk_voxels=7)
    assert parts.values == evaluate(betas(), chunk_voxels=7).values


def test_voxels_outside_the_brain_do_not_count():
    data = betas()
    brain = np.arange(40) < 30
    cut = evaluate(data[brain], roi=ROI[brain])
    masked = evaluate(data, brain=brain)
    assert masked.values == pytest.approx(cut.values)


def test_voxels_without_data_in_a_run_are_found():
    data = betas()
    data[0] = np.nan
    data[1, RUNS == 2] = np.nan
    data[2, RUNS == 4] = 0.0
    data[3, RUNS == 1] = 12.3456789 * (1 + 1e-7 * np.arange(10))
    data[4] *= 1e-9
    seen = session.voxels_with_data(data, RUNS, chunk_voxels=7)
    assert np.flatnonzero(~seen).tolist() == [0, 1, 2, 3]
    # A run of one trial cannot vary.
    alone = np.where(np.arange(50) == 49, 5, RUNS)
    assert session.voxels_with_data(data, alone)[5:].all()


def test_all_variants_are_compared_in_the_voxels_that_all_have():
    rng = np.random.default_rng(0)
    full = rng.standard_normal((40, LABELS.size))
    lost = rng.standard_normal((40, LABELS.size))
    lost[:9, RUNS == 3] = 0.0  # most of the region was outside the field of view in a run
    data = {"standardOptcom": full, "nordicOptcom": lost}
    found = compared(data)
    alone = compared({v: d[9:] for v, d in data.items()}, roi=ROI[9:])
    for name, one in found.items():
        counts = {m: one.values[m] for m in ("voxels_roi", "voxels_brain", "voxels_lacking")}
        lacking = 9 * (name == "nordicOptcom")
        assert counts == {"voxels_roi": 6, "voxels_brain": 31, "voxels_lacking": lacking}
        same = {m: v for m, v in alone[name].values.items() if m != "voxels_lacking"}
        assert {m: one.values[m] for m in same} == pytest.approx(same, nan_ok=True)


def test_a_region_or_a_rest_that_is_too_small_is_an_outcome():
    for roi in (np.zeros(40, bool), np.ones(40, bool), np.arange(40) < 1):
        found = compared({"standardOptcom": betas(), "nordicOptcom": betas(1)}, roi=roi)
        for one in found.values():
            assert np.isnan(one.values["dprime"])
            assert one.values["voxels_roi"] == roi.sum()
            assert np.isfinite(one.values["noise_ceiling_median"]) == roi.any()
            assert np.isfinite(one.values["predictivity_single"]) == roi.any()
            assert np.isfinite(one.values["percent_signal_change"]) == roi.any()
        table = tables.comparison_table(found, **NAMES)
        assert table.set_index("metric").loc["dprime", ["ci_low", "ci_high"]].isna().all(axis=None)
        tables.difference_table(found, **NAMES, references=["standardOptcom"])


def test_a_few_voxels_of_low_signal_do_not_rule_the_response():
    data = betas()
    data[:3] *= 500
    assert evaluate(data).values["percent_signal_change"] == pytest.approx(1.5, abs=0.3)


def test_scale_of_a_voxel_changes_only_its_response():
    data = betas()
    plain = [evaluate(factor * data, zscore="none") for factor in (1.0, 0.5, 2.0)]
    medians = [result.values["noise_ceiling_median"] for result in plain]
    assert medians == pytest.approx([medians[0]] * 3, rel=1e-4)
    assert 10 < medians[0] < 90
    first, second = evaluate(data), evaluate(3 * data)
    for metric in ("noise_ceiling_median", "dprime"):
        assert second.values[metric] == pytest.approx(first.values[metric], rel=1e-4)
    name = "percent_signal_change"
    assert second.values[name] == pytest.approx(3 * first.values[name], rel=1e-4)


def test_zscore_levels():
    data = betas() + 2 * RUNS
    within, across = evaluate(data), evaluate(data, zscore="session")
    z = ceilings.zscore_betas(data.astype(np.float32), np.zeros(LABELS.size))
    expected = np.median(ceilings.noise_ceiling(z, LABELS).nc[ROI])
    assert across.values["noise_ceiling_median"] == pytest.approx(expected, rel=1e-4)
    assert within.values["noise_ceiling_median"] > across.values["noise_ceiling_median"] + 5
    ready = evaluate(z, zscore="none")
    assert ready.values["noise_ceiling_median"] == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ConfigError, match="accepted: 'run', 'session', 'none'"):
        evaluate(data, zscore="week")


def test_inputs_stay_as_they_are():
    data = betas()
    before = data.copy()
    evaluate(data)
    np.testing.assert_array_equal(data, before)


def test_response_has_the_standard_error_of_runs_and_images(monkeypatch):
    offsets = np.random.default_rng(4).standard_normal(200)
    data = betas(noise=0.1) * 0.1 + RUNS + offsets[LABELS]
    found = evaluate(data, n_resamples=4000).samples
    errors = {m: bootstrap.standard_error(s["percent_signal_change"]) for m, s in found.items()}
    means = [np.median(data[ROI][:, run == RUNS].mean(axis=1)) for run in range(5)]
    assert errors["runs"] == pytest.approx(np.std(means, ddof=1) / np.sqrt(5), rel=0.1)
    shown = np.unique(LABELS, return_counts=True)[1]
    centred = np.median(data[ROI], axis=0) - np.median(data[ROI])
    sums = np.bincount(np.unique(LABELS, return_inverse=True)[1], centred)
    centred = sums - shown * sums.sum() / shown.sum()
    assert errors["images"] == pytest.approx(np.sqrt((centred**2).sum()) / 50, rel=0.1)
    # A part of a large region tells as much.
    monkeypatch.setattr(response, "SPREAD_VOXELS", 5)
    part = evaluate(data, n_resamples=4000, chunk_voxels=7).samples["images"]
    error = bootstrap.standard_error(part["percent_signal_change"])
    assert error == pytest.approx(errors["images"], rel=0.1)


def test_long_table_has_a_row_per_metric_and_the_wider_interval():
    result = evaluate(betas(), n_components=3)
    table = tables.comparison_table(
        {"standardSingle": result}, subject="01", session="n/a", task="images"
    )
    assert list(table) == tables.LONG_COLUMNS
    assert list(table["metric"]) == list(result.values)
    row = table.set_index("metric").loc["noise_ceiling_median"]
    errors = [1.96 * 2 * s["noise_ceiling_median"].std(ddof=1) for s in result.samples.values()]
    assert row["ci_high"] - row["value"] == pytest.approx(max(errors), rel=1e-3)
    assert row["value"] - row["ci_low"] == pytest.approx(max(errors), rel=1e-3)
    assert row["unit"] == "percent"
    assert table.set_index("metric").loc["glmdenoise_components", ["ci_low"]].isna().all()


def test_interval_of_a_noise_ceiling_stays_in_its_range():
    result = evaluate(betas(noise=8.0))
    samples = result.samples["images"]["noise_ceiling_median"]
    value = result.values["noise_ceiling_median"]
    assert bootstrap.interval(value, samples)[0] < 0
    table = tables.comparison_table(
        {"standardSingle": result}, subject="01", session="01", task="images"
    )
    assert table.set_index("metric").loc["noise_ceiling_median", "ci_low"] == 0


def test_paired_table_subtracts_the_reference_resample_by_resample():
    results = {"standardSingle": evaluate(betas()), "nordicSingle": evaluate(betas(noise=0.5))}
    table = tables.difference_table(
        results, subject="01", session="01", task="images", references=["standardSingle"]
    )
    assert list(table) == tables.PAIRED_COLUMNS
    row = table[(table["metric"] == "dprime") & (table["method"] == "runs")].iloc[0]
    values = [r.values["dprime"] for r in results.values()]
    samples = [r.samples["runs"]["dprime"] for r in results.values()]
    assert row["difference"] == pytest.approx(values[1] - values[0])
    half = 1.96 * 2 * (samples[1] - samples[0]).std(ddof=1)
    assert row["ci_high"] - row["ci_low"] == pytest.approx(2 * half, rel=1e-3)
    assert set(table["method"]) == {"images", "runs"}


def test_variants_share_trials_and_draws_and_keep_their_own_numbers():
    data = {"standardSingle": betas(), "nordicIca": betas(noise=0.5)}
    quality = {v: {"tsnr": np.full((5, 40), 30.0 + i), "fwhm": np.full(5, 2.0 + i)}
               for i, v in enumerate(data)}  # fmt: skip
    fallbacks = [{"run": "sub-01_task-images_run-1", "reason": "20 volumes"}]
    summaries = {
        "standardSingle": {"NoiseComponents": 3},
        "nordicIca": {"NoiseComponents": 1, "IcaFallbacks": fallbacks},
    }
    found = compared(data, quality=quality, summaries=summaries)
    plain, ica = (result.values for result in found.values())
    assert plain["noise_ceiling_median"] == evaluate(betas()).values["noise_ceiling_median"]
    assert found["standardSingle"].draws_key == found["nordicIca"].draws_key
    assert (plain["glmdenoise_components"], ica["glmdenoise_components"]) == (3, 1)
    assert (plain["tsnr_median_roi"], ica["smoothness_fwhm"]) == (30, 3)
    assert "ica_fallback_runs" not in plain
    assert ica["ica_fallback_runs"] == 1
    table = tables.comparison_table(found, **NAMES)
    assert ica_fallbacks(table) == {"nordicIca": 1}


def test_prices_are_relative_to_the_undenoised_counterpart():
    rng = np.random.default_rng(0)
    single = betas() + 0.5 * rng.standard_normal((40, LABELS.size))
    data = {"standardOptcom": betas(), "standardSingle": single}
    data |= {"nordicOptcom": 0.5 * betas(), "nordicSingle": 2 * single}
    score = rng.uniform(0, 4, 40)
    quality = {
        v: {"tsnr": np.full((5, 40), 30.0), "score": score, "fwhm": np.full(5, 2.0)} for v in data
    }
    quality["nordicOptcom"] = quality["nordicOptcom"] | {
        "fwhm": np.full(5, 3.0),
        "score": score - 1,
    }
    found = {v: one.values for v, one in compared(data, quality=quality).items()}
    kept = {v: values["signal_kept"] for v, values in found.items()}
    expected = {"standardOptcom": 100, "standardSingle": 100, "nordicOptcom": 50}
    assert kept == pytest.approx(expected | {"nordicSingle": 200})
    grown = {v: values["smoothness_growth"] for v, values in found.items()}
    assert grown == {v: 50 * (v == "nordicOptcom") for v in data}
    share = 100 * np.mean(score[score > 2] > 3)
    assert found["nordicOptcom"]["responsive_kept"] == pytest.approx(share)
    # Variants that all lack an undenoised one are compared as before.
    rest = compared({v: data[v] for v in ("nordicOptcom", "nordicSingle")}, quality=quality)
    for one in rest.values():
        assert not {"predictivity", "predictivity_single", "signal_kept"} & set(one.values)
        assert np.isfinite(one.values["noise_ceiling_median"])


def test_every_pair_of_variants_is_subtracted_in_what_a_choice_rests_on():
    found = compared({v: betas(i) for i, v in enumerate(("standardOptcom", "nordicIca", "x"))})
    table = tables.difference_table(found, **NAMES, references=["standardOptcom"])
    rest = table[table["reference"] != "standardOptcom"]
    assert set(rest["metric"]) == {"predictivity_single", "noise_ceiling_median"}
    assert len(rest[["variant", "reference"]].drop_duplicates()) == 4
    assert not table["metric"].str.startswith("voxels").any()


def test_pairing_is_checked():
    results = {"a": evaluate(betas()), "b": evaluate(betas(), seed=1)}
    with pytest.raises(DataError, match="b and a were evaluated on different trials or resamples"):
        tables.difference_table(results, subject="1", session="1", task="images", references=["a"])
    with pytest.raises(ConfigError, match="'c' is not compared; compared: \\['a', 'b'\\]"):
        tables.difference_table(results, subject="1", session="1", task="images", references=["c"])


def test_bad_shapes_are_named():
    with pytest.raises(DataError, match="betas have 49 trials, but there are 50 labels"):
        evaluate(betas()[:, :-1])
    with pytest.raises(DataError, match="one entry for each of the 40 voxels"):
        evaluate(betas(), roi=ROI[:-1])


def test_a_session_is_compared_with_the_references_that_it_has():
    results = dict.fromkeys(["nordicSingle", "standardSingle"])
    wanted = ["standardSingle", "nordicIca", "nordicSingle"]
    assert tables.compared_only(wanted, results) == ["standardSingle", "nordicSingle"]
