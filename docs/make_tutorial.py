"""Write docs/tutorial.md and the pictures of the README, from what commands say and draw.

`make tutorial` simulates and analyses the demo and a dataset with faults first. Words stand in
tutorial.md.j2; nothing of what programs say or draw is typed by hand.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jinja2
from PIL import Image

from mebold.figures import style
from mebold.files import tables
from mebold.report import answers
from mebold.report.folder import Folder
from mebold.report.study import Study

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
GOOD, BAD = Path("demo/derivatives"), Path("demo/faults/derivatives")
PICTURES = ROOT / "workflow" / "images"
#: Pictures of the README that are figures of the demo.
README = {
    "comparison": "comparison/figures/task-images_desc-variants_comparison.png",
    "noiseceiling": "glmsingle-tedana/sub-01/figures/*_desc-NoiseceilingAllrep_statmap.png",
}
_WIDEST, _LONGEST = 720, 150  # of pictures (pixels) and of lines


def main() -> None:
    """Write the tutorial and its pictures."""
    (HERE / "images").mkdir(exist_ok=True)
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True
    )
    environment.globals |= {"ran": ran, "console": console, "pair": pair, "picture": picture}
    environment.globals |= {"answered": answered, "told": told, "screen": screen}
    template = environment.from_string((HERE / "tutorial.md.j2").read_text())
    (HERE / "tutorial.md").write_text(template.render())
    for name, pattern in README.items():
        shutil.copyfile(found("good", pattern), PICTURES / f"{name}.png")
    for name, which, size in (("report", "good", "WIDE"), ("report_phone", "bad", "PHONE")):
        if shown := page_of(which, "sub-01.html", size):
            saved(shown, PICTURES / f"{name}.png")


def block(text: str, kind: str = "text") -> str:
    """Return a text as a block of code; long lines are cut, which dots say."""
    lines = [f"{s[: _LONGEST - 4]} ..." if len(s) > _LONGEST else s for s in text.splitlines()]
    return "\n".join([f"```{kind}", *(line.rstrip() for line in lines), "```"])


def ran(command: str, *, since: str = "", first: int = 0, last: int = 0) -> str:
    """Run a command in the root of the repository; return it with what it says, or a part.

    Parameters
    ----------
    command : str
    since : str
        Beginning of the line that is the first to be shown; empty shows all.
    first, last : int
        Lines that are shown; 0 of both shows all.
    """
    done = subprocess.run(
        command, shell=True, cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stdout}")
    lines = done.stdout.strip().splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith(since)]
    said = shortened(lines[starts[0] :], first, last)
    return f"{block(command, 'sh')}\n\n{block(said)}"


def console(pattern: str, *, first: int = 0, last: int = 0) -> str:
    """Return the lines of the call for the dataset with faults that match."""
    lines = (ROOT / BAD.parent / "console.txt").read_text().splitlines()
    return block(shortened([line for line in lines if re.search(pattern, line)], first, last))


def shortened(lines: list[str], first: int, last: int) -> str:
    """Return the first and last lines, with dots for those between."""
    if not (first or last) or len(lines) <= first + last + 1:
        return "\n".join(lines)
    return "\n".join([*lines[:first], "...", *(lines[-last:] if last else [])])


def answered(which: str, subject: str) -> str:
    """Return the four answers of a subject's page as a list."""
    study = Study(Folder(ROOT / (GOOD if which == "good" else BAD)))
    found = answers.of_subject(study, study.subjects[subject])
    return "\n".join(f"- **{one.question}** {one.short}" for one in found.values())


def told(which: str, pattern: str, *keys: str) -> object:
    """Return a value of a sidecar: of the demo (good) or of the dataset with faults (bad)."""
    value = tables.read_json(found(which, pattern))
    for key in keys:
        value = value[key]
    return value


def found(which: str, pattern: str) -> Path:
    """Return the first file that matches in one of the two output folders."""
    folder = ROOT / (GOOD if which == "good" else BAD)
    return next(iter(sorted(folder.glob(pattern))))


def picture(name: str, which: str, pattern: str, alt: str) -> str:
    """Copy a figure, small enough for a repository, and return its link."""
    drawn = Image.open(found(which, pattern)).convert("RGB")
    return f"![{alt}]({kept(drawn, name)})"


def pair(name: str, good: str, bad: str, alt: str, *, bad_of: str = "bad") -> str:
    """Return a good figure of the demo beside a bad one, of the dataset with faults as a rule."""
    links = [
        picture(f"{name}_good", "good", good, f"{alt}, good"),
        picture(f"{name}_bad", bad_of, bad, f"{alt}, bad"),
    ]
    return f"| good | bad |\n| --- | --- |\n| {links[0]} | {links[1]} |"


def screen(name: str, which: str, page: str, alt: str) -> str:
    """Return a picture of the first screen of a page; without a browser that which is there."""
    if shown := page_of(which, page, "WIDE"):
        kept(shown, name)
    return f"![{alt}](images/{name}.png)"


def page_of(which: str, page: str, size: str) -> Image.Image | None:
    """Return the first screen of a page in a window of the size that the tests use."""
    sys.path.insert(0, str(ROOT / "tests"))
    import browser

    if not browser.found():
        return None
    with tempfile.TemporaryDirectory() as folder, browser.Browser(getattr(browser, size)) as shown:
        shown.open(found(which, f"report/{page}"))
        shown.picture(Path(folder, "page.png"))
        return Image.open(Path(folder, "page.png")).convert("RGB")


def kept(drawn: Image.Image, name: str) -> str:
    """Write a picture with few colours and pixels; return its path beside the tutorial."""
    if drawn.width > _WIDEST:
        height = round(drawn.height * _WIDEST / drawn.width)
        drawn = drawn.resize((_WIDEST, height), Image.Resampling.LANCZOS)
    saved(drawn, HERE / "images" / f"{name}.png")
    return f"images/{name}.png"


def saved(drawn: Image.Image, path: Path) -> None:
    """Write a picture with a palette of its own."""
    path.write_bytes(style.png_bytes(style.with_palette(drawn)))


if __name__ == "__main__":
    main()
