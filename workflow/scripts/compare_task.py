"""Say and draw the comparison of one task over its sessions and subjects."""

from mebold.compare import tasks
from mebold.compare.advice import advise, record
from mebold.compare.text import describe, instead
from mebold.figures.compare import variant_comparison, variant_metrics
from mebold.figures.style import PRINT_DPI, save
from mebold.files import atomic, tables
from mebold.jobs import sidecar
from mebold.jobs.script import job

with job(snakemake):
    files, out, task = snakemake.input, snakemake.output, snakemake.wildcards.task
    table, paired, group = (
        tasks.rows_of(tasks.gathered([tables.read_tsv(path)]), task)
        for path in (files.metrics, files.paired, files.subjects)
    )
    names = {"baseline": snakemake.params.baseline, "primary": snakemake.params.primary}
    found = advise(table, paired, primary=names["primary"], limits=snakemake.params.limits)
    about = sidecar.Sidecar(snakemake, packages=["numpy", "pandas"])
    tables.write_json(out.advice, about(**record(found, task=task)))
    regions = [tables.read_json(tables.sidecar(path)) for path in files.regions]
    with atomic.atomic(out.text) as partial:
        said = {"group": group, "advice": found, "fallbacks": instead(regions)}
        text = describe(table, paired, **said, **names)
        partial.write_text(text + "\n")
    names |= {"advice": found, "limits": snakemake.params.limits}
    figure = variant_comparison(table, paired, group=group, **names)
    save(figure, out.svg, out.png, dpi=PRINT_DPI)
    save(variant_metrics(table), out.others, dpi=PRINT_DPI)
