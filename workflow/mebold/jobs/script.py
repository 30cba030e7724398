"""What every script does around its one call: a log file, a thread limit, readable errors."""

import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from mebold.errors import MeboldError
from mebold.files import atomic
from mebold.jobs import calls, record
from mebold.processes import started

# Wildcards that name a run, a group of runs or a subject, the closest first; then its variants.
_OWNERS = ("stem", "group", "pooled", "subtask", "folder", "ses", "sub")
_SCRATCH = "mebold-job-"
_LEVELS = ("echo", "thermal", "variant", "dataset", "glm")


@contextlib.contextmanager
def job(snakemake: object) -> Iterator[logging.Logger]:
    """Run the body of a Snakemake script.

    Messages and warnings go to the job's log, whose first line says what the job is and whose last
    one how long it took. An error that the library raised on purpose and a
    full disk end the job with a message alone, on the terminal and in the log; any other error
    keeps its traceback. What a job wrote before it failed or was terminated is removed, sidecars
    too.

    Parameters
    ----------
    snakemake : object
        The object that Snakemake gives to a script; ``log``, ``threads`` and the ``output_dir`` of
        its ``config`` are used.
    """
    signal.signal(signal.SIGTERM, _terminated)
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
    config = getattr(snakemake, "config", {})
    place = contextlib.nullcontext()
    if "output_dir" in config:
        work = Path(config["output_dir"], "work")
        place = calls.working(work, whose(snakemake), outputs=snakemake.output)
    before, began = len(atomic.written), time.monotonic()
    logger.info("%s", whose(snakemake))
    try:
        with place, scratch(), record.kept(snakemake):
            yield logger
        logger.info("done in %.1f s", time.monotonic() - began)
    except BaseException as error:
        for path in atomic.written[before:]:
            with contextlib.suppress(OSError):
                atomic.remove(path)
        if isinstance(error, MeboldError) or _disk_is_full(error):
            message = str(error) if isinstance(error, MeboldError) else _of_full_disk(error)
            logger.error("%s", message)  # noqa: TRY400 - the message is the whole point
            sys.stderr.write(f"\nerror in {whose(snakemake)}: {message}\n\n")
            raise SystemExit(1) from None
        if isinstance(error, Exception):
            logger.exception("unexpected error")
            sys.stderr.write(f"\nunexpected error in {whose(snakemake)}:\n")
        raise


def _disk_is_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in atomic.FULL


def _of_full_disk(error: OSError) -> str:
    """Say which disk is full, as far as the error knows it."""
    where = f" ({error.filename})" if error.filename else ""
    return (
        f"{error.strerror}{where}. What this job had written is removed: make room in the output "
        f"folder and in {tempfile.gettempdir()}, and make the same call again."
    )


def _terminated(number: int, frame: object) -> None:  # noqa: ARG001
    """Leave as after an error, so that what is unfinished is removed: a time limit or a cancel."""
    logging.getLogger("mebold.job").error("terminated by signal %d", number)
    raise SystemExit(128 + number)


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
    names = owner(snakemake)
    return f"rule {snakemake.rule}" + (f" of {names}" if names else "")


def owner(snakemake: object) -> str:
    """Name whose images a job works on, and which variant: ``sub-01_task-x_run-1, tedana``."""
    labels = dict(snakemake.wildcards.items())
    names = [labels[key] for key in _OWNERS if key in labels][:1]
    names += [labels[key] for key in _LEVELS if labels.get(key)]
    return ", ".join(names)


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
