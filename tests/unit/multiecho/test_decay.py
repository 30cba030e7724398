import nibabel as nib
import numpy as np
import pytest

from mebold.errors import ConfigError, DataError, GridMismatchError, MetadataError
from mebold.multiecho import combine, decay, summary, tedana_log

TE = (0.011, 0.02882, 0.04662)


def make_echoes(rng, n_voxels=60, n_times=12, noise=5.0):
    s0 = rng.uniform(700, 1300, n_voxels)
    t2star = rng.uniform(0.015, 0.06, n_voxels)
    signal = s0 * np.exp(-np.asarray(TE)[:, None] / t2star)
    data = signal[..., None] + noise * rng.standard_normal((3, n_voxels, n_times))
    return data.astype(np.float32), s0, t2star


def make_difficult_echoes(rng):
    """Voxels with one and two good echoes, a zero sample, and a signal that grows with TE."""
    data, _, _ = make_echoes(rng)
    data[1:, 3] *= 0.05
    data[2, 4] *= 0.05
    data[2, 5, 7] = 0.0
    data[0, 6, 2] = -1.0
    data[:, 7] = data[::-1, 7]
    return data


def run_t2smap(data, folder, fittype="loglin"):
    """Run tedana's own workflow on images and return its maps in the voxels of the data."""
    names = []
    for index, echo in enumerate(data):
        names.append(str(folder / f"echo{index}.nii"))
        image = nib.Nifti1Image(echo.reshape(5, 4, 3, -1), np.eye(4))
        image.header.set_zooms((1, 1, 1, 1.5))
        nib.save(image, names[-1])
    mask = folder / "mask.nii"
    # tedana writes its maps in the data type of the mask.
    nib.save(nib.Nifti1Image(np.ones((5, 4, 3), np.float32), np.eye(4)), mask)
    with tedana_log.recorded():
        from tedana.workflows import t2smap_workflow

        t2smap_workflow(
            names,
            list(TE),
            out_dir=str(folder / "out"),
            mask=str(mask),
            fittype=fittype,
            quiet=True,
        )

    def read(name):
        values = nib.load(folder / "out" / f"{name}.nii.gz").get_fdata()
        return values.reshape((60, *values.shape[3:]))

    return read


@pytest.fixture(scope="module")
def t2smap(tmp_path_factory):
    data = make_difficult_echoes(np.random.default_rng(3))
    return data, run_t2smap(data, tmp_path_factory.mktemp("t2smap"))


@pytest.mark.golden
def test_maps_equal_those_of_tedana_workflow(t2smap):
    data, read = t2smap
    result = decay.fit(summary.summarise(data), TE)
    np.testing.assert_array_equal(result.adaptive_mask, read("desc-adaptiveGoodSignal_mask"))
    np.testing.assert_array_equal(result.adaptive_mask[3:8], [1, 2, 2, 0, 3])
    np.testing.assert_allclose(result.t2star, read("T2starmap"), rtol=1e-5)
    np.testing.assert_allclose(result.s0, read("S0map"), rtol=1e-5)


@pytest.mark.golden
def test_curvefit_equals_tedana_workflow(tmp_path):
    data = make_difficult_echoes(np.random.default_rng(4))
    read = run_t2smap(data, tmp_path, "curvefit")
    result = decay.fit(summary.summarise(data), TE, method="curvefit")
    # Both stop at the optimiser's tolerance of 1e-8 in the cost, so 1e-4 in the parameters.
    np.testing.assert_allclose(result.t2star, read("T2starmap"), rtol=1e-4)
    assert not np.allclose(result.t2star, decay.fit(summary.summarise(data), TE).t2star, rtol=1e-4)


def test_fit_from_sums_equals_fit_over_all_time_points(rng):
    from tedana.decay import fit_decay

    data, _, _ = make_echoes(rng, noise=100.0)
    data = np.abs(data) + 1
    good = np.full(60, 3)
    with tedana_log.quiet():
        expected, s0, *_ = fit_decay(
            np.moveaxis(data, 0, 1), np.asarray(TE) * 1000, good, "loglin", report=False
        )
    result = decay.fit(summary.summarise(data), TE, mask_methods=["none"])
    np.testing.assert_allclose(result.t2star, expected / 1000, rtol=1e-5)
    np.testing.assert_allclose(result.s0, s0, rtol=1e-5)


@pytest.mark.parametrize("method", ["loglin", "curvefit"])
def test_truth_is_recovered_without_noise(rng, method):
    data, s0, t2star = make_echoes(rng, n_voxels=12, noise=0.0)
    result = decay.fit(summary.summarise(data), TE, method=method)
    # The log-linear fit of log(S + 1) is biased by about 1/S.
    rtol = 2e-2 if method == "loglin" else 1e-4
    np.testing.assert_allclose(result.t2star, t2star, rtol=rtol)
    np.testing.assert_allclose(result.s0, s0, rtol=rtol)
    assert result.r_squared.min() > 0.999
    assert result.rmse.max() < (2.0 if method == "loglin" else 0.1)
    assert not result.failed.any()


def test_pooling_runs_equals_one_long_run(rng):
    data, _, _ = make_echoes(rng, n_times=20)
    data[2, 5, 3] = 0
    parts = summary.pool([summary.summarise(data[..., :6]), summary.summarise(data[..., 6:])])
    whole = summary.summarise(data)
    assert parts.n == whole.n == 20
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(parts.mean_log, whole.mean_log, rtol=1e-12)
    np.testing.assert_array_equal(parts.nonpositive, whole.nonpositive)


def test_a_run_that_lost_a_voxel_does_not_take_it_from_the_others(rng):
    data, _, _ = make_echoes(rng, n_times=20)
    lost, both = data[..., 6:].copy(), data[..., 6:].copy()
    lost[:, :4] = 0.0
    first = summary.summarise(data[..., :6])
    whole, part = (summary.pool([first, summary.summarise(run)]) for run in (both, lost))
    for name in ("mean", "mean_log", "nonpositive"):
        np.testing.assert_allclose(getattr(part, name)[:, :4], getattr(first, name)[:, :4])
        np.testing.assert_array_equal(getattr(part, name)[:, 4:], getattr(whole, name)[:, 4:])
    assert (decay.fit(part, TE).adaptive_mask[:4] == 3).all()
    none = summary.pool([summary.summarise(np.zeros_like(run)) for run in (both, lost)])
    assert (none.nonpositive == none.n).all()
    assert not none.mean.any()


def test_t2star_does_not_depend_on_voxel_order(rng):
    data = make_difficult_echoes(rng)
    order = rng.permutation(60)
    straight = decay.fit(summary.summarise(data), TE)
    shuffled = decay.fit(summary.summarise(data[:, order]), TE)
    np.testing.assert_array_equal(shuffled.adaptive_mask, straight.adaptive_mask[order])
    np.testing.assert_allclose(shuffled.t2star, straight.t2star[order], rtol=1e-6)


def test_summary_does_not_depend_on_slab_size(rng, monkeypatch):
    data, _, _ = make_echoes(rng)
    whole = summary.summarise(data)
    monkeypatch.setattr(summary, "_CHUNK", 7)
    slabs = summary.summarise(data)
    np.testing.assert_array_equal(slabs.mean_log, whole.mean_log)
    np.testing.assert_array_equal(slabs.nonpositive, whole.nonpositive)


@pytest.mark.golden
def test_equally_bright_reference_voxels_are_resolved_as_in_tedana():
    """Integer images hold several voxels with the mean that defines the threshold."""
    from tedana.utils import make_adaptive_mask

    rng = np.random.default_rng(39)
    data = np.empty((3, 200, 5), dtype=np.float32)
    data[0] = 300 + rng.integers(0, 4, (200, 5))
    # Every other voxel has the same mean in spite of one missing sample.
    data[0, ::2] = 375 + rng.integers(-1, 4, (100, 5))
    data[0, ::2, 0] = 0
    data[1:] = rng.integers(1, 60, (2, 200, 1))
    with tedana_log.quiet():
        _, expected = make_adaptive_mask(np.moveaxis(data, 0, 1))
    result = decay.adaptive_mask(summary.summarise(data))
    np.testing.assert_array_equal(result, expected)
    assert len(set(result)) > 2


def test_one_bad_sample_ends_the_good_echoes_unless_tolerated(rng):
    data, _, _ = make_echoes(rng, n_times=100)
    data[1, 8, 50] = np.nan
    data[0, 9, :2] = 0
    moments = summary.summarise(data)
    np.testing.assert_array_equal(decay.adaptive_mask(moments)[8:11], [1, 0, 3])
    tolerant = decay.adaptive_mask(moments, tolerated_nonpositive=0.01)
    np.testing.assert_array_equal(tolerant[8:11], [3, 0, 3])
    result = decay.fit(moments, TE)
    assert result.t2star[9] == result.s0[9] == result.rmse[9] == 0
    assert result.t2star[8] > 0
    assert np.isnan(result.r_squared[8])
    assert np.isnan(result.rmse[8])


def test_goodness_falls_where_the_decay_is_not_exponential(rng):
    data, _, _ = make_echoes(rng, noise=0.0)
    data[1, 0] *= 1.5
    result = decay.fit(summary.summarise(data), TE)
    assert result.r_squared[0] < 0.95
    assert result.rmse[0] > 50
    assert result.r_squared[1:].min() > 0.999


def test_weak_voxels_are_combined_although_no_echo_is_good(rng):
    data, _, _ = make_echoes(rng)
    data[:, 3] *= 0.1  # below a third of the others
    data[0, 4, 2] = -1.0  # one bad sample of the first echo
    data[:, 5] = 0.0
    found = decay.fit(summary.summarise(data), TE)
    assert (found.adaptive_mask[[3, 4, 5]] == 0).all()
    assert (found.t2star[[3, 4, 5]] == 0).all()
    assert found.weights_echoes[[3, 4, 5]].tolist() == [1, 1, 0]
    times = np.asarray(TE[:2])
    for voxel in (3, 4):
        logs = np.log(data[:2, voxel].mean(axis=1))
        expected = -np.diff(times) / np.diff(logs)
        assert found.weights_t2star[voxel] == pytest.approx(expected[0], rel=0.05)
    others = np.delete(np.arange(60), [3, 4, 5])
    assert np.array_equal(found.weights_t2star[others], found.t2star[others])
    assert np.array_equal(found.weights_echoes[others], found.adaptive_mask[others])
    combined = combine.optcom(data, found.weights_t2star, TE, found.weights_echoes)
    assert combined[[3, 4]].std(axis=1).all()
    assert not combined[5].any()


def test_inputs_stay_as_they_are(rng):
    data = make_difficult_echoes(rng)
    before = data.copy()
    moments = summary.summarise(data)
    mean = moments.mean.copy()
    decay.fit(moments, TE)
    np.testing.assert_array_equal(data, before)
    np.testing.assert_array_equal(moments.mean, mean)


def test_bad_requests_are_named(rng):
    data, _, _ = make_echoes(rng)
    moments = summary.summarise(data)
    with pytest.raises(MetadataError, match=r"in seconds, got \[11.0, 28.82, 46.62\]"):
        decay.fit(moments, [11.0, 28.82, 46.62])
    with pytest.raises(MetadataError, match="2 echo times given for 3 echoes"):
        decay.fit(moments, TE[:2])
    with pytest.raises(MetadataError, match="must be positive and ascend"):
        decay.fit(moments, TE[::-1])
    with pytest.raises(ConfigError, match="at least 2 are needed"):
        decay.fit(summary.summarise(data[:1]), TE[:1])
    with pytest.raises(ConfigError, match="'quadratic' is unknown"):
        decay.fit(moments, TE, method="quadratic")
    with pytest.raises(ConfigError, match=r"\['snr'\]: choose from"):
        decay.fit(moments, TE, mask_methods=["snr"])
    with pytest.raises(ConfigError, match=r"tolerated_nonpositive is 1.5"):
        decay.fit(moments, TE, tolerated_nonpositive=1.5)
    with pytest.raises(DataError, match="zero in every voxel"):
        decay.fit(summary.summarise(np.zeros_like(data)), TE)
    with pytest.raises(DataError, match="None of 60 voxels has a good first echo"):
        decay.fit(summary.summarise(-data), TE)
    with pytest.raises(DataError, match="shape"):
        summary.summarise(data[0])
    with pytest.raises(DataError, match="No run to pool"):
        summary.pool([])
    with pytest.raises(GridMismatchError, match="all must share one mask"):
        summary.pool([moments, summary.summarise(data[:, :5])])
