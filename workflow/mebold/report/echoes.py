"""Temporal SNR of the echoes of every run, and of what was made of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from mebold.report.distribution import short
from mebold.report.folder import number
from mebold.report.study import RunRecord, Study
from mebold.variants import in_words, variant_of


@dataclass
class EchoRow:
    """A written series of a run."""

    run: str
    series: str
    echoes: list[str]
    combined: str
    grey: str


def of(study: Study, runs: Sequence[RunRecord]) -> tuple[int, list[EchoRow]]:
    """Return the largest number of echoes, and a row for each written series of each run.

    Medians over the brain; the echoes are those of the same level of thermal noise.
    """
    rows = []
    for run in runs:
        for file in study.folder.find(run.name, r"desc-quality_bold\.json"):
            measured = study.folder.read_json(file.path)
            echoes = [short(number(value)) for value in measured.get("tsnr_echoes") or ()]
            made = [short(number(measured.get(key))) for key in ("tsnr", "tsnr_grey_matter")]
            words = in_words(variant_of(file.dataset))
            rows.append(EchoRow(run.planned.short, words, echoes, *made))
    return max((len(row.echoes) for row in rows), default=0), rows
