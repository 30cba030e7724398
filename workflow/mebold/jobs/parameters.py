"""What a job needs to know besides its files: acquisition, options, sizes.

All look-ups take labels and return just what the job asks for, because a parameter that changes
makes a job run again.
"""

import math
from dataclasses import asdict

from mebold.jobs.index import Index
from mebold.variants import VARIANTS, variant_of

# Keys of `nordic` that are not options of the method, and options that only its second pass has.
_NORDIC_FILES = (
    *("share_gfactor", "noise_volumes", "noise_map", "write"),
    *("responding_share", "kept_share", "weakest_limit_percent"),
)
_GFACTOR_OPTIONS = (
    *("temporal_phase", "phase_filter_width", "gfactor_kernel_size", "gfactor_volumes"),
    *("gfactor_patch_overlap", "phase_range", "compat"),
)
# Columns of a run's row that are handed on as they are.
_USUAL_T1W = (176, 256, 256)
_LABELS = ("subject", "session", "task", "acquisition", "run", "fieldmaps")
# Columns of a fieldmap's row that its field in Hz depends on.
_FIELDMAP_COLUMNS = (
    *("suffix", "fieldmap", "fieldmap_kind", "component", "acquisition_time", "echo_time"),
    *("echo_time_1", "echo_time_2", "phase_encoding_direction", "total_readout_time", "units"),
)


class Parameters:
    """Parameters of jobs, by labels.

    Parameters
    ----------
    index : Index
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._config = index.config

    # -- runs ---------------------------------------------------------------------------------

    def of_run(self, stem: str, *keys: str) -> dict:
        """Return acquisition parameters of a run.

        Parameters
        ----------
        stem : str
        *keys : str
            Of ``stem``, ``subject``, ``session``, ``task``, ``acquisition``, ``run``; ``tr``,
            ``tr_out``, ``readout_s``, ``centre_s`` (s); ``n_acquired`` (volumes in the header, None
            if not known); ``echo_times``, ``acquired_slice_timing``, ``slice_timing`` (None where
            it is not corrected; lists, s); ``slice_encoding_direction``, ``direction``,
            ``fieldmaps``;
            ``single_echo``, ``hmc_echo``, ``reference_echo`` (positions from 0).
        """
        run, hmc = self._index.runs[stem], self._config["hmc"]
        row = run.first
        known = {
            "stem": stem,
            **{key: row[key] for key in _LABELS},
            "tr": row["repetition_time"],
            "n_acquired": row["n_volumes"],
            "tr_out": self._index.intervals[stem],
            "readout_s": row["total_readout_time"],
            "centre_s": _centre(row),
            "echo_times": run.echo_times,
            "slice_timing": row["slice_timing"] if self._index.corrects_timing(stem) else None,
            "acquired_slice_timing": row["slice_timing"],
            "slice_encoding_direction": row["slice_encoding_direction"] or "k",
            "direction": row["phase_encoding_direction"],
            "single_echo": run.single_echo,
            "hmc_echo": run.echo_position(hmc["echo"]),
            "reference_echo": run.echo_position(hmc["reference_echo"]),
        }
        return {key: known[key] for key in keys}

    def of_echo(self, stem: str, echo: str, *keys: str) -> dict:
        """Return acquisition parameters of a run, and the time of one echo (s) of it."""
        run = self._index.runs[stem]
        time = run.echo_times[run.echo_entities.index(echo)]
        return self.of_run(stem, *keys) | {"echo_time": time}

    def as_single_echo(self, stem: str, echo: str, *keys: str) -> dict:
        """Return acquisition parameters of a run whose ``single_echo`` is the one that is named."""
        position = self._index.runs[stem].echo_entities.index(echo)
        return self.of_run(stem, *keys) | {"single_echo": position}

    def of_group(self, group: str, *keys: str) -> list[dict]:
        """Return acquisition parameters of the runs of a single-trial group."""
        return [self.of_run(stem, *keys) for stem in self._index.glm_stems(group)]

    def of_first(self, group: str, *keys: str) -> dict:
        """Return acquisition parameters of the first run of a single-trial group."""
        return self.of_run(self._index.glm_stems(group)[0], *keys)

    def pooled_echo_times(self, pooled: str) -> list[float]:
        """Echo times of a T2* fit in seconds; the run table check made its runs agree."""
        return self._index.runs[self._index.pooled_stems(pooled)[0]].echo_times

    def raw_of_run(self, stem: str, dataset: str) -> list[str]:
        """Raw images that a run's outputs come from, for the ``Sources`` of their sidecars."""
        index = self._index
        warp = [index.warp(stem)] if index.warp(stem) else []
        if VARIANTS[variant_of(dataset)][0] == "standard":
            return index.images(stem, "bold") + warp
        noise = index.images(stem, "noRF", "mag", "phase")
        return index.images(stem, "bold", "mag", "phase") + noise + warp

    # -- options of methods -------------------------------------------------------------------

    def nordic_options(self) -> dict:
        """Return the options of `mebold.nordic.denoise.nordic`."""
        chosen = self._config["nordic"]
        options = {key: value for key, value in chosen.items() if key not in _NORDIC_FILES}
        phase_range = self._config["fmap"]["phase_range"]
        options["phase_range"] = None if phase_range == "auto" else phase_range
        return options | {"seed": self._config["seed"], "with_phase": "phase" in chosen["write"]}

    def gfactor_options(self) -> dict:
        """Return the options of `mebold.nordic.denoise.shared_gfactor`."""
        options = self.nordic_options()
        return {key: options[key] for key in _GFACTOR_OPTIONS}

    def noise_map_origin(self, stem: str) -> str:
        """Say where the noise map of a run comes from."""
        if self._config["nordic"]["noise_map"]:
            return f"given: {self._config['nordic']['noise_map']}"
        shared = self.shares_gfactor(stem)
        return "pooled over the echoes" if shared else "estimated from this echo"

    def shares_gfactor(self, stem: str) -> bool:
        """Tell whether the echoes of a run are denoised with one estimated noise map."""
        chosen = self._config["nordic"]
        several = len(self._index.runs[stem].echo_times) > 1
        return several and chosen["share_gfactor"] and not chosen["noise_map"]

    def ica_settings(self, thermal: str) -> dict:
        """Options of tedana's ICA of a run: NORDIC leaves less rank, so its order may differ."""
        settings = dict(self._config["ica"])
        after_nordic = settings.pop("order_after_nordic")
        if thermal == "nordic" and after_nordic is not None:
            settings["order"] = after_nordic
        return settings

    # -- fieldmaps, grids, sizes --------------------------------------------------------------

    def of_fieldmaps(self, folder: str) -> list[dict]:
        """Table rows of a session's fieldmaps, what the field in Hz depends on."""
        rows = self._index.fieldmap_rows(folder)
        return [{key: row[key] for key in _FIELDMAP_COLUMNS} for row in rows]

    def mp2rage(self, sub: str) -> dict | None:
        """Return the acquisition that T1 of a subject's MP2RAGE follows from."""
        protocol = self._index.mp2rage_protocol(sub)
        return asdict(protocol) if protocol else None

    def dark_fluid(self, sub: str) -> bool:
        """Tell whether fluid is as dark as air in what a subject has for a T1w: in an MP2RAGE."""
        return bool(self._index.mp2rage(sub))

    def megre_times(self, megre: str) -> list[float]:
        """Echo times of a multi-echo gradient echo, s."""
        return [row["echo_time"] for row in self._index.megre[megre].magnitudes]

    def megre_rows(self, megre: str) -> list[dict]:
        """Table rows of a multi-echo gradient echo, magnitudes first: what its field depends on."""
        one = self._index.megre[megre]
        rows = [*one.magnitudes, *one.phases]
        chosen = [{key: row[key] for key in _FIELDMAP_COLUMNS} for row in rows]
        return [row | {"fieldmap_kind": "megre"} for row in chosen]

    def output_voxel_mm(self, sub: str) -> float:
        """Edge of the output voxels of a subject in mm."""
        wanted = self._config["output"]["voxel_size_mm"]
        if wanted != "acquired":
            return float(wanted)
        size = self._index.row(self._index.subject_reference(sub))["voxel_mm"]
        # Headers are unreadable in a dry-run from sidecars alone; no job runs with this value.
        return round(min(size[:3]), 4) if size else 2.0

    def series_mb(
        self,
        *,
        stem: str | None = None,
        group: str | None = None,
        resampled: bool = False,
        longest: bool = False,
        judged: bool = False,
    ) -> float:
        """Size in MB of the series of a run (one echo), or of all runs of a group, as float32.

        ``resampled``: with the samples of the output, which may be more than the volumes;
        ``longest``: of the largest run of the group alone; ``judged``: with the samples of the
        output by which tedana judges components.
        """
        stems = [stem] if stem else self._index.stems(group=group) if group else []
        if not stems:
            return 0.0
        sizes = []
        for one in stems:
            row = self._index.row(one)
            more = 1.0
            if resampled or judged:
                more = row["repetition_time"] / self._index.intervals[one]
            if judged:
                from mebold.multiecho.judged import step  # numpy, which few calls need here

                more /= step(more, 1, self._config["ica"]["judged_share"])
            if row["shape"]:
                sizes.append(more * math.prod(row["shape"]) * 4 / 1e6)
        return max(sizes, default=1000.0) * (1 if longest else len(stems))

    def t1w_megavoxels(self, sub: str) -> float:
        """Millions of voxels of a subject's T1w; of a usual one of 1 mm where it is not known."""
        return math.prod(self._index.t1w_shape(sub) or _USUAL_T1W) / 1e6


def _centre(row: dict) -> float | None:
    """Return the middle of a run in seconds since midnight, where field maps are interpolated to.

    None where it is not known, or the field maps are of another session, thus another day.
    """
    if row["acquisition_time"] is None or row["fieldmap_folder"] != row["folder"]:
        return None
    return row["acquisition_time"] + (row["n_volumes"] or 0) * row["repetition_time"] / 2
