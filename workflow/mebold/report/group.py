"""Tables of all runs for other programs: measures under MRIQC's names where they are the same."""

import csv
import io

from mebold.files import provenance, tables
from mebold.report import quality
from mebold.report.study import Study

_NAME = "group_bold"


def tables_of(study: Study) -> dict[str, str]:
    """Return ``group_bold.tsv``, one row per run, and ``group_bold.json`` with units."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(["bids_name", *quality.MEASURES, "verdict", "reasons"])
    for subject in study.subjects.values():
        for run in subject.runs:
            numbers = [run.numbers[name] for name in quality.MEASURES]
            cells = ["n/a" if value is None else f"{value:.6g}" for value in numbers]
            reasons = "; ".join(text for _, text in run.verdict.reasons) or "n/a"
            reasons = " ".join(reasons.split())
            writer.writerow([f"{run.name}_bold", *cells, run.verdict.level, reasons])
    about = {
        "bids_name": {"Description": "Run; the measures are of all its echoes together."},
        **{
            name: {"Description": text, "Units": unit}
            for name, (unit, text) in quality.MEASURES.items()
        },
        "verdict": {
            "Description": "The worst of the reasons.",
            "Levels": {
                "good": "nothing speaks against the run",
                "look": "something to look at",
                "bad": "beyond a limit, or not finished because a job failed",
                "not judged": "nothing was measured yet",
            },
            "Limits": study.limits,
        },
        "reasons": {"Description": "What speaks against the run."},
        "GeneratedBy": [provenance.generated_by()],
    }
    return {f"{_NAME}.tsv": out.getvalue(), f"{_NAME}.json": tables.json_text(about) + "\n"}
