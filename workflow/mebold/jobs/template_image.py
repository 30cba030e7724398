"""The template of a job: its files, or the one that comes with nilearn."""

from mebold.anat import mni, template
from mebold.files import images


def brain(files: object) -> template.Brain:
    """Return image, mask and grid of a template.

    Parameters
    ----------
    files : object
        Inputs of a job: ``template`` and ``template_mask`` where the template is a file, else that
        of nilearn is meant.
    """
    if files.get("template"):
        mask = images.load_mask(files.template_mask)
        return template.given(*images.load_volume(files.template), *mask)
    maps, affine = mni.load_template(1.0)
    return template.Brain(maps["t1"], maps["brain"] > 0.5, affine)
