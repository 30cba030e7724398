"""Gather the comparison over sessions and subjects: tables, text and figure."""

import pandas as pd

from mebold import compare_stats, compare_text, figures, nifti
from mebold.jobs import job

with job(snakemake):
    table = pd.concat([nifti.read_tsv(path) for path in snakemake.input.metrics])
    paired = pd.concat([nifti.read_tsv(path) for path in snakemake.input.paired])
    baseline, primary = snakemake.params.baseline, snakemake.params.primary
    references = [r for r in dict.fromkeys([baseline, primary]) if r in set(table["variant"])]
    group = compare_stats.group_table(table, references=references)
    out = snakemake.output
    nifti.write_tsv(out.metrics, table)
    nifti.write_tsv(out.paired, paired)
    nifti.write_tsv(out.subjects, group)
    text = compare_text.describe(table, paired, baseline=baseline, primary=primary, group=group)
    with nifti.atomic(out.text) as partial:
        partial.write_text(text + "\n")
    figure = figures.variant_comparison(table, paired, baseline=baseline, group=group)
    figures.save(figure, out.svg, out.png)
    figures.save(figures.variant_metrics(table), out.others)
