"""Records of an output folder, held against present settings, code and inputs without Snakemake."""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from mebold.jobs import record
from mebold.jobs.code_hash import code_hash

_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def differences(config: Mapping) -> list[str]:
    """Name the products whose record differs from the present, without making anything.

    Parameters
    ----------
    config : mapping
        Complete configuration; without records in its ``output_dir`` there is nothing to say.

    Returns
    -------
    list of str
        One line per change, with the rules whose jobs it concerns and how many jobs. Keys of the
        configuration, the code of a checkout, and raw files are looked at; what else follows
        from the data (times of echoes, runs of a fit), `snakemake -n` compares too.
    """
    config = {**config, "bids_dir": os.path.normpath(Path(config["bids_dir"]).absolute())}
    places = record.Places(config["bids_dir"], config["output_dir"])
    values = record.leaves({key: places.plain(value) for key, value in config.items()})
    found: dict[record.Change, Counter] = defaultdict(Counter)
    for place in places.all():
        before = record.read(place) or {}
        for change in _changes(places, before, values):
            found[change][places.rule(place)] += 1
    return [f"{change} ({_jobs(rules)})" for change, rules in found.items()]


def _changes(places: record.Places, before: Mapping, values: Mapping) -> list[record.Change]:
    now = {"Labels": before.get("Labels", {})}
    if before.get("Complete"):
        parameters = record.leaves(before["Parameters"])
        own = {name: values.get(key) for name, key in before["Settings"].items()}
        inputs = {
            name: places.identity(path)
            for name in before["Inputs"]
            if (path := places.path(name)) is not None
        }
        now |= {
            "Script": before["Script"],
            "Code": _code(before),
            "Parameters": parameters | own,
            "Inputs": before["Inputs"] | inputs,
        }
        before = {**before, "Parameters": parameters}
    return record.changes(places, before, now)


def _code(before: Mapping) -> str:
    """Return the hash of a job's script as it is now; without a checkout the one that it had."""
    script = _SCRIPTS / f"{before['Script']}.py"
    return code_hash(script) if script.is_file() else before["Code"]


def _jobs(rules: Counter) -> str:
    return ", ".join(f"{rule}: {n} job{'s' if n > 1 else ''}" for rule, n in rules.items())
