"""Which jobs a changed key runs again: each key of the configuration is changed once, in dry-runs.

python tests/jobs_of_keys.py writes config/jobs_of_keys.tsv (four minutes of one core): two
sessions whose chain is finished (`finished_chain`), with the template that comes along and with
series that are kept.
"""

import csv
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml
from finished_chain import SETTINGS, Chain, finished
from snakemake_runner import REPOSITORY

TABLE = REPOSITORY / "config/jobs_of_keys.tsv"
COLUMNS = ["key", "value", "rules"]
#: What the finished chain differs in from the defaults.
BASE = {
    "keep_series": True,
    "template": {"space": "MNI152NLin2009aSym"},
    **{key: yaml.safe_load(text) for key, text in SETTINGS.items()},
}
#: Another value of keys whose schema does not tell one.
VALUES = {
    "participant_label": ["01"],
    "session_label": ["01"],
    "task_label": ["images"],
    "exclude": ["ses-02_run-02"],
    "variants": ["standardSingle", "nordicOptcom"],
    "compare_sessions": "all",
    "write_bold": ["standardOptcom"],
    "output.space": "boldref",
    "output.maps_space": "MNI152NLin2009aSym",
    "output.voxel_size_mm": 2.5,
    "output.repetition_time_s": 0.5,
    "mp2rage.unit1_range": [0, 4095],
    "template.space": None,
    "nordic.kernel_size": [10, 10, 10],
    "nordic.gfactor_kernel_size": [12, 12, 1],
    "nordic.noise_volumes": 1,
    "nordic.write": [],
    "fmap.phase_range": [0, 4095],
    "hmc.non_steady_state": 2,
    "ica.tree": "minimal",
    "ica.order": 30,
    "ica.order_after_nordic": 30,
    "design.label_column": "duration",
    "design.blank": {"stim_name": ["a"]},
    "design.stimulus_duration_s": 2,
    "design.minimum_tail_s": 1,
    "glm.confounds": ["trans_x"],
    "glm.write": ["FITHRF"],
    "noise_ceiling.groups": {"2rep": 2},
    "visual_roi.source": "standardOptcom",
    "rois.surface.depths": [0.5],
    "rois.localizer.confounds": ["trans_x"],
    "rois.expressions": {"both": "visual & brain"},
    "rois.best": [{"name": "best", "of": "visual", "voxels": 10}],
    "rois.derived": ["brain"],
    "rois.thresholds": [15],
}
#: Keys that ask for files, packages or data which the chain does not have.
NOT_TRIED = {
    "bids_dir": "the data; test_what_runs_again",
    "output_dir": "the output; test_what_runs_again",
    "run_table": "needs a run table",
    "anat.T1w": "needs several T1w",
    "anat.T2w": "needs several T2w",
    "antspynet.use": "needs weights",
    "antspynet.weights": "needs weights",
    "antspynet.sha256": "needs weights",
    "template.ages": "needs an age",
    "template.home": "needs a folder of templates",
    "template.image": "needs an image",
    "template.mask": "needs an image",
    "nordic.noise_map": "needs noise maps",
    "gradient_nonlinearity.warp": "needs a warp",
    "rois.table": "needs a table",
    "rois.given": "needs images",
    "rois.atlas": "needs images",
    "rois.surface.folder": "needs a FreeSurfer folder",
    "rois.surface.regions": "needs a FreeSurfer folder",
    "rois.surface.spaces": "needs a FreeSurfer folder",
    "rois.surface.benson.use": "needs a FreeSurfer folder",
    "rois.localizer.tasks": "needs runs of a localizer",
    "rois.localizer.regions": "needs runs of a localizer",
}


def all_keys() -> Iterator[tuple[str, dict]]:
    """Yield each key of the configuration with its rule."""
    schema = yaml.safe_load((REPOSITORY / "workflow/schemas/config.schema.yaml").read_text())

    def below(rules: dict, prefix: str) -> Iterator[tuple[str, dict]]:
        for key, rule in rules.items():
            full = schema["$defs"][rule["$ref"].rpartition("/")[2]] if "$ref" in rule else {}
            if rule.get("type") == "object" and "properties" in rule:
                yield from below(rule["properties"], f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", full | rule

    yield from below(schema["properties"], "")


def other_value(key: str, rule: dict) -> object:
    """Return an accepted value that is not the one of the finished chain."""
    if key in VALUES:
        return VALUES[key]
    now = value_of(BASE, key, rule.get("default"))
    if "enum" in rule:
        return next(value for value in reversed(rule["enum"]) if value != now)
    if isinstance(now, bool):
        return not now
    most = rule.get("maximum", rule.get("exclusiveMaximum"))
    if isinstance(now, int):
        return now + 1 if most is None or now < most else now - 1
    return round(now * 1.1, 4) if most is None or now * 1.1 < most else round(now * 0.9, 4)


def value_of(config: dict, key: str, default: object) -> object:
    """Return what a configuration has for a dotted key."""
    for name in key.split("."):
        if not isinstance(config, dict) or name not in config:
            return default
        config = config[name]
    return config


def changed(key: str, value: object) -> dict:
    """Return the settings of the chain with one key changed."""
    config = json.loads(json.dumps(BASE))
    place, names = config, key.split(".")
    for name in names[:-1]:
        place = place.setdefault(name, {})
    place[names[-1]] = value
    return as_arguments(config)


def as_arguments(config: dict) -> dict[str, str]:
    """Return settings as the command line takes them."""
    return {name: json.dumps(value) for name, value in config.items()}


def as_text(value: object) -> str:
    """Return a value as the table has it; quotation marks would be escaped there."""
    return json.dumps(value).replace('"', "'")


def jobs(chain: Chain, key: str, value: object) -> list[str]:
    """Return the rules whose jobs run after a change."""
    return sorted(chain.jobs(**changed(key, value)))


def chain_of_table(place: Path) -> Chain:
    """Make the finished chain that the table is about."""
    return finished(place, **as_arguments(BASE))


def read() -> dict[str, dict[str, str]]:
    """Return the rows of the table by key."""
    with TABLE.open(newline="") as file:
        return {row["key"]: row for row in csv.DictReader(file, delimiter="\t")}


def main() -> None:
    """Write the table."""
    with tempfile.TemporaryDirectory() as place, TABLE.open("w", newline="") as file:
        chain = chain_of_table(Path(place))
        table = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE)
        table.writerow(COLUMNS)
        for key, rule in all_keys():
            if key in NOT_TRIED:
                table.writerow([key, "", f"not tried: {NOT_TRIED[key]}"])
                continue
            value = other_value(key, rule)
            rules = jobs(chain, key, value)
            table.writerow([key, as_text(value), ", ".join(rules) or "none"])
            file.flush()


if __name__ == "__main__":
    main()
