"""The configuration: checked against its schema, defaults filled in, messages for people."""

import contextlib
import copy
import difflib
import hashlib
import json
import os
import string
from pathlib import Path

import yaml

from mebold.errors import ConfigError
from mebold.files import templateflow
from mebold.jobs import regions
from mebold.plan.ages import BY_AGE
from mebold.plan.selection import LABELS
from mebold.variants import VARIANTS

_NAME = Path("schemas", "config.schema.yaml")
_LIBRARY = Path(__file__).resolve().parents[1]
#: The schema: in a checkout beside the library, inside of it where it is installed.
SCHEMA = next((p / _NAME for p in (_LIBRARY.parent, _LIBRARY) if (p / _NAME).is_file()), _NAME)
_NOISE_MAP_FIELDS = ("folder", "stem", "echo")
#: Values of `output.space` that need no files; the last is the template inside nilearn.
_SPACES_WITHOUT_FILES = ("auto", "T1w", "boldref", "MNI152NLin2009aSym")


def load_schema(path: str | Path) -> dict:
    """Read a JSON schema that is written as YAML."""
    # libyaml where PyYAML was built with it: every job of a cluster reads the schema, twice.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return loader(Path(path).read_text()).get_single_data()


def complete(config: dict, schema: dict) -> dict:
    """Check a configuration and return a copy with every default filled in.

    Parameters
    ----------
    config : dict
        As read from YAML and the command line.
    schema : dict
        As from `load_schema`.

    Returns
    -------
    dict
        With all keys of the schema; the label keys hold a list of strings, or None for all.

    Raises
    ------
    ConfigError
        On the first unknown key, wrong type or value out of range, naming the key and what would
        be accepted.
    """
    from jsonschema import Draft202012Validator

    if "rois" in config:
        config = {**config, "rois": regions.normalised(config["rois"])}
    config = _typed(config, schema)
    errors = sorted(Draft202012Validator(schema).iter_errors(config), key=lambda e: list(e.path))
    if errors:
        raise ConfigError(_message(errors[0]))
    filled = _fill(copy.deepcopy(config), schema)
    if "exclude" in schema["properties"]:
        filled["exclude"] = labels(filled["exclude"], entity="")
    for key, entity in LABELS.items():
        if key in schema["properties"]:
            filled[key] = labels(filled[key], entity=entity)
    _cross_check(filled)
    return filled


def selection(config: dict) -> dict:
    """Return what the inventory is asked for, as keyword arguments of `mebold.inventory.index`."""
    return {
        "participant_labels": config["participant_label"],
        "session_labels": config["session_label"],
        "task_labels": config["task_label"],
        "event_columns": _event_columns(config),
        "assign": config["fmap"]["assign"],
    }


def _event_columns(config: dict) -> list[str]:
    """Return the columns of events that decide what is fitted, each once."""
    localizers = config["rois"]["localizer"]["tasks"]
    columns = [config["design"]["label_column"], *config["design"]["blank"]]
    return list(dict.fromkeys([*columns, *(item["column"] for item in localizers)]))


def table_name(config: dict) -> str:
    """Return the name of the run table of a configuration: one for each selection and dataset.

    A call with other labels, or of another dataset, leaves alone what the jobs of this one read.
    """
    asked = {"bids_dir": str(Path(config["bids_dir"]).resolve()), **selection(config)}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
    return f"runs_{digest[:10]}.tsv"


def labels(value: object, *, entity: str) -> list[str] | None:
    """Turn a label option (list, or one string with commas) into a list without prefixes."""
    if value in (None, "", []):
        return None
    items = value if isinstance(value, list) else str(value).split(",")
    return [str(item).strip().removeprefix(f"{entity}-" if entity else "") for item in items]


def _typed(config: dict, schema: dict) -> dict:
    """Read what the command line leaves as text in nested keys: numbers, truth values, null."""
    rules, others = schema.get("properties", {}), schema.get("additionalProperties")
    others = others if isinstance(others, dict) else {}
    return {key: _typed_value(value, rules.get(key, others)) for key, value in config.items()}


def _typed_value(value: object, rule: dict) -> object:
    choices = [rule, *rule.get("oneOf", [])]
    if isinstance(value, dict):
        return _typed(value, rule)
    if isinstance(value, list):
        items = next((choice["items"] for choice in choices if "items" in choice), {})
        return [_typed_value(entry, items) for entry in value]
    if isinstance(value, str):
        accepted = {name for choice in choices for name in _types(choice)}
        with contextlib.suppress(yaml.YAMLError):
            read = yaml.safe_load(value)
            if isinstance(read, int | float) and accepted & {"integer", "number", "boolean"}:
                return read
            if read is None and value and "null" in accepted:
                return None
    return value


def _types(rule: dict) -> list[str]:
    types = rule.get("type", [])
    return [types] if isinstance(types, str) else types


def _fill(config: dict, schema: dict) -> dict:
    for key, rule in schema.get("properties", {}).items():
        if key not in config and "default" in rule:
            config[key] = copy.deepcopy(rule["default"])
        if rule.get("type") == "object" and isinstance(config.get(key), dict):
            _fill(config[key], rule)
        for item in config[key] if rule.get("items", {}).get("type") == "object" else ():
            _fill(item, rule["items"])
    return config


def _message(error: "jsonschema.ValidationError") -> str:  # noqa: F821
    where = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))
        prefix = f"{where}." if where else ""
        hints = []
        for key in unknown:
            close = difflib.get_close_matches(key, known, n=1)
            hints.append(
                f"`{prefix}{key}`" + (f" (did you mean `{prefix}{close[0]}`?)" if close else "")
            )
        return (
            f"Unknown configuration key {', '.join(hints)}. "
            f"Accepted {'under `' + where + '`' if where else 'at the top'}: {', '.join(known)}."
        )
    if error.validator == "required":
        hint = "give it in a config file or with --config"
        return f"The configuration lacks a key: {error.message} ({hint})."
    rule = error.schema.get("description", "")
    return f"Configuration key `{where}`: {error.message}. {rule}".strip()


def _cross_check(config: dict) -> None:
    """Check what a schema cannot say: relations between keys."""
    if "primary_variant" not in config:
        return
    _check_folders(config["bids_dir"], config["output_dir"])
    _check_noise_map(config["nordic"]["noise_map"])
    _check_template("output.space", config["output"]["space"], config["template"])
    _check_maps_space(config)
    _check_file("rois.table", config["rois"]["table"])
    regions.check(config["rois"], config["output_dir"])
    _check_template_space(config)
    _check_file("gradient_nonlinearity.warp", config["gradient_nonlinearity"]["warp"])
    baseline = config["compare"]["baseline"]
    compared = config["variants"]
    if len(compared) > 1 and baseline not in compared:
        message = (
            f"Configuration key `compare.baseline`: {baseline} is not among `variants` "
            f"({', '.join(compared)})."
        )
        raise ConfigError(message)
    source = config["visual_roi"]["source"]
    if source in VARIANTS and source not in compared:
        message = f"Configuration key `visual_roi.source`: {source} is not among `variants`."
        raise ConfigError(message)


def _check_folders(bids_dir: str, output_dir: str) -> None:
    """Refuse an output inside the raw data, or where nothing can be written."""
    raw, out = Path(bids_dir).resolve(), Path(output_dir).resolve()
    if out.is_relative_to(raw) and "derivatives" not in out.relative_to(raw).parts[:1]:
        message = (
            f"Configuration key `output_dir`: {output_dir} lies in the raw dataset `bids_dir` "
            f"({bids_dir}); accepted are a folder outside of it, or below {raw / 'derivatives'}."
        )
        raise ConfigError(message)
    place = next(folder for folder in (out, *out.parents) if folder.exists())
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        message = (
            f"Configuration key `output_dir`: nothing can be written to {output_dir}, because "
            f"{place} is {'read-only' if place.is_dir() else 'no folder'}; give another folder."
        )
        raise ConfigError(message)


def _check_noise_map(template: str | None) -> None:
    """Refuse a template with a field that nothing is put into."""
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(template or "") if name}
    except ValueError as error:
        fields = {str(error)}
    if unknown := sorted(fields - set(_NOISE_MAP_FIELDS)):
        message = (
            f"Configuration key `nordic.noise_map`: {template!r} holds {unknown[0]!r}; accepted in "
            "braces are " + ", ".join(_NOISE_MAP_FIELDS) + "."
        )
        raise ConfigError(message)


def _check_file(key: str, path: str | None) -> None:
    """Refuse a path that leads nowhere."""
    if path is not None and not Path(path).is_file():
        message = (
            f"Configuration key `{key}`: {path} is no file (paths are relative to the working "
            "directory)."
        )
        raise ConfigError(message)


def _check_maps_space(config: dict) -> None:
    """Refuse maps in a second space that is no template, or beside a space that is not T1w."""
    label, space = config["output"]["maps_space"], config["output"]["space"]
    if label is None:
        return
    key = "output.maps_space"
    if space not in ("auto", "T1w"):
        message = (
            f"Configuration key `{key}`: {label} is given with `output.space` {space}; maps are "
            "taken to a template from the T1w, so `output.space` has to be T1w (or auto)."
        )
        raise ConfigError(message)
    if label in ("auto", "T1w", "boldref"):
        message = (
            f"Configuration key `{key}`: {label} is no template; accepted are "
            f"{_SPACES_WITHOUT_FILES[-1]}, the label of the files in `template`, or null."
        )
        raise ConfigError(message)
    _check_template(key, label, config["template"])


def _check_template(key: str, space: str, template: dict) -> None:
    """Refuse an output space whose template is not at hand."""
    for name in ("image", "mask"):
        _check_file(f"template.{name}", template[name])
    given = [name for name in ("image", "mask") if template[name]]
    if len(given) == 1:
        message = (
            f"Configuration key `template.{given[0]}` is given alone: an image and the mask of its "
            "brain are needed, `template.image` and `template.mask`."
        )
        raise ConfigError(message)
    if given or space in _SPACES_WITHOUT_FILES or template["fetch"]:
        return
    home = templateflow.home(template["home"])
    if templateflow.find(space, home):
        return
    close = [known for known in _SPACES_WITHOUT_FILES if known.lower() == space.lower()]
    message = (
        f"Configuration key `{key}`: {space!r} is none of "
        f"{', '.join(_SPACES_WITHOUT_FILES)}"
        + (f" (did you mean {close[0]}?)" if close else "")
        + f", and no template at hand: {templateflow.absent(space, home)}"
    )
    raise ConfigError(message)


def _check_template_space(config: dict) -> None:
    """Refuse a template of the anatomy that contradicts the one of the output."""
    template, output = config["template"], config["output"]
    wanted = template["space"]
    if wanted is None:
        return
    key, others = "template.space", {"output.maps_space": output["maps_space"]}
    if output["space"] not in _SPACES_WITHOUT_FILES[:3]:
        others["output.space"] = output["space"]
    for name, other in others.items():
        if other not in (None, wanted):
            message = (
                f"Configuration key `{key}`: {wanted} differs from `{name}`, {other}; a T1w is "
                "aligned with one template. Give one of the two keys, or both alike."
            )
            raise ConfigError(message)
    if wanted != BY_AGE:
        _check_template(key, wanted, template)
    elif template["image"]:
        message = (
            f"Configuration key `{key}`: {BY_AGE} is given with `template.image`: one file suits "
            "no choice by age; leave `template.image` out."
        )
        raise ConfigError(message)
