"""What a call does at its end: keep which jobs failed, and write the pages."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from mebold.report import pages, status
from mebold.report.folder import Folder
from mebold.report.study import Study


def ended(config: Mapping, failed_logs: Iterable[str] = ()) -> str:
    """Keep the logs of the jobs that failed, and write the pages where they are asked for.

    A page that cannot be written is no reason to call a finished analysis failed.

    Parameters
    ----------
    config : mapping
        Complete configuration of the call.
    failed_logs : iterable of str
        Logs of its failed jobs, as Snakemake names them.

    Returns
    -------
    str
        Why no page was written; empty otherwise.
    """
    root = Path(config["output_dir"])
    try:
        status.keep(root / "work", failed_logs)
        if config["report"]["pages"]:
            pages.write(Study(Folder(root)))
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        return f"The report was not written ({what}); `make report` tries again."
    return ""
