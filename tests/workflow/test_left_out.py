"""One bad scan stops no other; what is left out is named first, in the plan and last."""

import pytest
from bids_trees import SHAPE, Tree
from snakemake_runner import job_counts, snakemake

pytestmark = pytest.mark.workflow

RUN = "sub-01_ses-01_task-images_run-01"


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path / "raw", filled=True)
    for subject in ("01", "02"):
        tree.session(subject, "01", runs=("01", "02", "03"))
    return tree


def start(tmp_path, *arguments, **config):
    design = "{minimum_volumes: 6}"
    return snakemake(
        *arguments, cwd=tmp_path, bids_dir="raw", output_dir="out", design=design, **config
    )


def test_a_bad_run_is_left_out_and_the_exit_status_says_so(tree, tmp_path):
    name = f"sub-01/ses-01/func/{RUN}_echo-2_part-mag_bold.nii.gz"
    tree.image(name, shape=(*SHAPE[:3], 5))
    dry = start(tmp_path, "-n")
    assert dry.returncode == 0, dry.stdout[-2000:]
    assert f"Left out: {RUN}: {name}: shape: 4 x 5 x 3 x 5 differs" in dry.stdout
    assert job_counts(dry.stdout)["hmc"] == 5
    assert not (tmp_path / "out").exists()  # a dry-run writes nothing

    done = start(tmp_path, "--cores", "1", "plan", "datasets")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    assert f"- {RUN}: {name}: shape" in "\n".join(done.stdout.splitlines()[-4:])
    plan = (tmp_path / "out/plan.txt").read_text()
    assert f"left out: {RUN}: {name}: shape" in plan
    assert "left_out" in (tmp_path / "out/plan.tsv").read_text()

    accepted = start(tmp_path, "--cores", "1", "plan", "datasets", exclude=RUN)
    assert accepted.returncode == 0, accepted.stdout[-2000:]
    assert (
        f"left out: {RUN}: excluded by `exclude: {RUN}`" in (tmp_path / "out/plan.txt").read_text()
    )

    strict = start(tmp_path, "-n", strict="true")
    assert strict.returncode != 0
    assert "The data set has 1 problem" in strict.stdout


def test_a_clone_without_its_images(tree, tmp_path):
    for path in (tmp_path / "raw").rglob("*.nii.gz"):
        path.unlink()
        path.symlink_to("../../../.git/annex/objects/none")
    done = start(tmp_path, "-n")
    assert done.returncode == 0, done.stdout[-3000:]
    assert job_counts(done.stdout)["hmc"] == 6
    assert "images have no content" in done.stdout
    run = start(tmp_path, "--cores", "1")
    assert run.returncode != 0
    assert "Nothing is left to be done" in run.stdout
    assert "datalad get" in run.stdout


def test_subjects_without_a_t1w_beside_others(tree, tmp_path):
    next((tmp_path / "raw/sub-02").rglob("*_T1w.nii.gz")).unlink()
    counts = {
        choice: job_counts(start(tmp_path, "-n", output=f"{{without_T1w: {choice}}}").stdout)
        for choice in ("motion", "boldref", "leave_out")
    }
    assert [counts[c]["hmc"] for c in counts] == [6, 6, 3]
    assert [counts[c].get("bold_optcom") for c in counts] == [3, 6, 3]


def test_the_plan_is_the_same_from_every_door(tree, tmp_path):
    import os
    import subprocess
    import sys

    from snakemake_runner import REPOSITORY

    tree.text(f"sub-01/ses-01/func/{RUN}_events.tsv", "onset\tduration\tstim_name\nn/a\t1\ta\n")
    (tmp_path / "my.yaml").write_text("design: {minimum_volumes: 6}\nsdc: dynamic\n")
    assert start(tmp_path, "--cores", "1", "plan", sdc="dynamic").returncode == 0
    command = [sys.executable, "-m", "mebold.plan", "raw", "--configfile", "my.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")}
    said = subprocess.run(
        command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=True
    )
    assert said.stdout == (tmp_path / "out/plan.txt").read_text()
    assert "1 of 1 onsets are no numbers" in said.stdout
    options = ["--config", "design={minimum_volumes: 6}", "sdc=dynamic"]
    again = subprocess.run(
        [*command[:4], *options],
        cwd=tmp_path, env=environment, text=True, capture_output=True, check=True,
    )  # fmt: skip
    assert again.stdout == said.stdout
