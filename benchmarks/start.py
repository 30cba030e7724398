"""Measure what the start of a cluster job costs: Snakemake reads the rules, before anything runs.

``python benchmarks/start.py`` prints CPU seconds (user and system, least of five) of one start, for
the job of one run in tables of 1 and 33 sessions of 12 runs: of Snakemake without a workflow, of a
job that makes the plan itself, and of one that its call handed run table and plan. A Slurm job has
two such starts.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
for folder in ("workflow", "tests", "tests/workflow"):
    sys.path.insert(0, str(REPOSITORY / folder))

from test_job_counts import table_of  # noqa: E402

from mebold.inventory.table import write_table  # noqa: E402

STEM = "sub-01_ses-01_task-images_run-02"
RULE = 'rule hmc:\n    output: "{folder}/{stem}.txt"\n    shell: "touch {output}"\n'
# Of a workflow that is started as a job, but does not run it: its outputs are touched.
OPTIONS = (
    *("--target-jobs", f"hmc:folder=sub-01/ses-01,stem={STEM}", "--allowed-rules", "hmc"),
    *("--cores", "all", "--force", "--target-files-omit-workdir-adjustment", "--no-hooks"),
    *("--max-inventory-time", "0", "--nolock", "--ignore-incomplete", "--latency-wait", "0"),
    *("--scheduler", "greedy", "--executor", "touch", "--jobs", "1", "--mode", "remote"),
)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "Bare").write_text(RULE)
        print(f"Snakemake alone: {start(place, 'Bare'):.2f} CPU s")
        for sessions in (1, 33):
            table = table_of(sessions, 12)
            table["image_state"] = "ok"
            write_table(table, place / "runs.tsv")
            settings = ["run_table=runs.tsv", "bids_dir=raw", f"output_dir=out{sessions}"]
            alone = start(place, REPOSITORY / "Snakefile", *settings)
            hand_over(place, *settings)
            handed = start(place, REPOSITORY / "Snakefile", *settings, MEBOLD_CALL="a call")
            print(f"{sessions} sessions: {alone:.2f} alone, {handed:.2f} handed, CPU s")


def start(place: Path, snakefile: str | Path, *settings: str, **environment: str) -> float:
    """Return CPU seconds of one start."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), *OPTIONS]
    command += ["--config", *settings] if settings else []
    spent = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=place, capture_output=True, check=False,
                       env=os.environ | environment)  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


def hand_over(place: Path, *settings: str) -> None:
    """Do what the first process of a call does for its jobs."""
    from mebold.inventory.table import read_table
    from mebold.jobs import configuration, handed
    from mebold.jobs.index import Index
    from mebold.plan import references, study

    os.environ["MEBOLD_CALL"] = "a call"
    schema = configuration.load_schema(configuration.SCHEMA)
    config = dict(pair.split("=") for pair in settings)
    out = place / config["output_dir"]
    config = configuration.complete(config | {"run_table": str(place / "runs.tsv")}, schema)
    kept = references.read(out)
    found = study.decide(read_table(place / "runs.tsv"), config, contents=True, kept=kept)
    index = Index(found.table, found.plan, config, kept, found.templates)
    handed.write(out / "work", (found, kept, index))
    del os.environ["MEBOLD_CALL"]


if __name__ == "__main__":
    main()
