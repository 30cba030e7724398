"""Parameters of jobs by their wildcards: what a script needs to know besides its files."""

import math

from mebold.runs import VARIANTS, RunIndex, datasets, variant_of

# Keys of `nordic` that are not options of the method, and options that only its second pass has.
_NORDIC_FILES = ("share_gfactor", "noise_volumes", "noise_map", "write")
_GFACTOR_OPTIONS = (
    *("temporal_phase", "phase_filter_width", "gfactor_kernel_size", "gfactor_volumes"),
    *("gfactor_patch_overlap", "phase_range", "compat"),
)


class JobParameters(RunIndex):
    """Run index with methods that Snakemake calls with the wildcards of a job."""

    def run_parameters(self, wildcards) -> dict:
        """Acquisition parameters of a run: seconds, and positions of echoes from 0."""
        return self.acquisition(wildcards.stem)

    def acquisition(self, stem: str) -> dict:
        """Acquisition parameters of a run."""
        row = self.row(stem)
        wanted = self.config["output"]["repetition_time_s"]
        tr = row["repetition_time"]
        hmc = self.config["hmc"]
        return {
            "stem": stem,
            "subject": row["subject"],
            "session": row["session"],
            "task": row["task"],
            "run": row["run"],
            "tr": tr,
            "tr_out": tr if wanted == "keep" else float(wanted),
            "echo_times": self.echo_times(stem),
            "slice_timing": row["slice_timing"],
            "slice_encoding_direction": row["slice_encoding_direction"] or "k",
            "direction": row["phase_encoding_direction"],
            "readout_s": row["total_readout_time"],
            "centre_s": self._centre(row),
            "fieldmaps": row["fieldmaps"],
            "single_echo": self.single_echo(stem),
            "hmc_echo": self.echo_position(stem, hmc["echo"]),
            "reference_echo": self.echo_position(stem, hmc["reference_echo"]),
        }

    def echo_parameters(self, wildcards) -> dict:
        """Acquisition parameters of one echo of a run."""
        run = self.acquisition(wildcards.stem)
        position = self.echo_entities(wildcards.stem).index(wildcards.echo)
        return run | {"echo_time": run["echo_times"][position]}

    def nordic_options(self, wildcards) -> dict:  # noqa: ARG002
        """Return the options of `mebold.nordic.nordic`."""
        chosen = self.config["nordic"]
        options = {key: value for key, value in chosen.items() if key not in _NORDIC_FILES}
        phase_range = self.config["fmap"]["phase_range"]
        options["phase_range"] = None if phase_range == "auto" else phase_range
        return options | {"seed": self.config["seed"], "with_phase": "phase" in chosen["write"]}

    def gfactor_options(self, wildcards) -> dict:
        """Return the options of `mebold.nordic.shared_gfactor`."""
        options = self.nordic_options(wildcards)
        return {key: options[key] for key in _GFACTOR_OPTIONS}

    def noise_map_origin(self, wildcards) -> str:
        """Say where the noise map of a run comes from."""
        if self.config["nordic"]["noise_map"]:
            return f"given: {self.config['nordic']['noise_map']}"
        shared = self.shares_gfactor(wildcards.stem)
        return "pooled over the echoes" if shared else "estimated from this echo"

    def shares_gfactor(self, stem: str) -> bool:
        """Tell whether the echoes of a run are denoised with one estimated noise map."""
        chosen = self.config["nordic"]
        several = len(self.echo_times(stem)) > 1
        return several and chosen["share_gfactor"] and not chosen["noise_map"]

    @staticmethod
    def _centre(row: dict) -> float | None:
        """Middle of a run in seconds since midnight, where field maps are interpolated to.

        None where it is not known, or the field maps are of another session, thus another day.
        """
        if row["acquisition_time"] is None or row["fieldmap_folder"] != row["folder"]:
            return None
        return row["acquisition_time"] + (row["n_volumes"] or 0) * row["repetition_time"] / 2

    def raw_of_run(self, wildcards) -> list[str]:
        """Raw images that a run's outputs come from, for the ``Sources`` of their sidecars."""
        stem, thermal = wildcards.stem, VARIANTS[variant_of(wildcards.dataset)][0]
        warp = [self.warp(stem)] if self.warp(stem) else []
        if thermal != "nordic":
            return self.bold(stem) + warp
        noise = self.norf(stem) + self.norf(stem, "phase")
        return self.bold(stem) + self.bold(stem, "phase") + noise + warp

    def pooled_with(self, stem: str) -> str:
        """Name of the T2* fit whose weights a run uses: its group, or the run itself."""
        return stem if self.config["decay"]["pool"] == "run" else self.row(stem)["group"]

    def pooled_stems(self, pooled: str) -> list[str]:
        """Return the runs that a T2* fit pools."""
        return [pooled] if self.config["decay"]["pool"] == "run" else self.stems(group=pooled)

    def ica_settings(self, wildcards) -> dict:
        """Options of tedana's ICA of a run: NORDIC leaves less rank, so its order may differ."""
        settings = dict(self.config["ica"])
        after_nordic = settings.pop("order_after_nordic")
        if wildcards.thermal == "nordic" and after_nordic is not None:
            settings["order"] = after_nordic
        return settings

    def echoes_of(self, wildcards) -> str:
        """Kind of echo combination of a dataset."""
        return VARIANTS[variant_of(wildcards.dataset)][1]

    def group_parameters(self, wildcards) -> list[dict]:
        """Acquisition parameters of the runs of a single-trial group."""
        return [self.acquisition(stem) for stem in self.glm_stems(wildcards.group)]

    def first_of_group(self, wildcards) -> dict:
        """Acquisition parameters of a group's first run: its subject and session."""
        return self.acquisition(self.glm_stems(wildcards.group)[0])

    def pooled_echo_times(self, wildcards) -> list[float]:
        """Echo times of a T2* fit in seconds; the run table check made its runs agree."""
        return self.echo_times(self.pooled_stems(wildcards.pooled)[0])

    def group_variants(self, wildcards) -> list[str]:
        """Variants of a group, in the order of the inputs of its comparison."""
        return self.variants(wildcards.group)

    def fieldmap_parameters(self, wildcards) -> list[dict]:
        """Table rows of a session's fieldmaps, what the field in Hz depends on."""
        keys = (
            "suffix",
            "fieldmap",
            "fieldmap_kind",
            "component",
            "acquisition_time",
            "echo_time",
            "echo_time_1",
            "echo_time_2",
            "phase_encoding_direction",
            "total_readout_time",
            "units",
        )
        return [{key: row[key] for key in keys} for row in self.fieldmap_rows(wildcards.folder)]

    def output_voxel_mm(self, wildcards) -> float:
        """Edge of the output voxels of a subject in mm."""
        wanted = self.config["output"]["voxel_size_mm"]
        if wanted != "acquired":
            return float(wanted)
        sizes = [self.row(stem)["voxel_mm"] for stem in self._subjects[wildcards.sub]]
        known = [min(size[:3]) for size in sizes if size]
        # Headers are unreadable in a dry-run from sidecars alone; no job runs with this value.
        return round(min(known), 4) if known else 2.0

    def dataset_names(self) -> list[str]:
        """Return the derivative datasets that the planned jobs write into."""
        names = {"anatomical"} if self.planned["anat"] else set()
        for stem in self.stems():
            names |= {"preproc"} | {datasets(v)[0] for v in self.written_bold(stem)}
            if stem in self.planned["nordic"]:
                names.add("nordic")
        if self.stems_without_anatomy():
            names.add("preproc")
        for group in self.groups():
            variants = self.variants(group)
            names |= {datasets(v)[1] for v in variants}
            names |= {datasets(v)[0] for v in variants if VARIANTS[v][1] == "ica"}
            if group in self.planned["rois"]:
                names.add("rois")
            if len(variants) > 1:
                names.add("comparison")
        return sorted(names)

    def written_bold(self, stem: str) -> list[str]:
        """Variants of a run that are written as NIfTI: the primary one, and those asked for."""
        asked = [v for v in self.config["write_bold"] if self._possible(v, stem)]
        return list(dict.fromkeys([self.primary(stem), *asked]))

    def series_mb(self, **wildcards: str) -> float:
        """Size in MB of one echo of the largest run that a job reads, as float32."""
        if "stem" in wildcards:
            stems = [wildcards["stem"]]
        elif "group" in wildcards:
            stems = self.stems(group=wildcards["group"])
        else:
            return 0.0
        shapes = [self.row(stem)["shape"] for stem in stems]
        sizes = [math.prod(shape) * 4 / 1e6 for shape in shapes if shape]
        return max(sizes, default=1000.0) * (len(stems) if "group" in wildcards else 1)
