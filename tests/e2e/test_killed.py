"""Calls killed with -9 in the middle of jobs, from two folders, against an undisturbed one.

A slice of the chain; `benchmarks/kills.py` does the same with all of it.
"""

import random
import signal

import killed_calls
import outputs_alike
import pytest

from mebold.phantom import dataset
from mebold.phantom.spec import make_spec

pytestmark = pytest.mark.e2e

RUN = "sub-01_ses-01_task-images_run-01"
TARGETS = (
    "anatomical/sub-01/anat/sub-01_dseg.nii.gz",
    f"nordic/sub-01/ses-01/func/{RUN}_echo-1_part-mag_desc-nordic_bold.nii.gz",
    "preproc/sub-01/ses-01/fmap/sub-01_ses-01_desc-preproc_fieldmap.nii.gz",
)
RULES = {"anat", "fmap", "hmc", "nordic", "nordic_gfactor"}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    dataset.write_dataset(folder / "raw", make_spec("tiny", sessions=("01",)))
    return folder / "raw"


def start(raw, where, out):
    (where.parent / "tmp").mkdir(parents=True, exist_ok=True)
    targets = [str(out / name) for name in TARGETS]
    options = ["--cores", "2", "--config", f"bids_dir={raw}", f"output_dir={out}"]
    return killed_calls.start(where, *targets, *options, TMPDIR=str(where.parent / "tmp"))


def state(folder):
    found = ((path, path.stat()) for path in sorted(folder.rglob("*")))
    return [(path, about.st_mtime_ns, about.st_size) for path, about in found]


def test_what_killed_calls_leave_goes_on_to_the_results_of_an_undisturbed_one(raw, tmp_path):
    calm = start(raw, tmp_path / "calm/here", tmp_path / "calm/out")
    assert calm.wait() == 0, (tmp_path / "calm/here/log.txt").read_text()[-3000:]

    before, draw, hit, kills = state(raw), random.Random(3), set(), 0
    base = tmp_path / "disturbed"
    while True:
        where = base / ("here", "there")[kills % 2]
        call = start(raw, where, base / "out")
        struck = killed_calls.kill_in_a_new_rule(call, base / "out", hit, draw)
        if call.returncode != -signal.SIGKILL:
            break
        kills, hit = kills + 1, hit | struck
        assert kills < 20
    assert call.returncode == 0, (where / "log.txt").read_text()[-3000:]
    assert kills >= 3
    assert hit >= RULES - {"nordic_gfactor"}  # a second of work: it may have ended before
    assert outputs_alike.differences(tmp_path / "calm/out", base / "out") == []
    assert state(raw) == before
    for folder in (tmp_path / "calm", base):  # where Atropos leaves its classes, too
        left = {path.name for path in (folder / "tmp").iterdir()}
        # Snakemake leaves empty folders of its own.
        assert {name for name in left if not name.startswith("snakemake")} == set()
        assert not list((folder / "out/work/.jobs").iterdir())
        assert not (folder / "out/work/.lock.json").exists()
        assert not list(folder.rglob(".partial-*"))
