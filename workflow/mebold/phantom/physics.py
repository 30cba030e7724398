"""What an acquisition needs besides the head: packed components, receiver, poses, one volume."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mebold.geometry import affines
from mebold.phantom import kernels
from mebold.phantom.scene import Scene
from mebold.phantom.spec import PhantomSpec


def components(
    scene: Scene, field_hz: np.ndarray, pe_step_mm: np.ndarray, intensity: float
) -> np.ndarray:
    """Pack what `kernels.acquire` interpolates.

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


def on_grid(volume: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sample a head-grid map at the undistorted voxels of a still acquisition grid.

    Parameters
    ----------
    volume : (X, Y, Z) array
        On the head grid.
    matrix : (3, 4) array
        From `acquisition_matrices`.
    shape : (3,) tuple of int
        Size of the acquisition grid.

    Returns
    -------
    (x, y, z) float32 array
    """
    index = np.indices(shape).reshape(3, -1)
    position = matrix[:, :3] @ index + matrix[:, 3:]
    values = ndimage.map_coordinates(volume, position, order=1, mode="nearest")
    return values.reshape(shape).astype(np.float32)


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
    n_patterns = packed.shape[3] - kernels.N_FIXED
    out = np.empty((len(echo_times_s), nz, ny, nx), dtype=np.complex64)
    zeros = np.zeros((nz, n_patterns), dtype=np.float32)
    kernels.acquire(
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
