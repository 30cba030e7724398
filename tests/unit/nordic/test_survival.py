"""What survives NORDIC, predicted, against random matrices and against the denoiser itself."""

import numpy as np
import pytest
import responding_head
from denoised_head import denoised, patches_of

from mebold.errors import ConfigError, DataError, GridMismatchError
from mebold.nordic import survival
from mebold.nordic.rank import noise_edge

SHARED = (0.3, 0.9, 1.4, 3.0)
IMAGES = (1.0, 3.0, 6.0)
CONDITIONS = {
    "phase": {},
    "magnitude only": {"with_phase": False},
    "many respond": {"share": 0.4},
    "low SNR, long run": {"snr": 20, "n": 200},
    "drifts, breathing, own fluctuations": {"structure": True, "own_fluctuation": 0.01},
    "correlated noise": {"noise_spread": 0.5},
}
ONE = {"dimensions": 1}


@pytest.mark.parametrize(("rows", "columns"), [(1000, 100), (343, 120), (90, 90)])
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("relative", [1.5, 2.5])
def test_formulas_agree_with_random_matrices(rows, columns, is_complex, relative):
    rng = np.random.default_rng(1)
    variance = 1.7
    critical = np.sqrt(survival.critical_power(rows, columns, variance))
    singular = relative * critical
    seen, kept = [], []
    for _ in range(30):
        u, v = rng.standard_normal(rows), rng.standard_normal(columns)
        truth = singular * np.outer(u / np.linalg.norm(u), v / np.linalg.norm(v))
        noise = rng.standard_normal((rows, columns))
        if is_complex:
            noise = (noise + 1j * rng.standard_normal((rows, columns))) / np.sqrt(2)
        left, values, right = np.linalg.svd(truth + np.sqrt(variance) * noise, full_matrices=False)
        first = values[0] * np.outer(left[:, 0], right[0])
        seen.append(values[0])
        kept.append(np.sum(first.real * truth) / np.sum(truth**2))
    about = {"rows": rows, "columns": columns, "variance": variance}
    expected = survival.observed_singular_value(singular, **about)
    assert np.mean(seen) == pytest.approx(expected, rel=0.015)
    share = survival.share_kept(singular, **about, threshold=0)
    assert np.mean(kept) == pytest.approx(share, abs=0.06)
    assert survival.share_kept(singular, **about, threshold=1.01 * expected) == 0
    assert survival.share_kept(0.9 * critical, **about, threshold=0) == 0


def test_energy_of_a_design():
    rows = np.array([[1.0, 0, 0, 0], [0, 0, 1.0, 0]])
    design = survival.design_energy(rows)
    assert design.shared == pytest.approx(1.0)  # 1 0 1 0 without its mean: four quarters
    assert design.images == pytest.approx([1.0])  # (1 0 -1 0) / 2, twice
    with pytest.raises(DataError, match="two or more"):
        survival.design_energy(rows[:1])
    with pytest.raises(DataError, match="no effect"):
        survival.design_energy(np.ones((3, 10)))


def kept_of(kind, amplitude, without, **options):
    """Share of a response that NORDIC keeps: predicted, and measured beside a run without it."""
    name = "percent" if kind == "shared" else "images_percent"
    run = responding_head.make(**{"percent": 0.0, name: amplitude} | options)
    result = denoised(run)
    design = survival.design_energy(run.regressors)
    found = patches_of(run, result, run.responding)
    other = 1 - result.components_removed / run.magnitude.shape[3]
    if options.get("dimensions"):
        realised = responding_head.realised_sd(run, design.images.sum())
        share = survival.together(found.dimension_kept(realised, design), other)
    elif kind == "shared":
        by_mean = survival.spread(found.responding, found.axes)
        share = survival.together(found.shared_kept(amplitude, design), by_mean, other)
    else:
        share = survival.together(found.images_kept(amplitude, design), other)
    truth = getattr(run, kind)
    change = (result.magnitude - without.magnitude)[run.responding]
    return float(share[run.responding].mean()), responding_head.share_of(truth, change)


@pytest.fixture(scope="module")
def shares():
    """Pairs (predicted, measured) by condition and kind."""
    found = {}
    for name, options in CONDITIONS.items():
        without = denoised(responding_head.make(percent=0.0, **options))
        for kind, amplitudes in (("shared", SHARED), ("images", IMAGES)):
            pairs = [kept_of(kind, amplitude, without, **options) for amplitude in amplitudes]
            found[name, kind] = np.array(pairs)
    without = denoised(responding_head.make(percent=0.0, **ONE))
    pairs = [kept_of("images", amplitude, without, **ONE) for amplitude in (0.2, 0.6, 1.5)]
    return found | {("one dimension", "images"): np.array(pairs)}


def test_predicted_shares_are_those_that_the_denoiser_keeps(shares):
    for (name, kind), pairs in shares.items():
        predicted, measured = pairs.T
        assert np.corrcoef(predicted, measured)[0, 1] > 0.95, (name, kind, pairs)
    predicted, measured = np.concatenate(list(shares.values())).T
    assert np.corrcoef(predicted, measured)[0, 1] > 0.95
    assert np.abs(predicted - measured).mean() < 0.08


@pytest.mark.parametrize("kind", ["shared", "images"])
@pytest.mark.parametrize("with_phase", [True, False])
def test_half_of_the_weakest_response_survives(kind, with_phase):
    options = {"with_phase": with_phase, "shape": (24, 26, 18), "seed": 5}
    quiet = responding_head.make(percent=0.0, **options)
    without = denoised(quiet)
    design = survival.design_energy(quiet.regressors)
    weakest = patches_of(quiet, without, 0.15).weakest(design, kind=kind, kept=0.5)
    amplitude = float(np.median(weakest[quiet.responding]))
    share, _ = kept_of(kind, amplitude, without, **options)
    assert share == pytest.approx(0.55, abs=0.1)  # half by itself, the rest as `together` says
    _, strong = kept_of(kind, 2 * amplitude, without, **options)
    _, weak = kept_of(kind, amplitude / 3, without, **options)
    assert strong > 0.75
    assert weak < 0.4


def test_weakest_response_scales_as_it_should():
    shape, n = (20, 20, 20), 100
    signal, noise = np.full(shape, 1000.0), np.full(shape, 20.0)
    options = {
        "is_complex": False,
        "n_volumes": n,
        "threshold": noise_edge(1000, n),
        "kernel_size": (10, 10, 10),
        "patch_overlap": 2,
        "compat": False,
        "responding": 0.1,
    }
    rng = np.random.default_rng(0)
    design = survival.design_energy(rng.standard_normal((30, n)))

    def weakest(signal, gfactor, noise_sd, **changes):
        found = survival.patches_of(signal, gfactor, noise_sd, **options | changes)
        maps = [found.weakest(design, kind=kind, kept=0.5) for kind in ("shared", "images")]
        assert all(np.ptp(values) < 1e-3 * values.max() for values in maps)
        return np.array([values[10, 10, 10] for values in maps])

    usual = weakest(signal, noise, noise)
    found = survival.patches_of(signal, noise, noise, **options)
    along_one = found.weakest(design, kind="dimension", kept=0.5)[10, 10, 10]
    energy = 0.9 * design.shared / design.images.sum()
    assert along_one == pytest.approx(usual[0] * np.sqrt(energy), rel=0.02)
    assert along_one < usual[1] / 3
    np.testing.assert_allclose(weakest(2 * signal, noise, noise), usual / 2, rtol=0.02)
    # A complex series of the same noise per channel has as much again in the other channel.
    both = weakest(signal, np.sqrt(2) * noise, noise, is_complex=True)
    np.testing.assert_allclose(both, np.sqrt(2) * usual, rtol=0.02)
    more = weakest(signal, noise, noise, responding=0.4)
    np.testing.assert_allclose(more, usual * [np.sqrt(0.09 / 0.24), 0.5], rtol=0.02)
    # A noise map that is too high hides more, one that is too low less, down to the edge.
    assert (weakest(signal, 1.1 * noise, noise) > 1.1 * usual).all()
    assert (weakest(signal, noise, noise, threshold=None) <= usual * 1.02).all()
    power = usual[0] ** 2 / 1e4 * 0.09 * 1000 * 50**2 * design.shared
    assert power == pytest.approx(np.sqrt(2 * 1000 * n), rel=0.05)  # s^4 = 2 v^2 M N keeps half


def test_air_and_unusable_input():
    shape = (14, 14, 14)
    signal, noise = np.full(shape, 1000.0), np.full(shape, 20.0)
    signal[:, :, 6:] = 0
    noise[0, 0, 0] = np.nan
    options = {
        "is_complex": True,
        "n_volumes": 60,
        "threshold": noise_edge(216, 60),
        "kernel_size": (6, 6, 6),
        "patch_overlap": 2,
        "compat": False,
    }
    design = survival.design_energy(np.random.default_rng(0).standard_normal((20, 60)))
    found = survival.patches_of(signal, noise, noise, responding=0.1, **options)
    weakest = found.weakest(design, kind="shared", kept=0.5)
    assert np.isfinite(weakest).all()
    assert weakest[7, 7, 13] == 100
    assert weakest[7, 7, 2] < 10
    with pytest.raises(ConfigError, match="0 to 1"):
        survival.patches_of(signal, noise, noise, responding=0.0, **options)
    with pytest.raises(GridMismatchError):
        survival.patches_of(signal[1:], noise, noise, responding=0.1, **options)
