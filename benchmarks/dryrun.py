"""Measure the dry-run of deeply sampled subjects: 33 sessions of 12 runs, from a generated table.

``python benchmarks/dryrun.py [SUBJECTS]`` prints CPU seconds (user and system) and peak memory of
``snakemake -n``; no image exists, as only the table is read.
"""

import json
import resource
import sys
import tempfile
from pathlib import Path

import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[1]
for folder in ("workflow", "tests", "tests/workflow"):
    sys.path.insert(0, str(REPOSITORY / folder))

import test_job_counts  # noqa: E402


def tables(n_subjects: int) -> None:
    """Let the table of one subject be that of several."""
    of_one = test_job_counts.table_of

    def table_of(*given: int) -> pd.DataFrame:
        rows = of_one(*given).to_dict("records")
        text = json.dumps(rows)
        labels = [f"{number:02d}" for number in range(1, n_subjects + 1)]
        several = [json.loads(text.replace("sub-01", f"sub-{label}")) for label in labels]
        named = [
            {**row, "subject": label}
            for label, rows in zip(labels, several, strict=True)
            for row in rows
        ]
        return pd.DataFrame(named, dtype=object)

    test_job_counts.table_of = table_of


def main() -> None:
    """Run once and print what it cost."""
    tables(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        counts = test_job_counts.dry_run(Path(folder), 33, 12)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"jobs {counts['total']}, CPU {cpu:.1f} s, peak {after.ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
