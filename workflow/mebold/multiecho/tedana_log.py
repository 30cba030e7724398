"""What tedana says while it works: silence for single functions, a record for whole workflows.

tedana reports through two global loggers, ``GENERAL`` (progress, warnings) and ``REPORT`` (text
for a methods section), and its workflows leave their handlers behind when they raise.
"""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_GENERAL = "GENERAL"
_REPORT = "REPORT"


@dataclass
class Record:
    """What one run of a tedana workflow said, in order of appearance.

    Attributes
    ----------
    messages : list of str
        Everything logged from level INFO.
    warnings : list of str
        Logged warnings and errors, each text once.
    python_warnings : list of str
        Warnings of Python code, each text once.
    """

    messages: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    python_warnings: list[str] = field(default_factory=list)


class _Collector(logging.Handler):
    """Append formatted messages to a `Record`."""

    def __init__(self, record: Record) -> None:
        super().__init__(level=logging.INFO)
        self._record = record

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self._record.messages.append(text)
        if record.levelno >= logging.WARNING and text not in self._record.warnings:
            self._record.warnings.append(text)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back everything below an error that tedana's functions log inside the block."""
    loggers = [logging.getLogger(name) for name in (_GENERAL, _REPORT)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def recorded() -> Iterator[Record]:
    """Collect log messages and Python warnings of a tedana workflow; clean up after it.

    The terminal stays silent: tedana has a log file, but no switch that spares it alone.

    Yields
    ------
    Record
        Filled while the block runs. Python warnings are added when the block ends, also when it
        ends by an exception.
    """
    record = Record()
    collector = _Collector(record)
    loggers = [logging.getLogger(name) for name in (_GENERAL, _REPORT)]
    states = [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    loggers[0].addHandler(collector)
    loggers[0].propagate = False
    try:
        with contextlib.ExitStack() as stack:
            caught = stack.enter_context(warnings.catch_warnings(record=True))
            warnings.simplefilter("default")
            nowhere = stack.enter_context(Path(os.devnull).open("w"))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
            yield record
    finally:
        for logger, (level, propagate, handlers) in zip(loggers, states, strict=True):
            for handler in [h for h in logger.handlers if h not in handlers]:
                handler.close()
                logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
            logger.disabled = False
        for item in caught:
            text = f"{item.category.__name__}: {item.message}"
            if text not in record.python_warnings:
                record.python_warnings.append(text)
