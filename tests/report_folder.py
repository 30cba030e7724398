"""Output folders as a call leaves them, without any image: what the pages are built from."""

import json
import struct
import zlib
from pathlib import Path

STAGES = (
    *("fmap", "nordic", "stc", "hmc", "coreg", "resample", "optcom", "ica", "confounds"),
    "singletrial",
)
PLAN_COLUMNS = (
    *("subject", "session", "task", "run", "stem", "group", "stage"),
    *("planned", "reason", "echoes"),
)
GROUP_STAGES = ("noiseceiling", "across_sessions", "compare", "rois")


def png(width: int = 4, height: int = 3) -> bytes:
    """Return a grey picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\x80" * width for _ in range(height)))
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class Output:
    """An output folder under construction.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows = []
        root.mkdir(parents=True, exist_ok=True)

    def write(self, path: str, content: object) -> Path:
        """Write text, bytes or JSON."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            target.write_text(content if isinstance(content, str) else json.dumps(content))
        return target

    def subject(self, label: str, *, anatomy: bool = True, reason: str = "") -> None:
        """Add the anatomy of a subject."""
        sub = f"sub-{label}"
        self.plan(label, "", "", "", sub, "", "anat", planned=anatomy, reason=reason, echoes=0)
        if anatomy:
            self.write(f"anatomical/{sub}/anat/{sub}_desc-preproc_T1w.nii.gz", "")
            self.write(f"anatomical/{sub}/figures/{sub}_desc-segmentation_T1w.png", png())

    def plan(self, *cells: object, planned: bool, reason: str = "", echoes: int = 3) -> None:
        """Add a row to the plan."""
        texts = [str(cell) if cell != "" else "n/a" for cell in cells]
        self.rows.append([*texts, str(planned), reason, str(echoes)])
        self.write_plan()

    def write_plan(self) -> None:
        """Write all rows of the plan."""
        lines = ["\t".join(row) for row in [PLAN_COLUMNS, *self.rows]]
        self.write("plan.tsv", "\n".join(lines) + "\n")

    def run(
        self,
        subject: str,
        session: str,
        run: str,
        *,
        fd: tuple[float, ...] = (0.1, 0.12, 0.08),
        outliers: tuple[int, ...] = (),
        warnings: tuple[str, ...] = (),
        skipped: dict[str, str] | None = None,
        until: str = "",
        tsnr: float | None = None,
    ) -> str:
        """Add a run with its products, up to the stage `until` (not included); return its stem."""
        folder = f"sub-{subject}/ses-{session}"
        stem = f"sub-{subject}_ses-{session}_task-images_run-{run}"
        group = f"sub-{subject}_ses-{session}_task-images"
        for stage in STAGES:
            why = (skipped or {}).get(stage, "")
            names = (subject, session, "images", run, stem, group, stage)
            self.plan(*names, planned=not why, reason=why)
        func = f"preproc/{folder}/func/{stem}"
        order = ("fmap", "nordic", "hmc", "coreg", "resample", "optcom", "confounds")
        done = order[: order.index(until)] if until else order
        if until != "hmc":
            cells = [f"{value}\t0.99\t1.0" for value in fd]
            lines = ["framewise_displacement\tcorrelation\toverlap", "n/a\t0.99\t1.0", *cells]
            self.write(f"{func}_desc-native_motion.tsv", "\n".join(lines) + "\n")
            about = {"OutlierVolumes": list(outliers), "Volumes": len(fd) + 1}
            about |= {"NonSteadyStateVolumes": 0, "Warnings": list(warnings)}
            self.write(f"{func}_desc-native_motion.json", about)
            self.write(f"{func}_desc-hmc_boldref.nii.gz", "")
            figure = f"preproc/{folder}/figures/{stem}_desc-motion_bold.png"
            self.write(figure, png())
        if "fmap" in done and "fmap" not in (skipped or {}):
            self.write(f"{func}_desc-sdc_boldref.nii.gz", "")
        if "nordic" in done and "nordic" not in (skipped or {}):
            for echo in (1, 2, 3):
                name = f"nordic/{folder}/func/{stem}_echo-{echo}_part-mag_desc-nordic_bold"
                self.write(f"{name}.nii.gz", "")
                self.write(f"{name}.json", {"Complex": True, "NoiseMap": "own", "Warnings": []})
        if "coreg" in done:
            name = f"{func}_from-boldref_to-T1w_mode-image_desc-coreg_xfm"
            self.write(f"{name}.txt", "")
            self.write(f"{name}.json", {"Quality": {"mask_dice": 0.95}, "Warnings": []})
        if "resample" in done:
            self.write(f"work/series/{folder}/{stem}_desc-standard_summary.npz", "")
        if "optcom" in done:
            bold = f"tedana/{folder}/func/{stem}_space-T1w_desc-optcom_bold"
            self.write(f"{bold}.nii.gz", "")
            self.write(f"{bold}.json", {"RepetitionTime": 1.9, "SliceTimingCorrected": True})
        if "confounds" in done:
            table = f"tedana/{folder}/func/{stem}_desc-confounds_timeseries.tsv"
            self.write(table, "a\n1\n")
        if tsnr is not None:
            self.write(f"tedana/{folder}/func/{stem}_desc-quality_bold.json", {"tsnr": tsnr})
        return stem

    def session(
        self, subject: str, session: str, *, share: float | None = 0.1, compare: str = "", fit=True
    ) -> str:
        """Add the fit of a session and its noise ceiling; return the name of the group."""
        folder, sub = f"sub-{subject}/ses-{session}", f"sub-{subject}"
        group = f"{sub}_ses-{session}_task-images"
        for stage in GROUP_STAGES:
            why = "" if stage != "compare" else compare or "`compare_sessions`: only the first"
            names = (subject, session, "images", "", group, group, stage)
            self.plan(*names, planned=stage != "compare" or bool(compare), reason=why)
        glm = f"glmsingle-tedana/{folder}"
        if fit:
            about = {"Model": "FITHRF_GLMDENOISE_RR", "RunsLeftOut": [], "TrialsLeftOut": []}
            self.write(f"{glm}/func/{group}_desc-GLMsingle_summary.json", about)
            self.write(f"{glm}/figures/{group}_desc-GLMsingle_maps.png", png())
        if fit and share is not None:
            name = f"{glm}/func/{group}_space-T1w_desc-Noiseceiling_statmap"
            self.write(f"{name}.nii.gz", "")
            about = {"ShareSignificant": share, "ChanceThreshold": 12.5, "Permutations": 100}
            self.write(f"{name}.json", about | {"FalseDiscoveryRate": 0.05})
            self.write(f"{glm}/figures/{group}_desc-Noiseceiling_viewer.html", "<p>slices</p>")
            header = "subject session roi category map variant n_voxels n_data median mean p90 unit"
            header += " share_significant"
            row = f"{subject} {session} visual derived Noiseceiling nordicOptcom"
            row += " 190 174 21.3 24 56.9 percent 0.42"
            lines = [header.replace(" ", "\t"), row.replace(" ", "\t")]
            self.write(
                f"rois/{sub}/{sub}_task-images_desc-Noiseceiling_rois.tsv", "\n".join(lines) + "\n"
            )
            self.write(f"glmsingle-tedana/{sub}/{sub}_task-images_desc-GLMsingle_summary.json", {})
        return group

    def compared(
        self, *, supported: str = "nordicOptcom", change: bool = False, dear: bool = False
    ) -> None:
        """Add the comparison of the task; `dear`: beyond the limits of its price."""
        advice = {"Task": "task-images", "Supported": supported, "AsGoodAsBest": [supported]}
        advice |= {"Change": {"primary_variant": supported} if change else {}}
        advice["Warnings"] = {supported: ["keeps 67.9 % of the response"]} if dear else {}
        advice["Description"] = (
            f"These data support {supported}: its betas foretell other runs best."
        )
        self.write("comparison/task-images_desc-variants_advice.json", advice)
        self.write("comparison/figures/task-images_desc-variants_comparison.png", png())
        header = "subject session variant metric value ci_low ci_high unit"
        values = (("signal_kept", 91), ("smoothness_growth", 12), ("responsive_kept", 97))
        rows = [f"01 01 nordicOptcom {name} {value} 0 0 percent" for name, value in values]
        lines = [text.replace(" ", "\t") for text in [header, *rows]]
        self.write("comparison/desc-variants_metrics.tsv", "\n".join(lines) + "\n")

    def log(self, path: str, *, error: str = "") -> None:
        """Add the log of a job, of one that failed with a message of the library."""
        said = f"2026-11-23 00:14:10,504 mebold.job ERROR {error}\n" if error else "all well\n"
        self.write(f"work/logs/{path}", said)


def finished(root: Path, *, n_subjects: int = 1, n_sessions: int = 2, n_runs: int = 2) -> Output:
    """Return an output folder in which everything was done and nothing is amiss."""
    out = Output(root)
    for s in range(1, n_subjects + 1):
        out.subject(f"{s:02d}")
        for session in range(1, n_sessions + 1):
            for run in range(1, n_runs + 1):
                out.run(f"{s:02d}", f"{session:02d}", f"{run:02d}")
            out.session(f"{s:02d}", f"{session:02d}")
    return out
