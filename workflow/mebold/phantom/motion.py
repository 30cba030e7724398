"""Where the simulated head is: poses of sessions and runs, and motion within a run."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from mebold.geometry import affines
from mebold.phantom.spec import PhantomSpec

_STEP_S = 0.1
_LEAD_S = 5.0


@dataclass(frozen=True)
class Trace:
    """Rigid motion as a function of time: parameters (n, 6) every 0.1 s from -5 s.

    Translations in mm and rotations in radians about the point that `matrices` is given,
    relative to the pose of the run's SBRef.
    """

    parameters: np.ndarray

    def at(self, times_s: np.ndarray) -> np.ndarray:
        """Return the parameters (..., 6) at times (...) in s after the start of volume 0."""
        position = (np.asarray(times_s, dtype=np.float64) + _LEAD_S) / _STEP_S
        index = np.arange(len(self.parameters))
        return np.stack(
            [np.interp(position, index, column) for column in self.parameters.T], axis=-1
        )

    def matrices(self, times_s: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Return point maps (..., 4, 4) from the SBRef's frame to the frame at each time."""
        return rigid_stack(self.at(times_s), centre)


def rigid_stack(parameters: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return `affines.rigid_matrix` for a stack of parameters (..., 6) as (..., 4, 4)."""
    flat = parameters.reshape(-1, 6)
    matrices = np.tile(np.eye(4), (len(flat), 1, 1))
    rotation = Rotation.from_euler("xyz", flat[:, 3:]).as_matrix()
    matrices[:, :3, :3] = rotation
    matrices[:, :3, 3] = centre + flat[:, :3] - rotation @ centre
    return matrices.reshape(*parameters.shape[:-1], 4, 4)


def random_pose(rng: np.random.Generator, size_mm_deg: float) -> np.ndarray:
    """Draw six parameters: a shift and a turn, each 0.7 to 1.3 times a size in mm and deg."""
    directions = rng.standard_normal((2, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    shift, turn = directions * rng.uniform(0.7, 1.3, (2, 1)) * size_mm_deg
    return np.concatenate([shift, np.deg2rad(turn)])


def make_trace(rng: np.random.Generator, spec: PhantomSpec) -> Trace:
    """Draw the motion of one run: slow drift and a few jerks, about half of which return.

    Parameters
    ----------
    rng : numpy.random.Generator
    spec : PhantomSpec
        `within_run_mm_deg` is the SD of the drift per parameter, `jerk_mm_deg` that of a jerk.

    Returns
    -------
    Trace
        Zero at the time of the SBRef, 5 s before volume 0.
    """
    duration = (spec.volumes + spec.noise_volumes + 2) * spec.repetition_time_s
    times = np.arange(-_LEAD_S, duration, _STEP_S)
    walk = np.cumsum(rng.standard_normal((len(times), 6)), axis=0)
    walk = ndimage.gaussian_filter1d(walk, 10 / _STEP_S, axis=0, mode="nearest")
    walk -= walk[0]
    drift = spec.within_run_mm_deg * walk / np.maximum(walk.std(axis=0), 1e-9)
    drift *= rng.uniform(0.5, 1.5, 6)
    for _ in range(spec.jerks):
        start = rng.uniform(10, max(duration - 10, 11))
        size = spec.jerk_mm_deg * rng.standard_normal(6)
        step = _sigmoid((times - start) / 0.4)
        if rng.random() < 0.5:
            step = step - 0.8 * _sigmoid((times - start - rng.uniform(2, 5)) / 0.6)
        drift += step[:, None] * size
    drift[:, 3:] = np.deg2rad(drift[:, 3:])
    return Trace(drift - drift[0])


def _sigmoid(x: np.ndarray) -> np.ndarray:
    """Return the logistic function without overflow."""
    return 0.5 * (1 + np.tanh(x / 2))


@dataclass(frozen=True)
class SessionGeometry:
    """Pose of the head and prescription of the scans of one session.

    Attributes
    ----------
    pose : (4, 4) array
        Head point to scanner point when the session begins.
    epi_affine, gre_affine : (4, 4) array
        Grids of the EPI series (LAS, oblique) and of the GRE field maps.
    gre_shape : (3,) tuple of int
    centre : (3,) array
        Centre of rotation in the scanner frame.
    """

    pose: np.ndarray
    epi_affine: np.ndarray
    gre_shape: tuple[int, int, int]
    gre_affine: np.ndarray
    centre: np.ndarray


def session_geometry(spec: PhantomSpec, subject: str, session: str, centre: np.ndarray):
    """Draw the pose and the slab of a session.

    Parameters
    ----------
    spec : PhantomSpec
    subject, session : str
        Labels, which choose the random stream.
    centre : (3,) array
        Centre of the brain in the head frame, which is that of the T1w's scanner.

    Returns
    -------
    SessionGeometry
    """
    rng = spec.rng("session", subject, session)
    to_scanner = np.eye(4)
    to_scanner[:3, 3] = spec.scanner_offset_mm
    centre = affines.apply(to_scanner, centre)
    pose = affines.rigid_matrix(random_pose(rng, spec.session_mm_deg), centre)
    # The technician's slab follows the head only roughly.
    slab_centre = affines.apply(pose, centre) + rng.uniform(-1, 1, 3)
    angles = np.deg2rad(np.asarray(spec.epi_angles_deg) + rng.uniform(-1, 1, 3))
    rotation = Rotation.from_euler("xyz", angles).as_matrix()
    slab_centre = slab_centre + rotation @ [0.0, 0.0, spec.slab_offset_mm]
    shape = np.array(spec.epi_shape)
    epi = _las_affine(shape, spec.epi_voxel_mm, rotation, slab_centre)
    gre_scale = spec.gre_voxel_scale
    if spec.gre_voxel_mm is not None:
        gre_scale = spec.gre_voxel_mm / spec.epi_voxel_mm
    gre_shape = tuple(int(n) for n in np.ceil((shape + 2) / gre_scale))
    gre = _las_affine(np.array(gre_shape), spec.gre_mm, rotation, slab_centre)
    return SessionGeometry(pose @ to_scanner, epi, gre_shape, gre, centre)


def _las_affine(
    shape: np.ndarray, voxel_mm: float, rotation: np.ndarray, centre: np.ndarray
) -> np.ndarray:
    """Return the affine of an LAS grid with given axes and centre."""
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([-voxel_mm, voxel_mm, voxel_mm])
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
    return affine


def run_pose(
    spec: PhantomSpec,
    geometry: SessionGeometry,
    rng: np.random.Generator,
    *,
    offset: np.ndarray | None = None,
) -> np.ndarray:
    """Draw where the head lies when a run or a field map begins.

    Parameters
    ----------
    spec : PhantomSpec
        `run_mm_deg`.
    geometry : SessionGeometry
    rng : numpy.random.Generator
    offset : (6,) array, optional
        A move beyond the usual one, mm and radians about the centre of rotation.

    Returns
    -------
    (4, 4) array
        Head point to scanner point.
    """
    between = random_pose(rng, spec.run_mm_deg)
    if offset is not None and np.any(offset):
        moved = affines.rigid_matrix(offset, geometry.centre)
        return moved @ affines.rigid_matrix(between, geometry.centre) @ geometry.pose
    return affines.rigid_matrix(between, geometry.centre) @ geometry.pose
