"""What every ``desc-`` label of the outputs stands for: ``descriptions.tsv`` of each dataset."""

import pandas as pd

# Label, what it stands for, and how the names of the datasets begin that hold it.
_SERIES = ("preproc-", "tedana")
_FITS = ("glmsingle",)
_LABELS = (
    ("preproc", "bias corrected", ("anatomical",)),
    ("anat", "volumes, contrast and noise of a scan", ("anatomical",)),
    ("cleaned", "UNIT1 without its noise in air", ("anatomical",)),
    ("head", "mask of the head, where UNIT1 is no noise", ("anatomical",)),
    ("combined", "echoes of a multi-echo gradient echo, combined", ("anatomical",)),
    ("jacobian", "volume in the subject over volume in the template", ("anatomical",)),
    ("modulated", "tissue times the jacobian: volume per voxel of the template", ("anatomical",)),
    (
        "brain",
        "mask of the brain; beside a series, of its part with data",
        ("anatomical", "preproc", *_SERIES),
    ),
    ("dilated", "mask of all voxels that a series has", ("anatomical", "preproc", *_SERIES)),
    ("grid", "on the output grid", ("anatomical", "preproc")),
    ("hmc", "head motion of every volume, and the image to which it leads", ("preproc",)),
    ("sdc", "corrected for susceptibility distortion", ("preproc",)),
    ("coreg", "alignment with the output space", ("preproc",)),
    ("coregSession", "alignment of the session with the subject", ("preproc",)),
    ("session", "alignment of the run with its session", ("preproc",)),
    ("subject", "alignment of the session with the subject", ("preproc",)),
    ("unwarped", "corrected for gradient nonlinearity as well", ("preproc",)),
    ("unwarpedBrain", "mask of the brain, corrected for gradient nonlinearity", ("preproc",)),
    ("preproc", "fieldmap of a session as it was used", ("preproc",)),
    ("boldref", "field at the reference image of the run", ("preproc",)),
    ("change", "change of the field since the fieldmap", ("preproc",)),
    ("dynamic", "head motion, estimated without the change of the field", ("preproc",)),
    ("native", "at the acquired volumes, before slice timing and resampling", ("preproc",)),
    ("decay", "goodness of the fit of T2*", ("preproc",)),
    ("adaptiveGoodSignal", "number of echoes with signal (tedana's adaptive mask)", ("preproc",)),
    ("references", "images that the alignments lead to", ("preproc",)),
    ("nordic", "freed of thermal noise by NORDIC", ("nordic",)),
    ("gfactor", "g-factor, relative noise of parallel imaging", ("nordic",)),
    ("noiseSD", "standard deviation of the thermal noise", ("nordic",)),
    ("residualSD", "standard deviation of what was removed", ("nordic",)),
    ("componentsRemoved", "number of components that were removed", ("nordic",)),
    ("weakestResponse", "weakest shared response that survives, percent", ("nordic",)),
    ("weakestDifference", "weakest difference of images that survives, percent", ("nordic",)),
    ("preproc", "slice timing, motion, distortion and alignment in one interpolation", _SERIES),
    ("optcom", "optimal combination of the echoes; desc-preproc is its second name", _SERIES),
    ("denoised", "optimal combination without the components that ICA rejects", ("preproc-",)),
    ("coverage", "share of the samples inside the field of view", _SERIES),
    ("quality", "image quality of a run, for its page", _SERIES),
    ("confounds", "confound regressors at the samples of the image", _SERIES),
    ("ICA", "independent components of the echoes (tedana)", _SERIES),
    ("tedana", "tedana's table of components", _SERIES),
    ("SingletrialBetas", "responses to single trials", _FITS),
    ("SingletrialBetasZscoredRun", "the same, standardised within run", _FITS),
    ("SingletrialBetasZscoredSession", "the same, standardised within session", _FITS),
    ("ImageBetas", "responses to images, mean over repeats", _FITS),
    ("MeanBetas", "mean over the responses to single trials, on surfaces", _FITS),
    ("GLMsingle", "the single-trial fit as a whole", _FITS),
    ("R2", "variance explained by the single-trial model", _FITS),
    ("R2mean", "the same, mean over sessions", _FITS),
    ("R2onoff", "variance explained by all trials as one regressor", _FITS),
    ("meanR2gt15mask", "voxels with a mean R2 above 15 percent", _FITS),
    ("HRFindex", "index of the chosen response function, 0 to 19", _FITS),
    ("Fracridge", "fraction of the unregularised length that is kept", _FITS),
    ("Meanvol", "mean of the series", _FITS),
    ("coverage", "voxels that were fitted", _FITS),
    ("Noiseceiling", "noise ceiling of a session, all pairs of repeats", _FITS),
    ("NoiseceilingAllrep", "noise ceiling over sessions, all repeats", _FITS),
    ("NoiseceilingDifferentRuns", "noise ceiling from repeats in different runs", _FITS),
    ("Ncsnr", "noise ceiling signal-to-noise ratio", _FITS),
    ("variants", "comparison of the variants", ("comparison",)),
    ("visual", "region that responds to images", ("comparison",)),
    ("visualScore", "response to images in left-out runs", ("comparison",)),
    ("Noiseceiling", "noise ceilings of regions", ("rois",)),
    ("regions", "what each region is made of", ("rois",)),
    ("localizer", "contrasts between the conditions of a localizer", ("localizers",)),
)


def table(name: str, *, parts: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return the descriptions of a dataset.

    Parameters
    ----------
    name : str
        Of the dataset.
    parts : tuple of str
        Names of noise ceilings of images with an exact number of repeats (``noise_ceiling.groups``
        of the configuration).

    Returns
    -------
    table : DataFrame
        Columns ``desc_id`` (``desc-<label>``) and ``description``, as in BIDS.
    """
    found = {label: text for label, text, holders in _LABELS if _holds(name, holders)}
    if name.startswith(_FITS):
        found |= {
            f"Noiseceiling{part}": f"noise ceiling over sessions, images of group {part}"
            for part in parts
        }
        ceilings = [label for label in found if label.startswith("Noiseceiling")]
        found |= {f"{label}FDR": f"voxels above chance in {label}" for label in ceilings}
    rows = [(f"desc-{label}", text) for label, text in sorted(found.items())]
    return pd.DataFrame(rows, columns=["desc_id", "description"])


def _holds(name: str, holders: tuple[str, ...]) -> bool:
    """Tell whether a dataset is among holders; ``preproc`` itself begins no other name."""
    return any(name == h if h == "preproc" else name.startswith(h) for h in holders)
