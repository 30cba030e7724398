"""Say and draw the comparison of one task over its sessions and subjects."""

from mebold.compare import tasks
from mebold.compare.text import describe
from mebold.figures.compare import variant_comparison, variant_metrics
from mebold.figures.style import save
from mebold.files import atomic, tables
from mebold.jobs.script import job

with job(snakemake):
    files, out, task = snakemake.input, snakemake.output, snakemake.wildcards.task
    table, paired, group = (
        tasks.rows_of(tasks.gathered([tables.read_tsv(path)]), task)
        for path in (files.metrics, files.paired, files.subjects)
    )
    baseline, primary = snakemake.params.baseline, snakemake.params.primary
    text = describe(table, paired, baseline=baseline, primary=primary, group=group)
    with atomic.atomic(out.text) as partial:
        partial.write_text(text + "\n")
    figure = variant_comparison(table, paired, baseline=baseline, group=group)
    save(figure, out.svg, out.png)
    save(variant_metrics(table), out.others)
