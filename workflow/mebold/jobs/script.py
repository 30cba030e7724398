"""What every script does around its one call: a log file, a thread limit, readable errors."""

import contextlib
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from mebold.errors import MeboldError
from mebold.jobs import record
from mebold.processes import started

# Wildcards that name a run, a group of runs or a subject, the closest first; then its variants.
_OWNERS = ("stem", "group", "pooled", "subtask", "folder", "ses", "sub")
_SCRATCH = "mebold-job-"
_LEVELS = ("echo", "thermal", "variant", "dataset", "glm")


@contextlib.contextmanager
def job(snakemake: object) -> Iterator[logging.Logger]:
    """Run the body of a Snakemake script.

    Messages and warnings go to the job's log. An error that the library raised on purpose ends
    the job with its message alone, on the terminal and in the log; any other error keeps its
    traceback.

    Parameters
    ----------
    snakemake : object
        The object that Snakemake gives to a script; ``log`` and ``threads`` are used.
    """
    path = snakemake.log[0] if snakemake.log else None
    handlers = [logging.FileHandler(path, mode="w")] if path else [logging.StreamHandler()]
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
        handlers=handlers,
        force=True,
    )
    logging.captureWarnings(capture=True)
    warnings.simplefilter("default")
    logger = logging.getLogger("mebold.job")
    limit_threads(1)
    try:
        with scratch(), record.kept(snakemake):
            yield logger
    except MeboldError as error:
        logger.error("%s", error)  # noqa: TRY400 - the message is the whole point
        sys.stderr.write(f"\nerror in {whose(snakemake)}: {error}\n\n")
        raise SystemExit(1) from None
    except Exception:
        logger.exception("unexpected error")
        sys.stderr.write(f"\nunexpected error in {whose(snakemake)}:\n")
        raise


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give the job a temporary folder of its own, which goes with all that tools left in it.

    ANTs leaves files of its segmentation behind. A killed job leaves its folder, which the next
    job on this machine removes.
    """
    before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
    base = Path(tempfile.gettempdir())
    for left in base.glob(f"{_SCRATCH}*"):
        process = left.name.removeprefix(_SCRATCH).partition("-")[0]
        if process.isdigit() and started(int(process)) is None:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-", dir=base) as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before
            os.environ.pop("TMPDIR")
            if variable is not None:
                os.environ["TMPDIR"] = variable


def whose(snakemake: object) -> str:
    """Name the rule of a job and whose images it works on: ``rule hmc of sub-01_task-x_run-1``."""
    labels = dict(snakemake.wildcards.items())
    names = [labels[key] for key in _OWNERS if key in labels][:1]
    names += [labels[key] for key in _LEVELS if labels.get(key)]
    return f"rule {snakemake.rule}" + (f" of {', '.join(names)}" if names else "")


def limit_threads(count: int) -> None:
    """Give numeric libraries `count` threads: spinning threads of parallel jobs cost ten times."""
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    ):
        os.environ[name] = str(count)
    with contextlib.suppress(ImportError):
        import threadpoolctl

        threadpoolctl.threadpool_limits(count)
