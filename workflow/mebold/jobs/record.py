"""What made the products of a job, kept beside them, and what of it is different now.

A job is done when its record says so. Snakemake's own notes belong to a working directory and
name files as a call spells them: they do not come along with an output folder that is moved. A
record lies in the output folder, names inputs by dataset and content, and holds no date.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mebold.files.identity import identity
from mebold.files.tables import json_text, read_json, write_json

#: Folder of the records, in the output folder.
FOLDER = "provenance"
#: Lists and texts that are longer as JSON are kept as a digest, characters.
_LONG = 400
#: Parameters that the record has elsewhere: code by itself, raw images and BOLD among the inputs.
_ELSEWHERE = ("code", "sources", "images")


@dataclass(frozen=True)
class Change:
    """What is different from when a product was made.

    Attributes
    ----------
    kind : {"unfinished", "code", "setting", "parameter", "input"}
    name : str
        Job, script, key of the configuration (``output.jacobian``), parameter or input.
    before, now : str
        As JSON; of an input its identity, or ``absent``.
    """

    kind: str
    name: str
    before: str = ""
    now: str = ""

    def __str__(self) -> str:
        """Return one line for people."""
        if self.kind == "unfinished":
            return f"a job did not finish: {self.name}"
        if self.kind == "code":
            return f"code of {self.name}"
        if self.kind == "input":
            what = {"absent": "is new"}.get(self.before, "has other content")
            return f"input {self.name} " + ("is gone" if self.now == "absent" else what)
        return f"{self.kind} {self.name}: {_short(self.before)} -> {_short(self.now)}"


class Places:
    """Names of files that stay valid when datasets are moved.

    Parameters
    ----------
    raw, output : path-like
        Folder of the raw dataset, absolute, and of the output, as the call spells it.
    """

    def __init__(self, raw: str | Path, output: str | Path) -> None:
        self._raw, self._output = f"{Path(raw)}/", f"{Path(output)}/"
        self._logs = f"{Path(output, 'work', 'logs')}/"
        self._records = Path(output, FOLDER)
        self._identities: dict[str, str] = {}  # one input serves several jobs

    def name(self, path: str) -> tuple[str, bool]:
        """Return the name of an input, and whether it is one that no job of ours makes.

        Raw files are ``bids:raw:<path>``, products ``bids:<dataset>:<path>``; a file of elsewhere
        (template, region) has its name without folders.
        """
        if path.startswith(self._output):  # which may lie in the raw dataset, as derivatives
            dataset, _, rest = path[len(self._output) :].partition("/")
            return f"bids:{dataset}:{rest}", False
        if path.startswith(self._raw):
            return f"bids:raw:{path[len(self._raw) :]}", True
        return path.rpartition("/")[2], True

    def identity(self, path: str) -> str:
        """Return the identity of a file (`mebold.files.identity`), or ``absent``."""
        if path not in self._identities:
            self._identities[path] = identity(path) or "absent"
        return self._identities[path]

    def path(self, name: str) -> str | None:
        """Return the path of a raw file, None for a file of elsewhere."""
        return self._raw + name[9:] if name.startswith("bids:raw:") else None

    def of_job(self, rule: str, log: str) -> Path:
        """Return the record of a job, which has its place from the job's log."""
        place = log.removeprefix(self._logs).removesuffix(".log")
        return self._records / rule / f"{place.partition('/')[2] or place}.json"

    def rule(self, place: Path) -> str:
        """Return the rule of a record."""
        return place.relative_to(self._records).parts[0]

    def all(self) -> Iterator[Path]:
        """Yield the records that there are, in order."""
        yield from sorted(self._records.rglob("*.json"))

    def plain(self, value: object) -> object:
        """Return a parameter as JSON has it, with paths by dataset and long lists as a digest."""
        text = json_text(value)
        text = text.replace(f'"{self._output}', '"bids:').replace(f'"{self._raw}', '"bids:raw:')
        return _compact(json.loads(text))


def of_job(
    places: Places, *, labels: Mapping, params: Mapping, inputs: Iterable[str], complete: bool
) -> dict:
    """Return the record of a job.

    Parameters
    ----------
    places : Places
    labels : mapping
        Wildcards.
    params : mapping
        Parameters as the script gets them; ``code`` is the name of the script and its hash.
    inputs : iterable of str
        Paths. The content of raw files is looked at (`mebold.files.identity`); products of other
        jobs count by name, because a job that makes one anew makes what follows run.
    complete : bool
        Whether the job has ended well.

    Returns
    -------
    dict
        ``Complete``, ``Labels``, ``Script``, ``Code``, ``Parameters`` and ``Inputs`` (name ->
        identity; empty for products of other jobs, joined for files of one name).
    """
    named: dict[str, str] = {}
    for path in inputs:
        name, foreign = places.name(str(path))
        text = places.identity(str(path)) if foreign else ""
        named[name] = f"{named[name]}, {text}" if named.get(name) else text
    script, _, code = str(params.get("code", "")).rpartition(":")
    return {
        "Complete": complete,
        "Labels": dict(labels),
        "Script": script,
        "Code": code,
        "Parameters": {k: places.plain(v) for k, v in params.items() if k not in _ELSEWHERE},
        "Inputs": named,
    }


@contextlib.contextmanager
def kept(snakemake: object) -> Iterator[None]:
    """Keep the record of a job: that it began, and what made its products once it has ended.

    Nothing is kept where there is no log to name it by.
    """
    config = getattr(snakemake, "config", {})
    if not snakemake.log or "bids_dir" not in config:
        yield
        return
    places = Places(config["bids_dir"], config["output_dir"])
    place, params = places.of_job(snakemake.rule, snakemake.log[0]), dict(snakemake.params.items())
    labels = dict(snakemake.wildcards.items())
    about = of_job(places, labels=labels, params=params, inputs=snakemake.input, complete=False)
    about["Settings"] = settings(about["Parameters"], config, about["Script"])
    write_json(place, about)
    yield
    write_json(place, about | {"Complete": True})


def read(place: Path) -> dict | None:
    """Return a record; None where there is none, an unfinished one where it is damaged."""
    try:
        return read_json(place)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {"Complete": False, "Labels": {}}


def changes(places: Places, before: Mapping, now: Mapping) -> list[Change]:
    """Compare the record of a job with what the job would be now.

    Parameters
    ----------
    places : Places
    before, now : mapping
        See `of_job`; `before` also has ``Settings``, the keys of the configuration that parameters
        come from.

    Returns
    -------
    list of Change
        Empty where the products are those that the job would make.
    """
    if not before.get("Complete"):
        return [Change("unfinished", ", ".join(map(str, now["Labels"].values())) or "no labels")]
    found = []
    if before["Code"] != now["Code"]:
        found.append(Change("code", now["Script"]))
    if before["Parameters"] != now["Parameters"]:
        old, new = leaves(before["Parameters"]), leaves(now["Parameters"])
        keys = before.get("Settings", {})
        for name in dict.fromkeys((*old, *new)):
            if old.get(name) != new.get(name):
                kind = "setting" if name in keys else "parameter"
                found.append(Change(kind, keys.get(name, name), _json(old, name), _json(new, name)))
    found += changed_inputs(places, before["Inputs"], now["Inputs"])
    return found


def changed_inputs(places: Places, before: Mapping, now: Mapping) -> list[Change]:
    """Compare inputs by name and content; a link whose content is not here tells nothing."""
    found = []
    for name in dict.fromkeys((*before, *now)) if before != now else ():
        old, new = before.get(name, "absent"), now.get(name, "absent")
        path = places.path(name)
        fetched_no_more = new == "absent" and path is not None and Path(path).is_symlink()
        if old != new and not fetched_no_more:
            found.append(Change("input", name, old, new))
    return found


def settings(params: Mapping, config: Mapping, script: str) -> dict[str, str]:
    """Return which parameters are keys of the configuration: parameter -> key.

    A parameter is named as its key and has its value (``settings.least_dice`` of the script
    ``coreg_align``: ``coreg.least_dice``); of several such keys that of the stage counts.
    """
    places = Places("/", "/")
    known = leaves({key: places.plain(value) for key, value in config.items()})
    by_name: dict[str, list[str]] = {}
    for key in known:
        by_name.setdefault(key.rpartition(".")[2], []).append(key)
    found = {}
    for name, value in leaves(params).items():
        alike = [k for k in by_name.get(name.rpartition(".")[2], ()) if known[k] == value]
        own = [k for k in alike if k == name or k.partition(".")[0] == script.partition("_")[0]]
        if len(own or alike) == 1:
            found[name] = (own or alike)[0]
    return found


def leaves(value: Mapping, prefix: str = "") -> dict[str, object]:
    """Return the values of nested dictionaries by dotted name; lists count as values."""
    found: dict[str, object] = {}
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            found |= leaves(item, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = item
    return found


def _compact(value: object) -> object:
    if isinstance(value, dict):
        return {key: _compact(item) for key, item in value.items()}
    text = json.dumps(value)
    if len(text) <= _LONG:
        return value
    return f"sha256 {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _json(values: Mapping, name: str) -> str:
    return json.dumps(values[name]) if name in values else "none"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
