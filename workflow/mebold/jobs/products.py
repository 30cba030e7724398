"""Which variants are made of which runs, and the datasets that hold them."""

from mebold.compare import tasks
from mebold.errors import ConfigError, MetadataError
from mebold.jobs import regions
from mebold.jobs.index import Index
from mebold.plan import trials
from mebold.plan.stages import LOCALIZER
from mebold.variants import VARIANTS, datasets, nearest, possible


class Products:
    """Choices of variants.

    Parameters
    ----------
    index : Index
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._config = index.config
        # Every target asks for the stages of its run again.
        self._stages = {stem: index.stages(stem) for stem in index.runs}

    def primary(self, stem: str) -> str:
        """Primary variant of a run: falls back to one echo where echoes cannot be combined."""
        return nearest(self._config["primary_variant"], self._stages[stem])

    def variants(self, group: str) -> list[str]:
        """Variants made for a group: all that its runs allow in compared sessions, else one."""
        stems = self._index.glm_stems(group) or self._index.stems(group=group)
        if group not in self._index.planned["compare"]:
            return [self.primary(stems[0])]
        asked = self._config["variants"]
        return [v for v in asked if all(possible(v, self._stages[stem]) for stem in stems)]

    def across_sessions(self, groups: list[str]) -> list[str]:
        """Variants that have products over the sessions of a subject's task, the primary first.

        The others are those that every one of two or more sessions has, so that their maps rest on
        the trials that the primary's rest on.
        """
        primary = self.primary(self._index.glm_stems(groups[0])[0])
        if len(groups) < 2:
            return [primary]
        shared = set.intersection(*(set(self.variants(group)) for group in groups))
        return [primary, *(v for v in self.variants(groups[0]) if v in shared - {primary})]

    def denoised(self) -> list[str]:
        """Return the runs that pass NORDIC, for whichever variant is made of them."""
        stems = self._index.stems()
        return [s for s in stems if any(VARIANTS[v][0] == "nordic" for v in self._made(s))]

    def combined(self) -> list[str]:
        """Return the runs whose echoes are combined, for whichever variant is made of them."""
        stems = self._index.stems()
        return [s for s in stems if any(VARIANTS[v][1] != "single" for v in self._made(s))]

    def _made(self, stem: str) -> list[str]:
        """Variants that are made of a run, for its BOLD image or for a fit."""
        group = self._index.runs[stem].group
        fitted = self.variants(group) if stem in self._index.glm_stems(group) else []
        return [*self.written_bold(stem), *fitted]

    def compared(self) -> list[str]:
        """Return the groups in which variants are compared."""
        return [group for group in self._index.groups() if len(self.variants(group)) > 1]

    def compared_in(self, task: str) -> list[str]:
        """Return the groups that the comparison of one task is made of."""
        first = {group: self._index.glm_stems(group)[0] for group in self.compared()}
        return [g for g, stem in first.items() if tasks.name(self._index.row(stem)) == task]

    def compared_tasks(self) -> list[str]:
        """Return the names (`mebold.compare.tasks.name`) of the tasks with a comparison."""
        rows = [self._index.row(self._index.glm_stems(group)[0]) for group in self.compared()]
        return list(dict.fromkeys(map(tasks.name, rows)))

    def ceilings(self, groups: list[str]) -> list[str]:
        """Noise ceilings beside that of all repeats that the trials of some sessions allow.

        Those of images with an exact number of presentations, and ``DifferentRuns``; all of them
        where the events do not tell.
        """
        exact = self._config["noise_ceiling"]["groups"]
        stems = [stem for group in groups for stem in self._index.glm_stems(group)]
        runs = [self._index.runs[stem] for stem in stems]
        known = trials.repeats(runs, self._config["design"], self._index.intervals)
        if known is None:
            return [*exact, "DifferentRuns"]
        shown, in_runs = known
        counts = set(shown.values())
        found = [name for name, count in exact.items() if count in counts]
        return [*found, "DifferentRuns"] if in_runs else found

    def written_bold(self, stem: str) -> list[str]:
        """Variants of a run that are written as NIfTI: the primary one, and those asked for."""
        asked = [v for v in self._config["write_bold"] if possible(v, self._stages[stem])]
        return list(dict.fromkeys([self.primary(stem), *asked]))

    def decomposed(self, stem: str) -> list[str]:
        """Datasets of a run's optimal combinations whose echoes an ICA decomposes as well."""
        levels = [VARIANTS[v][0] for v in self._made(stem) if VARIANTS[v][1] == "ica"]
        combined = [f"{level}Optcom" for level in levels]
        return [datasets(v)[0] for v in self.written_bold(stem) if v in combined]

    def written_echoes(self, stem: str) -> list[tuple[str, str]]:
        """Return dataset and echo (``_echo-1``) of each echo that is written as NIfTI.

        Once per level of thermal noise, in the dataset of the first variant that is written of it.
        """
        echoes = self._index.runs[stem].echo_entities
        if not self._config["write_echoes"] or len(echoes) == 1:
            return []
        levels: dict[str, str] = {}
        for variant in self.written_bold(stem):
            levels.setdefault(VARIANTS[variant][0], datasets(variant)[0])
        return [(name, echo) for name in levels.values() for echo in echoes]

    def dataset_names(self) -> list[str]:
        """Return the derivative datasets that the planned jobs write into."""
        index = self._index
        names = {"anatomical"} if index.planned["anat"] else set()
        for stem in index.stems():
            names |= {"preproc"} | {datasets(v)[0] for v in self.written_bold(stem)}
            if stem in index.planned["nordic"]:
                names.add("nordic")
        rois = self._config["rois"]
        if index.planned[LOCALIZER]:
            names.add("localizers")
        if index.stems() and regions.are_given(rois, listed=bool(rois["table"])):
            names |= {"rois", "atlases"} if rois["older_layout"] else {"rois"}
        if index.stems_without_anatomy():
            names.add("preproc")
        for group in index.groups():
            variants = self.variants(group)
            names |= {datasets(v)[1] for v in variants}
            tables = bool(self._config["glm"]["confounds"])  # beside the betas of every variant
            names |= {datasets(v)[0] for v in variants if tables or VARIANTS[v][1] == "ica"}
            if group in index.planned["rois"]:
                names.add("rois")
            if len(variants) > 1:
                names.add("comparison")
        return sorted(names)

    def require_runs(self) -> None:
        """Raise when nothing at all is to be done, or something is asked that no run has."""
        index = self._index
        if index.empty:
            message = (
                f"No BOLD or anatomical image was found in {self._config['bids_dir']} for the "
                "chosen participants and sessions: check `bids_dir`, `participant_label` and "
                "`session_label`."
            )
            raise MetadataError(message)
        if "phase" in self._config["nordic"]["write"]:
            for stem in sorted(index.planned["nordic"] & set(index.runs)):
                if not index.images(stem, "bold", "phase"):
                    message = (
                        f"Configuration key `nordic.write`: {stem} has no phase images to write "
                        "the phase of. Leave `phase` out, or choose other runs."
                    )
                    raise ConfigError(message)
        wanted = self._config["compare_sessions"]
        if isinstance(wanted, list):
            known = {str(index.row(stem)["session"]) for stem in index.runs}
            if missing := sorted(set(map(str, wanted)) - known):
                message = f"Configuration key `compare_sessions`: no session {', '.join(missing)}."
                raise ConfigError(message)
