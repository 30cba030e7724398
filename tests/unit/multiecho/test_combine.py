import numpy as np
import pytest

from mebold.errors import ConfigError, GridMismatchError, MetadataError
from mebold.multiecho import combine, decay, summary, tedana_log

TE = (0.011, 0.02882, 0.04662)
SHAPE = (5, 4, 3)


@pytest.fixture
def echoes(rng):
    s0 = rng.uniform(700, 1300, 60)
    t2star = rng.uniform(0.015, 0.06, 60)
    signal = s0 * np.exp(-np.asarray(TE)[:, None] / t2star)
    data = signal[..., None] + 5 * rng.standard_normal((3, 60, 10))
    data[1:, 3] *= 0.05
    data[2, 4] *= 0.05
    data[0, 6, 2] = -1.0
    return data.astype(np.float32)


@pytest.mark.golden
def test_combination_equals_tedana_workflow(echoes, tmp_path):
    import nibabel as nib

    names = []
    for index, echo in enumerate(echoes):
        names.append(str(tmp_path / f"echo{index}.nii"))
        image = nib.Nifti1Image(echo.reshape(*SHAPE, -1), np.eye(4))
        image.header.set_zooms((1, 1, 1, 1.5))
        nib.save(image, names[-1])
    mask = tmp_path / "mask.nii"
    # tedana writes its maps in the data type of the mask.
    nib.save(nib.Nifti1Image(np.ones(SHAPE, np.float32), np.eye(4)), mask)
    with tedana_log.recorded():
        from tedana.workflows import t2smap_workflow

        t2smap_workflow(names, list(TE), out_dir=str(tmp_path / "o"), mask=str(mask), quiet=True)
    expected = nib.load(tmp_path / "o" / "desc-optcom_bold.nii.gz").get_fdata().reshape(60, -1)
    fitted = decay.fit(summary.summarise(echoes), TE)
    combined = combine.optcom(echoes, fitted.t2star, TE, fitted.adaptive_mask)
    assert combined.dtype == np.float32
    np.testing.assert_allclose(combined, expected, rtol=1e-5)


def test_weights_follow_the_formula(echoes):
    t2star = np.linspace(0.01, 0.08, 60)
    good = np.tile([1, 2, 3], 20)
    combined = combine.optcom(echoes, t2star, TE, good)
    te = np.asarray(TE)[:, None]
    weights = te * np.exp(-te / t2star)
    weights[np.arange(3)[:, None] >= np.maximum(good, 2)] = 0
    expected = (weights[..., None] / weights.sum(axis=0)[:, None] * echoes).sum(axis=0)
    np.testing.assert_allclose(combined, expected, rtol=1e-5)


def test_equal_echoes_combine_to_themselves(rng):
    echo = rng.uniform(100, 200, (7, 5)).astype(np.float32)
    combined = combine.optcom(np.stack([echo] * 3), np.full(7, 0.03), TE, np.full(7, 3))
    np.testing.assert_allclose(combined, echo, rtol=1e-6)


def test_slabs_and_output_array_do_not_change_the_result(echoes, tmp_path):
    fitted = decay.fit(summary.summarise(echoes), TE)
    whole = combine.optcom(echoes, fitted.t2star, TE, fitted.adaptive_mask)
    store = np.lib.format.open_memmap(tmp_path / "s.npy", "w+", np.float32, (60, 10))
    result = combine.optcom(echoes, fitted.t2star, TE, fitted.adaptive_mask, out=store, chunk=7)
    assert result is store
    np.testing.assert_array_equal(store, whole)
    assert np.all(whole[6] == 0)
    assert np.all(whole[3] != 0)


def test_combination_beats_the_middle_echo(rng):
    """With equal noise per echo the weighted mean has the better contrast to noise."""
    n_voxels, n_times = 200, 300
    t2star = np.full(n_voxels, 0.03)
    te = np.asarray(TE)[:, None, None]
    activity = np.sin(np.arange(n_times) / 5)
    signal = 1000 * np.exp(-te / 0.03) * (1 + te * 0.5 * activity)
    data = signal + 20 * rng.standard_normal((3, n_voxels, n_times))
    combined = combine.optcom(data.astype(np.float32), t2star, TE, np.full(n_voxels, 3))
    single = np.array([np.corrcoef(row, activity)[0, 1] for row in data[1]])
    joint = np.array([np.corrcoef(row, activity)[0, 1] for row in combined])
    assert np.median(joint) > np.median(single) + 0.05


def test_bad_requests_are_named(echoes):
    good = np.full(60, 3)
    t2star = np.full(60, 0.03)
    with pytest.raises(ConfigError, match=r"2 echo\(es\) found, at least 3 are needed"):
        combine.optcom(echoes[:2], t2star, TE[:2], good)
    with pytest.raises(MetadataError, match="in seconds"):
        combine.optcom(echoes, t2star, [11.0, 28.8, 46.6], good)
    with pytest.raises(GridMismatchError, match="t2star has shape"):
        combine.optcom(echoes, t2star[:5], TE, good)
    with pytest.raises(GridMismatchError, match="adaptive_mask has shape"):
        combine.optcom(echoes, t2star, TE, good[:5])
    with pytest.raises(GridMismatchError, match="out has shape"):
        combine.optcom(echoes, t2star, TE, good, out=np.empty((60, 9), np.float32))
