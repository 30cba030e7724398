"""The head as EPI sees it: signal, decay, field, responses on a grid of the head frame."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mebold.geometry import affines
from mebold.phantom import contrast, localizer
from mebold.phantom.anatomy import Head, head_grid, smooth_noise
from mebold.phantom.fluctuations import fluctuation_patterns
from mebold.phantom.spec import PhantomSpec
from mebold.phantom.task import N_HRFS, Responses


@dataclass(frozen=True)
class Scene:
    """The head as EPI sees it, on a grid of the head frame.

    Attributes
    ----------
    affine : (4, 4) array
        Head grid index to head point.
    s0 : (X, Y, Z) float32 array
        Signal of the EPI series in its steady state at TE 0; fully relaxed grey matter is 1.
    r2star : (X, Y, Z) float32 array
        1/s. Of a voxel with several tissues the mean over their densities, in every image.
    field_hz, field_drift : (X, Y, Z) float32 arrays
        Field at the middle of a session, and its change per `field_drift_hz`.
    patterns : (X, Y, Z, K) float32 array
        Where the fluctuations act.
    tissue : dict of (X, Y, Z) float32 arrays
        Fractions ``gm``, ``wm``, ``csf``, ``scalp``, ``skull``, ``brain`` at EPI resolution.
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
    }
    parts = {name: weight * tissue[name] for name, weight in contrast.DENSITY.items()}
    density = sum(parts.values())
    rates = dict(zip(("csf", "gm", "wm", "scalp"), 1 / np.array(spec.t2star_s), strict=True))
    rates["skull"] = rates["scalp"]
    rng = spec.rng("scene", subject)
    iron = 1 + 0.04 * smooth_noise(rng, shape, 25 / spec.head_mm)
    r2star = iron * sum(parts[k] * rates[k] for k in parts) / np.maximum(density, 1e-6)
    if not spec.dephasing:
        r2star += head.dropout_rate(points).reshape(shape)
    voxel_of, responses = _draw_responses(spec, rng, head, tissue, points)
    return Scene(
        affine=affine,
        s0=contrast.mixture(tissue, contrast.series_weights(spec)),
        r2star=r2star.astype(np.float32),
        field_hz=head.field_hz(points).reshape(shape).astype(np.float32),
        field_drift=_field_drift(points - head.centre).reshape(shape).astype(np.float32),
        patterns=fluctuation_patterns(spec, rng, tissue, points - head.centre),
        tissue=tissue,
        voxel_of=voxel_of,
        responses=responses,
    )


def _field_drift(offset: np.ndarray) -> np.ndarray:
    """Return the shape of the field's change over a session: uniform plus a slope."""
    return 0.5 + 0.5 * offset[:, 1] / 100 + 0.3 * offset[:, 2] / 100


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
    prefers = localizer.preferences(spec, mni, tissue["brain"].ravel()).reshape(shape)
    truth = (gain > 0.3) | (prefers >= 0)
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
    mean = spec.response_percent * gain[truth] / np.median(gain[gain > 0.3])
    return voxel_of, Responses(mean.astype(np.float32), features, images, hrf_index, prefers[truth])


def _soft(x: np.ndarray) -> np.ndarray:
    """Return a step from 0 to 1 around 0 that is about 4 wide."""
    return 0.5 * (1 + np.tanh(x / 2))


def field_at(scene: Scene, drift_hz: float) -> np.ndarray:
    """Return the field (X, Y, Z) in Hz on the head grid at one moment of a session."""
    return scene.field_hz + np.float32(drift_hz) * scene.field_drift
