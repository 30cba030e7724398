"""Metadata of preprocessed series as BIDS and nilearn want it, and what a space is called."""

#: What the label of an output space stands for.
SPATIAL_REFERENCES = {
    "T1w": "T1w of the subject",
    "boldref": "Distortion-corrected reference image of the subject's reference run",
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
