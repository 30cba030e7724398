"""The environment that each rule names, read from the rule files."""

import re
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SETS = tomllib.loads((REPOSITORY / "envs/sets.toml").read_text())
# Imports inside functions that only some callers reach, and that say so when they are absent.
OPTIONAL = {"glmsingle", "IPython", "antspynet", "neuropythy"}
# Modules reached through a shared module, in functions that the jobs of that rule never call.
UNUSED = {
    "ants": {"core", "confounds", "multiecho"},
    "jsonschema": {"ants", "confounds", "multiecho"},
    "nipype": {"ants"},
    "skimage": {"multiecho"},
    "yaml": {"ants", "confounds", "multiecho"},
}


def rules() -> list[tuple[str, str, str]]:
    """Return (rule, environment, script) of every rule with a script."""
    found, heirs = [], {}
    for path in sorted((REPOSITORY / "workflow/rules").glob("*.smk")):
        heirs |= {b: a for a, b in re.findall(r"use rule (\w+) as (\w+) with", path.read_text())}
        for block in re.split(r"\n(?=rule )", path.read_text()):
            name = re.match(r"rule (\w+):", block)
            if name:
                conda = re.search(r'conda:\s+"\.\./\.\./envs/(\w+)\.yaml"', block)
                script = re.search(r'script:\s+"\.\./scripts/(\w+)\.py"', block)
                assert conda, f"rule {name[1]} names no environment"
                assert script, f"rule {name[1]} has no script"
                found.append((name[1], conda[1], script[1]))
    own = {name: rest for name, *rest in found}
    return [*found, *((heir, *own[base]) for heir, base in heirs.items())]
