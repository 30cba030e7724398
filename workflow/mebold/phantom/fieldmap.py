"""One simulated dual-echo GRE field map, as arrays."""

from dataclasses import dataclass

import numpy as np

from mebold.phantom import contrast, motion, noise, physics
from mebold.phantom.motion import SessionGeometry
from mebold.phantom.run import Moment
from mebold.phantom.scene import Scene, field_at
from mebold.phantom.spec import PhantomSpec


@dataclass
class Fieldmap:
    """One simulated dual-echo GRE field map; ``.T`` of the arrays is (x, y, z).

    Attributes
    ----------
    magnitude1, magnitude2, phasediff : (z, y, x) int16 arrays
    truth : dict
        ``affine``, ``t1w_to_gre`` (4, 4), ``field_hz``, ``dropout`` (2, x, y, z), ``kept``,
        ``receive_bias`` (x, y, z), ``start_s``, ``drift_hz``.
    """

    magnitude1: np.ndarray
    magnitude2: np.ndarray
    phasediff: np.ndarray
    truth: dict[str, np.ndarray]


def simulate_fieldmap(
    spec: PhantomSpec,
    scene: Scene,
    geometry: SessionGeometry,
    moment: Moment,
    keys: tuple[str, ...],
) -> Fieldmap:
    """Simulate one undistorted dual-echo GRE acquisition and its phase difference.

    Parameters
    ----------
    spec : PhantomSpec
    scene : Scene
    geometry : SessionGeometry
    moment : Moment
        The map's entry of `session_plan`.
    keys : tuple of str
        Labels of subject, session and map.

    Returns
    -------
    Fieldmap
    """
    rng = spec.rng("fieldmap", *keys)
    pose = motion.run_pose(spec, geometry, rng)
    receiver = physics.make_receiver(spec, geometry.gre_shape, geometry.gre_affine, geometry.centre)
    field_hz = field_at(scene, moment.drift_hz)
    slice_step = (np.linalg.inv(pose) @ geometry.gre_affine)[:3, 2]
    slope = physics.slice_slope(spec, scene, field_hz, slice_step)
    signal = spec.intensity * contrast.mixture(scene.tissue, contrast.gre_weights(spec))
    packed = physics.components(scene, signal, field_hz, (np.zeros_like(slope), slope))
    matrix = physics.acquisition_matrices(scene.affine, pose, geometry.gre_affine)
    echoes = physics.still_volume(packed, matrix, receiver, echo_times_s=spec.gre_echo_times_s)
    kept = noise.kept_voxels(spec, np.abs(echoes[0]))
    white = rng.standard_normal((2, *echoes.shape), dtype=np.float32)
    real, imaginary = noise.partial_fourier(white, spec.noise_partial_fourier)
    echoes = echoes + np.float32(spec.sbref_noise * spec.thermal_sigma) * (real + 1j * imaginary)
    first, second = kept * np.minimum(np.abs(echoes) + 0.5, 4095).astype(np.int16)
    angle = np.angle(echoes[1] * np.conj(echoes[0]))
    code = np.floor((angle + np.pi) * (2048 / np.pi) + 0.5).astype(np.int32) & 4095
    if spec.phasediff_units == "signed":
        code = 2 * code - 4096
    truth = {
        "affine": geometry.gre_affine,
        "t1w_to_gre": pose,
        "field_hz": physics.on_grid(field_hz, matrix, geometry.gre_shape),
        "dropout": physics.dropout_maps(slope, matrix, geometry.gre_shape, spec.gre_echo_times_s),
        "kept": kept.T,
        "receive_bias": receiver.bias,
        "start_s": np.array(moment.start_s),
        "drift_hz": np.array(moment.drift_hz),
    }
    return Fieldmap(first, second, (kept * code).astype(np.int16), truth)
