"""Methods text with references, from what really ran: a stage that left no file is not told."""

import functools
import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mebold.files import provenance
from mebold.report.folder import Folder, number
from mebold.report.study import RunRecord, Study
from mebold.variants import VARIANTS, datasets, in_words

_BIB = Path(__file__).with_name("references.bib")
_CITE = re.compile(r"\[@(\w+(?:; @\w+)*)\]")


@dataclass(frozen=True)
class Methods:
    """What was done, in words.

    Attributes
    ----------
    text : str
        Markdown, citations as ``[@key]``.
    keys : list of str
        References in the order in which the text cites them.
    versions : dict of str to str
        Packages, as the sidecars name them.
    """

    text: str
    keys: list[str]
    versions: dict[str, str]

    @property
    def bibtex(self) -> str:
        """The cited references."""
        return "\n\n".join(_entries()[key] for key in self.keys) + "\n"

    def html(self) -> str:
        """Return the text and its references as HTML."""
        numbers = {key: i + 1 for i, key in enumerate(self.keys)}
        escaped = html.escape(self.text, quote=False)

        def cited(match: re.Match) -> str:
            keys = match[1].replace("@", "").split("; ")
            links = (f'<a href="#ref-{key}">{numbers[key]}</a>' for key in keys)
            return f"[{', '.join(links)}]"

        paragraphs = _CITE.sub(cited, escaped).split("\n\n")
        body = "".join(f"<p>{text}</p>" for text in paragraphs if not text.startswith("#"))
        items = "".join(f'<li id="ref-{key}">{_reference(key)}</li>' for key in self.keys)
        return f"{body}<ol class='references'>{items}</ol>"


def of(study: Study, subjects: Sequence[str] = ()) -> Methods:
    """Write the methods of what was done.

    Parameters
    ----------
    study : Study
    subjects : sequence of str
        With the ``sub-`` prefix; all by default.
    """
    chosen = [s for name, s in study.subjects.items() if not subjects or name in subjects]
    runs = [run for subject in chosen for run in subject.runs]
    names = [subject.name for subject in chosen]
    paragraphs = [
        _frame(study),
        _joined(_anatomy(study, names)),
        _joined(_bold(study, runs)),
        _joined(_echoes(study, runs)),
        _joined(_fits(study, names)),
        _joined(_localizers(study, names)),
    ]
    text = "\n\n".join(["# Methods", *(p for p in paragraphs if p)]) + "\n"
    keys = [key for match in _CITE.finditer(text) for key in match[1].replace("@", "").split("; ")]
    return Methods(text, list(dict.fromkeys(keys)), _versions(study.folder, names))


def _joined(sentences: Iterator[str]) -> str:
    return " ".join(sentences)


def _share(found: Sequence, runs: Sequence) -> str:
    """Say in how many runs something was done, where not in all."""
    return "" if len(found) == len(runs) else f" (in {len(found)} of {len(runs)} runs)"


def _frame(study: Study) -> str:
    return (
        f"Raw data in BIDS [@Gorgolewski2016] were processed with {provenance.NAME} "
        f"{provenance.version()}, a Snakemake workflow [@Molder2021]. Output space: "
        f"{_space(study.folder)}."
    )


def _space(folder: Folder) -> str:
    for owner in folder.owners:
        for file in folder.find(owner, r"space-\w+_desc-brain_mask\.nii\.gz"):
            return file.rest.partition("_")[0].removeprefix("space-")
    return "none was made"


def _anatomy(study: Study, names: Sequence[str]) -> Iterator[str]:
    folder = study.folder
    done = [n for n in names if folder.first(n, r"desc-preproc_T1w\.nii\.gz", "anatomical")]
    if done:
        yield (
            f"The T1w image of {len(done)} of {len(names)} subject{'s' * (len(names) > 1)} was "
            "freed of the bias field by which its three tissues have one intensity each "
            "[@Wells1996; @VanLeemput1999], found from that of N4 [@Tustison2010], "
            "the brain was extracted by registration of a template and by its edges, and three "
            "tissue classes were found with Atropos [@Avants2011]."
        )
    if any(folder.first(n, r"from-T1w_to-(?!subject)\w+_mode-image_xfm\.nii\.gz") for n in names):
        yield "It was aligned with the template by SyN [@Avants2008]."


def _with(study: Study, runs: Sequence[RunRecord], name: str, dataset: str = "") -> list[dict]:
    """Return the sidecars that runs have of a kind, one per run that has any."""
    found = (study.folder.json(run.name, name, dataset) for run in runs)
    return [content for content in found if content]


def _bold(study: Study, runs: Sequence[RunRecord]) -> Iterator[str]:
    moved = _with(study, runs, r"desc-native_motion\.json")
    if moved:
        yield (
            f"Head motion of {len(moved)} run{'s' * (len(moved) > 1)} was estimated by rigid "
            "Gauss-Newton registration of every volume of the untouched series to their mean, and "
            "summarised as framewise displacement [@Power2012]."
        )
        early = sum(bool(number(m.get("NonSteadyStateVolumes"))) for m in moved)
        if early:
            yield f"Volumes before the steady state were found in {early} runs and not analysed."
    yield from _nordic(study, runs)
    yield from _distortion(study, runs)
    aligned = _with(study, runs, r"from-boldref_to-\w+_mode-image_desc-coreg_xfm\.json")
    if aligned:
        yield (
            "Runs were aligned to their session and sessions to their subject by rigid "
            f"registration{_share(aligned, runs)}."
        )
    for subject in dict.fromkeys(run.subject for run in runs):
        quality = study.folder.json(
            subject, r"from-boldref_to-T1w_mode-image_desc-subject_xfm\.json"
        ).get("Quality")
        if quality:
            refined = " and boundary-based refinement [@Greve2009]"
            yield (
                f"The reference image was aligned to the anatomy (by way of the "
                f"{quality.get('image', 'T1w')} image) by masked mutual information"
                f"{refined if quality.get('bbr_accepted') else ''}."
            )
            break
    written = _with(study, runs, r"space-\w+_desc-(optcom|preproc|denoised)_bold\.json")
    if written:
        timed = [one for one in written if one.get("SliceTimingCorrected")]
        slices = f"Slices were brought to one time{_share(timed, written)}; " if timed else ""
        rate = sorted({one.get("RepetitionTime") for one in written} - {None})
        every = f" every {', '.join(f'{value:g}' for value in rate)} s" if rate else ""
        fields = _with(study, runs, r"desc-boldref_fieldmap\.json")
        parts = f"{'motion' if slices else 'Motion'}{', distortion' if fields else ''}"
        yield (
            f"{slices}{parts} and alignment were composed "
            f"and each image was interpolated once in space, with cubic splines, and "
            f"sampled{every}."
        )


def _nordic(study: Study, runs: Sequence[RunRecord]) -> Iterator[str]:
    denoised = _with(study, runs, r"(echo-\w+_)?part-mag_desc-nordic_bold\.json", "nordic")
    if not denoised:
        return
    complexes = [one for one in denoised if one.get("Complex")]
    kinds = "complex" if len(complexes) == len(denoised) else "complex or magnitude"
    kinds = kinds if complexes else "magnitude"
    maps = " or ".join(sorted({str(one.get("NoiseMap")) for one in denoised}))
    noise = [one for one in denoised if (one.get("NoiseVolumes") or {}).get("Count")]
    level = f"; noise volumes set its level in {len(noise)} runs" if noise else ""
    yield (
        f"Thermal noise was removed from the {kinds} images of each echo with NORDIC "
        f"[@Moeller2021; @Vizioli2021]{_share(denoised, runs)}, an implementation of its own, "
        f"before any interpolation (noise map: {maps}{level})."
    )


def _distortion(study: Study, runs: Sequence[RunRecord]) -> Iterator[str]:
    fields = _with(study, runs, r"desc-boldref_fieldmap\.json")
    if fields:
        how = "by the field in Hz, read at the head's position [@Jezzard1995]"
        if study.config.get("sdc") == "medic":
            how = "by fields from the phase of each volume, MEDIC [@Van2023]"
        yield f"Susceptibility distortion was corrected {how}{_share(fields, runs)}."
        pepolar = any("epi" in str(f.get("Sources")) for f in fields)
        if pepolar:
            yield "Fields came from pairs of opposed phase encoding [@Andersson2003] where given."
    elif runs:
        yield "Susceptibility distortion was not corrected."
    changing = [r for r in runs if study.folder.first(r.name, r"desc-change_fieldmap\.nii\.gz")]
    if changing:
        yield f"The field followed each volume{_share(changing, runs)}."
    warped = [r for r in runs if study.folder.first(r.name, r"desc-unwarped_boldref\.nii\.gz")]
    if warped:
        yield f"Gradient nonlinearity was corrected [@Glasser2013]{_share(warped, runs)}."


def _echoes(study: Study, runs: Sequence[RunRecord]) -> Iterator[str]:
    combined = _with(study, runs, r"space-\w+_desc-(optcom|denoised)_bold\.json")
    if combined:
        yield (
            "Echoes were combined with weights by T2* [@Poser2006], pooled over the session, with "
            f"tedana [@DuPre2021]{_share(combined, runs)}."
        )
    outcomes = _with(study, runs, r"desc-ICA_outcome\.json")
    if outcomes:
        kept = [one for one in outcomes if one.get("status") != "fallback"]
        order = sorted({str(one.get("order")) for one in outcomes})
        trees = ", ".join(sorted({str(one.get("tree")) for one in outcomes}))
        ours = any(one.get("engine") == "mebold" for one in kept)
        found = " that FastICA in half steps [@Hyvarinen1999] found" if ours else ""
        failed = len(outcomes) - len(kept)
        instead = (
            f"; in {failed} runs it was not usable and the combination was kept" if failed else ""
        )
        yield (
            f"For the ICA variants multi-echo ICA [@Kundu2012] (order {', '.join(order)}, decision "
            f"tree {trees}) removed components{found}{_share(outcomes, runs)}{instead}."
        )
    tabled = [r for r in runs if study.folder.first(r.name, r"desc-confounds_timeseries\.tsv")]
    if tabled:
        yield (
            "Confounds were tabulated (motion, framewise displacement, DVARS, global signals, "
            f"CompCor [@Behzadi2007]){_share(tabled, runs)}; the fits used "
            f"{_confounds(study) or 'none of them'}."
        )


def _confounds(study: Study) -> str:
    return ", ".join((study.config.get("glm") or {}).get("confounds") or [])


def _fits(study: Study, names: Sequence[str]) -> Iterator[str]:
    folder = study.folder
    owners = [o for o in folder.owners if any(f"{o}_".startswith(f"{n}_") for n in names)]
    summaries: dict[str, list[dict]] = {}
    ceilings = []
    for owner in owners:
        for file in folder.find(owner, r"desc-GLMsingle_summary\.json"):
            content = folder.read_json(file.path)
            if "Model" in content:
                summaries.setdefault(file.dataset, []).append(content)
        maps = folder.find(owner, r"space-\w+_desc-Noiseceiling\w*_statmap\.json")
        ceilings += [folder.read_json(file.path) for file in maps]
    made = [name for name in VARIANTS if datasets(name)[1] in summaries]
    if made:
        models = sorted({str(s["Model"]) for some in summaries.values() for s in some})
        sessions = max(len(some) for some in summaries.values())
        yield (
            f"Single-trial responses were fitted with GLMsingle's model {', '.join(models)} "
            f"[@Prince2022], an implementation of its own, to all runs of a session together "
            f"({sessions} session{'s' * (sessions > 1)}; variants: "
            f"{'; '.join(f'{name} ({in_words(name)})' for name in made)})."
        )
    if ceilings:
        text = (
            "Noise ceilings are the share of variance over images in the variance of responses "
            "to repeated images [@Allen2022]"
        )
        null = next((c for c in ceilings if c.get("Permutations")), {})
        if null:
            text += (
                "; chance was found with image labels shifted within runs, and false discoveries "
                f"were controlled at {null.get('FalseDiscoveryRate')} [@Benjamini1995]"
            )
        yield f"{text}."
    if len(made) > 1 and folder.first("", r"desc-variants_metrics\.tsv", "comparison"):
        yield (
            "Variants were compared by how well their single-trial betas foretell responses in "
            "other runs, with bootstraps over images and over runs."
        )


def _localizers(study: Study, names: Sequence[str]) -> Iterator[str]:
    folder, found = study.folder, []
    for owner in folder.owners:
        if any(f"{owner}_".startswith(f"{name}_") for name in names):
            files = folder.find(owner, r"desc-localizer_glm\.json")
            found += [(owner, folder.read_json(file.path)) for file in files]
    if not found:
        return
    runs = sum(len(one.get("Runs") or ()) for _, one in found)
    tasks = sorted({re.search(r"task-(\w+?)(?:_|$)", owner)[1] for owner, _ in found})
    used = (found[0][1].get("Parameters") or {}).get("settings") or {}
    noise = {"ar1": "AR(1) noise", "ols": "white noise"}.get(used.get("noise"), "noise")
    drift = {"none": "no drifts"}.get(used.get("drift"), f"{used.get('drift')} drifts")
    yield (
        f"Conditions of localizer tasks ({', '.join(tasks)}; {runs} run{'s' * (runs > 1)}) were "
        f"fitted with nilearn (response: {used.get('response')}, {noise}, {drift}), and contrasts "
        "combined over runs by fixed effects."
    )


def _versions(folder: Folder, names: Sequence[str]) -> dict[str, str]:
    """Return the packages that the sidecars of some subjects name."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    for owner in folder.owners:
        if not any(f"{owner}_".startswith(f"{name}_") for name in names):
            continue
        for file in folder.of(owner):
            # One file of a kind and dataset tells for all.
            kind = f"{file.dataset} {re.sub(r'[0-9]+', '', file.rest)}"
            if not file.rest.endswith(".json") or kind in seen:
                continue
            seen.add(kind)
            for made in folder.read_json(file.path).get("GeneratedBy") or ():
                found |= made.get("Packages") or {}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


@functools.cache
def _entries() -> dict[str, str]:
    text = _BIB.read_text(encoding="utf-8")
    return {re.match(r"@\w+\{(\w+)", entry)[1]: entry for entry in text.strip().split("\n")}


def _reference(key: str) -> str:
    """Write a reference as HTML."""
    fields = dict(
        re.findall(r"(\w+) = \{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}", _entries()[key])
    )
    plain = {name: re.sub(r"[{}]", "", text).replace("--", "–") for name, text in fields.items()}
    for written, letter in (('\\"a', "ä"), ('\\"o', "ö"), ("\\cc", "ç")):
        plain = {name: text.replace(written, letter) for name, text in plain.items()}
    authors = plain["author"].split(" and ")
    who = authors[0].partition(",")[0] + (" et al." if len(authors) > 2 else "")
    if len(authors) == 2:
        who += f" and {authors[1].partition(',')[0]}"
    where = plain["journal"] + (f" {plain['volume']}" if "volume" in plain else "")
    where += f":{plain['pages']}" if "pages" in plain else ""
    doi = plain["doi"]
    text = html.escape(f"{who} ({plain['year']}). {plain['title']}. {where}.", quote=False)
    return f'{text} <a href="https://doi.org/{doi}" rel="noopener">doi:{doi}</a>'
