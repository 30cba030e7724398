"""Write the plan of the stages, as a table and as text for people."""

import pandas as pd

from mebold import nifti, plan_text
from mebold.jobs import job

with job(snakemake):
    table = pd.DataFrame(snakemake.params.plan)
    nifti.write_tsv(snakemake.output.table, table)
    with nifti.atomic(snakemake.output.text) as partial:
        partial.write_text(plan_text.format_plan(table) + "\n")
