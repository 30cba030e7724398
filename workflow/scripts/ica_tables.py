"""Put the tables of an ICA beside the optimal combination, where readers look for them."""

import shutil
from pathlib import Path

from mebold.files import atomic, tables
from mebold.jobs.script import job

with job(snakemake):
    source, target = Path(snakemake.input.outcome), Path(snakemake.output.outcome)
    for end in ("desc-ICA_mixing.tsv", "desc-tedana_metrics.tsv"):
        found, copy = (
            path.with_name(path.name.replace("desc-ICA_outcome.json", end))
            for path in (source, target)
        )
        if found.exists():
            with atomic.atomic(copy) as partial:
                shutil.copyfile(found, partial)
        else:  # the decomposition failed: its outcome says why, an older one's tables are wrong
            copy.unlink(missing_ok=True)
    tables.write_json(target, tables.read_json(source))
