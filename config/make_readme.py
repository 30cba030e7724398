"""Write the table of keys in config/README.md from the schema: `make docs`."""

from pathlib import Path

import yaml

CONFIG = Path(__file__).resolve().parent
SCHEMA = CONFIG.parent / "workflow" / "schemas" / "config.schema.yaml"
MARK = "| key | default | meaning |"


def accepted(rule: dict, definitions: dict) -> str:
    """Say in a few words what a key accepts."""
    if "$ref" in rule:
        rule = definitions[rule["$ref"].rpartition("/")[2]]
    if "enum" in rule:
        return "one of " + ", ".join(f"`{value}`" for value in rule["enum"])
    return ""


def rows(schema: dict, definitions: dict, prefix: str = "") -> list[str]:
    """Return one row of the table per key, groups after their own keys."""
    lines = []
    for key, rule in schema["properties"].items():
        if rule.get("type") == "object" and "properties" in rule:
            lines += rows(rule, definitions, f"{prefix}{key}.")
            continue
        default = rule.get(
            "default", "required" if key in schema.get("required", [key]) else "none"
        )
        text = (
            default
            if isinstance(default, str)
            else yaml.safe_dump(default, width=999, default_flow_style=True)
        )
        text = " ".join(text.replace("...", "").split()) or "empty"
        meaning = rule.get("description") or definitions.get(
            rule.get("$ref", "").rpartition("/")[2], {}
        ).get("description", "")
        what = " ".join(f"{meaning} {accepted(rule, definitions)}".split()).replace("|", "\\|")
        lines.append(f"| `{prefix}{key}` | `{text}` | {what} |")
        if "properties" in rule.get("items", {}):
            lines += rows(rule["items"], definitions, f"{prefix}{key}[].")
    return lines


def main() -> None:
    """Replace the table at the end of the page."""
    schema = yaml.safe_load(SCHEMA.read_text())
    page = CONFIG / "README.md"
    head = page.read_text().partition(MARK)[0].rstrip()
    table = [MARK, "| --- | --- | --- |", *rows(schema, schema["$defs"])]
    page.write_text(head + "\n\n" + "\n".join(table) + "\n")


if __name__ == "__main__":
    main()
