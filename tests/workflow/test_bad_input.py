"""Bad input: one screen that names the file and the fix, status not 0, nothing half-written."""

import json

import nibabel as nib
import numpy as np
import pytest
from bids_trees import SHAPE, Tree
from snakemake_runner import job_counts, snakemake

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


def reduced(tmp_path, **config):
    """Return what a dry-run of short runs says that works with a reduced plan."""
    design = "{minimum_volumes: 6}"
    done = snakemake("-n", cwd=tmp_path, bids_dir="raw", output_dir="out", design=design, **config)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_unknown_key(tree, tmp_path):
    message = refused(tmp_path, "-n", hcm="{}")
    assert "Unknown configuration key `hcm` (did you mean `hmc`?)" in message
    assert not (tmp_path / "out").exists()


def test_an_expression_of_a_name_that_nothing_gives(tree, tmp_path):
    message = " ".join(refused(tmp_path, "-n", rois="{expressions: {EVC: visual | V2}}").split())
    assert (
        "`rois.expressions`: EVC: 'visual | V2' needs V2, which is no region of sub-01" in message
    )


def test_empty_dataset(tmp_path):
    Tree(tmp_path / "raw")
    assert "raw" in refused(tmp_path, "-n")


def test_missing_dataset(tmp_path):
    assert "raw is no folder" in refused(tmp_path, "-n")


def test_unequal_echo_lengths(tree, tmp_path):
    name = "sub-01/ses-01/func/sub-01_ses-01_task-images_run-01_echo-2_part-mag_bold.nii.gz"
    tree.image(name, shape=(*SHAPE[:3], SHAPE[3] - 1))
    message = refused(tmp_path, "-n", strict="true")
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
    message = refused(tmp_path, "-n", strict="true")
    assert "EchoTime" in message
    assert "echo-2" in message


def test_phase_without_magnitude(tree, tmp_path):
    for path in (tmp_path / "raw").rglob("*run-01_echo-3_part-mag_bold.*"):
        path.unlink()
    message = refused(tmp_path, "-n", strict="true")
    assert "echo-3_part-phase" in message


def test_events_without_the_label_column(tree, tmp_path):
    message = refused(tmp_path, "-n", design="{label_column: image}")
    assert "image" in message
    assert "stim_name" in message


@pytest.mark.parametrize("key", ["primary_variant", "variants"])
def test_unknown_variant(tree, tmp_path, key):
    value = "nordicOptkom" if key == "primary_variant" else '["standardSingle","nordicOptkom"]'
    message = refused(tmp_path, "-n", **{key: value})
    assert f"Configuration key `{key}" in message
    assert "'nordicOptkom' is not one of ['standardSingle', 'standardOptcom'" in message


def test_ica_of_two_echoes_is_refused_and_the_middle_echo_used(tmp_path):
    Tree(tmp_path / "raw").session("01", "01", shape=SHAPE, echoes={"1": 0.011, "2": 0.0288})
    done = reduced(tmp_path, primary_variant="standardIca")
    assert "optcom, ica: 2 echoes: combination refused, a T2* fit needs 3; the middle" in done
    counts = job_counts(done)
    assert not {"decay", "optcom", "ica", "bold_ica"} & set(counts)
    assert (counts["bold_single"], counts["compare"]) == (2, 1)


def test_one_echo_has_no_combination(tmp_path):
    Tree(tmp_path / "raw").session("01", "01", shape=SHAPE, echoes={"1": 0.03}, parts=("",))
    done = reduced(tmp_path)
    assert "nordic: magnitude only: no phase images (2 runs or sessions: sub-01_ses-01" in done
    assert "optcom, ica: one echo: nothing to combine (2 runs or sessions: sub-01" in done
    assert not {"decay", "optcom", "ica"} & set(job_counts(done))


def test_session_without_repeats_ends_with_betas(tree, tmp_path):
    for path in sorted((tmp_path / "raw").rglob("*_events.tsv")):
        labels = [f"{path.name[-13:-11]}_{i}" for i in range(6)]
        tree.events(str(path.relative_to(tmp_path / "raw")), labels)
    done = reduced(tmp_path)
    assert "noiseceiling, across_sessions, rois: no image is shown twice" in done
    assert "compare: no image is shown twice in the session" in done
    counts = job_counts(done)
    assert counts["singletrial"] == 1
    assert not [name for name in counts if name.startswith(("noiseceiling", "compar", "rois"))]


def test_empty_image_at_run_time(tree, tmp_path):
    done = snakemake("-n", cwd=tmp_path, bids_dir="raw", output_dir="out")
    assert done.returncode == 0  # a dry-run works from sidecars alone
    message = refused(tmp_path, "--cores", "1", "anatomy")
    assert "ses-01_T1w.nii.gz: image: the file has no content (0 bytes)" in message
    assert "datalad get" in message
    assert not list((tmp_path / "out").rglob("*.nii.gz"))


@pytest.mark.parametrize("where", ["raw", "raw/out", "raw/sub-01"])
def test_output_inside_the_raw_data(tree, tmp_path, where):
    done = snakemake("-n", cwd=tmp_path, bids_dir="raw", output_dir=where)
    assert done.returncode != 0
    assert f"`output_dir`: {where} lies in the raw dataset `bids_dir` (raw)" in done.stdout
    assert "Traceback" not in done.stdout
    allowed = snakemake("-n", cwd=tmp_path, bids_dir="raw", output_dir="raw/derivatives/mebold")
    assert allowed.returncode == 0, allowed.stdout[-2000:]
    assert not (tmp_path / "raw/derivatives").exists()


def test_a_warp_that_cannot_be_read_without_guessing(tree, tmp_path):
    key = {"gradient_nonlinearity": "{warp: coil.nii.gz}"}
    message = refused(tmp_path, "-n", **key)
    assert "`gradient_nonlinearity.warp`: coil.nii.gz is no file" in message
    nib.save(
        nib.Nifti1Image(np.zeros((4, 4, 4, 3), np.float32), np.eye(4)), tmp_path / "coil.nii.gz"
    )
    message = refused(tmp_path, "-n", **key)
    assert "intent code 0" in message
    assert "Accepted are a displacement field of ITK" in message


def test_a_template_that_is_not_at_hand(tree, tmp_path, monkeypatch):
    asked = {"output": "{space: MNI152NLin2009cAsym}"}
    message = refused(tmp_path, "-n", **asked)
    assert "`output.space`: 'MNI152NLin2009cAsym' is none of auto, T1w, boldref" in message
    assert "`template.image` and `template.mask`" in message
    assert "`template.fetch: true`" in message
    folder = tmp_path / "flow/tpl-MNI152NLin2009cAsym"
    folder.mkdir(parents=True)
    for end in ("T1w", "desc-brain_mask"):
        (folder / f"tpl-MNI152NLin2009cAsym_res-01_{end}.nii.gz").touch()
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path / "flow"))
    # A client lists files that it did not fetch as empty ones.
    assert "holds no tpl-MNI152NLin2009cAsym_res-1_T1w" in refused(tmp_path, "-n", **asked)
    for end in ("T1w", "desc-brain_mask"):
        (folder / f"tpl-MNI152NLin2009cAsym_res-01_{end}.nii.gz").write_bytes(b"there")
    assert snakemake("-n", cwd=tmp_path, bids_dir="raw", output_dir="out", **asked).returncode == 0
    image = folder / "tpl-MNI152NLin2009cAsym_res-01_T1w.nii.gz"
    message = refused(tmp_path, "-n", **asked, template=f"{{image: {image}}}")
    assert "`template.image` is given alone" in message
    message = refused(tmp_path, "-n", **asked, template=f"{{image: {image}, mask: nowhere.nii}}")
    assert "`template.mask`: nowhere.nii is no file" in message
    assert "did you mean T1w?" in refused(tmp_path, "-n", output="{space: t1w}")
