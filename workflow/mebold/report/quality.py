"""Numbers about the quality of a run, under MRIQC's names where the measure is the same."""

from collections.abc import Sequence
from statistics import fmean

from mebold.report.folder import Folder, number
from mebold.report.plan import Planned

#: MRIQC counts volumes above this displacement (mm), whatever else marks outliers.
MRIQC_FD_MM = 0.2
#: Name -> (unit, what it is); the names of MRIQC first.
MEASURES: dict[str, tuple[str, str]] = {
    "fd_mean": ("mm", "Mean framewise displacement (Power 2012, 50 mm) of the acquired volumes."),
    "fd_num": ("count", f"Volumes with a framewise displacement above {MRIQC_FD_MM} mm."),
    "fd_perc": ("percent", f"Share of volumes with a displacement above {MRIQC_FD_MM} mm."),
    "dvars_nstd": ("signal", "Mean DVARS of the preprocessed series, in units of the signal."),
    "dvars_std": ("1", "Mean standardised DVARS (Nichols) of the preprocessed series."),
    "tsnr": ("1", "Median temporal SNR in the brain of the preprocessed series, drifts removed."),
    "tsnr_grey_matter": ("1", "The same in grey matter."),
    "tsnr_echo_1": ("1", "Median temporal SNR in the brain of the first echo, resampled likewise."),
    "tsnr_echo_2": ("1", "The same of the second echo."),
    "tsnr_echo_3": ("1", "The same of the third echo."),
    "dummy_trs": ("count", "Volumes before the steady state."),
    "size_t": ("count", "Acquired volumes, without noise volumes."),
    "spacing_tr": ("s", "Repetition time as acquired."),
    "fd_max": ("mm", "Largest framewise displacement."),
    "outliers": ("count", "Volumes marked as outliers: displacement above `hmc.outlier_mm`, or "
                          "motion that cannot be trusted."),
    "outliers_perc": ("percent", "Their share of the volumes."),
    "t1w_mutual_information": ("nat", "Mutual information of BOLD reference and T1w, aligned."),
    "t1w_dice": ("1", "Dice overlap of BOLD and T1w brain masks."),
    "t1w_coverage": ("1", "Share of the T1w's brain in the field of view of the run."),
    "fieldmap_coverage": ("1", "Share of the brain that the fieldmap covers."),
    "weakest_response": ("percent", "Median weakest response that NORDIC lets through."),
    "ica_accepted": ("count", "ICA components kept."),
    "ica_rejected": ("count", "ICA components removed."),
    "noise_ceiling_share": ("percent", "Share of the brain's voxels whose noise ceiling is above "
                                       "chance (false discovery rate), of the run's session."),
}  # fmt: skip
#: Units as a table of runs has them; a share of the session stands beside each of its runs.
SHORT_UNITS = {"percent": "%", "count": "", "1": ""}
OF_SESSION = {"noise_ceiling_share": "% of the session"}
#: Measures that stand in the table of runs.
SHOWN = ("fd_mean", "outliers_perc", "tsnr", "dvars_std", "t1w_dice", "noise_ceiling_share")


def unit(name: str) -> str:
    """Return the unit of a measure as it stands under its name in a table; empty without one."""
    told = MEASURES[name][0]
    return OF_SESSION.get(name) or SHORT_UNITS.get(told, told)


def of_run(folder: Folder, run: Planned, *, dataset: str) -> dict[str, float | None]:
    """Return the measures of a run; None where nothing was measured.

    Parameters
    ----------
    folder : Folder
    run : Planned
    dataset : str
        Dataset with the preprocessed BOLD of the primary variant.
    """
    motion = folder.json(run.name, r"desc-native_motion\.json")
    found: dict[str, float | None] = dict.fromkeys(MEASURES)
    found |= _motion(folder, run, motion)
    measured = folder.json(run.name, r"desc-quality_bold\.json", dataset)
    own = ("tsnr", "tsnr_grey_matter", "dvars_std", "dvars_nstd")
    found |= {key: number(measured.get(key)) for key in own}
    echoes = measured.get("tsnr_echoes") or []
    found |= {f"tsnr_echo_{i + 1}": number(value) for i, value in enumerate(echoes[:3])}
    coreg = folder.json(run.name, r"from-boldref_to-\w+_mode-image_desc-coreg_xfm\.json")
    quality = coreg.get("Quality") or {}
    found["t1w_mutual_information"] = number(quality.get("mutual_information"))
    found["t1w_dice"] = number(quality.get("mask_dice"))
    found["t1w_coverage"] = number(quality.get("coverage"))
    field = folder.json(run.name, r"desc-boldref_fieldmap\.json").get("Quality") or {}
    found["fieldmap_coverage"] = number(field.get("coverage"))
    weakest = folder.json(run.name, r"(echo-\w+_)?desc-weakestResponse_boldmap\.json")
    found["weakest_response"] = number(weakest.get("WeakestResponse"))
    outcome = folder.json(run.name, r"desc-ICA_outcome\.json", "preproc-nordicIca")
    outcome = outcome or folder.json(run.name, r"desc-ICA_outcome\.json")
    found["ica_accepted"] = number(outcome.get("n_accepted"))
    found["ica_rejected"] = number(outcome.get("n_rejected"))
    return found


def _motion(folder: Folder, run: Planned, about: dict) -> dict[str, float | None]:
    """Return what the motion of the acquired volumes tells."""
    file = folder.first(run.name, r"desc-native_motion\.tsv")
    rows = folder.read_tsv(file.path) if file else []
    early = int(number(about.get("NonSteadyStateVolumes")) or 0)
    # The first steady volume is displaced from one that counts for nothing.
    fd = [number(row.get("framewise_displacement")) for row in rows][early + 1 :]
    fd = [value for value in fd if value is not None]
    found: dict[str, float | None] = {
        "dummy_trs": number(about.get("NonSteadyStateVolumes")),
        "size_t": number(about.get("Volumes")),
        "spacing_tr": number(((about.get("Parameters") or {}).get("run") or {}).get("tr")),
    }
    if fd:
        above = sum(value > MRIQC_FD_MM for value in fd)
        found |= {"fd_mean": fmean(fd), "fd_max": max(fd), "fd_num": above}
        found["fd_perc"] = 100 * above / len(fd)
    outliers = about.get("OutlierVolumes")
    if isinstance(outliers, Sequence) and rows:
        found |= {"outliers": len(outliers), "outliers_perc": 100 * len(outliers) / len(rows)}
    return found


def ceiling_share(folder: Folder, group: str, dataset: str) -> float | None:
    """Return the share of a session's voxels with a noise ceiling above chance, in percent."""
    about = folder.json(group, r"space-\w+_desc-Noiseceiling_statmap\.json", dataset)
    share = number(about.get("ShareSignificant"))
    return None if share is None else 100 * share
