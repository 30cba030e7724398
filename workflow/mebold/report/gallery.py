"""The figures of a page: sections in the order of the science, kinds of figures, and captions."""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from mebold.report.folder import File, Folder


@dataclass(frozen=True)
class Kind:
    """One kind of figure.

    Attributes
    ----------
    name : str
        Identifier in the page.
    title : str
    dataset, rest : str
        Regular expressions of the dataset and of the file name without its owner.
    caption : str
        Name of its caption in ``workflow/report``.
    alt : str
        What the figure shows, for those who cannot see it.
    """

    name: str
    title: str
    dataset: str
    rest: str
    caption: str
    alt: str


_GLM = r"glmsingle-\w+"
#: Section -> title, kinds of its figures.
SECTIONS: dict[str, tuple[str, tuple[Kind, ...]]] = {
    "anatomy": (
        "Anatomy",
        (
            Kind("segmentation", "Brain mask and tissue classes", "anatomical",
                 r"desc-segmentation_T1w\.png", "anat",
                 "slices of the T1w image with outlines of brain, white matter and CSF"),
            Kind("mp2rage", "MP2RAGE without its background", "anatomical",
                 r"desc-cleaned_UNIT1\.png", "mp2rage",
                 "slices of the MP2RAGE image before and after its background was removed"),
            Kind("t2w", "T2w on the T1w", "anatomical", r"space-T1w_desc-preproc_T2w\.png", "t2w",
                 "slices of the T1w image with edges of the T2w image"),
            Kind("template-flicker", "Template, affine and whole", "anatomical",
                 r"space-\w+_desc-flicker_T1w\.svg", "template_flicker",
                 "T1w in the template by the affine and by the whole alignment, in turn"),
            Kind("template-volume", "Volume against the template", "anatomical",
                 r"space-\w+_desc-jacobian_anatmap\.png", "template_jacobian",
                 "map of the logarithm of the change of volume"),
            Kind("megre", "T2* of the multi-echo GRE", "anatomical", r"T2starmap\.png", "megre",
                 "map and histogram of T2*"),
            Kind("template", "Template on the T1w", "anatomical", r"space-\w+_T1w\.png",
                 "template", "slices of the T1w image with edges of the template"),
        ),
    ),
    "motion": (
        "Head motion",
        (
            Kind("motion", "Head motion", "preproc", r"desc-motion_bold\.png", "motion",
                 "traces of translation, rotation, framewise displacement and match over time"),
        ),
    ),
    "distortion": (
        "Distortion",
        (
            Kind("sdc", "Distortion correction", "preproc", r"desc-sdc_boldref\.png", "sdc",
                 "reference image before and after correction, and the field in Hz"),
            Kind("change", "Change of the field", "preproc", r"desc-change_fieldmap\.png",
                 "sdc_dynamic", "map of the field's standard deviation and its course in time"),
            Kind("unwarped", "Gradient nonlinearity", "preproc",
                 r"desc-unwarped_boldref\.png", "gradunwarp",
                 "reference image before and after the warp, and the displacement"),
        ),
    ),
    "nordic": (
        "Thermal noise (NORDIC)",
        (
            Kind("nordic", "What NORDIC did", "nordic", r"(echo-\w+_)?desc-nordic_bold\.png",
                 "nordic", "slices before and after, what was removed, noise map, tSNR ratio"),
            Kind("survival", "What can survive", "nordic",
                 r"(echo-\w+_)?desc-weakestResponse_boldmap\.png", "nordic_survival",
                 "maps of the weakest response that NORDIC lets through"),
        ),
    ),
    "alignment": (
        "Alignment",
        (
            Kind("flicker", "Before, after, anatomy", r"(tedana|preproc-\w+)",
                 r"desc-flickerBefore_boldref\.png", "flicker",
                 "slices of the BOLD reference before and after distortion correction, and of the "
                 "anatomy, under the same outlines"),
            Kind("coreg-subject", "Subject's reference on the T1w", "preproc",
                 r"desc-coreg_T1w\.png", "coreg", "edges of the BOLD reference on the T1w"),
            Kind("coreg-session", "Sessions", "preproc", r"desc-coregSession_boldref\.png",
                 "coreg", "edges of the session's BOLD reference on the anatomy"),
            Kind("coreg-run", "Runs", "preproc", r"desc-coreg_boldref\.png", "coreg",
                 "edges of the run's BOLD reference on the anatomy"),
        ),
    ),
    "multiecho": (
        "Echoes",
        (
            Kind("t2star", "T2*", "preproc", r"space-\w+_T2starmap\.png", "t2star",
                 "map and histogram of T2*"),
            Kind("tsnr", "Temporal SNR", r"(tedana|preproc-\w+)",
                 r"space-\w+_desc-tsnr_bold\.png", "tsnr",
                 "map of the temporal signal-to-noise ratio"),
        ),
    ),
    "confounds": (
        "Confounds",
        (
            Kind("carpet", "Carpet", r"(tedana|preproc-\w+)", r"desc-carpet_bold\.png",
                 "carpet_bold", "signal of voxels (rows) over time, with global signal, DVARS and "
                 "framewise displacement above"),
            Kind("shared", "What the confounds share", r"(tedana|preproc-\w+)",
                 r"desc-confounds_bold\.png", "confounds",
                 "variance explained by CompCor, and correlations of the regressors"),
        ),
    ),
    "singletrial": (
        "Single-trial fits",
        (
            Kind("components", "Noise components", _GLM, r"desc-GLMsingle_components\.png",
                 "components", "cross-validated performance against the number of components"),
            Kind("maps", "Response, ridge fraction, R2", _GLM, r"desc-GLMsingle_maps\.png",
                 "singletrial", "maps of response function, ridge fraction and explained variance"),
            Kind("betas", "Betas", _GLM, r"desc-SingletrialBetas_carpet\.png", "carpet",
                 "responses of voxels (rows) to trials (columns)"),
        ),
    ),
    "noiseceiling": (
        "Noise ceilings",
        (
            Kind("ceiling-all", "Over all sessions", _GLM,
                 r"desc-NoiseceilingAllrep_statmap\.png", "noiseceiling",
                 "noise ceiling in percent on the anatomy, all sessions"),
            Kind("ceiling", "Of a session", _GLM, r"desc-Noiseceiling_statmap\.png",
                 "noiseceiling", "noise ceiling in percent on the anatomy, one session"),
            Kind("localizer", "Contrasts of a localizer", "localizers", r"stat-z_statmap\.png",
                 "localizer", "z maps of contrasts between conditions on the anatomy"),
            Kind("regions", "In regions", "rois", r"desc-Noiseceiling_rois\.png", "rois",
                 "bars of the median noise ceiling of every region, with intervals"),
            Kind("outlines", "Where the regions are", "rois", r"desc-regions_rois\.png",
                 "rois_mosaic", "noise ceiling inside the regions on the T1w, with outlines"),
            Kind("surface", "On the cortex", _GLM,
                 r"space-fsaverage5_desc-NoiseceilingAllrep_statmap\.png", "surface",
                 "noise ceiling on inflated hemispheres, from the outside and from the middle"),
        ),
    ),
    "comparison": (
        "Comparison of the variants",
        (
            Kind("comparison", "Which variant", "comparison",
                 r"desc-variants_comparison\.png", "comparison",
                 "bars of predictivity, noise ceiling, differences and price of the variants"),
            Kind("region", "Where they are compared", "comparison", r"label-visual_mask\.png",
                 "visual_roi", "visually responsive voxels on the anatomy"),
            Kind("metrics", "All metrics", "comparison", r"desc-variants_metrics\.png",
                 "variant_metrics", "bars of further metrics of the variants"),
        ),
    ),
}  # fmt: skip
# Beside the library in a checkout, inside it once installed.
_CAPTIONS = (
    Path(__file__).resolve().parents[2] / "report",
    Path(__file__).resolve().parents[1] / "captions",
)


#: Frames that are shown by turns: name, and the file name without its owner, the run.
FRAMES = {
    "before correction": "desc-flickerBefore_boldref.png",
    "after correction": "desc-flickerAfter_boldref.png",
}
#: The last frame, one for all runs of a subject.
ANATOMY_FRAME = r"desc-flickerAnatomy_\w+\.png"


@dataclass(frozen=True)
class Figure:
    """A figure of a page: its file, what it belongs to, its words, and frames to turn to."""

    kind: Kind
    file: File
    label: str
    anchor: str
    frames: tuple[tuple[str, str], ...] = ()

    @property
    def alt(self) -> str:
        """Text for those who cannot see the figure."""
        return f"{self.kind.title}, {self.label}: {self.kind.alt}"


def figures(
    folder: Folder, kind: Kind, owners: Sequence[str], *, without: str = "", first: str = ""
) -> list[Figure]:
    """Return the figures of a kind.

    Parameters
    ----------
    folder : Folder
    kind : Kind
    owners : sequence of str
        Whose figures, in this order.
    without : str
        Prefix of the labels that goes without saying, the subject's name.
    first : str
        Dataset whose figures come first.
    """
    found = []
    for owner in owners:
        files = folder.find(owner, kind.rest, kind.dataset)
        for file in sorted(files, key=lambda f: f.dataset != first):
            short = owner.removeprefix(without).lstrip("_").replace("_", " ") or owner
            echo = re.match(r"echo-\w+?(?=_)", file.rest)
            parts = [short, echo[0] if echo else ""]
            if kind.dataset not in (file.dataset,):
                parts.append(file.dataset)
            label = ", ".join(part for part in parts if part)
            anchor = re.sub(r"[^A-Za-z0-9-]+", "-", f"{kind.name}-{owner}-{label}").strip("-")
            found.append(Figure(kind, file, label, anchor, _frames(folder, file)))
    return found


def _frames(folder: Folder, file: File) -> tuple[tuple[str, str], ...]:
    """Return name and path of the frames that a figure turns to; none for most figures."""
    if file.rest not in FRAMES.values():
        return ()
    start = file.path.removesuffix(file.rest)
    frames = [(name, start + rest) for name, rest in FRAMES.items()]
    anatomy = folder.first(file.owner.partition("_")[0], ANATOMY_FRAME)
    return (*frames, *([("anatomy", anatomy.path)] if anatomy else []))


def caption(name: str, config: Mapping) -> str:
    """Return a caption as HTML; empty where it is not at hand.

    Parameters
    ----------
    name : str
        Of the file in ``workflow/report``.
    config : mapping
        Configuration of the call, which captions quote.
    """
    path = next((f / f"{name}.rst" for f in _CAPTIONS if (f / f"{name}.rst").is_file()), None)
    if path is None:
        return ""
    # Snakemake fills in its job.
    words = jinja2.Environment(undefined=jinja2.ChainableUndefined)
    return _html(words.from_string(path.read_text()).render(snakemake={"config": config}))


@functools.cache
def _html(text: str) -> str:
    """Return reStructuredText as HTML."""
    from docutils.core import publish_parts

    settings = {"report_level": 5, "initial_header_level": 4, "file_insertion_enabled": False,
                "raw_enabled": False}  # fmt: skip
    parts = publish_parts(text, writer="html5", settings_overrides=settings)
    return re.sub(r"</?main[^>]*>", "", parts["body"])
