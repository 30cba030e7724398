"""The six variants: names, levels, datasets, words, and which of them a run allows."""

from collections.abc import Collection

#: Thermal level and kind of echo combination of each variant.
VARIANTS = {
    f"{thermal}{echoes.capitalize()}": (thermal, echoes)
    for thermal in ("standard", "nordic")
    for echoes in ("single", "optcom", "ica")
}
#: The levels in words.
THERMAL = {"standard": "no NORDIC", "nordic": "NORDIC"}
ECHOES = {"single": "one echo", "optcom": "optimal combination", "ica": "ICA denoised"}
# The product of the primary variant of the reference dataset keeps its published names.
_PUBLISHED = {"nordicOptcom": ("tedana", "glmsingle-tedana")}


def datasets(variant: str) -> tuple[str, str]:
    """Return the names of a variant's two datasets: preprocessed BOLD and single-trial fits."""
    return _PUBLISHED.get(variant, (f"preproc-{variant}", f"glmsingle-{variant}"))


def variant_of(dataset: str) -> str:
    """Return the variant that a dataset name of `datasets` belongs to."""
    return next(variant for variant in VARIANTS if dataset in datasets(variant))


def in_words(variant: str) -> str:
    """Name a variant for people; a name that is none of the six stays as it is."""
    if variant not in VARIANTS:
        return variant
    thermal, echoes = VARIANTS[variant]
    return f"{THERMAL[thermal]}, {ECHOES[echoes]}"


def possible(variant: str, stages: Collection[str]) -> bool:
    """Tell whether a variant can be made of a run for which these stages are planned."""
    thermal, echoes = VARIANTS[variant]
    return (thermal == "standard" or thermal in stages) and (echoes == "single" or echoes in stages)


def nearest(variant: str, stages: Collection[str]) -> str:
    """Return the variant, or what comes closest to it where a run lacks stages that it needs."""
    thermal, echoes = VARIANTS[variant]
    thermal = thermal if thermal in stages else "standard"
    if echoes == "ica" and echoes not in stages:
        echoes = "optcom"
    echoes = echoes if echoes in stages else "single"
    return f"{thermal}{echoes.capitalize()}"
