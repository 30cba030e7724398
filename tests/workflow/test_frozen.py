"""What was aligned stays: a session, a task or a T1w that comes later moves no run of before."""

import pytest
from bids_trees import SHAPE, Tree
from finished_chain import copy_of_workflow
from snakemake_runner import job_counts, snakemake

pytestmark = pytest.mark.workflow

_STEM = "sub-01/ses-01/sub-01_ses-01_task-x_run-1"
_TARGET = f"out/work/series/{_STEM}_desc-standard_summary.npz"
_KEPT = "out/preproc/sub-01/xfm/sub-01_desc-references.json"


def test_what_comes_later_reruns_no_alignment_of_before(tmp_path):
    checkout = copy_of_workflow(tmp_path / "checkout")
    tree = Tree(tmp_path / "raw")

    def add(session, task, volumes):
        folder, prefix = f"sub-01/ses-{session}", f"sub-01_ses-{session}"
        stem = f"{prefix}_task-{task}_run-1"
        tree.run(stem, f"{folder}/func", shape=(*SHAPE[:3], volumes), parts=("mag",))
        tree.events(f"{folder}/func/{stem}_events.tsv", ["a", "b", "a", "b"])
        tree.image(f"{folder}/anat/{prefix}_T1w.nii.gz", {}, shape=(8, 8, 8))

    def run(*arguments):
        done = snakemake(
            *arguments, _TARGET, cwd=tmp_path, repository=checkout, bids_dir="raw",
            output_dir="out", design="{label_column: stim_name, minimum_volumes: 6}",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    add("01", "x", 8)
    assert not (tmp_path / "out/preproc").exists()
    run("-n")
    assert not (tmp_path / _KEPT).exists()
    run("--cores", "1")
    assert (tmp_path / _KEPT).exists()

    tree.phasediff("sub-01_ses-00", "sub-01/ses-00/fmap")
    add("00", "x", 30)
    add("01", "a", 30)
    assert job_counts(run("-n")) == {}

    kept = (tmp_path / _KEPT).read_text()
    (tmp_path / _KEPT).unlink()  # without it another run and another T1w are taken
    anew = job_counts(run("-n"))
    assert {"anat", "coreg_subject", "coreg_session", "coreg_run", "series"} <= set(anew)
    (tmp_path / _KEPT).write_text(kept)
    assert job_counts(run("-n")) == {}
