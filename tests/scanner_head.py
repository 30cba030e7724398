"""A head as a scanner sees it in gradient-echo fieldmaps and EPI, with a field that is known.

Nothing of the estimators is used: tissue from the MNI152 template, a scalp of muscle and fat
(3.4 ppm), steady-state contrast, T2* decay, an array of coils, a field of smooth shim terms and
sources at the sinuses and ear canals, signals summed over points inside each voxel (so steep
fields lose signal), complex noise. Head points are MNI mm; a pose takes them to a scanner's world.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from mebold.anat import mni
from mebold.geometry import affines

#: Tissue: proton density, T1 (s) at 3T and 7T, T2* (s) at 3T and 7T.
TISSUES = {
    "gm": (0.82, 1.45, 1.95, 0.050, 0.033),
    "wm": (0.70, 0.85, 1.20, 0.045, 0.027),
    "csf": (1.00, 4.20, 4.30, 0.300, 0.100),
    "muscle": (0.80, 1.40, 1.70, 0.030, 0.020),
    "fat": (0.95, 0.38, 0.45, 0.040, 0.025),
}
#: Shim terms: constant, gradients (Hz/mm), xx yy zz xy xz yz (Hz/mm^2).
_SHIM = (12.0, 0.10, -0.25, 0.20, 0.002, -0.004, 0.003, 0.001, -0.002, 0.003)
#: Sources: place (mm), height (Hz), width (mm). A fall to 9 % within two widths.
_SOURCES = (
    ((4.0, 42.0, -27.0), 185.0, 10.0),
    ((-52.0, -22.0, -38.0), 170.0, 9.0),
    ((53.0, -24.0, -37.0), 160.0, 9.0),
    ((-12.0, 8.0, -31.0), -150.0, 10.0),
)
_COILS = [
    (100.0 * np.sin(t) * np.cos(a), -18.0 + 120.0 * np.cos(t) * np.cos(a), 110.0 * np.sin(a) + 5.0)
    for a in (0.0, 0.7)
    for t in np.arange(0, 2 * np.pi, np.pi / 4) + 0.3
]


class Gre(NamedTuple):
    """A fieldmap: stored phase -4096..4095, two magnitudes (x, y, z), affine, delta TE (s)."""

    phasediff: np.ndarray
    magnitudes: tuple[np.ndarray, np.ndarray]
    affine: np.ndarray
    delta_s: float


def field_hz(points: np.ndarray) -> np.ndarray:
    """Return the true field at head points (..., 3), Hz."""
    x, y, z = np.moveaxis(points, -1, 0)
    terms = (1.0, x, y, z, x * x, y * y, z * z, x * y, x * z, y * z)
    found = sum(c * t for c, t in zip(_SHIM, terms, strict=True))
    for place, height, width in _SOURCES:
        squared = ((points - np.array(place)) ** 2).sum(axis=-1) / width**2
        found = found + height / (1.0 + squared) ** 1.5
    return found


def gradient_hz_mm(points: np.ndarray) -> np.ndarray:
    """Return the length of the gradient of the true field at head points (..., 3), Hz/mm."""
    parts = [field_hz(points + e) - field_hz(points - e) for e in 0.25 * np.eye(3)]
    return np.sqrt(np.sum(np.square(parts), axis=0)) / 0.5


@lru_cache(maxsize=1)
def tissue() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return fractions of every tissue and the brain on 2 mm voxels, and the affine."""
    maps, affine = mni.load_template(2.0)
    pad = 12
    maps = {name: np.pad(data, pad) for name, data in maps.items()}
    affine = affine.copy()
    affine[:3, 3] = affines.apply(affine, np.full(3, -pad))
    brain = maps["brain"]
    distance = ndimage.distance_transform_edt(brain < 0.5, sampling=affines.voxel_sizes(affine))
    points = affines.grid_points(brain.shape, affine).reshape(*brain.shape, 3)
    cavity = np.zeros(brain.shape, bool)
    for place, _, _ in _SOURCES:
        cavity |= ((points - np.array(place)) ** 2).sum(axis=-1) < 11.0**2
    gm, wm = maps["gm"], maps["wm"]
    csf = np.clip(brain - gm - wm, 0.0, 1.0)
    # Cerebrospinal fluid outside the pia, then bone without signal, muscle, fat, skin.
    csf = np.where((distance > 0) & (distance <= 2.1), 0.8 * (brain < 0.5), csf)
    lower = points[..., 2] < -35.0  # tissue below the skull touches the brain stem
    muscle = ((distance > 8.0) & (distance <= 11.0)) | (lower & (distance > 4) & (distance < 11))
    fat = (distance > 11.0) & (distance <= 16.0)
    orbits = [((points - np.array([s * 30.0, 62.0, -34.0])) ** 2).sum(-1) for s in (-1, 1)]
    eyes = np.min(orbits, axis=0)
    fat |= (eyes < 19.0**2) & (distance > 4)
    found = {"gm": gm, "wm": wm, "csf": csf, "muscle": muscle & ~fat, "fat": fat}
    gas = cavity & (brain < 0.5)
    found = {name: np.where(gas, 0.0, data).astype(np.float32) for name, data in found.items()}
    return found | {"brain": brain}, affine


def brain_points() -> np.ndarray:
    """Return the head points (N, 3) of all voxels of the brain, lost in any image or not."""
    maps, affine = tissue()
    return affines.grid_points(maps["brain"].shape, affine, maps["brain"] > 0.5)


def sensitivity(points: np.ndarray) -> np.ndarray:
    """Return the receive bias of the array at head points: root of the sum of squares."""
    squares = [
        (1.0 / (((points - np.array(c)) ** 2).sum(-1) / 50.0**2 + 0.25)) ** 2 for c in _COILS
    ]
    return np.sqrt(np.sum(squares, axis=0)) ** 1.5


def grid(voxel_mm, extent_mm=(200.0, 236.0, 176.0), turn=(4.0, -3.0, 2.0)):
    """Return shape and affine (LPS axes, oblique) of an image around the head in its own world."""
    sizes = np.broadcast_to(np.asarray(voxel_mm, float), 3)
    shape = tuple(int(n) for n in np.round(np.array(extent_mm) / sizes))
    turned = affines.rigid_matrix([0, 0, 0, *np.deg2rad(turn)], np.zeros(3))
    affine = turned @ np.diag([-sizes[0], -sizes[1], sizes[2], 1.0])
    affine[:3, 3] = np.array([0.0, -16.0, 6.0]) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return shape, affine


def near_air(shape, affine, pose, radius_mm=18.0):
    """Return the voxels near the sources, which brain masks tend to lose."""
    points = affines.apply(np.linalg.inv(pose), affines.grid_points(shape, affine))
    near = [((points - np.array(s[0])) ** 2).sum(-1) < radius_mm**2 for s in _SOURCES]
    return np.any(near, axis=0).reshape(shape)


def weights(tesla, tr_s, flip_deg):
    """Return the steady-state signal of every tissue, spoiled gradient echo."""
    angle = np.deg2rad(flip_deg)
    found = {}
    for name, (density, *times) in TISSUES.items():
        e1 = np.exp(-tr_s / times[tesla > 5])
        found[name] = density * np.sin(angle) * (1 - e1) / (1 - np.cos(angle) * e1)
    return found


def _read(points):
    """Return the tissue fractions at head points (N, 3), linear."""
    maps, affine = tissue()
    voxels = affines.apply(np.linalg.inv(affine), points).T.astype(np.float32)
    return {
        name: ndimage.map_coordinates(maps[name], voxels, order=1, output=np.float32)
        for name in TISSUES
    }


def gre(
    voxel_mm, delta_s, *, pose, seed, snr, tesla=7.0, tr_s=0.6, flip_deg=20.0, te_s=0.005,
    zeroed=False, fat=1.0, extent_mm=(200.0, 236.0, 176.0), points_per_mm=1.0,
):  # fmt: skip
    """Acquire a gradient-echo fieldmap: `snr` is that of the mean white matter at the first echo.

    `fat` is the share of the scalp's signal (fat and muscle) that saturation leaves.
    """
    shape, affine = grid(voxel_mm, extent_mm)
    back = np.linalg.inv(pose) @ affine  # voxels to head points
    n = max(2, int(np.ceil(np.max(voxel_mm) * points_per_mm)))
    offsets = (np.arange(n) + 0.5) / n - 0.5
    signal = weights(tesla, tr_s, flip_deg)
    signal |= {name: fat * signal[name] for name in ("fat", "muscle")}
    times = (te_s, te_s + delta_s)
    echoes = np.zeros((2, *shape), np.complex64)
    base = np.indices(shape).reshape(3, -1).T.astype(np.float32)
    fat_hz = -3.4e-6 * 42.577e6 * tesla
    for offset in np.stack(np.meshgrid(offsets, offsets, offsets), -1).reshape(-1, 3):
        points = affines.apply(back, base + offset).astype(np.float32)
        parts = _read(points)
        some = np.flatnonzero(sum(parts.values()) > 1e-3)
        hertz = field_hz(points[some])
        for k, te in enumerate(times):
            total = 0.0
            for name, part in parts.items():
                decay = np.exp(-te / TISSUES[name][3 + (tesla > 5)])
                off = np.exp(2j * np.pi * fat_hz * te) if name == "fat" else 1.0
                total = total + part[some] * (signal[name] * decay * off)
            echoes[k].reshape(-1)[some] += total * np.exp(2j * np.pi * hertz * te) / n**3
    centres = affines.apply(back, base)
    bias = sensitivity(centres).reshape(shape)
    white = _read(centres)["wm"].reshape(shape) > 0.95
    echoes *= bias
    sigma = np.abs(echoes[0])[white].mean() / snr
    rng = np.random.default_rng(seed)
    echoes = echoes + sigma * (rng.normal(size=echoes.shape) + 1j * rng.normal(size=echoes.shape))
    # A receive phase that both echoes share.
    echoes *= np.exp(1j * (0.7 + 0.02 * (centres[:, 0] + 0.5 * centres[:, 2]))).reshape(shape)
    phase = np.round(np.angle(echoes[1] * np.conj(echoes[0])) / np.pi * 4096)
    phase = np.where(phase == 4096, -4096, phase)
    if zeroed:
        empty = np.abs(echoes).mean(axis=0) < 4.0 * sigma
        echoes[:, empty], phase[empty] = 0.0, 0.0
    scale = 1000.0 / np.abs(echoes[0])[white].mean()
    return Gre(phase, tuple(scale * np.abs(e) for e in echoes), affine, delta_s)


def epi(
    voxel_mm, *, pose, seed, snr=60.0, tesla=7.0, tr_s=1.9, flip_deg=65.0, te_s=0.028,
    readout_s=0.0215, points_mm=1.0,
):  # fmt: skip
    """Acquire an EPI reference, phase encoding j: forward push, pile-up and dropout included."""
    shape, affine = grid(voxel_mm, turn=(-10.0, 1.0, 0.0))
    maps, head_affine = tissue()
    low = affines.apply(head_affine, np.zeros(3))
    high = affines.apply(head_affine, np.array(maps["brain"].shape) - 1.0)
    axes = [np.arange(a, b, points_mm) for a, b in np.sort(np.stack([low, high]), 0).T]
    signal = weights(tesla, tr_s, flip_deg)
    image = np.zeros(shape)
    for x in np.array_split(axes[0], 12):
        points = np.stack(np.meshgrid(x, axes[1], axes[2], indexing="ij"), -1).reshape(-1, 3)
        parts = _read(points)
        value = sum(
            parts[name] * signal[name] * np.exp(-te_s / TISSUES[name][3 + (tesla > 5)])
            for name in parts
            if name != "fat"  # saturated
        )
        points, value = points[value > 1e-3], value[value > 1e-3]
        value = value * sensitivity(points)
        value = value * np.abs(np.sinc(gradient_hz_mm(points) * np.max(voxel_mm) * te_s))
        voxels = affines.apply(np.linalg.inv(affine) @ pose, points)
        voxels[:, 1] += field_hz(points) * readout_s
        _splat(image, voxels, value)
    sigma = image[image > 0.3 * image.max()].mean() / snr
    rng = np.random.default_rng(seed)
    noisy = image + sigma * (rng.normal(size=shape) + 1j * rng.normal(size=shape))
    return (np.abs(noisy) * 1000.0 / image.max()).astype(np.float32), affine


def _splat(image, voxels, value):
    """Add values at fractional voxels, shared among the eight neighbours."""
    floor = np.floor(voxels).astype(int)
    part = voxels - floor
    for corner in np.ndindex(2, 2, 2):
        at = floor + corner
        share = np.prod(np.where(corner, part, 1.0 - part), axis=1) * value
        good = ((at >= 0) & (at < image.shape)).all(axis=1)
        flat = np.ravel_multi_index(at[good].T, image.shape)
        image += np.bincount(flat, share[good], image.size).reshape(image.shape)


def at_brain(volume, affine, pose):
    """Read a volume of the scanner's world at the points of the brain, linear."""
    voxels = affines.apply(np.linalg.inv(affine) @ pose, brain_points()).T
    return ndimage.map_coordinates(volume, voxels, order=1, mode="nearest")


def raw_at_brain(found: Gre, pose) -> np.ndarray:
    """Return what the stored phase says at the points of the brain, turns given by the truth."""
    turned = found.magnitudes[0] * np.exp(1j * np.pi * found.phasediff / 4096)
    read = at_brain(turned.real, found.affine, pose) + 1j * at_brain(
        turned.imag, found.affine, pose
    )
    hertz = np.angle(read) / (2 * np.pi * found.delta_s)
    truth = field_hz(brain_points())
    return hertz + np.round((truth - hertz) * found.delta_s) / found.delta_s


class Errors(NamedTuple):
    """What a field is worth at the points of the brain: Hz, and its slope on the truth."""

    rms: float
    gentle_rms: float
    slope: float
    worst: float
    peaks: float


def errors(hertz: np.ndarray) -> Errors:
    """Compare a field at the points of the brain with the truth.

    ``gentle_rms``: where the field changes by less than 6 Hz/mm. ``worst``: the 99.9th percentile.
    ``peaks``: share of the true mean that is kept in the 500 voxels of largest field.
    """
    points = brain_points()
    truth = field_hz(points)
    wrong = hertz - truth
    gentle = gradient_hz_mm(points) < 6.0
    rms = [float(np.sqrt(np.mean(e**2))) for e in (wrong, wrong[gentle])]
    top = np.argsort(truth)[-500:]
    kept = float(hertz[top].mean() / truth[top].mean())
    slope = float(np.polyfit(truth, hertz, 1)[0])
    return Errors(*rms, slope, float(np.percentile(np.abs(wrong), 99.9)), kept)
