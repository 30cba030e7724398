"""Files of the templates that a configuration asks for."""

from collections.abc import Iterable, Mapping

from mebold.errors import ConfigError
from mebold.files import templateflow

#: The template that needs no files, because it comes inside nilearn.
BUNDLED = "MNI152NLin2009aSym"


def files(
    identifiers: Iterable[str], settings: Mapping, *, fetch: bool = False
) -> dict[str, dict[str, str]]:
    """Return the inputs ``template`` and ``template_mask`` of every template.

    Parameters
    ----------
    identifiers : iterable of str
    settings : mapping
        Section ``template`` of the configuration.
    fetch : bool
        Whether this process may fetch what the configuration allows to be fetched; without it such
        a template has no files yet, and a dry-run goes on.

    Raises
    ------
    ConfigError
        When a template is not at hand.
    """
    found: dict[str, dict[str, str]] = {}
    home = templateflow.home(settings["home"])
    for identifier in sorted(set(identifiers)):
        if settings["image"]:
            pair = settings["image"], settings["mask"]
        elif identifier == BUNDLED:
            found[identifier] = {}
            continue
        else:
            pair = templateflow.find(identifier, home)
        if pair is None and settings["fetch"]:
            pair = templateflow.fetch(identifier, home) if fetch else ()
        if pair is None:
            message = f"Template {identifier}: {templateflow.absent(identifier, home)}"
            raise ConfigError(message)
        found[identifier] = dict(zip(("template", "template_mask"), pair, strict=False))
    return found
