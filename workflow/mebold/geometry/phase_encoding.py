"""Displacement along the phase-encoding axis that an off-resonance causes.

A signal that belongs at voxel coordinate p along the phase-encoding axis appears at
``p + sign * f * readout``: f is the off-resonance in Hz at the undistorted place, `readout` the
total readout time in seconds, and the sign is +1 for "i", "j", "k" and -1 for "i-", "j-", "k-".
To undo it, each undistorted point is read at its displaced place, so nothing has to be inverted.
"""

import numpy as np

from mebold.errors import MetadataError

_AXES = {"i": 0, "j": 1, "k": 2}


def pe_axis_sign(direction: str) -> tuple[int, int]:
    """Split a PhaseEncodingDirection into axis and sign.

    Parameters
    ----------
    direction : str
        "i", "j" or "k", optionally followed by "-".

    Returns
    -------
    axis : int
        Voxel axis, 0 to 2.
    sign : int
        +1 or -1.

    Raises
    ------
    MetadataError
        If the direction is none of the six.
    """
    if isinstance(direction, str) and direction[:1] in _AXES and direction[1:] in ("", "-"):
        return _AXES[direction[0]], -1 if direction.endswith("-") else 1
    raise MetadataError(
        f"PhaseEncodingDirection {direction!r}: expected i, j or k, with - for the reverse"
    )


def opposite(direction: str) -> str:
    """Return the phase encoding that displaces the other way."""
    return direction.removesuffix("-") if direction.endswith("-") else f"{direction}-"


def mm_per_hz(affine: np.ndarray, *, direction: str, readout_s: float) -> np.ndarray:
    """Return the displacement (3,) in world mm that 1 Hz causes on a grid with this affine."""
    axis, sign = pe_axis_sign(direction)
    return np.asarray(affine, dtype=np.float64)[:3, axis] * (sign * readout_s)


def voxel_shift(field_hz: np.ndarray, *, direction: str, readout_s: float) -> np.ndarray:
    """Turn an off-resonance into a displacement along the phase-encoding axis.

    Parameters
    ----------
    field_hz : ndarray, any shape
        Off-resonance in Hz at undistorted places. Non-finite values count as 0.
    direction : str
        PhaseEncodingDirection.
    readout_s : float
        Total readout time in seconds.

    Returns
    -------
    ndarray, same shape, float32
        Voxels, positive towards higher indices of the axis of `pe_axis_sign`.
    """
    _, sign = pe_axis_sign(direction)
    field = np.nan_to_num(np.asarray(field_hz, dtype=np.float32), posinf=0.0, neginf=0.0)
    return field * np.float32(sign * readout_s)


def jacobian(
    field_hz: np.ndarray,
    field_affine: np.ndarray,
    *,
    boldref_affine: np.ndarray,
    to_boldref: np.ndarray | None = None,
    direction: str,
    readout_s: float,
) -> np.ndarray:
    """Return the intensity factor that undoes compression and stretching of the signal.

    Parameters
    ----------
    field_hz : ndarray, shape (x, y, z)
        Off-resonance in Hz on any grid of undistorted places.
    field_affine : ndarray, shape (4, 4)
        Voxel to world of that grid.
    boldref_affine : ndarray, shape (4, 4)
        Voxel to world of the EPI reference.
    to_boldref : ndarray, shape (4, 4), optional
        Rigid point map from the world of the field's grid to that of the EPI reference; identity
        when absent.
    direction : str
        PhaseEncodingDirection of the EPI.
    readout_s : float
        Total readout time in seconds.

    Returns
    -------
    ndarray, shape (x, y, z), float32
        ``1 + d(shift)/d(voxel along the phase-encoding axis)``; 0 where the signal folds over.
    """
    axis, _ = pe_axis_sign(direction)
    to_boldref = np.eye(4) if to_boldref is None else to_boldref
    step = np.linalg.inv(np.asarray(field_affine, dtype=np.float64))[:3, :3] @ (
        np.linalg.inv(np.asarray(to_boldref, dtype=np.float64))[:3, :3]
        @ np.asarray(boldref_affine, dtype=np.float64)[:3, axis]
    )
    shift = voxel_shift(field_hz, direction=direction, readout_s=readout_s)
    factor = np.ones(shift.shape, np.float32)
    for along, component in enumerate(step):
        if shift.shape[along] > 1:
            factor += np.gradient(shift, axis=along) * np.float32(component)
    return np.maximum(factor, 0.0)
