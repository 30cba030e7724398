"""Metadata of preprocessed series as BIDS and nilearn want it, and what a space is called."""

from collections.abc import Mapping, Sequence

from mebold.variants import VARIANTS

#: What the label of an output space stands for.
SPATIAL_REFERENCES = {
    "T1w": "T1w of the subject",
    "boldref": "Distortion-corrected reference image of the subject's reference run",
}
#: How the echoes of a variant were combined.
COMBINATIONS = {
    "single": "none: one echo",
    "optcom": "weighted by T2* (tedana)",
    "ica": "weighted by T2*, without the components that ICA rejects (tedana)",
}
_OF_ECHO = {
    "Threshold": "threshold",
    "NoiseLevel": "noise_level",
    "NoiseVolumesTrimmed": "noise_volumes_trimmed",
    "MedianComponentsRemoved": "median_components_removed",
    "MedianEnergyRemoved": "median_energy_removed",
}


def spatial_reference_of(space: str, template: str | None) -> str:
    """Return what the label of an output space stands for.

    Parameters
    ----------
    space : str
        T1w, boldref or the label of a template.
    template : str or None
        File of the template; None for the one that comes with nilearn.
    """
    if space in SPATIAL_REFERENCES:
        return SPATIAL_REFERENCES[space]
    return f"Template {space}: {template or 'ICBM 152 2009a nonlinear symmetric, as in nilearn'}"


def bold_metadata(run: dict, *, echoes: str) -> dict:
    """Return what BIDS and nilearn want to know of a preprocessed BOLD series.

    Parameters
    ----------
    run : dict
        Acquisition parameters as from `mebold.jobs.parameters`.
    echoes : {"single", "optcom", "ica"}
    """
    times = run["echo_times"]
    metadata = {
        "TaskName": run["task"],
        "EchoCombination": COMBINATIONS[echoes],
        "RepetitionTime": run["tr_out"],
        "StartTime": 0.0,
        "SliceTimingCorrected": bool(run["slice_timing"]),
        "SkullStripped": True,
        "Units": "arbitrary",
    }
    if echoes == "single":
        metadata["EchoTime"] = times[run["single_echo"]]
    else:
        metadata["EchoTimesCombined"] = times
    return {key: value for key, value in metadata.items() if value is not None}


def echo_metadata(run: dict) -> dict:
    """Return what BIDS wants to know of one echo in its own space, sampled as acquired.

    Parameters
    ----------
    run : dict
        Acquisition parameters of the echo as from `mebold.jobs.parameters`.
    """
    metadata = {
        "TaskName": run["task"],
        "RepetitionTime": run["tr"],
        "EchoTime": run["echo_time"],
        "SliceTiming": run["acquired_slice_timing"],
        "SliceEncodingDirection": run["slice_encoding_direction"],
        "PhaseEncodingDirection": run["direction"],
        "TotalReadoutTime": run["readout_s"],
        "SliceTimingCorrected": False,
        "SkullStripped": False,
        "Units": "arbitrary",
    }
    return {key: value for key, value in metadata.items() if value is not None}


def thermal_denoising(sidecars: Sequence[Mapping]) -> dict:
    """Return what became of the thermal noise of a run, from the sidecars of its denoised echoes.

    Parameters
    ----------
    sidecars : sequence of mapping
        Of `mebold.nordic.record`, in the order of the echoes; none for echoes as acquired.

    Returns
    -------
    dict
        ``Method`` (``NORDIC`` or ``none``), and of NORDIC ``Complex``, ``NoiseMap`` and ``Echoes``,
        one entry each with ``EchoTime`` (s), ``Threshold`` (singular value, in units of the
        noise), ``NoiseLevel``, ``NoiseVolumes``, whether these were trimmed, and medians over the
        head of the number of components and the share of the energy that were removed.
    """
    if not sidecars:
        return {"Method": "none"}
    echoes = []
    for one in sidecars:
        result = one["Result"]
        found = {key: result[name] for key, name in _OF_ECHO.items()}
        noise = {"NoiseVolumes": one["NoiseVolumes"]["Count"]}
        echoes.append({"EchoTime": one.get("EchoTime")} | noise | found)
    shared = {key: sidecars[0][key] for key in ("Complex", "NoiseMap")}
    return {"Method": "NORDIC"} | shared | {"Echoes": echoes}


def upstream(variant: str, samples: Mapping[str, Mapping]) -> tuple[dict, dict]:
    """Return what was done to the series that a fit was made of.

    Parameters
    ----------
    variant : str
    samples : mapping of str to mapping
        Per run the record of its resampling, with ``ThermalDenoising``.

    Returns
    -------
    short : dict
        For every sidecar of the fit: ``Variant``, ``ThermalDenoising`` (method, and of NORDIC
        whether all runs were complex), ``EchoCombination`` and ``Runs``.
    full : dict
        ``ThermalDenoising`` of every run.
    """
    thermal = {run: about["ThermalDenoising"] for run, about in samples.items()}
    method = {"Method": " and ".join(sorted({one["Method"] for one in thermal.values()}))}
    if method["Method"] == "NORDIC":
        method["Complex"] = all(one["Complex"] for one in thermal.values())
    short = {
        "Variant": variant,
        "ThermalDenoising": method,
        "EchoCombination": COMBINATIONS[VARIANTS[variant][1]],
        "Runs": list(samples),
    }
    return short, {"ThermalDenoising": thermal}
