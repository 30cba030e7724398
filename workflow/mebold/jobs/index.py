"""Which file goes into which job: look-ups in the run table, as the plan decides.

The Snakefile asks this index and never the file system, because every cluster job parses the
Snakefile again. All look-ups are dictionaries that are filled in one pass over the table.
"""

import functools
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mebold.anat.mp2rage_t1 import Protocol
from mebold.files import templateflow
from mebold.inventory import megre
from mebold.inventory.runs import Run, collect
from mebold.inventory.table import records
from mebold.plan import ages, mp2rage, references, sampling
from mebold.plan.anatomy import AVERAGED, KINDS, averaged_with, chosen_image, output_space
from mebold.plan.references import References

_OWN_SPACES = ("T1w", "boldref")


class Index:
    """Look-ups in a run table and its plan, by labels.

    Parameters
    ----------
    table : DataFrame
        As made by `mebold.inventory.index`.
    plan : DataFrame
        As made by `mebold.plan.table`.
    config : dict
        Complete configuration.
    kept : mapping, optional
        References of earlier runs of the workflow, by subject; see `mebold.plan.references`.
    templates : mapping, optional
        Subject to the identifier of a template, where they are chosen by age.

    Attributes
    ----------
    runs : dict
        Stem -> `Run`, of the runs with a magnitude.
    intervals : dict
        Stem -> seconds between the samples of its preprocessed series.
    megre : dict
        Stem -> `Megre`, the multi-echo gradient echoes of the anatomy that T2* is fitted to.
    planned : dict
        Stage -> set of stems, subjects or groups for which it runs.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        plan: pd.DataFrame,
        config: dict,
        kept: Mapping[str, References] | None = None,
        templates: Mapping[str, str | None] | None = None,
    ) -> None:
        self.config = config
        self._raw = str(Path(config["bids_dir"]))
        self._templates = dict(templates or {})
        self.runs: dict[str, Run] = {run.stem: run for run in collect(table) if "mag" in run.bold}
        self._unfetched: set[str] = set()
        self._images: dict[str, dict] = {}  # path -> row of a functional image
        self._fieldmaps = defaultdict(list)  # folder -> rows
        # subject -> suffix -> rows
        self._anatomy: dict = defaultdict(functools.partial(defaultdict, list))
        for row in records(table):
            if row["image_state"] == "missing":
                self._unfetched.add(self.path(row["path"]))
            if row["datatype"] == "func":
                self._images[row["path"]] = row
            elif row["datatype"] == "fmap" or row["fieldmap"]:
                self._fieldmaps[row["folder"]].append(row)
            if row["datatype"] == "anat":
                self._anatomy[f"sub-{row['subject']}"][row["suffix"]].append(row)
        wanted = (config.get("output") or {}).get("repetition_time_s", "keep")
        self.intervals = sampling.intervals(self.runs.values(), wanted, config.get("design") or {})
        self.planned: dict[str, set[str]] = defaultdict(set)
        anatomy = {}
        for row in records(plan):
            if row["planned"]:
                self.planned[row["stage"]].add(row["stem"])
            if row["stage"] == "anat":
                anatomy[row["stem"]] = (row["planned"], "")
        self._space = output_space(config, anatomy)
        anatomical = [row for kinds in self._anatomy.values() for row in kinds.get("MEGRE", ())]
        self.megre = {one.stem: one for one in megre.collect(anatomical)}
        self._groups = defaultdict(list)
        self._folders = defaultdict(list)
        self._subjects = defaultdict(list)
        for stem, run in self.runs.items():
            if stem in self.planned["resample"]:
                self._groups[run.group].append(stem)
                self._folders[run.folder].append(stem)
                self._subjects[self.subject(stem)].append(stem)
        self._kept = dict(kept or {})
        self.references = {sub: self._references(sub) for sub in self.subjects}

    # -- what there is ------------------------------------------------------------------------

    @property
    def subjects(self) -> list[str]:
        """Subjects with a planned stage, with the ``sub-`` prefix."""
        return sorted(set(self._subjects) | {s for s in self.planned["anat"] if s in self._anatomy})

    @property
    def empty(self) -> bool:
        """Whether there is neither a run nor an anatomical image."""
        return not self.runs and not self._anatomy

    @property
    def space(self) -> str:
        """Space of the output, as in the names of files: T1w, boldref or a template's label."""
        return self._space if self._space in _OWN_SPACES else templateflow.label(self._space)

    @property
    def grid_kind(self) -> str:
        """Kind of the output space: T1w, boldref or template."""
        return self.space if self.space in _OWN_SPACES else "template"

    @property
    def template(self) -> str | None:
        """Label of the template that all T1w images are aligned with; None where there is none."""
        identifier = self._one_template
        return templateflow.label(identifier) if identifier else None

    @property
    def _one_template(self) -> str | None:
        """Identifier of the template that is the same for all subjects."""
        if self.grid_kind == "template":
            return self._space
        wanted = self.config.get("template", {}).get("space")
        wanted = None if wanted == ages.BY_AGE else wanted
        maps = self.config["output"]["maps_space"] if self.space == "T1w" else None
        return maps or wanted

    def template_identifier(self, sub: str) -> str | None:
        """Return the template of a subject as the configuration writes it, None without one."""
        return self._templates.get(sub) if self._templates else self._one_template

    def template_of(self, sub: str) -> str | None:
        """Return the template of a subject as names of files hold it, None without one."""
        identifier = self.template_identifier(sub)
        return templateflow.label(identifier) if identifier else None

    @property
    def template_identifiers(self) -> set[str]:
        """Templates that some subject is aligned with."""
        return {found for sub in self.subjects if (found := self.template_identifier(sub))}

    @property
    def anchor(self) -> str:
        """Frame that the alignment of every run leads to, as in the names of transforms."""
        return "subjectBoldref" if self.space == "boldref" else "T1w"

    def stages(self, stem: str) -> set[str]:
        """Return the stages that are planned for a run."""
        return {stage for stage, stems in self.planned.items() if stem in stems}

    def stems(
        self, *, folder: str | None = None, group: str | None = None, sub: str | None = None
    ) -> list[str]:
        """Return the runs that reach the output space: all, or of a session, group or subject."""
        if group is not None:
            return self._groups[group]
        if folder is not None:
            return self._folders[folder]
        if sub is not None:
            return self._subjects[sub]
        return [stem for stems in self._folders.values() for stem in stems]

    def stems_without_anatomy(self) -> list[str]:
        """Return the runs whose plan ends with head motion, for want of a T1w to align with."""
        return [s for s in self.runs if s in self.planned["hmc"] - self.planned["resample"]]

    def row(self, stem: str) -> dict:
        """Table row of the first magnitude echo of a run."""
        return self.runs[stem].first

    def folder(self, stem: str) -> str:
        """Session folder of a run, ``sub-01/ses-01`` or ``sub-01``."""
        return self.runs[stem].folder

    def subject(self, stem: str) -> str:
        """Subject of a run, with the ``sub-`` prefix."""
        return f"sub-{self.row(stem)['subject']}"

    # -- groups of runs -----------------------------------------------------------------------

    def groups(self) -> list[str]:
        """Return the groups of runs that are fitted together: a session's runs of one task."""
        return [g for g, stems in self._groups.items() if self.glm_stems(g) and stems]

    def glm_stems(self, group: str) -> list[str]:
        """Return the runs of a group that enter the single-trial GLM."""
        return [s for s in self._groups[group] if s in self.planned["singletrial"]]

    def group_folder(self, group: str) -> str:
        """Session folder of a group."""
        return self.folder(self._groups[group][0])

    def subject_task(self, group: str) -> str:
        """Subject-level name of a group, without its session: ``sub-01_task-images``."""
        session = self.row(self._groups[group][0])["session"]
        return group.replace(f"_ses-{session}", "")

    def subject_tasks(self) -> dict[str, list[str]]:
        """Return the groups of each subject-level product."""
        found = defaultdict(list)
        for group in self.groups():
            found[self.subject_task(group)].append(group)
        return dict(found)

    def pooled_with(self, stem: str) -> str:
        """Name of the T2* fit whose weights a run uses: its group, or the run itself."""
        return stem if self.config["decay"]["pool"] == "run" else self.runs[stem].group

    def pooled_stems(self, pooled: str) -> list[str]:
        """Return the runs that a T2* fit pools."""
        return [pooled] if self.config["decay"]["pool"] == "run" else self.stems(group=pooled)

    # -- input files --------------------------------------------------------------------------

    def path(self, relative: str) -> str:
        """Path of a file of the dataset, from the working directory."""
        return f"{self._raw}/{relative}"

    def fetched(self, files: list[str] | str | None) -> list[str] | str:
        """Files of the dataset without those that were not fetched: a dry-run needs none of them.

        A run meets no other, because it leaves out what they belong to.
        """
        if isinstance(files, str) and files not in self._unfetched:
            return files
        return (
            [] if isinstance(files, str) else [f for f in files or () if f not in self._unfetched]
        )

    def images(self, stem: str, suffix: str, *components: str) -> list[str]:
        """Images of a run (see `Run.paths`), component after component, by ascending echo."""
        found = [self.runs[stem].paths(suffix, part) for part in components or ("mag",)]
        return [self.path(file) for files in found for file in files]

    def echo_images(self, stem: str, echo: str, suffix: str, *components: str) -> list[str]:
        """Images of one echo of a run, ``_echo-1`` or nothing; none for what it does not have."""
        run = self.runs[stem]
        position = run.echo_entities.index(echo)
        found = [run.paths(suffix, part)[position : position + 1] for part in components]
        return [self.path(file) for files in found for file in files]

    def sbref(self, stem: str, use: str) -> str | list:
        """SBRef of the echo that a key of `hmc` names, ``echo`` or ``reference_echo``, or []."""
        run = self.runs[stem]
        row = run.sbref_at(run.echo_position(self.config["hmc"][use]))
        return self.path(row["path"]) if row else []

    def anatomy(self, sub: str, kind: str) -> str | None:
        """Anatomical image of a subject that is used, ``T1w`` or ``T2w``, or None."""
        used = self._used_image(sub, kind)
        return self.path(used) if used else None

    def averaged(self, sub: str) -> list[str]:
        """Other T1w images of a subject, which are averaged with the one that is used."""
        return [self.path(file) for file in self._averaged(sub)]

    def t1w_shape(self, sub: str) -> list[int] | None:
        """Matrix of the T1w (or UNIT1) that is used; None where there is none or it is unread."""
        row = self._used_row(sub, "T1w")
        return row["shape"] if row else None

    def mp2rage(self, sub: str) -> list[dict]:
        """Table rows of the MP2RAGE that stands in for a T1w: UNIT1, and the two inversions.

        The last two are absent where the dataset lacks one; nothing where a T1w is used.
        """
        unit1 = self._used_row(sub, "T1w")
        if unit1 is None or unit1["suffix"] != "UNIT1":
            return []
        return [unit1, *mp2rage.inversions(unit1, self._anatomy[sub].get("MP2RAGE", []))]

    def mp2rage_protocol(self, sub: str) -> Protocol | None:
        """Acquisition that T1 of a subject's MP2RAGE follows from, None where it is not known."""
        pair = self.mp2rage(sub)[1:]
        efficiency = self.config["mp2rage"]["inversion_efficiency"]
        return mp2rage.protocol(pair, efficiency=efficiency)[0]

    def _used_image(self, sub: str, kind: str) -> str | None:
        row = self._used_row(sub, kind)
        return row["path"] if row else None

    def _used_row(self, sub: str, kind: str) -> dict | None:
        kept = self._kept.get(sub)
        wanted = self.config.get("anat", {}).get(kind)
        before = kept.anatomy if kept else None
        return chosen_image(self._anatomy[sub], kind, wanted=wanted, kept=before)

    def _averaged(self, sub: str) -> list[str]:
        chosen = self.config.get("anat", {})
        used, kept = self._used_row(sub, "T1w"), self._kept.get(sub)
        if used is None or chosen.get("several") != "average":
            return []
        before = kept.anatomy if kept else None
        rows = averaged_with(self._anatomy[sub], used, wanted=chosen.get("T1w"), kept=before)
        return [row["path"] for row in rows]

    def fieldmap_rows(self, folder: str) -> list[dict]:
        """Table rows of the fieldmaps of a session that correct a run."""
        corrected = [self.row(stem) for stem in self.planned["fmap"] if stem in self.runs]
        used = {
            name for row in corrected if row["fieldmap_folder"] == folder
            for name in row["fieldmaps"]
        }  # fmt: skip
        rows = [row for row in self._fieldmaps[folder] if row["fieldmap"] in used]
        opposed = {row["fieldmap_opposed"]: row for row in rows if row["fieldmap_opposed"]}
        for path, row in opposed.items():
            own = {key: row[key] for key in ("fieldmap", "fieldmap_kind", "suffix")}
            rows.append(self._images[path] | own)
        return rows

    def has_field(self, stem: str) -> bool:
        """Tell whether a run gets distortion correction."""
        return stem in self.planned["fmap"]

    def corrects_timing(self, stem: str) -> bool:
        """Tell whether a run gets slice-timing correction."""
        return stem in self.planned["stc"]

    def has_changing_field(self, stem: str) -> bool:
        """Tell whether the field of a run is followed from volume to volume."""
        return stem in self.planned["sdc_dynamic"]

    def warp(self, stem: str) -> str | None:
        """Displacement field of gradient nonlinearity that a run is corrected with, or None."""
        wanted = self.config["gradient_nonlinearity"]["warp"]
        return wanted if stem in self.planned["gradunwarp"] else None

    # -- references ---------------------------------------------------------------------------

    def session_reference(self, folder: str) -> str:
        """Run that the other runs of a session are aligned to."""
        return self.references[folder.split("/")[0]].sessions[folder]

    def subject_reference(self, sub: str) -> str:
        """Run that the sessions of a subject are aligned to, the reference of one of them."""
        return self.references[sub].subject

    def _references(self, sub: str) -> References:
        """Return what was kept of a subject, completed by rule."""
        kept, fitted = self._kept.get(sub, References()), self.planned["singletrial"]
        folders = dict.fromkeys(self.folder(stem) for stem in self._subjects.get(sub, []))
        sessions = dict(kept.sessions)
        for folder in folders:
            runs = [self.runs[stem] for stem in self._folders[folder]]
            sessions.setdefault(folder, references.choose(runs, fitted))
        subject = kept.subject
        if folders and not subject:
            runs = [self.runs[sessions[folder]] for folder in folders]
            subject = references.choose(runs, fitted)
        if folders:
            for stem in (subject, *(sessions[folder] for folder in folders)):
                known = self.planned["resample"] & set(self.runs)
                references.require_known(sub, stem, known, self.config.get("output_dir", ""))
        anatomy = {kind: self._used_image(sub, kind) for kind in KINDS}
        if averaged := self._averaged(sub):
            anatomy[AVERAGED] = averaged
        return References(subject, sessions, anatomy)
