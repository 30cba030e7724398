"""Each kind of file that jobs write, and what a folder then holds."""

from pathlib import Path

import numpy as np
import pandas as pd

from mebold.figures import style
from mebold.files import (
    arrays,
    atomic,
    datasets,
    images,
    model,
    segmentation,
    series,
    stream,
    tables,
    transforms,
)
from mebold.inventory import table as run_table
from mebold.multiecho import tedana_folder

MASK = np.ones((20, 20, 10), bool)
NOISE = np.random.default_rng(0).normal(size=(4000, 30)).astype(np.float32)
GRID = np.diag([2.0, 2.0, 2.0, 1.0])


def write_series(folder):
    with series.writing(folder / "x_series.npy", NOISE.shape) as store:
        store[:] = NOISE


def write_model(folder):
    trials = {"onset": np.arange(30.0), "label": [str(n) for n in range(30)]}
    results = {"betas": NOISE, "r2": NOISE[:, 0], "trials": trials}
    results |= {f"regressors{n}": NOISE[n] for n in range(20)}
    model.write(folder / "x_model.h5", results, mask=MASK, affine=GRID, about={"a": 1})


def write_tedana(folder):
    made = folder.parent / "tedana-scratch/out"
    made.mkdir(parents=True, exist_ok=True)
    for name in ("a_desc-tedana_metrics.tsv", "figures/b.svg", "report.txt"):
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_bytes(NOISE[:200].tobytes().hex().encode())
    with atomic.atomic_folder(folder / "tedana") as report:
        tedana_folder.keep(made, report, prefix="a", keep_images=False)


def write_figure(folder):
    figure = style.new_figure(3, 3)
    figure.add_subplot().imshow(NOISE[:100])
    style.save(figure, folder / "x.png", folder / "x.svg")


def write_stream(folder):
    stream.save(folder / "x_bold.nii.gz", NOISE, MASK, GRID, tr=1.0, metadata={"a": 1})


def write_text(folder):
    with atomic.atomic(folder / "README.md") as partial:
        partial.write_text(datasets.texts("rois")["README.md"] * 20)


def write_run_table(folder):
    rows = dict.fromkeys(run_table.COLUMNS)
    run_table.write_table(
        pd.DataFrame([rows | {"subject": "01", "stem": f"s{n}"} for n in range(200)]),
        folder / "runs.tsv",
    )


WRITERS = {
    "series": write_series,
    "npy": lambda folder: arrays.save(folder / "x.npy", NOISE),
    "npz": lambda folder: arrays.save_named(folder / "x.npz", a=NOISE, b=NOISE[0]),
    "model": write_model,
    "nii": lambda folder: images.save(folder / "x.nii", NOISE.reshape(20, 20, 10, 30), GRID),
    "nii.gz": lambda folder: images.save(
        folder / "x.nii.gz", NOISE.reshape(20, 20, 10, 30), GRID, metadata={"a": 1}
    ),
    "stream": write_stream,
    "map": lambda folder: series.save_map(folder / "x_statmap.nii.gz", NOISE[:, 0], MASK, GRID),
    "segmentation": lambda folder: segmentation.save(
        folder / "x_dseg.nii.gz", (NOISE[:, 0] > 0).reshape(MASK.shape), GRID, metadata={}
    ),
    "displacement": lambda folder: transforms.save_displacement(
        folder / "x_xfm.nii.gz", NOISE[:, :3].reshape(20, 20, 10, 3), GRID
    ),
    "transform": lambda folder: transforms.save_xfm(
        folder / "x_xfm.txt", np.tile(np.eye(4), (100, 1, 1))
    ),
    "json": lambda folder: tables.write_json(folder / "x.json", {"a": NOISE[:20]}),
    "tsv": lambda folder: tables.write_tsv(folder / "x.tsv", pd.DataFrame(NOISE[:300])),
    "run table": write_run_table,
    "text": write_text,
    "figure": write_figure,
    "tedana": write_tedana,
}


def content(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by their path in it."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def same(found: dict[str, bytes], expected: dict[str, bytes]) -> bool:
    """Compare files byte for byte, but for the time in the header of a gzip file."""
    if found.keys() != expected.keys():
        return False
    for name, value in found.items():
        if name.endswith(".gz"):
            if value[10:] != expected[name][10:]:  # beside the time in its header
                return False
        elif value != expected[name]:
            return False
    return True
