"""Bad input: one screen that names the file and the fix, status not 0, nothing half-written."""

import json

import pytest
from bids_trees import SHAPE, Tree
from snakemake_runner import snakemake

pytestmark = pytest.mark.workflow


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path / "raw")
    tree.session("01", "01", shape=SHAPE)
    return tree


def refused(tmp_path, *arguments, **config):
    """Run, expect a refusal, and return its message."""
    done = snakemake(*arguments, cwd=tmp_path, bids_dir="raw", output_dir="out", **config)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert len(done.stdout.splitlines()) < 40
    return done.stdout


def test_unknown_key(tree, tmp_path):
    message = refused(tmp_path, "-n", hcm="{}")
    assert "Unknown configuration key `hcm` (did you mean `hmc`?)" in message
    assert not (tmp_path / "out").exists()


def test_empty_dataset(tmp_path):
    Tree(tmp_path / "raw")
    assert "raw" in refused(tmp_path, "-n")


def test_missing_dataset(tmp_path):
    assert "raw is no folder" in refused(tmp_path, "-n")


def test_unequal_echo_lengths(tree, tmp_path):
    name = "sub-01/ses-01/func/sub-01_ses-01_task-images_run-01_echo-2_part-mag_bold.nii.gz"
    tree.image(name, shape=(*SHAPE[:3], SHAPE[3] - 1))
    message = refused(tmp_path, "-n")
    assert "echo-2" in message
    assert "volumes" in message


def test_phase_is_not_written_without_phase_images(tree, tmp_path):
    for path in (tmp_path / "raw").rglob("*part-phase*"):
        path.unlink()
    message = refused(tmp_path, "-n", nordic="{write: [magnitude, phase]}")
    assert "`nordic.write`" in message
    assert "run-01 has no phase images" in message


def test_missing_echo_time(tree, tmp_path):
    name = "sub-01/ses-01/func/sub-01_ses-01_task-images_run-01_echo-2_part-mag_bold.json"
    path = tree.path(name)
    content = json.loads(path.read_text())
    del content["EchoTime"]
    path.write_text(json.dumps(content))
    message = refused(tmp_path, "-n")
    assert "EchoTime" in message
    assert "echo-2" in message


def test_phase_without_magnitude(tree, tmp_path):
    for path in (tmp_path / "raw").rglob("*run-01_echo-3_part-mag_bold.*"):
        path.unlink()
    message = refused(tmp_path, "-n")
    assert "echo-3_part-phase" in message


def test_events_without_the_label_column(tree, tmp_path):
    message = refused(tmp_path, "-n", design="{label_column: image}")
    assert "image" in message
    assert "stim_name" in message


def test_empty_image_at_run_time(tree, tmp_path):
    name = "sub-01/ses-01/anat/sub-01_ses-01_T1w.nii.gz"
    tree.image(name)
    done = snakemake("-n", cwd=tmp_path, bids_dir="raw", output_dir="out")
    assert done.returncode == 0  # a dry-run works from sidecars alone
    done = snakemake("--cores", "1", "anatomy", cwd=tmp_path, bids_dir="raw", output_dir="out")
    assert done.returncode != 0
    assert "ses-01_T1w.nii.gz is empty (0 bytes)" in done.stdout
    assert "datalad get" in done.stdout
    assert not list((tmp_path / "out/anatomical").rglob("*.nii.gz"))
