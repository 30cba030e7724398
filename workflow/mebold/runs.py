"""Which file goes into which job: look-ups in the run table, and the targets of the plan.

The Snakefile asks this index and never the file system, because every cluster job parses the
Snakefile again. All look-ups are dictionaries that are filled in one pass over the table.
"""

from collections import defaultdict
from pathlib import Path

from mebold.errors import ConfigError, MetadataError
from mebold.inventory_table import records
from mebold.plan_anatomy import output_space

# thermal level and kind of echo combination of each variant
VARIANTS = {
    f"{thermal}{echoes.capitalize()}": (thermal, echoes)
    for thermal in ("standard", "nordic")
    for echoes in ("single", "optcom", "ica")
}
# The product of the primary variant of the reference dataset keeps its published names.
_PUBLISHED = {"nordicOptcom": ("tedana", "glmsingle-tedana")}


def datasets(variant: str) -> tuple[str, str]:
    """Return the names of a variant's two datasets: preprocessed BOLD and single-trial fits."""
    return _PUBLISHED.get(variant, (f"preproc-{variant}", f"glmsingle-{variant}"))


def variant_of(dataset: str) -> str:
    """Return the variant that a dataset name of `datasets` belongs to."""
    return next(variant for variant in VARIANTS if dataset in datasets(variant))


class RunIndex:
    """Look-ups in a run table.

    Parameters
    ----------
    table : DataFrame
        As made by `mebold.inventory`.
    plan : DataFrame
        As made by `mebold.plan`.
    config : dict
        Complete configuration.
    """

    def __init__(self, table, plan, config):
        self.config = config
        self._files = defaultdict(dict)  # stem -> (suffix, part) -> {echo index: row}
        self._fieldmaps = defaultdict(list)  # folder -> rows
        self._images = {}  # path -> row of a functional image
        self._anatomy = defaultdict(lambda: defaultdict(list))  # subject -> suffix -> rows
        self._stems = {}  # stem -> row of its first magnitude echo
        for row in records(table):
            self._add(row)
        self.planned = defaultdict(set)  # stage -> stems or subjects
        for row in records(plan):
            if row["planned"]:
                self.planned[row["stage"]].add(row["stem"])
        self._groups = defaultdict(list)
        self._folders = defaultdict(list)
        self._subjects = defaultdict(list)
        for stem, row in self._stems.items():
            if stem in self.planned["resample"]:
                self._groups[row["group"]].append(stem)
                self._folders[row["folder"]].append(stem)
                self._subjects[f"sub-{row['subject']}"].append(stem)

    def _add(self, row: dict) -> None:
        if row["suffix"] in ("bold", "sbref", "noRF"):
            self._images[row["path"]] = row
            part = row["component"]
            if part not in ("mag", "phase"):  # real, imaginary, labels outside the standard
                return
            kind = self._files[row["stem"]].setdefault((row["suffix"], part), {})
            kind[int(row["echo_index"])] = row
            if row["suffix"] == "bold" and part == "mag":
                first = self._stems.get(row["stem"])
                if first is None or int(row["echo_index"]) < int(first["echo_index"]):
                    self._stems[row["stem"]] = row
        elif row["datatype"] == "fmap":
            self._fieldmaps[row["folder"]].append(row)
        elif row["datatype"] == "anat":
            self._anatomy[f"sub-{row['subject']}"][row["suffix"]].append(row)

    # -- what there is ------------------------------------------------------------------------

    @property
    def subjects(self) -> list[str]:
        """Subjects with a planned stage, with the ``sub-`` prefix."""
        return sorted(set(self._subjects) | {s for s in self.planned["anat"] if s in self._anatomy})

    @property
    def space(self) -> str:
        """Space of the output, as in the names of files: T1w, boldref or a template's label."""
        return output_space(self.config, dict.fromkeys(self.planned["anat"], (True, "")))

    @property
    def grid_kind(self) -> str:
        """Kind of the output space: T1w, boldref or template."""
        return self.space if self.space in ("T1w", "boldref") else "template"

    @property
    def anchor(self) -> str:
        """Frame that the alignment of every run leads to, as in the names of transforms."""
        return "subjectBoldref" if self.space == "boldref" else "T1w"

    def stems(self, *, folder: str | None = None, group: str | None = None) -> list[str]:
        """Return the runs that reach the output space, of a session folder or of a GLM group."""
        if group is not None:
            return self._groups[group]
        if folder is not None:
            return self._folders[folder]
        return [stem for stems in self._folders.values() for stem in stems]

    def stems_without_anatomy(self) -> list[str]:
        """Return the runs whose plan ends with head motion, for want of a T1w to align with."""
        return [s for s in self._stems if s in self.planned["hmc"] - self.planned["resample"]]

    def row(self, stem: str) -> dict:
        """Table row of the first magnitude echo of a run."""
        return self._stems[stem]

    def folder(self, stem: str) -> str:
        """Session folder of a run, ``sub-01/ses-01`` or ``sub-01``."""
        return self._stems[stem]["folder"]

    def subject(self, stem: str) -> str:
        """Subject of a run, with the ``sub-`` prefix."""
        return f"sub-{self._stems[stem]['subject']}"

    def groups(self) -> list[str]:
        """Return the groups of runs that are fitted together: a session's runs of one task."""
        return [g for g, stems in self._groups.items() if self.glm_stems(g) and stems]

    def glm_stems(self, group: str) -> list[str]:
        """Return the runs of a group that enter the single-trial GLM."""
        return [s for s in self._groups[group] if s in self.planned["singletrial"]]

    def group_folder(self, group: str) -> str:
        """Session folder of a group."""
        return self.folder(self._groups[group][0])

    # -- input files --------------------------------------------------------------------------

    def bold(self, stem: str, part: str = "mag") -> list[str]:
        """BOLD images of a run in the order of their echo times."""
        return self._paths(stem, "bold", part)

    def echo_entities(self, stem: str) -> list[str]:
        """Return how names of a run go on for each echo: ``_echo-1``, or nothing for one echo."""
        rows = self._files[stem]["bold", "mag"]
        labels = [rows[echo]["echo"] for echo in sorted(rows)]
        return [f"_echo-{label}" if label else "" for label in labels]

    def of_echo(self, stem: str, entity: str, suffix: str, part: str) -> list[str]:
        """Return the one image of an echo (see `echo_entities`), or an empty list."""
        position = self.echo_entities(stem).index(entity)
        return self._paths(stem, suffix, part)[position : position + 1]

    def sbref(self, stem: str, part: str = "mag") -> list[str]:
        """Single-band references of a run in the order of their echo times; may be empty."""
        return self._paths(stem, "sbref", part)

    def norf(self, stem: str, part: str = "mag") -> list[str]:
        """Noise scans of a run in the order of its echoes; may be empty."""
        return self._paths(stem, "noRF", part)

    def _paths(self, stem: str, suffix: str, part: str) -> list[str]:
        rows = self._files[stem].get((suffix, part), {})
        return [self.path(rows[echo]["path"]) for echo in sorted(rows)]

    def path(self, relative: str) -> str:
        """Path of a file of the dataset, from the working directory."""
        return str(Path(self.config["bids_dir"]) / relative)

    def echo_times(self, stem: str) -> list[float | None]:
        """Echo times of a run in seconds, ascending; None where a single echo does not say."""
        rows = self._files[stem]["bold", "mag"]
        return [rows[echo]["echo_time"] for echo in sorted(rows)]

    def echo_position(self, stem: str, number: int) -> int:
        """Position (from 0) of echo `number` (from 1); the last one where there are fewer."""
        return min(number, len(self.echo_times(stem))) - 1

    def single_echo(self, stem: str) -> int:
        """Position of the echo of the single-echo variants: the middle one."""
        count = len(self.echo_times(stem))
        return count // 2

    def fieldmap_rows(self, folder: str) -> list[dict]:
        """Table rows of the fieldmaps of a session that correct a run."""
        used = {
            name
            for stem in self.planned["fmap"]
            for name in self._stems[stem]["fieldmaps"]
            if self._stems[stem]["fieldmap_folder"] == folder
        }
        rows = [row for row in self._fieldmaps[folder] if row["fieldmap"] in used]
        opposed = {row["fieldmap_opposed"]: row for row in rows if row["fieldmap_opposed"]}
        for path, row in opposed.items():
            own = {key: row[key] for key in ("fieldmap", "fieldmap_kind", "suffix")}
            rows.append(self._images[path] | own)
        return rows

    def has_field(self, stem: str) -> bool:
        """Tell whether a run gets distortion correction."""
        return stem in self.planned["fmap"]

    def has_changing_field(self, stem: str) -> bool:
        """Tell whether the field of a run is followed from volume to volume."""
        return stem in self.planned["sdc_dynamic"]

    def warp(self, stem: str) -> str | None:
        """Displacement field of gradient nonlinearity that a run is corrected with, or None."""
        wanted = self.config["gradient_nonlinearity"]["warp"]
        return wanted if stem in self.planned["gradunwarp"] else None

    def anatomy(self, subject: str, suffix: str) -> str | None:
        """First image of a kind (``T1w``, ``T2w``), or None.

        Images that the scanner normalised come before images that it did not.
        """
        rows = self._anatomy[subject].get(suffix, [])
        ranked = sorted(rows, key=lambda row: (row.get("reconstruction") == "nonorm", row["path"]))
        return self.path(ranked[0]["path"]) if ranked else None

    # -- references ---------------------------------------------------------------------------

    def session_reference(self, folder: str) -> str:
        """Run that the other runs of a session are aligned to: the first of it."""
        return self._folders[folder][0]

    def subject_reference(self, subject: str) -> str:
        """Run that the sessions of a subject are aligned to: the first of the first session."""
        return self._subjects[subject][0]

    # -- variants -----------------------------------------------------------------------------

    def primary(self, stem: str) -> str:
        """Primary variant of a run: falls back to one echo where echoes cannot be combined."""
        wanted = self.config["primary_variant"]
        thermal, echoes = VARIANTS[wanted]
        if thermal == "nordic" and stem not in self.planned["nordic"]:
            thermal = "standard"
        if echoes == "ica" and stem not in self.planned["ica"]:
            echoes = "optcom"
        if echoes == "optcom" and stem not in self.planned["optcom"]:
            echoes = "single"
        return f"{thermal}{echoes.capitalize()}"

    def variants(self, group: str) -> list[str]:
        """Variants made for a group: all that its runs allow in compared sessions, else one."""
        stems = self.glm_stems(group) or self._groups[group]
        primary = self.primary(stems[0])
        if group not in self.planned["compare"]:
            return [primary]
        return [v for v in self.config["variants"] if all(self._possible(v, s) for s in stems)]

    def _possible(self, variant: str, stem: str) -> bool:
        thermal, echoes = VARIANTS[variant]
        if thermal == "nordic" and stem not in self.planned["nordic"]:
            return False
        return echoes == "single" or stem in self.planned[echoes]

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

    def require_runs(self) -> None:
        """Raise when nothing at all is to be done."""
        if not self._stems and not self._anatomy:
            message = (
                f"No BOLD or anatomical image was found in {self.config['bids_dir']} for the "
                "chosen participants and sessions: check `bids_dir`, `participant_label` and "
                "`session_label`."
            )
            raise MetadataError(message)
        if "phase" in self.config["nordic"]["write"]:
            for stem in sorted(self.planned["nordic"] & set(self._stems)):
                if not self.bold(stem, "phase"):
                    message = (
                        f"Configuration key `nordic.write`: {stem} has no phase images to write "
                        "the phase of. Leave `phase` out, or choose other runs."
                    )
                    raise ConfigError(message)
        wanted = self.config["compare_sessions"]
        if isinstance(wanted, list):
            known = {str(row["session"]) for row in self._stems.values()}
            if missing := sorted(set(map(str, wanted)) - known):
                message = f"Configuration key `compare_sessions`: no session {', '.join(missing)}."
                raise ConfigError(message)
