"""Write the plan of the stages, as a table and as text for people."""

import pandas as pd

from mebold.files import atomic, tables
from mebold.jobs.script import job
from mebold.plan import text

with job(snakemake):
    table = pd.DataFrame(snakemake.params.plan)
    tables.write_tsv(snakemake.output.table, table)
    with atomic.atomic(snakemake.output.text) as partial:
        partial.write_text(text.format_plan(table, snakemake.params.findings))
