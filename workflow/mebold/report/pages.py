"""The pages: what is known of an output folder, put into templates."""

import base64
import functools
import mimetypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from mebold import progress
from mebold.files import atomic, provenance
from mebold.report import (
    answers,
    costs,
    design,
    distribution,
    echoes,
    gallery,
    group,
    methods,
    quality,
    variant_table,
    verdict,
)
from mebold.report.folder import number
from mebold.report.study import RunRecord, Study, Subject
from mebold.variants import datasets

#: Folder of the pages inside the output folder.
FOLDER = "report"
_PLOTTED = ("fd_mean", "outliers_perc", "tsnr", "dvars_std", "t1w_dice", "weakest_response")
_MOST_REASONS = 160


def write(study: Study, *, self_contained: bool = False, only: Sequence[str] = ()) -> list[Path]:
    """Write the pages of an output folder: ``report/index.html`` and one per subject.

    Parameters
    ----------
    study : Study
    self_contained : bool
        Put the figures into the pages, instead of linking them: one file may be sent alone.
    only : sequence of str
        Subjects (``sub-01``) whose pages are written; all by default. ``index.html`` always is.

    Returns
    -------
    list of Path
        The pages, ``index.html`` first.
    """
    target = study.folder.root / FOLDER
    target.mkdir(parents=True, exist_ok=True)
    source = _source(study, embedded=self_contained)
    whole = methods.of(study)
    texts = {
        "index.html": _index(study, whole, source),
        "methods.md": whole.text,
        "references.bib": whole.bibtex,
        **group.tables_of(study),
    }
    for name, subject in study.subjects.items():
        if not only or name in only:
            texts[f"{name}.html"] = _subject(study, subject, source)
    for name, text in texts.items():
        with atomic.atomic(target / name) as partial:
            partial.write_text(text, encoding="utf-8")
    return [target / name for name in texts if name.endswith(".html")]


def _source(study: Study, *, embedded: bool) -> Callable:
    """Return the function that links a file of the output folder from a page."""

    def source(path: str, text: bool = False) -> str:
        if embedded and not text:
            kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
            data = base64.b64encode((study.folder.root / path).read_bytes()).decode()
            return f"data:{kind};base64,{data}"
        return f"../{path}"

    return source


@functools.cache
def _templates() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).with_name("templates"))
    return jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip


def _render(name: str, **context: Any) -> str:
    environment = _templates()
    files = {
        key: Markup(environment.loader.get_source(environment, f"page.{key}")[0])
        for key in ("css", "js")
    }
    environment.filters["code"] = _code
    environment.filters["breakable"] = _breakable
    there = {"runs", "skipped", *(id_ for id_, _ in context["sections"])}
    for answer in context["answers"].values():
        answer.link = answer.link if answer.link in there else ""
    common = {
        "version": provenance.version(),
        "duration": progress.duration,
        "levels": verdict.LEVELS,
        "shown": distribution.short,
        "plain": _plain,
        "about": {name: about for name, (_, about) in quality.MEASURES.items()},
        "unit": quality.unit,
    }
    return environment.get_template(name).render(**files, **common, **context)


def _subject(study: Study, subject: Subject, source: Callable) -> str:
    found = answers.of_subject(study, subject)
    runs = subject.runs
    everyone = [run.numbers for one in study.subjects.values() for run in one.runs]
    own = [run.numbers for run in runs]
    plots = [
        distribution.of(name, everyone, study.limits, own=own)
        for name in (_PLOTTED if len(everyone) > 1 else ())
    ]
    text = methods.of(study, [subject.name])
    spent = costs.of(study.folder, subject.name)
    stages, states = _states(study, subject)
    shown = _stages_shown(study, subject)
    lacking = [t for t in found["skipped"].details if not t.startswith("failed:")]
    sections = [("runs", "Runs"), ("skipped", "Skipped"), ("variant", "Variant")]
    sections += [(id_, title) for id_, title, *_ in shown]
    sections += [("methods", "Methods"), ("costs", "Times")]
    return _render(
        "subject.html.j2",
        title=subject.name,
        facts=_facts(runs, subject.name),
        answers=found,
        sections=sections,
        runs=runs,
        measures=_measured(own),
        limits=_limits(study),
        plots=[one for one in plots if one],
        n_all=len(everyone),
        failures=subject.failures,
        lacking=lacking,
        left_out=subject.left_out,
        stages=stages,
        states=states,
        variants=variant_table.of(study, subject.name),
        designs=_designs(study, subject),
        echoes=echoes.of(study, runs),
        stages_shown=shown,
        source=source,
        methods=Markup(text.html()),
        versions=_versions(text.versions),
        costs=spent,
        total=costs.total(spent),
    )


def _index(study: Study, text: methods.Methods, source: Callable) -> str:
    runs = [run for subject in study.subjects.values() for run in subject.runs]
    numbers = [run.numbers for run in runs]
    found = answers.of_study(study)
    spent = costs.of(study.folder)
    measures = _measured(numbers)
    rows = [_row(run, measures) for run in runs]
    plots = [distribution.of(name, numbers, study.limits) for name in _PLOTTED]
    tasks = [owner for owner in study.folder.owners if owner.startswith("task-")]
    kinds = [k for k in gallery.SECTIONS["comparison"][1] if k.name != "region"]
    return _render(
        "index.html.j2",
        title="All subjects",
        facts=_facts(runs, "the dataset"),
        answers=found,
        sections=[
            *(("subjects", "Subjects"), ("comparison", "Comparison"), ("runs", "Runs")),
            *(("distributions", "Distributions"), ("skipped", "Skipped")),
            *(("methods", "Methods"), ("costs", "Times")),
        ],
        subjects=[
            {
                "name": name,
                "link": f"{name}.html",
                "tally": verdict.tally(run.verdict for run in one.runs),
                "failed": len(one.failures),
            }
            for name, one in study.subjects.items()
        ],
        comparison=_kinds(study, kinds, [*tasks, ""], ""),
        variants=variant_table.of(study),
        rows=rows,
        measures=measures,
        limits=_limits(study),
        plots=[one for one in plots if one],
        failures=study.failures,
        lacking=[t for t in found["skipped"].details if not t.startswith("failed:")],
        source=source,
        methods=Markup(text.html()),
        versions=_versions(text.versions),
        costs=spent,
        total=costs.total(spent),
    )


def _code(text: str) -> Markup:
    """Return a text with what stands between backticks as code."""
    parts = text.split("`")
    marked = [
        Markup("<code>{}</code>").format(part) if i % 2 and len(parts) % 2 else Markup.escape(part)
        for i, part in enumerate(parts)
    ]
    return Markup("").join(marked)


def _breakable(name: str) -> Markup:
    """Return a name that may be broken after each underscore."""
    return Markup("_<wbr>").join(Markup.escape(part) for part in name.split("_"))


def _row(run: RunRecord, measures: Sequence[str]) -> dict:
    """Return a run for the table of all runs."""
    why = run.verdict.reasons[0][1] if run.verdict.reasons else ""
    more = f" (+{len(run.verdict.reasons) - 1})" if len(run.verdict.reasons) > 1 else ""
    cut = f"{why[:_MOST_REASONS]}…" if len(why) > _MOST_REASONS else why
    return {
        "name": run.name,
        "link": f"{run.subject}.html#run-{run.name}",
        "level": run.verdict.level,
        "rank": verdict.LEVELS.index(run.verdict.level),
        "why": cut + more,
        "cells": [
            (name, _plain(run.numbers[name]), distribution.short(run.numbers[name]))
            for name in measures
        ],
    }


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _measured(numbers: Sequence[dict]) -> list[str]:
    """Return the measures of the table that some run has."""
    return [name for name in quality.SHOWN if any(one[name] is not None for one in numbers)]


def _limits(study: Study) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in study.limits.items())


def _versions(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in found.items()) or "none is named"


def _facts(runs: Sequence[RunRecord], whose: str) -> str:
    """Return the acquisition in one line, as far as it is known."""
    if not runs:
        return f"No run of {whose}."
    sessions = {run.planned.folder for run in runs}
    tasks = sorted({run.planned.labels.get("task", "") for run in runs} - {""})
    counts = [f"{n} {what}{'s' * (n != 1)}"
              for n, what in ((len(runs), "run"), (len(sessions), "session"))]  # fmt: skip
    said = [" in ".join(counts), f"task {', '.join(tasks)}"]
    known = [run.acquired for run in runs if run.acquired]

    def each(key: str, words: Callable) -> str:
        values = [one.get(key) for one in known if one.get(key)]
        return " or ".join(dict.fromkeys(map(words, values)))

    said += [
        each("field", lambda v: f"{v:g} T"),
        each("tr", lambda v: f"TR {v:g} s"),
        each("echo_times", lambda v: f"TE {' / '.join(f'{1000 * t:.4g}' for t in v)} ms"),
        each("voxel_mm", lambda v: f"voxels {' x '.join(f'{x:.3g}' for x in v[:3])} mm"),
        each("volumes", lambda v: f"{v:g} volumes"),
    ]
    if known:
        phase = sum(bool(one["phase"]) for one in known)
        share = "with" if phase == len(known) else f"{phase} of {len(known)} runs with"
        said.append(f"{share} phase" if phase else "magnitude only")
    return "; ".join(text for text in said if text) + "."


def _states(study: Study, subject: Subject) -> tuple[list[str], list[tuple[str, list]]]:
    """Return the stages, and for every run and group its state in each."""
    rows = {one.short: study.states.get(one.name, []) for one in subject.planned}
    for group_ in dict.fromkeys(run.planned.group for run in subject.runs):
        name = group_.removeprefix(subject.name).lstrip("_") or group_
        rows.setdefault(name, study.states.get(group_, []))
    stages = list(dict.fromkeys(s.stage for found in rows.values() for s in found))
    table = []
    for name, found in rows.items():
        by_stage = {state.stage: state for state in found}
        table.append((name, [by_stage.get(stage) for stage in stages]))
    return stages, table


def _stages_shown(study: Study, subject: Subject) -> list[tuple]:
    """Return the sections with figures, warnings or reports, in the order of the science."""
    folder = study.folder
    owners = [o for o in folder.owners if f"{o}_".startswith(f"{subject.name}_")]
    owners.sort(key=lambda owner: ("_run-" in owner, owner))
    noted = [*subject.noted, *(note for run in subject.runs for note in run.noted)]
    shown = []
    for id_, (title, kinds) in gallery.SECTIONS.items():
        of_section = [note for note in noted if note.section == id_]
        whose = owners
        if id_ == "comparison":
            whose = [*owners, *(o for o in folder.owners if o.startswith("task-")), ""]
        figures = _kinds(study, kinds, whose, subject.name)
        extra = _tedana(study, owners) if id_ == "multiecho" else ""
        if id_ == "noiseceiling":
            extra = _viewers(study, owners) + _regions(study, subject)
        if figures or of_section or extra:
            shown.append((id_, title, of_section, figures, extra))
    return shown


def _kinds(study: Study, kinds: Sequence, owners: Sequence[str], without: str) -> list[tuple]:
    """Return the kinds that have figures, with them and their caption."""
    dataset = datasets(study.primary)[1]
    found = []
    for kind in kinds:
        figures = gallery.figures(study.folder, kind, owners, without=without, first=dataset)
        if figures:
            words = Markup(gallery.caption(kind.caption, study.config))
            found.append((kind, figures, words))
    return found


def _designs(study: Study, subject: Subject) -> list[design.Design]:
    """Return the designs of the fitted sessions."""
    glm = datasets(study.primary)[1]
    groups = dict.fromkeys(run.planned.group for run in subject.runs)
    found = [design.of(study.folder, name, glm) for name in groups]
    return [one for one in found if one]


def _tedana(study: Study, owners: Sequence[str]) -> Markup:
    """Return what became of the ICA of each run, and links to the reports of tedana."""
    items = []
    for owner in owners:
        # The primary variant's dataset holds a copy for other readers.
        for file in study.folder.find(owner, r"desc-ICA_outcome\.json", r"preproc-\w+Ica"):
            found = study.folder.read_json(file.path)
            counts = (found.get(key, "–") for key in ("n_accepted", "n_rejected"))
            told = "{} components kept, {} removed".format(*counts)
            if found.get("status") == "fallback":
                told = f"fallback: {found.get('reason')}"
            words = f"{owner}, {file.dataset.removeprefix('preproc-')}: {told}"
            items.append(Markup("<li data-ica>{}</li>").format(words))
        for file in study.folder.find(owner, r"tedana_report\.html"):
            words = f"{owner}, {file.dataset.removeprefix('preproc-')}: report of tedana"
            items.append(Markup('<li><a href="../{}">{}</a></li>').format(file.path, words))
    if not items:
        return Markup("")
    about = Markup(gallery.caption("ica", study.config))
    found = Markup("<details><summary>ICA of the runs ({})</summary><ul>{}</ul>{}</details>")
    return found.format(len(items), Markup("").join(items), about)


def _viewers(study: Study, owners: Sequence[str]) -> Markup:
    """Return links to the noise ceilings that can be looked through."""
    items = []
    for owner in owners:
        for file in study.folder.find(owner, r"desc-Noiseceiling\w*_viewer\.html"):
            words = owner.replace("_", " ") + (", all sessions" if "Allrep" in file.rest else "")
            link = Markup('<a href="../{}" data-viewer>{}</a>').format(file.path, words)
            items.append(Markup("<li>{}</li>").format(link))
    if not items:
        return Markup("")
    return Markup("<p>To look through, slice by slice:</p><ul>{}</ul>").format(
        Markup("").join(items)
    )


def _regions(study: Study, subject: Subject) -> Markup:
    """Return the noise ceilings of the regions as bars, with the share that is above chance."""
    rows = answers.regions(study, subject.name)
    if not rows:
        return Markup("")
    top = max(number(row["p90"]) or 0.0 for row in rows) or 1.0
    shares = [answers.share_above_chance(row) for row in rows]
    told = any(share is not None for share in shares)
    lines = [
        Markup(
            '<tr><td>{}</td><td class="n">{}</td><td class="n">{:.1f}</td><td class="n">{}</td>{}'
            '<td aria-hidden="true" style="width:34%"><div style="background:#0072b2;height:.7rem;'
            'width:{:.1f}%"></div></td></tr>'
        ).format(
            row["roi"], answers.with_data(row), float(row["median"]), row["p90"][:5],
            _share_cell(share) if told else "", 100 * max(0.0, float(row["median"])) / top,
        )
        for row, share in zip(rows, shares, strict=True)
    ]  # fmt: skip
    share_head = Markup('<th scope="col" class="n">above chance (%)</th>') if told else ""
    about = Markup(
        '<p class="facts">Above chance: share of the region\'s voxels whose noise ceiling passes '
        "the false discovery rate, inside the green outline of the figures.</p>"
    )
    return Markup(
        '<h3>Regions</h3><div class="scroll" tabindex="0" role="group" aria-label="Regions"><table>'
        '<thead><tr><th scope="col">region</th><th scope="col" class="n">voxels with data</th>'
        '<th scope="col" class="n">median (%)</th><th scope="col" class="n">90th percentile</th>'
        '{}<th scope="col">median</th></tr></thead><tbody>{}</tbody></table></div>{}'
    ).format(share_head, Markup("").join(lines), about if told else "")


def _share_cell(share: float | None) -> Markup:
    """Return a share in percent with its bar."""
    if share is None:
        return Markup('<td class="n">–</td>')
    return Markup(
        '<td class="n" data-above-chance="{0:.1f}">{0:.0f}<div aria-hidden="true" style="'
        'background:#009e73;height:.25rem;margin-left:auto;width:{0:.0f}%"></div></td>'
    ).format(share)
