"""From a head and a pose to complex EPI and GRE volumes: components, fluctuations, noise."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from mebold import affines, phantom_kernels
from mebold.phantom_anatomy import Head, head_grid, smooth_noise
from mebold.phantom_design import N_HRFS, Responses
from mebold.phantom_spec import PhantomSpec

_S0 = {"csf": 1.30, "gm": 1.0, "wm": 0.80, "scalp": 0.25, "skull": 0.03}
_N_RESTING = 4
_PATTERNS = (
    "drift_a",
    "drift_b",
    "respiratory",
    "cardiac",
    *tuple(f"resting_{i}" for i in range(_N_RESTING)),
)


@dataclass(frozen=True)
class Scene:
    """The head as EPI sees it, on a grid of the head frame.

    Attributes
    ----------
    affine : (4, 4) array
        Head grid index to head point.
    s0 : (X, Y, Z) float32 array
        Signal at TE 0, grey matter 1.
    r2star : (X, Y, Z) float32 array
        1/s.
    field_hz, field_drift : (X, Y, Z) float32 arrays
        Field at the middle of a session, and its change per `field_drift_hz`.
    patterns : (X, Y, Z, K) float32 array
        Where the fluctuations act.
    tissue : dict of (X, Y, Z) float32 arrays
        Fractions ``gm``, ``wm``, ``csf``, ``brain`` at EPI resolution.
    voxel_of : (X, Y, Z) int32 array
        Index of a truth voxel in `responses`, -1 elsewhere.
    responses : Responses
    """

    affine: np.ndarray
    s0: np.ndarray
    r2star: np.ndarray
    field_hz: np.ndarray
    field_drift: np.ndarray
    patterns: np.ndarray
    tissue: dict[str, np.ndarray]
    voxel_of: np.ndarray
    responses: Responses


def make_scene(spec: PhantomSpec, head: Head, subject: str) -> Scene:
    """Sample a head on its grid, blurred to the EPI voxel, and draw its responses.

    Parameters
    ----------
    spec : PhantomSpec
    head : Head
    subject : str
        Label, for the random streams.

    Returns
    -------
    Scene
    """
    shape, affine = head_grid(head, spec.head_mm)
    points = affines.grid_points(shape, affine)
    blur = 0.35 * spec.epi_voxel_mm / spec.head_mm
    tissue = {
        name: ndimage.gaussian_filter(values.reshape(shape), blur)
        for name, values in head.tissue(points).items()
        if name != "t1"
    }
    parts = {name: weight * tissue[name] for name, weight in _S0.items()}
    s0 = sum(parts.values())
    rates = dict(zip(("csf", "gm", "wm", "scalp"), 1 / np.array(spec.t2star_s), strict=True))
    rates["skull"] = rates["scalp"]
    rng = spec.rng("scene", subject)
    iron = 1 + 0.04 * smooth_noise(rng, shape, 25 / spec.head_mm)
    r2star = iron * sum(parts[k] * rates[k] for k in parts) / np.maximum(s0, 1e-6)
    r2star += head.dropout_rate(points).reshape(shape)
    voxel_of, responses = _draw_responses(spec, rng, head, tissue, points)
    return Scene(
        affine=affine,
        s0=s0.astype(np.float32),
        r2star=r2star.astype(np.float32),
        field_hz=head.field_hz(points).reshape(shape).astype(np.float32),
        field_drift=_field_drift(points - head.centre).reshape(shape).astype(np.float32),
        patterns=_fluctuation_patterns(spec, rng, tissue, points - head.centre),
        tissue=tissue,
        voxel_of=voxel_of,
        responses=responses,
    )


def _field_drift(offset: np.ndarray) -> np.ndarray:
    """Return the shape of the field's change over a session: uniform plus a slope."""
    return 0.5 + 0.5 * offset[:, 1] / 100 + 0.3 * offset[:, 2] / 100


def _fluctuation_patterns(
    spec: PhantomSpec,
    rng: np.random.Generator,
    tissue: dict[str, np.ndarray],
    offset: np.ndarray,
) -> np.ndarray:
    """Return where each fluctuation of `_PATTERNS` acts, about 1 where it is strong."""
    shape = tissue["gm"].shape
    smooth = [smooth_noise(rng, shape, 50 / spec.head_mm) for _ in range(3)]
    radius = np.linalg.norm(offset, axis=1).reshape(shape) / 80
    maps = [smooth[0], smooth[1], radius**2 + 0.2 * smooth[2]]
    maps.append(np.clip(tissue["csf"] + 0.25 * (radius < 0.5), 0, 1))
    for _ in range(_N_RESTING):
        network = smooth_noise(rng, shape, 35 / spec.head_mm)
        maps.append(np.clip(network, 0, 2) * (tissue["gm"] + 0.2 * tissue["wm"]))
    return np.stack(maps, axis=-1).astype(np.float32)


def _draw_responses(
    spec: PhantomSpec,
    rng: np.random.Generator,
    head: Head,
    tissue: dict[str, np.ndarray],
    points: np.ndarray,
) -> tuple[np.ndarray, Responses]:
    """Choose the responsive grey matter and draw what each of its voxels does."""
    shape = tissue["gm"].shape
    mni = affines.apply(head.to_mni, points)
    x, y, z = (mni[:, axis].reshape(shape) for axis in range(3))
    occipital = _soft(-(y + 66) / 4)
    ventral = _soft(-(y + 38) / 4) * _soft(-(z - 0) / 4) * _soft((np.abs(x) - 16) / 4)
    region = np.maximum(occipital, ventral)
    patchy = _soft((smooth_noise(rng, shape, 16 / spec.head_mm) - 0.2) / 0.3)
    gain = region * patchy * tissue["gm"] * (tissue["brain"] > 0.5)
    truth = gain > 0.3
    n_voxels = int(truth.sum())
    voxel_of = np.full(shape, -1, dtype=np.int32)
    voxel_of[truth] = np.arange(n_voxels)
    features = np.stack(
        [
            smooth_noise(rng, shape, spec.smooth_mm / spec.head_mm)[truth]
            for _ in range(spec.latent_dimensions)
        ],
        axis=1,
    )
    n_images = spec.frequent_images + spec.rare_images
    images = rng.standard_normal((spec.latent_dimensions, n_images), dtype=np.float32)
    images -= images.mean(axis=1, keepdims=True)
    features *= spec.image_sd / np.maximum((features @ images).std(axis=1, keepdims=True), 1e-6)
    speed = smooth_noise(rng, shape, 12 / spec.head_mm)[truth]
    hrf_index = np.clip(np.round(8 + 4 * speed), 0, N_HRFS - 1).astype(np.int8)
    mean = spec.response_percent * gain[truth] / np.median(gain[truth])
    return voxel_of, Responses(mean.astype(np.float32), features, images, hrf_index)


def _soft(x: np.ndarray) -> np.ndarray:
    """Return a step from 0 to 1 around 0 that is about 4 wide."""
    return 0.5 * (1 + np.tanh(x / 2))


def field_at(scene: Scene, drift_hz: float) -> np.ndarray:
    """Return the field (X, Y, Z) in Hz on the head grid at one moment of a session."""
    return scene.field_hz + np.float32(drift_hz) * scene.field_drift


def components(
    scene: Scene, field_hz: np.ndarray, pe_step_mm: np.ndarray, intensity: float
) -> np.ndarray:
    """Pack what `phantom_kernels.acquire` interpolates.

    Parameters
    ----------
    scene : Scene
    field_hz : (X, Y, Z) float32 array
        From `field_at`.
    pe_step_mm : (3,) array
        One voxel along the phase-encoding axis, as a vector of the head frame.
    intensity : float
        Stored units of S0 = 1.

    Returns
    -------
    (Z, Y, X, 4 + K) float32 array
    """
    index_step = np.linalg.inv(scene.affine)[:3, :3] @ pe_step_mm
    slope = sum(
        step * gradient for step, gradient in zip(index_step, np.gradient(field_hz), strict=True)
    )
    fixed = [intensity * scene.s0, scene.r2star, field_hz, slope]
    n_patterns = scene.patterns.shape[-1]
    packed = np.empty((*scene.s0.T.shape, len(fixed) + n_patterns), dtype=np.float32)
    for channel, values in enumerate(fixed):
        packed[..., channel] = values.T
    packed[..., len(fixed) :] = scene.patterns.transpose(2, 1, 0, 3)
    return packed


@dataclass(frozen=True)
class Fluctuations:
    """Time courses of the fluctuation patterns at given times.

    Attributes
    ----------
    log_s0, r2star : (..., K) float32 arrays
        Change of log S0 and of R2* (1/s).
    offset_hz : (...) float32 array
        Uniform change of the field.
    """

    log_s0: np.ndarray
    r2star: np.ndarray
    offset_hz: np.ndarray


def make_fluctuations(
    spec: PhantomSpec, rng: np.random.Generator, times_s: np.ndarray
) -> Fluctuations:
    """Draw drift, respiration, heart beat and resting activity of a run.

    Parameters
    ----------
    spec : PhantomSpec
        SDs in percent at echo 2.
    rng : numpy.random.Generator
    times_s : (...) array
        Seconds after the start of volume 0.

    Returns
    -------
    Fluctuations
    """
    shape, times = times_s.shape, times_s.ravel()
    bold_te = spec.echo_times_s[min(1, len(spec.echo_times_s) - 1)]
    log_s0 = np.zeros((len(times), len(_PATTERNS)))
    r2star = np.zeros_like(log_s0)
    phase = (times - times.min()) / max(np.ptp(times), 1e-9)
    for pattern in (0, 1):
        course = sum(
            rng.standard_normal() / (f + 1) * np.cos(np.pi * (f + 1) * phase + rng.uniform(0, 6))
            for f in range(4)
        )
        log_s0[:, pattern] = spec.drift_percent / 100 * (course - course[0])
    breath = np.sin(_wandering_phase(rng, times, 0.27))
    log_s0[:, 2] = np.sqrt(2) * spec.respiratory_percent / 100 * breath
    heart = np.sin(_wandering_phase(rng, times, 1.05))
    log_s0[:, 3] = spec.cardiac_percent / 100 * heart
    r2star[:, 3] = -spec.cardiac_percent / 100 / bold_te * heart
    for pattern in range(4, len(_PATTERNS)):
        course = _slow_noise(rng, times)
        r2star[:, pattern] = -spec.resting_percent / 100 / bold_te * course
    offset = spec.field_offset_hz * (_slow_noise(rng, times, 60.0) + 0.3 * breath)
    return Fluctuations(
        log_s0.reshape(*shape, -1).astype(np.float32),
        r2star.reshape(*shape, -1).astype(np.float32),
        offset.reshape(shape).astype(np.float32),
    )


def silent(fluctuations: Fluctuations) -> Fluctuations:
    """Return fluctuations of the same shape that are all zero."""
    return replace(
        fluctuations,
        log_s0=np.zeros_like(fluctuations.log_s0),
        r2star=np.zeros_like(fluctuations.r2star),
        offset_hz=np.zeros_like(fluctuations.offset_hz),
    )


def _wandering_phase(rng: np.random.Generator, times: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return the phase of an oscillation whose rate varies by some percent."""
    return 2 * np.pi * rate_hz * (times + 1.0 * _slow_noise(rng, times, 15.0)) + rng.uniform(0, 6)


def _slow_noise(rng: np.random.Generator, times: np.ndarray, width_s: float = 8.0) -> np.ndarray:
    """Return a smooth random time course of SD 1; `width_s` is the FWHM of its kernel."""
    step = 0.5
    grid = np.arange(times.min(), times.max() + 2 * step, step)
    course = rng.standard_normal(len(grid))
    course = ndimage.gaussian_filter1d(course, width_s / 2.3548 / step, mode="wrap")
    course = (course - course.mean()) / max(course.std(), 1e-9)
    return np.interp(times, grid, course)


@dataclass(frozen=True)
class Receiver:
    """What belongs to the scanner and not to the head, on one acquisition grid.

    Attributes
    ----------
    bias : (x, y, z) float32 array
        Receive sensitivity, about 1.
    phase : (x, y, z) float32 array
        Phase of the combined coils, radians.
    gfactor : (x, y, z) float32 array
        Noise amplification, at least 1.
    """

    bias: np.ndarray
    phase: np.ndarray
    gfactor: np.ndarray


def make_receiver(
    spec: PhantomSpec, shape: tuple[int, int, int], affine: np.ndarray, centre: np.ndarray
) -> Receiver:
    """Return the coil's sensitivity, phase and g-factor at the voxels of a grid.

    Parameters
    ----------
    spec : PhantomSpec
        `bias_strength`, `gfactor_peak`.
    shape, affine : acquisition grid
    centre : (3,) array
        Middle of the coil, scanner mm.

    Returns
    -------
    Receiver
    """
    x, y, z = ((affines.grid_points(shape, affine) - centre) / 100).T
    near = 0.7 * (x**2 + (y + 0.1) ** 2 + z**2) + 0.25 * x - 0.35 * y + 0.2 * x * z
    bias = np.exp(spec.bias_strength * (2 * near - 0.5))
    phase = 1.5 * np.sin(2.1 * x + 0.7) + 1.9 * np.cos(1.7 * y - 1.1 * z) + 1.2 * z + 0.8 * x * y
    index = np.indices(shape).reshape(3, -1).T / (np.array(shape) - 1) - 0.5
    hill = np.exp(-((index / (0.24, 0.28, 0.45)) ** 2).sum(axis=1) / 2)
    ripple = 0.12 * np.cos(2 * np.pi * 3 * index[:, 1]) * np.cos(2 * np.pi * index[:, 0])
    gfactor = 1 + (spec.gfactor_peak - 1) * np.clip(hill * (1 + ripple), 0, None)
    maps = [v.reshape(shape).astype(np.float32) for v in (bias, phase, gfactor)]
    return Receiver(*maps)


def acquisition_matrices(
    scene_affine: np.ndarray, head_to_scanner: np.ndarray, acquisition_affine: np.ndarray
) -> np.ndarray:
    """Return (..., 3, 4) maps from acquisition voxels to head-grid indices.

    Parameters
    ----------
    scene_affine : (4, 4) array
        Head grid.
    head_to_scanner : (..., 4, 4) array
        Poses.
    acquisition_affine : (4, 4) array
        Grid of the scan.

    Returns
    -------
    (..., 3, 4) float64 array
    """
    scanner_to_head = np.linalg.inv(head_to_scanner)
    return (np.linalg.inv(scene_affine) @ scanner_to_head @ acquisition_affine)[..., :3, :]


def kernel_layout(volume: np.ndarray) -> np.ndarray:
    """Return an (x, y, z) map in the kernels' (z, y, x) order, contiguous float32."""
    return np.ascontiguousarray(volume.T, dtype=np.float32)


def still_volume(
    packed: np.ndarray,
    matrix: np.ndarray,
    receiver: Receiver,
    *,
    echo_times_s: tuple[float, ...],
    readout_s: float = 0.0,
) -> np.ndarray:
    """Acquire one volume of a head that keeps still and does nothing, without noise.

    Parameters
    ----------
    packed : (Z, Y, X, C) float32 array
        From `components`.
    matrix : (3, 4) array
        From `acquisition_matrices`.
    receiver : Receiver
    echo_times_s : tuple of float
    readout_s : float
        Signed total readout time, voxels per Hz; 0 for no distortion.

    Returns
    -------
    (E, z, y, x) complex64 array
    """
    nz, ny, nx = receiver.bias.T.shape
    n_patterns = packed.shape[3] - phantom_kernels.N_FIXED
    out = np.empty((len(echo_times_s), nz, ny, nx), dtype=np.complex64)
    zeros = np.zeros((nz, n_patterns), dtype=np.float32)
    phantom_kernels.acquire(
        packed,
        np.empty(packed.shape[:3], dtype=np.int32),
        np.zeros((nz, 0), dtype=np.float32),
        np.ascontiguousarray(np.broadcast_to(matrix, (nz, 3, 4))),
        zeros,
        zeros,
        np.zeros(nz, dtype=np.float32),
        float(readout_s),
        np.array(echo_times_s, dtype=np.float64),
        1.0,
        kernel_layout(receiver.bias),
        kernel_layout(receiver.phase),
        np.zeros((nz, ny, nx), dtype=np.float32),
        out,
    )
    return out
