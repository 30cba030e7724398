"""What the evidence for the sign of a correction means for a run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from mebold.errors import DataError
from mebold.geometry import affines, displacement
from mebold.sdc.sign import FieldSignEvidence, field_sign_evidence


def judge(
    boldref: np.ndarray,
    boldref_affine: np.ndarray,
    field_hz: np.ndarray,
    anatomy: np.ndarray,
    anatomy_affine: np.ndarray,
    *,
    mask: np.ndarray,
    anatomy_mask: np.ndarray,
    matrix: np.ndarray,
    run: Mapping,
    warp: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[dict, list[str]]:
    """Weigh the evidence for the sign of a run's correction, and stop where it is wrong.

    Parameters
    ----------
    boldref, boldref_affine, field_hz, anatomy, anatomy_affine, mask, anatomy_mask
        As in `field_sign_evidence`.
    matrix : (4, 4) array
        Point map anatomy world -> EPI world, as from the coregistration.
    run : mapping
        ``stem``, ``direction``, ``readout_s`` (s) and ``fieldmaps`` (names).
    warp : (displacements (x, y, z, 3), affine (4, 4)), optional
        Gradient nonlinearity, mm; EPI and field, both as acquired, are freed from it first.

    Returns
    -------
    evidence : dict
        Fields of `FieldSignEvidence`.
    doubts : list of str
        As from `require_right_sign`.

    Raises
    ------
    GridMismatchError, DataError
        As `field_sign_evidence` and `require_right_sign`.
    """
    if warp is not None:
        points = affines.grid_points(boldref.shape, boldref_affine)
        shift = displacement.at_points(*warp, points)
        boldref, field_hz = (
            displacement.undistorted(image, boldref_affine, warp_mm=shift)
            for image in (boldref, field_hz)
        )
    found = field_sign_evidence(
        boldref,
        boldref_affine,
        field_hz,
        anatomy,
        anatomy_affine,
        mask=mask,
        anatomy_mask=anatomy_mask,
        direction=run["direction"],
        readout_s=run["readout_s"],
        to_anatomy=np.linalg.inv(matrix),
    )
    names = {"run": run["stem"], "fieldmaps": run["fieldmaps"]}
    return asdict(found), require_right_sign(found, direction=run["direction"], **names)


def require_right_sign(
    evidence: FieldSignEvidence, *, run: str, direction: str, fieldmaps: Sequence[str]
) -> list[str]:
    """Stop at a correction in the wrong direction; doubt one that the images do not confirm.

    A correction that fits worse than none is a doubt only: reading an image at shifted places
    blurs it a little, which counts against a small correction.

    Parameters
    ----------
    evidence : FieldSignEvidence
    run : str
        Name of the run, for messages.
    direction : str
        Its PhaseEncodingDirection.
    fieldmaps : sequence of str
        Names of its field maps.

    Returns
    -------
    list of str
        One sentence where the verdict is not ``plus``.

    Raises
    ------
    DataError
        When the verdict is ``minus``.
    """
    scores = evidence.scores
    figures = (
        f"agreement with the anatomy {scores['plus']:.3f} as corrected, {scores['zero']:.3f} "
        f"without correction, {scores['minus']:.3f} corrected the other way round (z "
        f"{evidence.margin_z:.1f}); 95 % of the brain moves by up to {evidence.shift_p95_mm:.1f} mm"
    )
    if evidence.verdict == "minus":
        message = (
            f"{run}: the distortion correction has the wrong sign: {figures}. Either "
            f"PhaseEncodingDirection ({direction}) in the sidecar of the run or the sign of the "
            f"field map ({', '.join(fieldmaps)}) is wrong: correct it, or switch this check off "
            "with the configuration key `fmap.sign_check`."
        )
        raise DataError(message)
    if evidence.verdict == "plus":
        return []
    return [f"the distortion correction is not confirmed ({evidence.verdict}): {figures}."]
