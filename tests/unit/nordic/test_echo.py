"""What NORDIC reads (series, noise scans, noise maps) and what it leaves in writing."""

import nibabel as nib
import numpy as np
import pytest

from mebold.errors import ConfigError, DataError, GridMismatchError
from mebold.nordic import noise_volumes, record
from mebold.nordic.denoise import nordic
from mebold.nordic.echo import read_echo, read_echoes, read_noise_map
from mebold.nordic.noise_map import check_noise_map

SHAPE, N, SIGMA = (15, 16, 6), 18, 20.0
AFFINE = np.diag([2.0, 2, 2.5, 1])


@pytest.fixture
def series():
    """Magnitude and phase with two noise volumes at the end."""
    rng = np.random.default_rng(0)
    clean = np.full((*SHAPE, N), 500.0)
    clean[..., -2:] = 0
    noise = rng.standard_normal((2, *clean.shape))
    data = clean + SIGMA * (noise[0] + 1j * noise[1])
    return np.abs(data).astype(np.float32), np.angle(data).astype(np.float32)


@pytest.fixture
def save(tmp_path):
    def write(name, data, affine=AFFINE):
        nib.save(nib.Nifti1Image(np.asarray(data, np.float32), affine), tmp_path / f"{name}.nii")
        return tmp_path / f"{name}.nii"

    return write


def test_trailing_volumes_and_noise_scan_are_both_counted(series, save):
    paths = [save(name, part) for name, part in zip("mp", series, strict=True)]
    scans = [save(f"scan_{i}", part[..., -1]) for i, part in enumerate(series)]
    echo = read_echo(*paths, noise_scans=scans)
    assert (echo.trailing, echo.appended, echo.noise_volumes) == (2, 1, 3)
    assert echo.magnitude.shape == echo.phase.shape == (*SHAPE, N + 1)
    np.testing.assert_array_equal(echo.phase[..., -1], series[1][..., -1])
    assert echo.noise_text == (
        "2 at the end of the series (by their drop in intensity) and 1 of a separate noise scan"
    )
    as_told = read_echo(paths[0], noise_volumes=0, origin="as configured")
    assert (as_told.noise_volumes, as_told.noise_text) == (0, "none (as configured)")


def test_echoes_get_their_own_noise_scans(series, save):
    magnitudes = [save(f"m{i}", series[0] + i) for i in range(2)]
    phases = [save(f"p{i}", series[1]) for i in range(2)]
    scans = [save(f"s{i}", np.full((*SHAPE, 1), float(i))) for i in range(4)]
    found = list(read_echoes(magnitudes, phases, noise_scans=scans))
    assert [echo.magnitude[0, 0, 0, -1] for echo in found] == [0, 1]
    assert [echo.phase[0, 0, 0, -1] for echo in found] == [2, 3]
    alone = list(read_echoes(magnitudes, [], noise_scans=scans[:2]))
    assert [echo.phase for echo in alone] == [None, None]


def test_another_count_than_in_the_motion_echo_is_announced(series, save):
    path = save("m", series[0])
    with pytest.warns(UserWarning, match="the last 2 volumes of this echo .* the last 3"):
        assert read_echo(path, noise_volumes=3).noise_volumes == 3


def test_empty_voxels_and_volumes_are_announced(series, save):
    magnitude = series[0].copy()
    magnitude[:3] = 0
    magnitude[..., 4] = 0
    with pytest.warns(UserWarning, match="are 0") as caught:
        read_echo(save("m", magnitude))
    messages = [str(item.message) for item in caught]
    assert messages[0].startswith("288 voxel(s), 20 % of all")
    assert messages[1].startswith("Volume(s) 4 (counted from 0)")


def test_images_that_do_not_fit_are_named(series, save):
    magnitude, phase = save("m", series[0]), save("p", series[1])
    elsewhere = AFFINE.copy()
    elsewhere[2, 3] = 5
    shifted = save("far", series[1], elsewhere)
    with pytest.raises(GridMismatchError, match=r"far.nii lies elsewhere in space than .*m.nii"):
        read_echo(magnitude, shifted)
    with pytest.raises(ConfigError, match="1 noise scan"):
        read_echo(magnitude, phase, noise_scans=[magnitude])
    with pytest.raises(GridMismatchError, match=r"\(15, 16, 5\)"):
        read_echo(magnitude, noise_scans=[save("s", series[0][:, :, :5])])
    with pytest.raises(DataError, match="3 dimensions"):
        read_echo(save("volume", series[0][..., 0]))


def test_configured_noise_volumes_must_leave_a_series(series):
    assert noise_volumes.count_noise_volumes(series[0], "auto") == (2, noise_volumes.BY_INTENSITY)
    assert noise_volumes.count_noise_volumes(series[0], 5) == (5, noise_volumes.AS_CONFIGURED)
    with pytest.raises(ConfigError, match=r"`nordic.noise_volumes` is 18.* 0 to 17"):
        noise_volumes.count_noise_volumes(series[0], 18)


def level(series, factor=1.0):
    return np.full(series[0].shape[:3], factor * np.sqrt(2) * SIGMA, np.float32)


@pytest.mark.parametrize("factor", [0.3, 1, 4])
def test_noise_map_of_about_the_right_level_is_taken(series, save, factor):
    echo = read_echo(save("m", series[0]), save("p", series[1]))
    path = save("map", level(series, factor)[..., None])
    found = read_noise_map(path, echo=echo)
    np.testing.assert_array_equal(found, level(series, factor))
    assert read_noise_map(echo=echo) is None


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda m: m / m.mean(), DataError, "median of 1, but the series fluctuates by"),
        (lambda m: 100 * m, DataError, "units of the magnitude, of real and imaginary part"),
        (lambda m: -m, DataError, "goes down to -28"),
        (lambda m: 0 * m, DataError, "no value above 0"),
        (lambda m: np.nan * m, DataError, "no value above 0"),
        (lambda m: m[:-1], GridMismatchError, r"\(14, 16, 6\)"),
    ],
)
def test_unusable_noise_maps_are_refused(series, save, change, error, message):
    echo = read_echo(save("m", series[0]), save("p", series[1]))
    path = save("map", change(level(series)))
    with pytest.raises(error, match=message) as caught:
        read_noise_map(path, echo=echo)
    assert "map.nii" in str(caught.value)


def test_holes_of_a_noise_map_are_announced(series):
    noise_map = level(series)
    noise_map[:2] = 0
    noise_map[2, 0, 0] = np.nan
    with pytest.warns(UserWarning, match="0 or not finite in 193 voxels"):
        check_noise_map(noise_map, series[0], is_complex=True)


def test_record_and_summary(series, save):
    echo = read_echo(save("m", series[0]), save("p", series[1]))
    result = nordic(echo.magnitude, echo.phase, noise_volumes=2, trim_noise_volumes=True)
    before, head = record.before_and_head(echo, result)
    assert before.shape == (*SHAPE, N - 2)
    about = record.record(echo, result, ["odd"], head, noise_map="estimated")
    assert about["Warnings"] == ["odd"]
    assert about["NoiseVolumes"]["Count"] == 2
    assert about["Result"]["threshold"] == result.threshold
    assert about["Result"]["median_noise_sd"] == pytest.approx(SIGMA, rel=0.05)
    assert about["Result"]["absolute_scale"] == result.absolute_scale
    assert not any(isinstance(value, np.ndarray) for value in about["Result"].values())
    first, second, third = record.summary(echo, about).splitlines()
    assert "2 at the end of the series (by their drop in intensity)" in first
    assert "Noise map: estimated. Measured noise: " in second
    assert third.startswith(f"Threshold {result.threshold:.4g}, ")
    free = nordic(echo.magnitude, echo.phase, method="mppca")
    about = record.record(echo, free, [], head, noise_map="estimated")
    assert about["Result"]["threshold"] is None
    assert "Marchenko-Pastur" in record.summary(echo, about)


def test_values_that_are_not_finite_do_not_reach_the_figure(series, save):
    series[0][3, 4, 5, 6] = np.nan
    with record.noting([].append) as notes:
        echo = read_echo(save("m", series[0]), save("p", series[1]))
        result = nordic(echo.magnitude, echo.phase)
    before, head = record.before_and_head(echo, result)
    assert np.isfinite(before).all()
    assert head.any()
    assert notes == ["1 values are not finite and are set to 0."]


def test_notes_are_said_although_an_error_ends_the_block():
    said = []
    with pytest.raises(DataError), record.noting(said.append):
        nordic(np.zeros((20, 20, 3, 5)))
    assert said
    assert "only 5 volumes" in said[0]
