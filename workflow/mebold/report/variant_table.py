"""The compared variants of a subject side by side: benefit and price."""

from dataclasses import dataclass

from mebold.compare.metrics import METRICS
from mebold.report.distribution import short
from mebold.report.folder import number
from mebold.report.study import Study
from mebold.variants import VARIANTS, in_words

#: Metrics in the table, and a short heading of each.
SHOWN = {
    "predictivity_single": "predictivity",
    "noise_ceiling_median": "noise ceiling (%)",
    "signal_kept": "response kept (%)",
    "smoothness_growth": "smoothness added (%)",
    "responsive_kept": "responsive voxels kept (%)",
    "tsnr_median_roi": "tSNR in region",
    "tsnr_median_brain": "tSNR in brain",
    "percent_signal_change": "response (%)",
    "glmdenoise_components": "noise components",
}


@dataclass
class VariantRow:
    """A variant with the means of its metrics over the compared sessions."""

    name: str
    words: str
    primary: bool
    cells: list[str]


def of(study: Study, subject: str = "") -> tuple[list[tuple[str, str]], list[VariantRow]]:
    """Return the headings (short, explained) and one row per compared variant.

    Parameters
    ----------
    study : Study
    subject : str
        With the ``sub-`` prefix; empty averages over subjects.
    """
    label = subject.removeprefix("sub-")
    values: dict[tuple[str, str], list[float]] = {}
    for row in study.folder.read_tsv("comparison/desc-variants_metrics.tsv"):
        value = number(row["value"])
        if value is not None and row["metric"] in SHOWN and label in ("", row["subject"]):
            values.setdefault((row["variant"], row["metric"]), []).append(value)
    made = [name for name in VARIANTS if any(variant == name for variant, _ in values)]
    metrics = [name for name in SHOWN if any(metric == name for _, metric in values)]
    rows = []
    for name in made:
        known = [values.get((name, metric)) for metric in metrics]
        cells = [short(sum(found) / len(found)) if found else "–" for found in known]
        rows.append(VariantRow(name, in_words(name), name == study.primary, cells))
    return [(SHOWN[name], METRICS[name][0]) for name in metrics], rows
