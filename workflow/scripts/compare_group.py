"""Gather the comparison over sessions and subjects: tables, each task by itself."""

from mebold.compare import subjects, tasks
from mebold.files import tables
from mebold.jobs.script import job

with job(snakemake):
    files, others = snakemake.input, snakemake.params.others
    metrics, pairs = [*files.metrics, *others["metrics"]], [*files.paired, *others["differences"]]
    table = tasks.gathered([tables.read_tsv(path) for path in sorted(metrics)])
    paired = tasks.gathered([tables.read_tsv(path) for path in sorted(pairs)])
    known = set(table["variant"])
    references = [r for r in dict.fromkeys(snakemake.params.references) if r in known]
    tables.write_tsv(snakemake.output.metrics, table)
    tables.write_tsv(snakemake.output.paired, paired)
    group = subjects.group_table(table, references=references)
    tables.write_tsv(snakemake.output.subjects, group)
