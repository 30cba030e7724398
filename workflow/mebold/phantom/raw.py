"""Write images, sidecars and tables of a raw BIDS dataset the way a scanner export does."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from mebold.files import images
from mebold.phantom.spec import PhantomSpec

_SCANNER = {
    "Modality": "MR",
    "MagneticFieldStrength": 7,
    "ImagingFrequency": 297.219,
    "Manufacturer": "Siemens",
    "ManufacturersModelName": "MAGNETOM Terra.X (simulated)",
    "InstitutionName": "mebold phantom",
    "BodyPart": "BRAIN",
    "PatientPosition": "HFS",
    "SoftwareVersions": "syngo MR XA60",
    "ReceiveCoilName": "1Tx32Rx_Head",
    "ConversionSoftware": "mebold.phantom",
}
# T1w and T2w of a size with `scanner_offset_mm` come from elsewhere.
_OTHER_SCANNER = {
    "MagneticFieldStrength": 3,
    "ImagingFrequency": 123.252,
    "ManufacturersModelName": "MAGNETOM Prisma (simulated)",
    "ReceiveCoilName": "HeadNeck_64",
}
_IN_PLANE_ACCELERATION = 3
_SESSION_START_S = 9 * 3600 + 12 * 60


def write_image(path: Path, data: np.ndarray, affine: np.ndarray, tr: float | None = None) -> None:
    """Write an int16 image, lightly compressed, with scanner coordinates in both forms.

    Parameters
    ----------
    path : Path
        Ends in ``.nii.gz``; parent folders are created.
    data : (x, y, z) or (x, y, z, t) int16 array
        ``data[..., None]`` is one volume in four dimensions.
    affine : (4, 4) array
    tr : float, optional
        Seconds between volumes of a 4D image.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, affine, dtype=np.int16)
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    if tr is not None:
        image.header["pixdim"][4] = tr
    with images.open_to_write(path) as stream:
        image.to_stream(stream)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a sidecar, parent folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a tab-separated table with ``n/a`` for missing values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")


def clock(start_s: float) -> str:
    """Return the time of day, HH:MM:SS.ffffff, of a moment of the session."""
    total = _SESSION_START_S + start_s
    hours, rest = divmod(total, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{int(hours):02d}:{int(minutes):02d}:{seconds:09.6f}"


def image_type(part: str, *more: str) -> list[str]:
    """Return DICOM ImageType of a magnitude ('mag') or phase image."""
    letter, word = ("M", "MAGNITUDE") if part == "mag" else ("P", "PHASE")
    return ["ORIGINAL", "PRIMARY", letter, *more, word]


def epi_sidecar(
    spec: PhantomSpec, *, echo: int, part: str, start_s: float, sources: list[str], sbref: bool
) -> dict[str, Any]:
    """Return the sidecar of one echo and part of a BOLD series or SBRef.

    Parameters
    ----------
    spec : PhantomSpec
    echo : int
        0-based.
    part : {"mag", "phase"}
    start_s : float
        Start of the acquisition in the session.
    sources : list of str
        B0FieldSource; left out when empty.
    sbref : bool
        Single-band reference instead of the series.

    Returns
    -------
    dict
    """
    columns, lines, _ = spec.epi_shape
    spacing_s = spec.readout_time_s / (lines - 1)
    content = _SCANNER | {
        "MRAcquisitionType": "2D",
        "PulseSequenceType": "Multiband multi-echo gradient echo EPI",
        "ScanningSequence": "EP",
        "SequenceVariant": "SK\\SS",
        "SeriesDescription": f"task-{spec.task}_{'sbref' if sbref else 'bold'}",
        "TaskName": spec.task,
        "ImageType": image_type(part, "SB" if sbref else "MB", f"TE{echo + 1}", "ND"),
        "NonlinearGradientCorrection": False,
        "AcquisitionTime": clock(start_s - (6 if sbref else 0)),
        "EchoNumber": echo + 1,
        "EchoTime": spec.echo_times_s[echo],
        "RepetitionTime": spec.repetition_time_s,
        "FlipAngle": spec.flip_angle_deg,
        "SliceThickness": spec.epi_voxel_mm,
        "SpacingBetweenSlices": spec.epi_voxel_mm,
        "MultibandAccelerationFactor": 1 if sbref else spec.multiband,
        "ParallelReductionFactorInPlane": _IN_PLANE_ACCELERATION,
        "PartialFourier": spec.noise_partial_fourier if spec.noise_partial_fourier < 1 else 0.75,
        "PhaseEncodingDirection": spec.phase_encoding,
        "EffectiveEchoSpacing": round(spacing_s, 9),
        # Three times fewer lines are read than there are, each with twofold oversampling.
        "DwellTime": round(_IN_PLANE_ACCELERATION * spacing_s / (2 * columns), 9),
        "TotalReadoutTime": spec.readout_time_s,
        "ReconMatrixPE": lines,
    }
    if not sbref:
        content["SliceTiming"] = spec.slice_times_s.tolist()
        if spec.non_steady_volumes:
            content["NumberOfVolumesDiscardedByScanner"] = 0
    if part == "phase":
        content["Units"] = "arbitrary"
    if sources:
        content["B0FieldSource"] = sources if len(sources) > 1 else sources[0]
    return content


def gre_sidecar(
    spec: PhantomSpec, *, suffix: str, start_s: float, identifier: str, intended: list[str]
) -> dict[str, Any]:
    """Return the sidecar of ``magnitude1``, ``magnitude2`` or ``phasediff``."""
    first, second = spec.gre_echo_times_s
    content = _SCANNER | {
        "MRAcquisitionType": "2D",
        "PulseSequenceType": "Spoiled Gradient Echo",
        "ScanningSequence": "GR",
        "SeriesDescription": "gre_field_mapping",
        "ImageType": image_type("phase" if suffix == "phasediff" else "mag", "DIS2D"),
        "NonlinearGradientCorrection": True,
        "AcquisitionTime": clock(start_s),
        "RepetitionTime": spec.gre_repetition_time_s,
        "FlipAngle": spec.gre_flip_angle_deg,
        "SliceThickness": round(spec.gre_mm, 4),
        "PhaseEncodingDirection": spec.phase_encoding,
        "B0FieldIdentifier": identifier,
    }
    if spec.noise_partial_fourier < 1:
        content["PartialFourier"] = spec.noise_partial_fourier
    if suffix == "phasediff":
        content |= {"EchoTime1": first, "EchoTime2": second, "IntendedFor": intended}
        content["Units"] = "arbitrary"
    else:
        content["EchoTime"] = first if suffix == "magnitude1" else second
    return content


def anatomy_sidecar(spec: PhantomSpec, suffix: str) -> dict[str, Any]:
    """Return the sidecar of ``T1w`` or ``T2w``."""
    timing = (
        {
            "EchoTime": 0.0024,
            "InversionTime": spec.t1w_times_s[0],
            "RepetitionTime": spec.t1w_times_s[1],
            "FlipAngle": 5,
        }
        if suffix == "T1w"
        else {"EchoTime": 0.4, "RepetitionTime": 3.2, "FlipAngle": 120}
    )
    scanner = _SCANNER | _OTHER_SCANNER if any(spec.scanner_offset_mm) else _SCANNER
    scale = 1.0 if suffix == "T1w" else spec.t2w_voxel_scale
    return scanner | {
        "MRAcquisitionType": "3D",
        "SeriesDescription": f"anat-{suffix}",
        "ImageType": image_type("mag", "DIS3D"),
        "NonlinearGradientCorrection": True,
        "AcquisitionTime": clock(-1500.0 if suffix == "T1w" else -900.0),
        "SliceThickness": round(scale * spec.t1w_mm, 4),
        **timing,
    }


def mp2rage_sidecar(spec: PhantomSpec, train: int | None) -> dict[str, Any]:
    """Return the sidecar of one inversion of an MP2RAGE, or of the combined image."""
    content = _SCANNER | {
        "MRAcquisitionType": "3D",
        "SeriesDescription": "anat-mp2rage",
        "ImageType": image_type("mag", "DIS3D"),
        "NonlinearGradientCorrection": True,
        "AcquisitionTime": clock(-1500.0),
        "RepetitionTimePreparation": spec.mp2rage_repetition_time_s,
        "RepetitionTimeExcitation": spec.mp2rage_excitation_s,
        "NumberShots": list(spec.mp2rage_shots),
        "SliceThickness": spec.t1w_mm,
    }
    if train is None:
        return content
    return content | {
        "InversionTime": spec.mp2rage_inversion_times_s[train],
        "FlipAngle": spec.mp2rage_flip_angles_deg[train],
        "EchoTime": 0.0025,
    }


def megre_sidecar(
    spec: PhantomSpec, *, echo: int, part: str, intended: list[str]
) -> dict[str, Any]:
    """Return the sidecar of one echo and part of a multi-echo gradient echo."""
    content = _SCANNER | {
        "MRAcquisitionType": "3D",
        "PulseSequenceType": "Spoiled Gradient Echo",
        "SeriesDescription": "anat-megre",
        "ImageType": image_type(part, "DIS3D"),
        "NonlinearGradientCorrection": True,
        "AcquisitionTime": clock(-300.0),
        "RepetitionTime": 0.03,
        "FlipAngle": 12,
        "EchoNumber": echo + 1,
        "EchoTime": spec.megre_echo_times_s[echo],
        "SliceThickness": spec.megre_voxel_mm,
    }
    if part == "phase":
        content["Units"] = "arbitrary"
    return content | ({"IntendedFor": intended} if intended else {})


EVENTS_SIDECAR = {
    "trial_type": {
        "Description": "Whether the image had been shown before in any session.",
        "Levels": {
            "new": "first showing of the image",
            "old": "the image had been shown before",
            "blank": "no image",
        },
    },
    "trial_number": {"Description": "Number of the trial in the run, from 1."},
    "response": {"Description": "Button: 1 new, 2 old.", "Levels": {"1": "new", "2": "old"}},
    "response_correct": {"Description": "1 if the response was right, 0 if not."},
    "response_time": {"Description": "Time from onset to response.", "Units": "s"},
    "stim_number": {"Description": "Number of the image trial in the run, from 1."},
    "stim_name": {"Description": "Image shown, or blank: the condition of a trial."},
    "stim_occurrence": {"Description": "Showings of this image so far, all sessions together."},
}


def write_dataset_files(root: Path, spec: PhantomSpec) -> None:
    """Write the files at the root: description, README, participants, events sidecar."""
    write_json(
        root / "dataset_description.json",
        {
            "Name": f"mebold phantom ({spec.size}): simulated multi-echo 7T fMRI",
            "BIDSVersion": "1.10.0",
            "DatasetType": "raw",
            "License": "CC0",
            "Authors": ["mebold.phantom"],
            "GeneratedBy": [{"Name": "mebold.phantom", "Description": f"seed {spec.seed}"}],
        },
    )
    (root / "README.md").write_text(_README)
    ages = 24 + np.arange(len(spec.subjects)) % 12
    sexes = [("F", "M")[i % 2] for i in range(len(spec.subjects))]
    labels = [f"sub-{label}" for label in spec.subjects]
    write_table(
        root / "participants.tsv",
        pd.DataFrame({"participant_id": labels, "age": ages, "sex": sexes}),
    )
    write_json(
        root / "participants.json",
        {
            "age": {"Description": "Age of the simulated participant", "Units": "year"},
            "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
        },
    )
    write_json(root / f"task-{spec.task}_events.json", EVENTS_SIDECAR)


_README = """# Simulated multi-echo 7T fMRI

Written by `mebold.phantom`. No person was scanned: the head is a deformed MNI152 template.
A continuous recognition task with repeated images and blank trials, three echoes with
magnitude and phase, single-band references, GRE field maps before and after the runs, and
T1w and T2w anatomy. What the simulator knows (motion, field, T2*, responses, noise) is
kept outside this dataset, in the truth folder written beside it.
"""
