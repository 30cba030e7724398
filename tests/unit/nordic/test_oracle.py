"""NORDIC against a plain version: one singular value decomposition per patch, double precision.

The plain version is written from the description of the method and shares no code with the
library, which never forms a patch.
"""

import dataclasses

import numpy as np
import pytest

from mebold.nordic.denoise import nordic
from mebold.nordic.patches import automatic_kernel
from mebold.nordic.rank import noise_edge

SHAPE = (17, 18, 8)
SIGMA = 20.0


@dataclasses.dataclass
class Plain:
    """Settings and results of the plain version."""

    temporal_phase: int = 1
    width: float = 10
    noise_volumes: int = 0
    method: str = "nordic"
    compat: bool = True
    gfactor_kernel: tuple = (7, 7, 1)
    gfactor_volumes: int = 90
    overlap: float = 2


def phantom(shape=SHAPE, n=20, noise_volumes=0, seed=0, empty=0):
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, k) for k in shape), indexing="ij")
    t = np.arange(n)
    signal = 800 * np.exp(-(x**2) - y**2 - z**2)
    change = 0.04 * np.cos(3 * x + y)[..., None] * np.sin(0.7 * t)
    change = change + 0.03 * np.sin(2 * y - z)[..., None] * np.cos(1.1 * t)
    angle = (2 * x * y + z)[..., None] + 0.3 * x[..., None] * np.sin(0.4 * t)
    clean = signal[..., None] * (1 + change) * np.exp(1j * angle)
    clean = np.concatenate([clean, np.zeros((*shape, noise_volumes))], axis=3)
    level = SIGMA * (1 + 0.3 * np.cos(x) * np.cos(y))[..., None]
    noise = rng.standard_normal((2, *clean.shape))
    data = clean + level * (noise[0] + 1j * noise[1])
    magnitude = np.maximum(np.rint(np.abs(data)), 1).astype(np.float32)
    phase = np.rint((np.angle(data) / (2 * np.pi) + 0.5) * 4095).astype(np.int16)
    phase.flat[:2] = 0, 4095
    if empty:
        magnitude[:, :empty] = 0
        magnitude[:, -empty:] = 0
    return magnitude, phase


def low_pass(data, width):
    weights = []
    for n in data.shape[:2]:
        m = np.arange(n)
        hann = 0.5 * (1 - np.cos(2 * np.pi * m / (n - 1)))
        weights.append(hann[(m + (n // 2 if n % 2 == 0 else (n + 1) // 2)) % n] ** width)
    window = np.multiply.outer(*weights)[:, :, None, None]
    return np.fft.fft2(np.fft.ifft2(data, axes=(0, 1)) * window, axes=(0, 1))


def unit(values):
    return np.where(values == 0, 1, values / np.where(values == 0, 1, np.abs(values)))


def first_noise_component(singular, empty_rows, m, n):
    m -= empty_rows
    if m <= 0:
        return len(singular), 0.0  # nothing removed
    limit = min(m, n)
    v = singular[:limit] ** 2 / n
    for p in range(limit):
        by_mean = v[p:].mean() / ((max(m, n) - p) / n)
        by_spread = (v[p] - v[-1]) / (4 * np.sqrt((m - p) / n))
        if by_spread < by_mean:
            return p, by_spread
    return len(singular), (v[0] - v[-1]) / (4 * np.sqrt(m / n))


def over_patches(data, kernel, overlap, compat, job):
    """Average series and one number per patch over all patches, one after the other."""
    nx, ny, nz, n = data.shape
    steps = [max(1, int(k / overlap)) for k in kernel]
    starts_x = set(range(0, nx - kernel[0], steps[0])) | {nx - kernel[0] - 1}
    starts_x |= set() if compat else {nx - kernel[0]}
    others = [
        [*range(0, size - k + 1, step), size - k]
        for size, k, step in zip((ny, nz), kernel[1:], steps[1:], strict=True)
    ]
    total, count = np.zeros_like(data), np.zeros((nx, ny, nz))
    numbers = np.zeros((2, nx, ny, nz))
    for x in starts_x:
        for y in others[0]:
            for z in others[1]:
                where = np.s_[x : x + kernel[0], y : y + kernel[1], z : z + kernel[2]]
                new, *found = job(data[where].reshape(-1, n))
                total[where] += new.reshape(data[where].shape)
                for target, number in zip(numbers, found, strict=True):
                    target[where] += number
                count[where] += 1
    with np.errstate(invalid="ignore", divide="ignore"):
        series = np.where(count[..., None] > 0, total / count[..., None], 0)
        return series, *(numbers / count)


def plain_gfactor(data, s):
    def noise_of(patch):
        singular = np.linalg.svd(patch, compute_uv=False)
        first, variance = first_noise_component(singular, (patch.sum(1) == 0).sum(), *patch.shape)
        return np.zeros_like(patch), variance, len(singular) - first

    used = data[..., : s.gfactor_volumes]
    _, variance, _ = over_patches(used, s.gfactor_kernel, 2, s.compat, noise_of)
    g = np.sqrt(variance)
    known = g[np.isfinite(g) & (g > 0)]
    if data.shape[3] < 6:
        g[~(g > 0)] = np.median(known)
    elif (g == 0).any():
        g[~(g >= 1) if s.compat else g == 0] = np.median(known)
    return g


def plain_nordic(magnitude, phase, threshold, kernel, s):
    data = magnitude.astype(float)
    n = data.shape[3]
    if phase is not None:
        data = data * np.exp(1j * (phase / 4095.0 - 0.5) * 2 * np.pi)
    scale = magnitude[..., 0][magnitude[..., 0] > 0].min()
    data = data / scale
    removed_phase = np.ones(1)
    if phase is not None and s.temporal_phase == 0:
        removed_phase = np.where(data.real < 0, -1.0, 1.0) if s.compat else removed_phase
    elif phase is not None:
        smooth = low_pass(data, s.width)
        if s.temporal_phase == 2:
            smooth = np.where(np.abs(np.angle(data * smooth.conj())) > 1, data, smooth)
        removed_phase = unit(smooth)

    g = plain_gfactor(data * removed_phase.conj(), s)
    sign = np.ones(1)
    if s.compat and phase is not None:
        mean = data[..., : n - s.noise_volumes].mean(axis=3)
        sign = np.where(mean.real < 0, -1.0, 1.0)[..., None]
    level = 1.0
    with np.errstate(invalid="ignore"):
        scaled = data / g[..., None] * sign
    if s.noise_volumes:
        last = scaled[..., n - s.noise_volumes] if s.compat else scaled[..., n - s.noise_volumes :]
        level = np.std(last[np.isfinite(last) & (last != 0)], ddof=1)
    level /= 1 if phase is None else np.sqrt(2)
    if phase is not None and s.temporal_phase == 3:
        with np.errstate(invalid="ignore"):
            own = np.abs(np.angle(scaled * smooth.conj())) > 1
            own &= np.abs(scaled) > np.sqrt(2)
        removed_phase = unit(np.where(own, scaled, smooth))
    scaled = np.nan_to_num(scaled * removed_phase.conj())

    def denoise(patch):
        left, singular, right = np.linalg.svd(patch, full_matrices=False)
        filled = (patch != 0).any(axis=1).sum()
        share = 1.0 if s.compat or not filled else noise_edge(filled, n) / noise_edge(len(patch), n)
        kept = (singular >= threshold * share).sum()
        if s.method == "mppca":
            empty = (patch.sum(1) == 0).sum()
            kept = first_noise_component(singular, empty, *patch.shape)[0]
        fraction = singular[kept:].sum() / max(singular.sum(), 1e-300)
        new = (left[:, :kept] * singular[:kept]) @ right[:kept]
        return new, len(singular) - kept, np.sqrt(fraction)

    result, components, energy = over_patches(scaled, kernel, s.overlap, s.compat, denoise)
    result = result * np.nan_to_num(g)[..., None] * removed_phase * sign * scale
    return result, g * scale, components, energy, level


CASES = {
    "even": {},
    "odd sizes": {"shape": (18, 17, 9)},
    "magnitude": {"complex": False},
    "noise volumes": {"noise_volumes": 3},
    "noise volumes, last row": {"noise_volumes": 3, "compat": False},
    "last row": {"compat": False},
    "no phase": {"temporal_phase": 0},
    "no phase, no sign flips": {"temporal_phase": 0, "compat": False},
    "phase 2": {"temporal_phase": 2},
    "phase 3": {"temporal_phase": 3, "width": 3},
    "phase 3, no sign flips": {"temporal_phase": 3, "width": 3, "compat": False},
    "phase 3, noise volumes": {"temporal_phase": 3, "noise_volumes": 2},
    "few slices": {"shape": (19, 18, 3), "n": 20},
    "one slice": {"shape": (19, 18, 1), "n": 20},
    "short": {"n": 5},
    "long": {"n": 40, "gfactor_volumes": 30},
    "empty border": {"empty": 2},
    "empty border, its own threshold": {"empty": 2, "compat": False},
    "empty patches": {"shape": (14, 34, 7), "empty": 10, "compat": False},
    "Marchenko-Pastur": {"method": "mppca"},
    "Marchenko-Pastur, empty patches": {"shape": (14, 24, 7), "empty": 6, "method": "mppca"},
    "Marchenko-Pastur, magnitude": {"method": "mppca", "complex": False},
    "odd, short, noise volume": {"shape": (17, 19, 5), "n": 7, "noise_volumes": 1},
    "few slices, odd, empty border": {"shape": (19, 21, 2), "n": 11, "empty": 3},
    "more overlap": {"overlap": 3},
    "no overlap, magnitude": {"overlap": 1, "complex": False},
    "loud": {"gain": 37.5},
    "quiet magnitude": {"gain": 1e-3, "complex": False},
    "other kernels": {"kernel": (5, 4, 6), "gfactor_kernel": (6, 5, 3)},
    "more volumes than voxels": {"n": 36, "kernel": (4, 4, 2)},
    "keep most": {"threshold": 8.0},
}


@pytest.mark.filterwarnings("ignore:The series has only 5 volumes")
@pytest.mark.parametrize("name", CASES)
def test_equals_plain_version(name):
    case = dict(CASES[name])
    given = {key: case.pop(key) for key in ("shape", "n", "empty") if key in case}
    complex_data = case.pop("complex", True)
    kernel, threshold = case.pop("kernel", None), case.pop("threshold", None)
    gain = np.float32(case.pop("gain", 1))
    s = Plain(**case)
    magnitude, phase = phantom(noise_volumes=s.noise_volumes, **given)
    magnitude, phase = magnitude * gain, phase if complex_data else None
    result = nordic(
        magnitude,
        phase,
        noise_volumes=s.noise_volumes,
        method=s.method,
        temporal_phase=s.temporal_phase,
        phase_filter_width=s.width,
        kernel_size=kernel,
        patch_overlap=s.overlap,
        gfactor_kernel_size=s.gfactor_kernel,
        gfactor_volumes=s.gfactor_volumes,
        threshold=threshold,
        compat=s.compat,
    )
    kernel = automatic_kernel(magnitude.shape[:3], magnitude.shape[3], kernel)
    expected, gfactor, components, energy, level = plain_nordic(
        magnitude, phase, result.threshold, kernel, s
    )
    rms = np.sqrt(np.mean(np.abs(expected) ** 2))
    output = result.magnitude
    if complex_data:
        output = output * np.exp(1j * (result.phase / 4095.0 - 0.5) * 2 * np.pi)
    else:
        expected = np.abs(expected)
    assert np.sqrt(np.mean(np.abs(output - expected) ** 2)) <= 1e-6 * rms
    np.testing.assert_allclose(result.gfactor, gfactor, rtol=1e-5)
    np.testing.assert_allclose(result.components_removed, components, rtol=1e-5)
    np.testing.assert_allclose(result.energy_removed, energy, rtol=1e-5, atol=1e-6)
    assert result.noise_level == pytest.approx(level, rel=1e-6)


def test_empty_voxels_stay_empty():
    magnitude, phase = phantom(shape=(14, 34, 7), empty=10)
    result = nordic(magnitude, phase, gfactor_kernel_size=(7, 7, 1))
    assert not result.magnitude[:, :10].any()
    assert result.magnitude[:, 14:20].all()


def test_compat_fills_empty_voxels_with_seeded_noise():
    magnitude, phase = phantom(shape=(14, 34, 7), empty=10)
    options = {"gfactor_kernel_size": (7, 7, 1), "compat": True}
    first, again, other = (nordic(magnitude, phase, seed=k, **options) for k in (1, 1, 2))
    assert first.magnitude[:-1, :10].any()
    np.testing.assert_array_equal(first.magnitude, again.magnitude)
    assert np.abs(first.magnitude - other.magnitude)[:, :10].max() > 0
    np.testing.assert_allclose(first.magnitude[:, 17], other.magnitude[:, 17], rtol=1e-5)
