"""Parts of NORDIC with analytic expectations: spectra, patches, Gram matrices, phase."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.linalg import lapack

from mebold.errors import DataError
from mebold.nordic import grams, noise_map, patches
from mebold.nordic.phase import SliceModel, full_turn_range, low_pass_factors, window
from mebold.nordic.rank import Rule, bulk_variance, decompose, marchenko_pastur, noise_edge


def random_complex(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@pytest.mark.parametrize(
    ("rows", "columns"), [(512, 48), (343, 30), (125, 60), (30, 90), (125, 12), (64, 5), (1, 20)]
)
def test_closed_form_edge_agrees_with_simulation(rows, columns):
    simulated = noise_edge(rows, columns, draws=4000 if rows * columns < 2000 else 400, seed=1)
    assert noise_edge(rows, columns) == pytest.approx(simulated, rel=3e-3)


def test_edge_has_the_simulated_values_of_usual_patches():
    values = [noise_edge(*shape) for shape in ((512, 48), (1728, 160), (343, 30))]
    np.testing.assert_allclose(values, [29.17, 53.87, 23.56], rtol=1e-3)


def spectrum(values, n):
    return np.asarray(values, dtype=float)[None] * n


def test_marchenko_pastur_by_hand():
    # m = n = 4: v = 9, 2, 1, 1. p=0: spread 8/4=2 < mean 13/4: already the first fits.
    first, variance = marchenko_pastur(spectrum([9, 2, 1, 1], 4), np.array([4]), 4)
    assert (first[0], variance[0]) == (0, 2.0)
    # v = 101, 2, 1, 1. p=0: spread 25 > mean 26.25? 25 < 26.25 fits as well.
    # With m = 16 rows: p=0: spread 100/8=12.5 > 26.25/4; p=1: spread 1/(4*sqrt(15/4)).
    first, variance = marchenko_pastur(spectrum([101, 2, 1, 1], 4), np.array([16]), 4)
    assert first[0] == 1
    assert variance[0] == pytest.approx(1 / (4 * np.sqrt(15 / 4)))


def test_marchenko_pastur_without_rows_removes_nothing():
    first, variance = marchenko_pastur(np.zeros((1, 5)), np.array([0]), 5)
    assert (first[0], variance[0]) == (5, 0.0)


def test_marchenko_pastur_finds_rank_and_noise():
    rng = np.random.default_rng(0)
    m, n, sigma = 600, 60, 3.0
    signal = 40 * random_complex(rng, m, 4) @ random_complex(rng, 4, n)
    data = signal + sigma * random_complex(rng, m, n)
    values = np.linalg.svd(data, compute_uv=False)[None] ** 2
    first, variance = marchenko_pastur(values, np.array([m]), n)
    assert first[0] == 4
    assert variance[0] == pytest.approx(2 * sigma**2, rel=0.15)


def test_fewer_rows_than_columns_ignore_the_empty_rest():
    rng = np.random.default_rng(1)
    data = random_complex(rng, 20, 50)
    values = np.zeros((1, 50))
    values[0, :20] = np.linalg.svd(data, compute_uv=False) ** 2
    noisy = values + 1e-9
    for spectrum_of in (values, noisy):
        first, variance = marchenko_pastur(spectrum_of, np.array([20]), 50)
        assert first[0] == 0
        assert variance[0] == pytest.approx(2, rel=0.2)


@pytest.mark.parametrize("rank", [0, 6])
@pytest.mark.parametrize(("rows", "columns"), [(1000, 100), (343, 30), (60, 125), (90, 90)])
def test_lower_half_of_the_spectrum_gives_the_variance(rows, columns, rank):
    rng = np.random.default_rng(8)
    found = []
    for _ in range(6):
        signal = random_complex(rng, rows, rank) @ random_complex(rng, rank, columns)
        data = 5 * signal + 3 * random_complex(rng, rows, columns)
        values = np.linalg.svd(data, compute_uv=False) ** 2
        found.append(bulk_variance(values, rows, columns))
    assert np.mean(found) == pytest.approx(18, rel=0.02)


def test_variance_of_very_few_components_is_unknown():
    assert np.isnan(bulk_variance(np.array([5.0, 2, 1]), 3, 10))


@pytest.mark.parametrize("kept", [0, 1, 5, 9, 10])
@pytest.mark.parametrize("real", [False, True])
def test_projector_keeps_the_largest_components(kept, real):
    rng = np.random.default_rng(2)
    data = random_complex(rng, 40, 10)
    data = data.real if real else data
    left, singular, right = np.linalg.svd(data, full_matrices=False)
    edges = np.concatenate([[2 * singular[0]], singular, [0]])
    threshold = (edges[kept] + edges[kept + 1]) / 2
    gram = (data.conj().T @ data).T[None]
    result = decompose(
        np.ascontiguousarray(gram), np.array([40]), Rule(10, 40, threshold, by_filled_rows=True)
    )
    expected = (left[:, :kept] * singular[:kept]) @ right[:kept]
    np.testing.assert_allclose(data @ result.projectors[0], expected, atol=1e-5)
    assert result.components_removed[0] == 10 - kept
    assert result.energy_removed[0] ** 2 == pytest.approx(singular[kept:].sum() / singular.sum())
    if kept < 10:
        # The level does not depend on how many components of the noise stay.
        variance = bulk_variance(singular**2, 40, 10)
        assert result.noise_variance[0] == pytest.approx(variance)
    else:
        assert np.isnan(result.noise_variance[0])


@pytest.mark.parametrize("bad", ["info", "vectors"])
def test_failure_of_the_fast_eigenvectors_is_caught(bad, monkeypatch):
    rng = np.random.default_rng(3)
    data = random_complex(rng, 30, 8)
    gram = np.ascontiguousarray((data.conj().T @ data).T)
    true = lapack.dstemr

    def broken(*arguments):
        found, values, columns, info = true(*arguments)
        if bad == "info":
            return found, values, columns, 1
        return found, values, columns * 1.001, info

    form = grams.Tridiagonal.of(gram)
    expected = form.vectors(5, 8)
    monkeypatch.setattr(lapack, "dstemr", broken)
    calls = []
    eigh = np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: calls.append(1) or eigh(matrix))
    found = form.vectors(5, 8)
    assert calls
    overlap = np.abs(np.sum(found.conj() * expected, axis=0))
    np.testing.assert_allclose(overlap, 1, atol=1e-10)


def test_equal_eigenvalues_give_orthonormal_vectors():
    gram = np.diag([0.0, 0, 0, 2, 2, 2, 5]).astype(complex)
    vectors = grams.Tridiagonal.of(gram).vectors(3, 7)
    np.testing.assert_allclose(vectors.conj().T @ vectors, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(
        vectors @ vectors.conj().T, np.diag([0, 0, 0, 1, 1, 1, 1]), atol=1e-12
    )
    np.testing.assert_allclose(
        grams.eigenvalues(gram[None].copy()), [[5, 2, 2, 2, 0, 0, 0]], atol=1e-12
    )


@pytest.mark.parametrize("is_complex", [True, False])
def test_packed_matrix_is_the_gram_matrix(is_complex):
    rng = np.random.default_rng(4)
    data = random_complex(rng, 12, 6) if is_complex else rng.standard_normal((12, 6))
    parts = [data.real, data.imag] if is_complex else [data]
    packed = grams.pack(parts, np.triu(np.ones((6, 6), bool), 1))
    assert packed.dtype == np.float64
    gram = data.conj().T @ data
    upper = np.triu_indices(6, 1)
    found = grams.unpack(packed, is_complex=is_complex)
    np.testing.assert_allclose(found[upper], gram.T[upper], atol=1e-12)
    np.testing.assert_allclose(np.diag(found).real, np.diag(gram).real)


@pytest.mark.parametrize(("kernel", "overlap"), [((4, 4, 4), 2), ((5, 3, 2), 2), ((5, 6, 3), 3.5)])
def test_pieces_add_up_to_the_gram_matrix_of_every_patch(kernel, overlap):
    rng = np.random.default_rng(5)
    shape, n = (11, 9, 7), 5
    parts = [rng.standard_normal((*shape, n)).astype(np.float32) for _ in range(2)]
    data = parts[0] + 1j * parts[1]
    axes = patches.patch_axes(shape, kernel, overlap, compat=False, name="kernel_size")
    with ThreadPoolExecutor(2) as pool:
        for i, terms in grams.gram_layers(parts, axes, n, pool):
            for j, y in enumerate(axes[1].positions):
                row = grams.row_of_grams(terms, j, is_complex=True)
                for k, z in enumerate(axes[2].positions):
                    x = axes[0].positions[i]
                    patch = data[x : x + kernel[0], y : y + kernel[1], z : z + kernel[2]]
                    patch = patch.reshape(-1, n).astype(complex)
                    expected = np.triu((patch.conj().T @ patch).T)
                    np.testing.assert_allclose(np.triu(row[k]), expected, atol=1e-9)


def test_patch_positions():
    first = patches.first_axis(28, 8, 2, compat=True)
    assert first.positions == (0, 4, 8, 12, 16, 19)
    assert first.coverage[-1] == 0
    assert patches.first_axis(28, 8, 2, compat=False).positions[-2:] == (19, 20)
    assert patches.first_axis(8, 8, 2, compat=False).positions == (0,)
    other = patches.other_axis(28, 8, 2)
    assert other.positions == (0, 4, 8, 12, 16, 20)
    assert other.weights == (1, 1, 1, 1, 1, 2)
    assert patches.other_axis(27, 8, 2).weights == (1,) * 6


def test_cells_fill_the_axis_and_know_their_patches():
    axis = patches.first_axis(23, 7, 2, compat=False)
    edges = [start for start, _ in axis.cells] + [axis.cells[-1][1]]
    assert edges == sorted(set(edges))
    assert (edges[0], edges[-1]) == (0, 23)
    for (start, stop), covered in zip(axis.cells, axis.cell_patches, strict=True):
        for voxel in range(start, stop):
            inside = [i for i, p in enumerate(axis.positions) if p <= voxel < p + 7]
            assert list(covered) == inside


def test_kernel_rules():
    kernels = [patches.automatic_kernel((90, 110, 60), n, None)[0] for n in (48, 160, 300)]
    assert kernels == [8, 12, 15]
    assert patches.automatic_kernel((90, 110, 8), 160, None) == (15, 15, 8)
    assert patches.automatic_kernel((90, 110, 8), 160, (5, 5, 9)) == (15, 15, 8)
    assert patches.automatic_kernel((90, 110, 8), 160, (5, 6, 7)) == (5, 6, 7)


def test_spread_is_the_mean_over_covering_patches():
    axes = patches.patch_axes((9, 8, 5), (4, 4, 2), 2, compat=True, name="kernel_size")
    rng = np.random.default_rng(6)
    values = rng.standard_normal([len(axis.positions) for axis in axes])
    total, count = np.zeros((9, 8, 5)), np.zeros((9, 8, 5))
    for i, x in enumerate(axes[0].positions):
        for j, y in enumerate(axes[1].positions):
            for k, z in enumerate(axes[2].positions):
                weight = axes[1].weights[j] * axes[2].weights[k]
                where = np.s_[x : x + 4, y : y + 4, z : z + 2]
                total[where] += weight * values[i, j, k]
                count[where] += weight
    found = patches.spread(values, axes)
    np.testing.assert_allclose(found[:-1], (total / np.maximum(count, 1))[:-1])
    assert np.isnan(found[-1]).all()
    sums = patches.box_sums(np.ones((9, 8, 5), int), axes)
    assert (sums == 32).all()


@pytest.mark.parametrize("n", [1, 2, 6, 7, 16, 27])
def test_real_matrix_and_ramp_are_the_fourier_filter(n):
    rng = np.random.default_rng(n)
    data = random_complex(rng, n)
    weights = window(n, 3)
    expected = np.fft.fft(weights * np.fft.ifft(data))
    matrix, ramp = low_pass_factors(n, 3)
    found = np.exp(1j * ramp) * (matrix @ (np.exp(-1j * ramp) * data))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_window_is_off_centre_as_in_the_reference():
    np.testing.assert_allclose(window(4, 1), [0.75, 0, 0, 0.75], atol=1e-12)
    np.testing.assert_allclose(window(5, 1), [0.5, 0, 0, 0.5, 1], atol=1e-12)


def test_stabilised_phase_is_restored():
    rng = np.random.default_rng(7)
    magnitude = rng.uniform(1, 5, (9, 8, 2, 3)).astype(np.float32)
    phase = rng.uniform(-np.pi, np.pi, magnitude.shape).astype(np.float32)
    for temporal_phase in range(4):
        model = SliceModel(magnitude, phase, 2.0, (-np.pi, np.pi), temporal_phase, 3, compat=True)
        parts = [np.empty(magnitude.shape, np.float32) for _ in range(2)]
        gfactor = np.full((9, 8), 1.5, np.float32)
        for z in range(2):
            model.stabilise(parts, z, gfactor)
            model.restore(parts, z, gfactor, with_phase=True)
        np.testing.assert_allclose(parts[0], magnitude, rtol=1e-5)
        np.testing.assert_allclose(np.exp(1j * parts[1]), np.exp(1j * phase), atol=1e-5)


def test_smooth_phase_is_removed():
    x, y = np.meshgrid(np.linspace(-1, 1, 20), np.linspace(-1, 1, 22), indexing="ij")
    phase = np.broadcast_to((x * y)[..., None, None] + np.array([0.0, 1, 2]), (20, 22, 1, 3))
    model = SliceModel(np.ones((20, 22, 1, 3)), phase, 1.0, (-np.pi, np.pi), 1, 10, compat=False)
    parts = [np.empty((20, 22, 1, 3), np.float32) for _ in range(2)]
    model.stabilise(parts, 0)
    inner = np.arctan2(parts[1], parts[0])[4:-4, 4:-4]
    assert np.abs(inner).max() < 0.1


@pytest.mark.parametrize("turn", [2 * np.pi, 360, 4095, 8190, 65535])
def test_usual_phase_units_are_full_turns(turn):
    assert full_turn_range(np.array([0, turn / 3, turn])) == (0, turn)


@pytest.mark.parametrize("span", [np.pi, 13.0, 3000, 5000])
def test_other_phase_spans_are_announced(span):
    with pytest.warns(UserWarning, match="no usual full turn"):
        full_turn_range(np.array([0, span]))


def test_measured_level():
    rng = np.random.default_rng(8)
    noise = 3 * rng.standard_normal((2, 20, 20, 20)) + 1
    gfactor = np.full((20, 20, 20), 1.5)
    gfactor[0] = np.nan
    noise[:, 1] = 0
    level = noise_map.measured_level([list(noise)], gfactor)
    assert level == pytest.approx(2, rel=0.02)
    with pytest.raises(DataError, match="noise volumes are empty"):
        noise_map.measured_level([list(0 * noise)], gfactor)


def test_gfactor_repair():
    gfactor = np.array([[[np.nan, 0, 0.5, 2, 4, 6]]])
    default, empty = noise_map.repair_gfactor(gfactor, 30, compat=False)
    assert empty
    np.testing.assert_array_equal(default[0, 0], [np.nan, 3, 0.5, 2, 4, 6])
    compat, _ = noise_map.repair_gfactor(gfactor, 30, compat=True)
    np.testing.assert_array_equal(compat[0, 0], [3, 3, 3, 2, 4, 6])
    short, empty = noise_map.repair_gfactor(gfactor, 5, compat=True)
    assert not empty
    np.testing.assert_array_equal(short[0, 0], [3, 3, 0.5, 2, 4, 6])


def test_smallest_magnitude_skips_empty_volumes():
    magnitude = np.zeros((2, 2, 1, 3), np.float32)
    magnitude[..., 1] = [[[3], [2]], [[0], [np.nan]]]
    assert noise_map.smallest_magnitude(magnitude) == 2
