"""Measure the dry-run of a deeply sampled subject: 33 sessions of 12 runs, from a generated table.

``python benchmarks/dryrun.py`` prints CPU seconds (user and system) and peak memory of
``snakemake -n``; no image exists, as only the table is read.
"""

import resource
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
for folder in ("workflow", "tests", "tests/workflow"):
    sys.path.insert(0, str(REPOSITORY / folder))

from test_job_counts import dry_run  # noqa: E402


def main() -> None:
    """Run once and print what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        counts = dry_run(Path(folder), 33, 12)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"jobs {counts['total']}, CPU {cpu:.1f} s, peak {after.ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
