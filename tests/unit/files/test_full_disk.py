"""A full disk, during each kind of write: said in words, nothing half-written, equal afterwards."""

import contextlib
import itertools
import os
import resource
import subprocess
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

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
from mebold.jobs.script import job
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


def content(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    """A file system of 16 MB in memory, which only some machines let a test mount."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@contextlib.contextmanager
def free(folder, count):
    """Leave so many bytes of a small disk, in whole pages."""
    filler = folder / "filler"
    filler.touch()
    state = os.statvfs(folder)
    with filler.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize - count // 4096 * 4096)
    try:
        yield
    finally:
        filler.unlink()


def attempt(write, folder, tmp_path):
    log = [str(tmp_path / "job.log")]
    of_rule = SimpleNamespace(log=log, rule="x", wildcards={}, threads=1)
    with contextlib.suppress(SystemExit), job(of_rule):
        write(folder)
        return True
    return False


def room(folder):
    return sum(4096 * (1 + path.stat().st_size // 4096) for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk(kind, small_disk, tmp_path, capsys):
    write = WRITERS[kind]
    assert attempt(write, tmp_path / "undisturbed/out", tmp_path)
    expected = content(tmp_path / "undisturbed/out")
    numbers = itertools.count()
    for share in (0.0, 0.3, 0.6):
        folder = small_disk / f"{kind.replace(' ', '')}{next(numbers)}/out"
        folder.mkdir(parents=True)
        need = room(tmp_path / "undisturbed/out")
        with free(small_disk, int(share * need)):
            assert not attempt(write, folder, tmp_path), share
            said = capsys.readouterr().err.lower()
            assert "no space left" in said
            assert "make the same call again" in said
            assert content(folder) == {}
        assert attempt(write, folder, tmp_path)
        assert same(content(folder), expected)
        # Over files that are there: each stays as it was or is new, or goes with its job.
        with free(small_disk, 0):
            assert not attempt(write, folder, tmp_path)
            assert not [name for name in content(folder) if ".partial-" in name]
            kept = content(folder)
            assert all(same({name: value}, {name: expected[name]}) for name, value in kept.items())
        assert attempt(write, folder, tmp_path)
        assert same(content(folder), expected)
        capsys.readouterr()


@pytest.mark.parametrize("kind", WRITERS)
def test_a_limit_of_file_sizes(kind, tmp_path, capsys):
    """The second line, for machines without mounts: a quota on single files."""
    write = WRITERS[kind]
    assert attempt(write, tmp_path / "undisturbed/out", tmp_path)
    expected = content(tmp_path / "undisturbed/out")
    folder = tmp_path / "limited/out"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    write_tedana(tmp_path / "limited/out")  # what tedana left in its own folder is there
    atomic.remove(tmp_path / "limited/out")
    most = max(len(value) for value in expected.values())
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(most // 2, 1), before[1]))
    try:
        done = attempt(write, folder, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not done
    assert "make the same call again" in capsys.readouterr().err
    assert content(folder) == {}
    assert attempt(write, folder, tmp_path)
    assert same(content(folder), expected)


def same(found, expected):
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
