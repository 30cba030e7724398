"""Gather the comparison over sessions and subjects: tables, text and figure."""

import pandas as pd

from mebold.compare import subjects
from mebold.compare.text import describe
from mebold.figures.compare import variant_comparison, variant_metrics
from mebold.figures.style import save
from mebold.files import atomic, tables
from mebold.jobs.script import job

with job(snakemake):
    table = pd.concat([tables.read_tsv(path) for path in snakemake.input.metrics])
    paired = pd.concat([tables.read_tsv(path) for path in snakemake.input.paired])
    baseline, primary = snakemake.params.baseline, snakemake.params.primary
    references = [r for r in dict.fromkeys([baseline, primary]) if r in set(table["variant"])]
    group = subjects.group_table(table, references=references)
    out = snakemake.output
    tables.write_tsv(out.metrics, table)
    tables.write_tsv(out.paired, paired)
    tables.write_tsv(out.subjects, group)
    text = describe(table, paired, baseline=baseline, primary=primary, group=group)
    with atomic.atomic(out.text) as partial:
        partial.write_text(text + "\n")
    figure = variant_comparison(table, paired, baseline=baseline, group=group)
    save(figure, out.svg, out.png)
    save(variant_metrics(table), out.others)
