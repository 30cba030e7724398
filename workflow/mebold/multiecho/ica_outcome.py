"""What the outcome of a run's ICA means for the products that are made from the run."""

from collections.abc import Iterable, Mapping


def metadata(outcome: Mapping) -> dict:
    """Return the sidecar keys of a series that ICA denoised, or could not denoise.

    Parameters
    ----------
    outcome : mapping
        ``IcaResult.outcome`` of `mebold.multiecho.ica.denoise`.
    """
    if outcome["status"] == "fallback":
        text = f"The optimal combination, because ICA was not used: {outcome['reason']}."
        return {"IcaStatus": "fallback", "Description": text}
    return {
        "IcaStatus": outcome["status"],
        "IcaComponents": outcome["n_components"],
        "IcaComponentsRejected": outcome["n_rejected"],
    }


def fallbacks(outcomes: Iterable[Mapping]) -> list[dict[str, str]]:
    """List the runs of a session whose ICA was not used, with the reason.

    Parameters
    ----------
    outcomes : iterable of mapping
        One per run, as for `metadata`.

    Returns
    -------
    list of dict
        Keys ``run`` and ``reason``.
    """
    return [
        {"run": outcome["run"], "reason": outcome["reason"]}
        for outcome in outcomes
        if outcome["status"] == "fallback"
    ]
