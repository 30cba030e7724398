"""Everything that is decided before the first job: what is left out, what was found, the plan."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

from mebold.errors import MetadataError
from mebold.inventory import findings
from mebold.inventory.left_out import Examined, examine
from mebold.inventory.table import ABSENT
from mebold.plan import ages
from mebold.plan.references import References
from mebold.plan.selection import is_selected
from mebold.plan.table import make_plan
from mebold.plan.text import format_plan, notices


@dataclass
class Study:
    """What the workflow works on.

    Attributes
    ----------
    table : DataFrame
        Run table without what is left out.
    plan : DataFrame
        See `mebold.plan.table.make_plan`.
    examined : Examined
        Findings, and what is left out.
    templates : dict
        Subject (``sub-01``) to the identifier of the template that suits its age, None for an
        unknown age; empty where the configuration asks for no such choice.
    """

    table: pd.DataFrame
    plan: pd.DataFrame
    examined: Examined
    templates: dict[str, str | None] = field(default_factory=dict)

    def text(self) -> str:
        """Return the plan for reading, with what is left out and what was found."""
        return format_plan(self.plan, self.found())

    def found(self) -> list[str]:
        """Return what was found besides defects, a line each, every file named."""
        return findings.summary(self._told(), every=True).splitlines()

    def notices(self) -> Iterator[str]:
        """Yield lines for the start of a run: left out, found, not possible."""
        for item in self.examined.left_out:
            yield f"Left out: {item}"
        yield from (f"Data: {line}" for line in findings.summary(self._told()).splitlines())
        yield from (f"Plan: {line}" for line in notices(self.plan))

    def closing(self) -> str:
        """Say at the end what was left out because of a defect; empty if nothing was."""
        defects = self.examined.defects
        if not defects:
            return ""
        return "\n".join(
            [
                f"Left out because of a defect: {len(defects)} (see plan.txt):",
                *(f"- {item}" for item in defects),
                "Repair them, or name them in the configuration key `exclude`.",
            ]
        )

    def _told(self) -> list[findings.Finding]:
        return [f for f in self.examined.findings if f.severity != "error"]


def decide(
    table: pd.DataFrame,
    config: dict,
    *,
    contents: bool = False,
    kept: Mapping[str, References] | None = None,
) -> Study:
    """Decide what is done with a run table.

    Parameters
    ----------
    table : DataFrame
        As from `mebold.inventory.index`.
    config : dict
        Complete configuration; ``exclude`` and ``strict`` besides what `make_plan` names.
    contents : bool
        Whether images without content are left out, as a run must and a dry-run need not.
    kept : mapping, optional
        References of earlier runs of the workflow; see `mebold.plan.references`.

    Raises
    ------
    MetadataError
        When nothing is left, or on a defect when ``strict``.
    """
    strict = bool(config.get("strict"))
    examined = examine(
        table,
        exclude=config.get("exclude"),
        strict=strict,
        contents=contents,
        selected=is_selected(config),
    )
    plan = make_plan(examined.table, config=config, left_out=examined.left_out, kept=kept)
    problems = plan.attrs["events"]
    if strict and problems:
        message = "\n".join(["`strict: true`, and events cannot be fitted:", *problems[:8]])
        raise MetadataError(message)
    return Study(examined.table, plan, examined, _templates(plan, examined, config))


def _templates(plan: pd.DataFrame, examined: Examined, config: dict) -> dict[str, str | None]:
    """Choose templates by age where that is asked for, and note it in plan and findings."""
    settings = config.get("template") or {}
    if settings.get("space") != ages.BY_AGE:
        return {}
    rows = plan[(plan["stage"] == "anat") & plan["planned"]]
    chosen, found = ages.choose(config["bids_dir"], rows["subject"], settings["ages"])
    examined.findings.extend(found)
    for place, stem, reason in rows[["stem", "reason"]].itertuples():
        note = chosen[stem].note
        plan.loc[place, "reason"] = note if reason in ("", ABSENT) else f"{reason}; {note}"
    return {stem: choice.identifier for stem, choice in chosen.items()}
