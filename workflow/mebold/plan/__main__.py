"""Command line of the plan: ``python -m mebold.plan DATASET``, without Snakemake."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from mebold.errors import ConfigError, MeboldError
from mebold.files.tables import write_tsv
from mebold.inventory.index import index
from mebold.inventory.selection import add_options
from mebold.jobs import configuration, present
from mebold.plan import study

_NOWHERE = tempfile.gettempdir()  # where no output is given; nothing is written there
_LABELS = ("participant", "session", "task")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Returns
    -------
    int
        Exit status: 0, or 2 after a message on the input; nothing is written then.
    """
    options = _parser().parse_args(arguments)
    try:
        config = _configuration(options)
        table = index(options.bids_dir, **configuration.selection(config))
        found = study.decide(table, config)
        differing = present.differences(config) if _has_output(config) else []
        if options.output:
            write_tsv(options.output, found.plan)
    except MeboldError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"error: {error.filename}: {error.strerror}\n")
        return 2
    if options.output:
        sys.stderr.write("".join(f"{line}\n" for line in found.notices()))
        sys.stderr.write(_changed(differing))
        sys.stderr.write(f"Wrote {options.output}\n")
    else:
        sys.stdout.write(found.text() + _changed(differing))
    return 0


def _has_output(config: dict) -> bool:
    return config["output_dir"] != _NOWHERE


def _changed(differing: Sequence[str]) -> str:
    """Name products that were made otherwise, and say what makes them anew."""
    if not differing:
        return ""
    lines = ["", "Changed since products were made:", *(f"- {line}" for line in differing)]
    lines.append("These jobs and what follows from them run again with the next `snakemake` call.")
    return "\n".join([*lines, "`--rerun-triggers mtime` keeps what is there.", ""])


def _configuration(options: argparse.Namespace) -> dict:
    """Return the complete configuration, as the workflow has it with the same options."""
    config: dict = {}
    for path in options.configfile:
        _merge(config, _read(Path(path).read_text(), path))
    for pair in options.config:
        key, equals, value = pair.partition("=")
        if not equals:
            message = f"--config {pair}: accepted is key=value, such as sdc=dynamic."
            raise ConfigError(message)
        _merge(config, {key: _yaml(value, pair)})
    if options.label_column:
        _merge(config, {"design": {"label_column": options.label_column}})
    for entity in _LABELS:
        if (chosen := getattr(options, f"{entity}_labels")) is not None:
            config[f"{entity}_label"] = chosen
    config["bids_dir"] = options.bids_dir
    config.setdefault("output_dir", _NOWHERE)
    return configuration.complete(config, configuration.load_schema(configuration.SCHEMA))


def _read(text: str, name: str) -> dict:
    found = _yaml(text, name)
    if not isinstance(found, dict):
        message = f"{name}: a configuration file holds `key: value` lines."
        raise ConfigError(message)
    return found


def _yaml(text: str, name: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        message = f"{name}: no valid YAML ({error})."
        raise ConfigError(message) from error


def _merge(config: dict, more: dict) -> None:
    """Put settings over others, section by section, as Snakemake does."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            _merge(config[key], value)
        else:
            config[key] = value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mebold.plan",
        description="Say which stages of the workflow will run for each run of a raw BIDS dataset, "
        "and why one does not: what `snakemake -n` with the same settings says, too.",
    )
    add_options(parser)
    parser.add_argument("-o", "--output", help="TSV to write instead of printing")
    parser.add_argument(
        "--configfile", nargs="+", default=[], metavar="FILE", help="settings, as for snakemake"
    )
    parser.add_argument(
        "--config", nargs="+", default=[], metavar="KEY=VALUE", help="settings, as for snakemake"
    )
    parser.add_argument(
        "--label-column", metavar="COLUMN", help="short for --config design='{label_column: ...}'"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
