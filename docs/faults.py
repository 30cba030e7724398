"""Simulate two subjects with faults, for the figures of the tutorial that look bad.

python docs/faults.py demo/faults/raw: of sub-01 the head moves, the signal is weak beside the
noise, and there is no field map; sub-02 has the T1w of somebody else, and each run the events of
another.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from mebold.phantom.dataset import write_dataset
from mebold.phantom.spec import make_spec

# Two runs of one session: enough for a fit, and for images that repeat between runs.
SHORT = {"sessions": ("01",), "runs": 2, "rare_images": 17, "frequent_images": 7}
MOVING = {"within_run_mm_deg": 0.8, "jerk_mm_deg": 2.5, "jerks": 6}
WEAK = {"thermal_sigma": 90.0, "response_percent": 1.5}


def main() -> None:
    """Write the dataset."""
    raw = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(dir=raw.parent) as folder:
        one, two, other = (Path(folder, name) for name in ("one", "two", "other"))
        write_dataset(one, make_spec("group", subjects=("01",), **SHORT, **MOVING, **WEAK))
        write_dataset(two, make_spec("group", subjects=("02",), **SHORT))
        write_dataset(other, make_spec("tiny", subjects=("03",), sessions=("01",)))
        shutil.rmtree(one / "sub-01/ses-01/fmap")
        for image in (other / "sub-03").rglob("*_T[12]w.*"):
            name = image.relative_to(other).as_posix().replace("sub-03", "sub-02")
            shutil.copyfile(image, two / name)
        first, second = sorted((two / "sub-02/ses-01/func").glob("*_events.tsv"))
        texts = first.read_text(), second.read_text()
        second.write_text(texts[0])
        first.write_text(texts[1])
        shutil.move(two / "sub-02", one / "sub-02")
        rows = (two / "participants.tsv").read_text().splitlines()
        with (one / "participants.tsv").open("a") as participants:
            participants.write(f"{rows[1]}\n")
        shutil.move(one, raw)


if __name__ == "__main__":
    main()
