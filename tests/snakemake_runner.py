"""Start the workflow as a user does, and read what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def snakemake(
    *arguments: str, cwd: Path, repository: Path = REPOSITORY, **config: object
) -> subprocess.CompletedProcess:
    """Run Snakemake with the interpreter of the tests; never raises."""
    pairs = [f"{key}={value}" for key, value in config.items()]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "snakemake", "-s", str(repository / "Snakefile")]
    command += [*arguments, *(["--config", *pairs] if pairs else [])]
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def job_counts(output: str) -> dict[str, int]:
    """Read the table of jobs that Snakemake prints; empty when there is nothing to do."""
    table = output.partition("Job stats:")[2]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
