"""Small BIDS trees for tests of the inventory."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np

TE = {"1": 0.011, "2": 0.02882, "3": 0.04662}
SHAPE = (4, 5, 3, 8)
BOLD = {
    "RepetitionTime": 1.9,
    "SliceTiming": [0.0, 0.6, 1.2],
    "PhaseEncodingDirection": "j-",
    "TotalReadoutTime": 0.0213,
    "TaskName": "images",
}


class Tree:
    """A BIDS data set under `root`, written file by file."""

    def __init__(self, root: Path, *, filled: bool = False):
        self.root = root
        self.filled = filled  # every image has voxels
        self.json("dataset_description.json", {"Name": "test", "BIDSVersion": "1.9.0"})

    def path(self, name: str) -> Path:
        """Return a path of the tree, its folder made."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def json(self, name: str, content: dict) -> None:
        """Write a JSON file."""
        self.path(name).write_text(json.dumps(content))

    def text(self, name: str, content: str) -> None:
        """Write any text file."""
        self.path(name).write_text(content)

    def image(self, name: str, metadata: dict | None = None, *, shape: tuple | None = None) -> str:
        """Write an image, empty without a shape, and its sidecar without metadata none."""
        if shape is None and self.filled:
            shape = SHAPE if name.split(".nii")[0].endswith("_bold") else SHAPE[:3]
        if shape is None:
            self.path(name).touch()
        else:
            image = nib.Nifti1Image(np.zeros(shape, np.int16), np.diag([1.8, 1.8, 1.8, 1]))
            nib.save(image, self.path(name))
        if metadata is not None:
            self.json(name.split(".nii")[0] + ".json", metadata)
        return name

    def run(self, stem: str, folder: str = "sub-01/func", *, echoes=TE, parts=("mag", "phase"),
            suffixes=("bold",), shape=None, **metadata) -> None:  # fmt: skip
        """Write all echoes and parts of a run; ``echoes={None: 0.03}`` is one without a label."""
        for echo, time in echoes.items():
            for part in parts:
                for suffix in suffixes:
                    keys = [stem] + [f"echo-{echo}"] * bool(echo) + [f"part-{part}"] * bool(part)
                    size = shape[:3] if shape and suffix == "sbref" else shape
                    name = f"{folder}/{'_'.join(keys)}_{suffix}.nii.gz"
                    self.image(name, {**BOLD, "EchoTime": time, **metadata}, shape=size)

    def phasediff(self, stem: str = "sub-01", folder: str = "sub-01/fmap", **metadata) -> None:
        """Write a phase difference with its two magnitude images."""
        for suffix in ("magnitude1", "magnitude2"):
            self.image(f"{folder}/{stem}_{suffix}.nii.gz", {})
        keys = {"EchoTime1": 0.005, "EchoTime2": 0.00602, **metadata}
        self.image(f"{folder}/{stem}_phasediff.nii.gz", keys)

    def events(self, name: str, labels: list[str], column: str = "stim_name") -> None:
        """Write an events file with one trial per label."""
        rows = [f"{3.0 * i}\t2.5\t{label}" for i, label in enumerate(labels)]
        self.text(name, "\n".join([f"onset\tduration\t{column}", *rows]) + "\n")

    def session(self, subject: str = "01", session: str | None = None, *, runs=("01", "02"),
                **options) -> None:  # fmt: skip
        """Write T1w, a fieldmap and multi-echo runs with events of one session."""
        folder = f"sub-{subject}" + (f"/ses-{session}" if session else "")
        prefix = folder.replace("/", "_")
        self.image(f"{folder}/anat/{prefix}_T1w.nii.gz", {})
        self.phasediff(prefix, f"{folder}/fmap")
        for run in runs:
            stem = f"{prefix}_task-images_run-{run}"
            self.run(stem, f"{folder}/func", **options)
            labels = ["shared_a", "shared_b", "shared_a", "shared_b", f"unique_{run}"]
            self.events(f"{folder}/func/{stem}_events.tsv", labels)
