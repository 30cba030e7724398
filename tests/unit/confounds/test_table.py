import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mebold.confounds import compcor, dvars
from mebold.confounds.table import confounds_table
from mebold.errors import ConfigError, DataError, GridMismatchError
from mebold.files import tables
from mebold.hmc import path

TR = 1.0
N_TIMES = 120
SHAPE = (10, 8, 6)
NAME = "sub-01_task-images_run-1"


def make_masks():
    region = np.arange(480)
    return {
        "brain": np.ones(480, dtype=bool),
        "csf": region < 60,
        "wm": (region >= 60) & (region < 150),
    }


def make_series(rng):
    """Noise on a baseline; CSF and white matter each carry one strong course of their own."""
    series = 1000 + 10 * rng.standard_normal((480, N_TIMES))
    courses = rng.standard_normal((2, N_TIMES))
    series[:60] += rng.uniform(20, 40, (60, 1)) * courses[0]
    series[60:150] += rng.uniform(20, 40, (90, 1)) * courses[1]
    return series.astype(np.float32), courses


def make_motion(rng):
    motion = np.cumsum(rng.normal(0, 0.01, (N_TIMES, 6)), axis=0)
    motion[:, 3:] /= 50
    motion[70:, 0] += 1.0
    return motion


def make_table(rng, **options):
    series, _ = make_series(rng)
    settings = {
        "tr": TR,
        "motion": make_motion(rng),
        "masks": make_masks(),
        "fd_threshold_mm": 0.5,
        "dvars_threshold": 1.5,
    }
    return confounds_table(series, **settings | options)


def test_framewise_displacement_adds_millimetres_and_arcs():
    motion = np.zeros((3, 6))
    motion[1] = [0.1, -0.2, 0.3, 0.01, 0, -0.02]
    motion[2] = motion[1]
    fd = path.framewise_displacement(motion)
    np.testing.assert_allclose(fd, [np.nan, 0.6 + 50 * 0.03, 0])
    np.testing.assert_allclose(path.framewise_displacement(motion, radius_mm=80)[1], 3.0)


@pytest.mark.golden
def test_framewise_displacement_equals_nipype(rng, tmp_path, monkeypatch):
    from nipype.algorithms.confounds import FramewiseDisplacement

    motion = make_motion(rng)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIPYPE_NO_ET", "1")
    # FSL's order: rotations first.
    np.savetxt("motion.par", motion[:, [3, 4, 5, 0, 1, 2]], fmt="%.12g")
    FramewiseDisplacement(in_file="motion.par", parameter_source="FSL").run()
    expected = np.loadtxt("fd_power_2012.txt", skiprows=1)
    np.testing.assert_allclose(path.framewise_displacement(motion)[1:], expected, rtol=1e-6)


def test_relative_rms_of_pure_shift_and_pure_turn():
    motion = np.zeros((3, 6))
    motion[1, :3] = [3, 4, 12]
    assert path.relative_rms(motion)[1] == pytest.approx(13)
    motion = np.zeros((2, 6))
    motion[1, 5] = 0.02
    # Mean of the squared distance from the axis in a sphere is 2/5 of the squared radius.
    expected = 2 * np.sin(0.01) * 80 * np.sqrt(2 / 5)
    assert path.relative_rms(motion)[1] == pytest.approx(expected)


def test_relative_rms_equals_the_mean_over_points_of_a_sphere(rng):
    from mebold.geometry import affines

    motion = rng.normal(0, 1, (2, 6)) * [1, 1, 1, 0.05, 0.05, 0.05]
    points = rng.uniform(-80, 80, (60_000, 3))
    points = points[np.linalg.norm(points, axis=1) < 80]
    before, after = (affines.rigid_matrix(row, np.zeros(3)) for row in motion)
    # The sphere is fixed in the frame that the first volume shows.
    distance = affines.apply(after @ np.linalg.inv(before), points) - points
    expected = np.sqrt(np.mean(np.sum(distance**2, axis=1)))
    assert path.relative_rms(motion)[1] == pytest.approx(expected, rel=0.01)


def test_mapping_keeps_each_acquired_value():
    values = np.array([np.nan, 0.1, 0.9, 0.2, 0.3])
    same = dvars.map_to_samples(values, tr=1.9, tr_out=1.9, n_out=5)
    np.testing.assert_array_equal(same, values)
    finer = dvars.map_to_samples(values, tr=1.9, tr_out=1.0, n_out=8)
    np.testing.assert_array_equal(finer, [np.nan, 0.1, 0.1, 0.9, 0.9, 0.2, 0.2, 0.3])
    jump_early = np.array([np.nan, 0.9, 0.1, 0.3, 0.2])
    coarser = dvars.map_to_samples(jump_early, tr=1.0, tr_out=2.0, n_out=3)
    np.testing.assert_array_equal(coarser, [np.nan, 0.9, 0.3])
    coarsest = dvars.map_to_samples(jump_early, tr=1.0, tr_out=4.0, n_out=2)
    np.testing.assert_array_equal(coarsest, [0.9, 0.3])
    finest = dvars.map_to_samples(values, tr=2.0, tr_out=0.5, n_out=17)
    np.testing.assert_array_equal(finest[:4], [np.nan, 0, 0, 0.1])
    assert np.isfinite(finest[1:]).all()
    assert set(values[1:]) <= set(finest[1:])


def reference_dvars(series):
    """The published formula, voxel by voxel."""
    scaled = series.astype(float) / np.median(series) * 1000
    predicted = []
    for row in scaled:
        quartiles = np.percentile(row, [25, 75], method="lower")
        centred = row - row.mean()
        covariance = [np.mean(centred**2), np.sum(centred[1:] * centred[:-1]) / len(row)]
        ar1 = covariance[1] / covariance[0]
        predicted.append(np.sqrt(2 * (1 - ar1)) * (quartiles[1] - quartiles[0]) / 1.349)
    plain = np.sqrt(np.mean(np.diff(scaled, axis=1) ** 2, axis=0))
    return plain, plain / np.mean(predicted)


def test_dvars_follows_the_formula_in_slabs(rng, monkeypatch):
    series, _ = make_series(rng)
    plain, standardised = reference_dvars(series)
    monkeypatch.setattr(dvars, "_CHUNK", 37)
    result = dvars.dvars(series)
    np.testing.assert_allclose(result[0][1:], plain, rtol=1e-6)
    np.testing.assert_allclose(result[1][1:], standardised, rtol=1e-6)
    assert np.isnan(result[0][0])
    assert np.isnan(result[1][0])


def test_standardised_dvars_is_one_for_stationary_noise_and_ignores_scale(rng):
    noise = rng.standard_normal((2000, 200))
    for index in range(1, 200):
        noise[:, index] = 0.4 * noise[:, index - 1] + noise[:, index]
    series = 1000 + 10 * noise
    series[:5] = 1000
    standardised = dvars.dvars(series)[1]
    assert standardised[1:].mean() == pytest.approx(1, abs=0.03)
    np.testing.assert_allclose(dvars.dvars(series * 7.5)[1], standardised, rtol=1e-6)
    series[:, 100:] += 30
    assert np.nanargmax(dvars.dvars(series)[1]) == 100


def test_bright_samples_do_not_change_the_usual_level_of_dvars(rng):
    series, _ = make_series(rng)
    bright = series.copy()
    bright[:, :3] *= [1.4, 1.1, 1.02]
    usual, found = dvars.dvars(series[:, 3:]), dvars.dvars(bright, skip=3)
    for one, other in zip(found, usual, strict=True):
        np.testing.assert_allclose(one[4:], other[1:], rtol=1e-6)
    assert found[1][1:3].min() > 1.5


def test_bright_samples_are_no_part_of_components_and_no_outliers_of_motion(rng):
    series, _ = make_series(rng)
    motion = make_motion(rng)
    motion[:3, 1] += 0.8  # another contrast, fitted
    bright = series.copy()
    bright[:, :3] *= [1.4, 1.1, 1.02]
    known = {"tr": TR, "motion": motion, "masks": make_masks(), "fd_threshold_mm": 0.5}
    known |= {"dvars_threshold": 4.0, "n_non_steady": 3}
    found, other = (confounds_table(data, **known)[0] for data in (bright, series))
    names = [n for n in other if "comp_cor" in n or n.startswith(("motion", "non_steady"))]
    pd.testing.assert_frame_equal(found[names], other[names])
    np.testing.assert_allclose(found["std_dvars"][4:], other["std_dvars"][4:], rtol=1e-6)
    marked = {n: np.flatnonzero(found[n]).tolist() for n in names if "outlier" in n}
    expected = {f"non_steady_state_outlier{k:02d}": [k] for k in range(3)}
    assert marked == {**expected, "motion_outlier00": [70]}


def test_doubtful_volumes_are_outliers_at_their_samples(rng):
    acquired = np.zeros((64, 6))
    table, metadata = make_table(
        rng, motion_acquired=acquired, tr_acquired=1.9, motion=np.zeros((N_TIMES, 6)),
        n_non_steady=2, doubtful=[0, 37], dvars_threshold=100.0,
    )  # fmt: skip
    outliers = [n for n in table if n.startswith("motion_outlier")]
    # Volume 37 is at 70.3 s, nearest to samples 70 and 71; volume 0 is not steady anyway.
    assert [np.flatnonzero(table[n]).tolist() for n in outliers] == [[70], [71]]
    assert "doubtful" in metadata["motion_outlier00"]["Description"]


def test_region_means_and_expansions(rng):
    series, courses = make_series(rng)
    table, _ = confounds_table(
        series,
        tr=TR,
        motion=make_motion(rng),
        masks=make_masks(),
        fd_threshold_mm=0.5,
        dvars_threshold=1.5,
    )
    np.testing.assert_allclose(table["csf"], series[:60].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(table["csf_wm"], series[:150].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(table["global_signal"], series.mean(axis=0), rtol=1e-6)
    assert np.corrcoef(table["white_matter"], courses[1])[0, 1] > 0.99
    for name in ("csf", "global_signal", "trans_y", "rot_z"):
        difference = np.diff(table[name])
        np.testing.assert_allclose(table[f"{name}_derivative1"][1:], difference)
        np.testing.assert_allclose(table[f"{name}_power2"], table[name] ** 2)
        np.testing.assert_allclose(table[f"{name}_derivative1_power2"][1:], difference**2)


def test_every_column_is_described_and_nothing_else_is(rng):
    table, about = make_table(rng, n_non_steady=2, doubtful=[40])
    assert {"motion_outlier00", "a_comp_cor_00", "csf_wm", "tcompcor"} <= set(table.columns)
    # Components that were dropped are described, too.
    assert {name for name in about if not name.startswith("dropped")} == set(table.columns)
    assert all(entry.get("Description") or entry.get("Method") for entry in about.values())


def test_missing_values_only_in_the_first_row(rng):
    table, _ = make_table(rng, n_non_steady=2)
    assert len(table) == N_TIMES
    assert not table.iloc[1:].isna().any().any()
    missing = set(table.columns[table.iloc[0].isna()])
    assert {"dvars", "std_dvars", "framewise_displacement", "rmsd", "csf_derivative1"} <= missing
    assert not missing & {"csf", "trans_x", "a_comp_cor_00", "tcompcor", "motion_outlier00"}


def test_jump_becomes_an_outlier_column(rng):
    table, metadata = make_table(rng, dvars_threshold=100.0)
    outliers = [name for name in table if name.startswith("motion_outlier")]
    assert outliers == ["motion_outlier00"]
    np.testing.assert_array_equal(np.flatnonzero(table["motion_outlier00"]), [70])
    assert metadata["motion_outlier00"]["FramewiseDisplacementThreshold"] == 0.5


def test_jump_of_acquired_volumes_is_found_on_the_samples(rng):
    acquired = np.zeros((64, 6))
    acquired[37:, 1] = 2.0
    table, metadata = make_table(
        rng, motion_acquired=acquired, tr_acquired=1.9, motion=np.zeros((N_TIMES, 6))
    )
    flagged = np.flatnonzero(table["framewise_displacement"] > 0.5)
    # Volume 37 is at 70.3 s; the samples whose nearest volume it is are 70 and 71.
    np.testing.assert_array_equal(flagged, [70, 71])
    assert table["framewise_displacement"].max() == 2.0
    assert "1.9 s apart" in metadata["framewise_displacement"]["Description"]


def test_non_steady_samples_have_columns_and_no_components(rng):
    table, _ = make_table(rng, n_non_steady=2)
    assert table["non_steady_state_outlier01"].to_numpy().nonzero()[0].tolist() == [1]
    components = table[[name for name in table if "comp_cor" in name or "cosine" in name]]
    assert np.all(components.iloc[:2] == 0)
    assert np.all(np.abs(components.iloc[2:]).sum() > 0)


def test_components_find_the_course_of_each_tissue(rng):
    series, courses = make_series(rng)
    result = compcor.compcor(series, make_masks(), tr=TR)
    kept = [
        np.corrcoef(result.table[f"{p}_comp_cor_00"], courses[i])[0, 1]
        for i, p in ((0, "c"), (1, "w"))
    ]
    assert np.min(np.abs(kept)) > 0.98
    for prefix, mask in (("c", "CSF"), ("w", "WM"), ("a", "combined")):
        names = [name for name in result.table if name.startswith(f"{prefix}_comp_cor")]
        assert names == [f"{prefix}_comp_cor_{index:02d}" for index in range(len(names))]
        entries = [result.metadata[name] for name in names]
        assert {entry["Mask"] for entry in entries} == {mask}
        assert all(entry["Retained"] for entry in entries)
        assert entries[-1]["CumulativeVarianceExplained"] >= 0.5
        assert sum(entry["VarianceExplained"] for entry in entries[:-1]) < 0.5
    dropped = [name for name in result.metadata if name.startswith("dropped_")]
    assert dropped == [f"dropped_{index}" for index in range(len(dropped))]
    assert not any(result.metadata[name]["Retained"] for name in dropped)


def test_combined_components_span_both_tissues(rng):
    series, courses = make_series(rng)
    options = compcor.CompCorOptions(variance=0.8)
    table = compcor.compcor(series, make_masks(), tr=TR, options=options).table
    basis = table[[name for name in table if name.startswith("a_comp_cor")]].to_numpy()
    assert basis.shape[1] < 20
    centred = courses - courses.mean(axis=1, keepdims=True)
    residual = centred - (basis @ np.linalg.lstsq(basis, centred.T, rcond=None)[0]).T
    assert np.all((residual**2).sum(axis=1) < 0.05 * (centred**2).sum(axis=1))


def test_components_are_free_of_slow_cosines(rng):
    series, _ = make_series(rng)
    drift = compcor.cosines(N_TIMES, tr=TR, period_s=40.0)
    assert drift.shape == (N_TIMES, 5)
    np.testing.assert_allclose(drift.T @ drift, np.eye(5), atol=1e-12)
    series += 500 * drift[:, 2].astype(np.float32)
    options = compcor.CompCorOptions(high_pass_s=40.0)
    result = compcor.compcor(series, make_masks(), tr=TR, options=options)
    np.testing.assert_allclose(drift.T @ result.table.to_numpy(), 0, atol=1e-6)
    assert compcor.cosines(30, tr=TR, period_s=128).shape == (30, 0)


def test_temporal_components_come_from_the_most_variable_voxels(rng):
    series = 1000 + rng.standard_normal((500, 100))
    series[17] += 50 * rng.standard_normal(100)
    series[30] += np.linspace(0, 500, 100)
    brain = np.ones(500, dtype=bool)
    chosen = compcor.high_variance_voxels(series, brain, share=0.01)
    assert chosen.sum() == 5
    assert chosen[17]
    assert not chosen[30]
    brain[17] = False
    assert not compcor.high_variance_voxels(series, brain, share=0.01)[17]


def test_absent_tissue_leaves_columns_out_and_says_so(rng, caplog):
    masks = make_masks()
    masks["csf"] = np.zeros(480, dtype=bool)
    table, metadata = make_table(rng, masks=masks)
    assert not [name for name in table if name.startswith(("csf_d", "c_comp"))]
    assert "csf" not in table
    assert "w_comp_cor_00" in metadata
    assert "No CSF components: mask of 0 voxels" in caplog.text


@pytest.fixture
def derivative(rng, tmp_path):
    """A folder as the workflow writes it: image, mask, confounds and sidecars."""
    table, metadata = make_table(rng, n_non_steady=1)
    image = tmp_path / f"{NAME}_space-T1w_desc-preproc_bold.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((*SHAPE, N_TIMES), np.float32), np.eye(4)), image)
    tables.write_tsv(tmp_path / f"{NAME}_desc-confounds_timeseries.tsv", table)
    tables.write_json(tmp_path / f"{NAME}_desc-confounds_timeseries.json", metadata)
    return str(image), table, metadata


@pytest.mark.parametrize(
    ("strategy", "options", "n_columns"),
    [
        (["motion"], {"motion": "full"}, 24),
        (["motion", "wm_csf"], {"motion": "basic", "wm_csf": "full"}, 14),
        (["global_signal"], {"global_signal": "full"}, 4),
    ],
)
def test_nilearn_loads_columns(derivative, strategy, options, n_columns):
    from nilearn.interfaces.fmriprep import load_confounds

    loaded, _ = load_confounds(derivative[0], strategy=strategy, **options)
    assert loaded.shape == (N_TIMES, n_columns)
    assert np.isfinite(loaded.to_numpy()).all()


@pytest.mark.parametrize(
    ("kind", "prefixes"),
    [("anat_combined", "a"), ("anat_separated", "wc"), ("temporal", "t")],
)
def test_nilearn_loads_compcor(derivative, kind, prefixes):
    from nilearn.interfaces.fmriprep import load_confounds

    image, table, _ = derivative
    loaded, _ = load_confounds(
        image, strategy=["high_pass", "compcor"], compcor=kind, n_compcor="all"
    )
    expected = {
        name
        for name in table
        if name.startswith(("cosine", *(f"{prefix}_comp_cor" for prefix in prefixes)))
    }
    assert set(loaded.columns) == expected


@pytest.mark.parametrize("name", ["simple", "scrubbing", "compcor"])
def test_nilearn_strategies_run(derivative, name):
    from nilearn.interfaces.fmriprep import load_confounds_strategy

    loaded, sample_mask = load_confounds_strategy(derivative[0], denoise_strategy=name)
    assert np.isfinite(loaded.to_numpy()).all()
    # The first sample is not steady, the jump at 70 is scrubbed.
    assert 0 not in sample_mask
    assert (70 not in sample_mask) == (name == "scrubbing")


def test_files_obey_the_rules_of_readers(derivative, tmp_path):
    text = (tmp_path / f"{NAME}_desc-confounds_timeseries.tsv").read_text().splitlines()
    assert not any("n/a" in line or "nan" in line.lower() for line in text[2:])
    header = text[0].split("\t")
    assert len(set(header)) == len(header)
    assert all(name == name.lower() for name in header)
    metadata = json.loads((tmp_path / f"{NAME}_desc-confounds_timeseries.json").read_text())
    described = {name for name in metadata if not name.startswith("dropped_")}
    assert described <= set(header)
    assert (
        pd.read_csv(tmp_path / f"{NAME}_desc-confounds_timeseries.tsv", sep="\t")
        .dtypes.map(pd.api.types.is_numeric_dtype)
        .all()
    )


def test_bad_requests_are_named(rng):
    with pytest.raises(GridMismatchError, match=r"Motion has shape \(5, 6\), the image 120"):
        make_table(rng, motion=np.zeros((5, 6)))
    with pytest.raises(DataError, match="need a brain mask"):
        make_table(rng, masks={})
    with pytest.raises(GridMismatchError, match="Mask 'csf' has shape"):
        make_table(rng, masks=make_masks() | {"csf": np.ones(3, bool)})
    with pytest.raises(DataError, match="needs tr_acquired"):
        make_table(rng, motion_acquired=np.zeros((64, 6)))
    with pytest.raises(DataError, match="must be finite"):
        make_table(rng, motion=np.full((N_TIMES, 6), np.nan))
    with pytest.raises(ConfigError, match="CompCor variance is 5"):
        make_table(rng, options=compcor.CompCorOptions(variance=5))
    with pytest.raises(DataError, match="at least three samples"):
        dvars.dvars(np.ones((4, 2)))
    with pytest.raises(DataError, match="No brain voxel varies"):
        dvars.dvars(np.ones((4, 20)))
    with pytest.raises(DataError, match="needs positive magnitudes"):
        dvars.dvars(-np.ones((4, 20)))
