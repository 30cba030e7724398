"""What runs again, and what does not, after a change: the table in workflow/README.md, row by row.

The jobs write placeholders (`finished_chain`); times, names and records of their products are real.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from bids_trees import Tree
from finished_chain import SETTINGS, Chain, add_session, finished

pytestmark = pytest.mark.workflow

RUN = "sub-01/ses-01/func/sub-01_ses-01_task-images_run-01"
FITS = {
    *("singletrial", "singletrial_subject", "quality", "noiseceiling_session"),
    *("noiseceiling_session_part", "noiseceiling_subject", "noiseceiling_subject_part", "rois"),
    *("compare", "compare_group", "compare_task", "report_viewer", "report_viewer_subject"),
}
#: What runs where the stores of series have to be made again.
STORES = {
    "series",
    "decay",
    "optcom",
    "ica",
    "ica_tables",
    "bold_optcom",
    "confounds",
    "report_run",
}
#: A changed key, and the rules whose jobs run then.
KEYS = {
    "jacobian": ({"output": "{jacobian: true}"}, STORES | FITS),
    "bootstrap": (
        {"compare": "{n_bootstrap: 100}"},
        {"compare", "compare_group", "compare_task", "rois"},
    ),
    "limit": ({"compare": "{least_responsive_kept: 70}"}, {"compare_task"}),
    "weakest": ({"nordic": "{weakest_limit_percent: 3}"}, {"nordic_survival"}),
    "rate": ({"noise_ceiling": "{false_discovery_rate: 0.01}"}, FITS - {
        *("singletrial", "singletrial_subject", "quality", "compare", "compare_group"),
        "compare_task",
    }),
    "kept": ({"keep_series": "false"}, set()),
}  # fmt: skip


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Return a finished output of two sessions, whose series are kept."""
    return finished(tmp_path_factory.mktemp("chain"), keep_series="true")


@pytest.fixture
def study(chain, tmp_path):
    """Return a copy of data, output and Snakemake's notes, as the default leaves them."""
    copy = chain.copy(tmp_path / "study")
    drop_stores(copy)
    # The data have another place now, which one job writes down.
    copy.call("datasets", "--cores", "1")
    return copy


@pytest.fixture(scope="module")
def moved(chain, tmp_path_factory):
    """Return a copy elsewhere, without Snakemake's notes, of data that lost their dates."""
    copy = chain.copy(tmp_path_factory.mktemp("moved") / "study")
    shutil.rmtree(copy.place / ".snakemake")
    drop_stores(copy)
    for path in (copy.place / "raw").rglob("*"):
        os.utime(path)
    (copy.place / "somewhere/else").mkdir(parents=True)
    return copy


def drop_stores(chain: Chain) -> None:
    for store in (chain.place / "out/work/series").rglob("*_series.npy"):
        store.unlink()


def elsewhere(moved: Chain, **config) -> dict[str, int]:
    """Return the jobs of a call from another folder, but the one that writes down the place."""
    jobs = moved.jobs(cwd=moved.place / "somewhere/else", **config)
    assert jobs.pop("datasets") == 1
    return jobs


def replace(path, data: bytes) -> None:
    """Replace a file by another of the same date, as ``rsync -t`` and restored backups do."""
    about = path.stat()
    path.with_name("other").write_bytes(data)
    path.with_name("other").replace(path)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def test_a_finished_output_is_complete(study):
    assert study.jobs() == {}
    # Temporary folders, another spelling and another place of the call change nothing.
    shutil.rmtree(study.place / "out/work/quality")
    (study.place / "below").mkdir()
    assert study.jobs(cwd=study.place / "below") == {}


def test_a_moved_output_is_complete(study, moved):
    assert elsewhere(moved) == {}
    # Without the data having moved, there is nothing at all.
    shutil.rmtree(study.place / ".snakemake")
    (study.place / "out").rename(study.place / "results")
    assert study.jobs(output_dir="results") == {}
    assert study.jobs(output_dir=str(study.place / "results")) == {}


@pytest.mark.parametrize("case", KEYS)
def test_a_changed_key_reruns_what_uses_it_wherever_the_output_lies(moved, case):
    config, expected = KEYS[case]
    assert set(elsewhere(moved, **config)) == expected


def test_a_changed_key_is_named_and_made_once(study):
    jobs, changed = study.look(**KEYS["limit"][0])
    assert jobs == {"compare_task": 1}
    assert changed == ["setting compare.least_responsive_kept: 80 -> 70"]
    study.call("--cores", "1", **KEYS["limit"][0])
    assert study.jobs(**KEYS["limit"][0]) == {}
    assert study.jobs() == {"compare_task": 1}
    # Who wants to keep what is there says so with Snakemake's own option.
    assert study.jobs("--rerun-triggers", "mtime") == {}


def test_an_image_replaced_with_its_old_date_reruns_what_comes_from_it(study):
    path = study.place / f"raw/{RUN}_echo-2_part-phase_bold.nii.gz"
    image = nib.load(path)
    data = np.asarray(image.dataobj).copy()
    data[0, 0, 0, 0] = 7
    other = study.place / "other.nii.gz"
    nib.save(nib.Nifti1Image(data, image.affine), other)
    replace(path, other.read_bytes())
    jobs, changed = study.look()
    assert changed == [f"input bids:raw:{RUN}_echo-2_part-phase_bold.nii.gz has other content"]
    # NORDIC of this run and what follows of it; nothing of the standard variants, and no decay.
    alone = {"nordic_gfactor": 1, "nordic": 3, "series": 2, "decay": 0, "hmc": 0, "optcom": 2}
    assert {rule: jobs.get(rule, 0) for rule in alone} == alone
    # The fits of the session read both of its runs; the other session is left alone.
    assert jobs["singletrial"] == jobs["quality"] == 3


def test_an_image_that_was_compressed_anew_reruns_nothing(study):
    path = study.place / f"raw/{RUN}_echo-2_part-phase_bold.nii.gz"
    before = path.read_bytes()
    path.write_bytes(gzip.compress(gzip.decompress(before), 1, mtime=1))
    assert path.read_bytes() != before
    assert study.jobs() == {}


def test_other_events_rerun_what_uses_them(study, chain, tmp_path):
    def edit(copy):
        path = copy.place / f"raw/{RUN}_events.tsv"
        replace(path, path.read_text().replace("\tb", "\tc").encode())

    edit(study)
    of_events = {"nordic_survival"} | FITS
    jobs = study.jobs()
    assert set(jobs) == of_events | STORES
    assert jobs["nordic_survival"] == 1  # of one run
    assert jobs["singletrial"] == 6  # of one session
    # The stores are gone by default; where they are kept, the fits run and nothing else.
    kept = chain.copy(tmp_path / "kept")
    kept.call("datasets", "--cores", "1", keep_series="true")
    edit(kept)
    assert set(kept.jobs(keep_series="true")) == of_events


def test_a_sidecar_reruns_what_uses_the_changed_key(study):
    one = study.place / f"raw/{RUN}_echo-2_part-mag_bold.json"
    one.write_text(json.dumps(json.loads(one.read_text()) | {"Manufacturer": "other"}))
    assert study.jobs() == {}
    # One that is inherited, by every run.
    everywhere = study.place / "raw/task-images_bold.json"
    everywhere.write_text(json.dumps({"SliceEncodingDirection": "k-"}))
    jobs, changed = study.look()
    assert changed == ['parameter run.slice_encoding_direction: "k" -> "k-"']
    assert jobs["series"] == 8  # two sessions, two runs, two levels
    assert not {"hmc", "fmap", "sdc", "coreg_run", "anat"} & set(jobs)


def test_a_sidecar_of_events_reruns_the_fits_that_copy_it(study):
    (study.place / "raw/task-images_events.json").write_text('{"stim_name": {"Units": "1"}}')
    jobs = study.jobs()
    assert jobs["singletrial"] == 7
    assert not {"nordic_survival", "nordic", "hmc"} & set(jobs)


def test_regions_rerun_their_masks_and_table(study):
    mask, listed = study.place / "V1.nii", study.place / "rois.tsv"
    mask.write_text("one")
    listed.write_text("name\tcategory\tsubject\tpath\nV1\tx\t01\tV1.nii\nV1\tx\t02\tother.nii\n")
    both = {"roi_masks": 1, "rois": 1}
    assert study.jobs(rois="rois.tsv") == both
    study.call("--cores", "1", rois="rois.tsv")
    assert study.jobs(rois="rois.tsv") == {}
    listed.write_text(listed.read_text().replace("other.nii", "another.nii"))
    assert study.jobs(rois="rois.tsv") == {}  # a row of another subject
    replace(mask, b"two")
    assert study.jobs(rois="rois.tsv") == both
    replace(mask, b"one")
    assert study.jobs(rois="{table: rois.tsv, thresholds: [5]}") == {"rois": 1}
    assert study.jobs(rois="{table: rois.tsv, least_inside: 0.4}") == both
    listed.write_text(listed.read_text().replace("V1\tx\t01", "V1\ty\t01"))
    assert study.jobs(rois="rois.tsv") == both


def test_a_session_or_subject_that_is_added_runs_alone(study):
    add_session(tree_of(study), "01", "03")
    jobs = study.jobs()
    per_run = {"hmc": 2, "sdc": 2, "coreg_run": 2, "nordic": 6, "series": 4, "confounds": 2}
    assert {rule: jobs[rule] for rule in per_run} == per_run
    assert jobs["singletrial"] == 1
    assert jobs["singletrial_subject"] == jobs["noiseceiling_subject"] == 1
    assert not {"anat", "grid", "coreg_subject", "compare"} & set(jobs)

    shutil.rmtree(study.place / "raw/sub-01/ses-03")
    add_session(tree_of(study), "02", "01")
    jobs = study.jobs()
    assert {rule: jobs[rule] for rule in per_run} == per_run
    assert jobs["anat"] == jobs["compare"] == jobs["compare_group"] == 1
    # Restricted to who is done, there is nothing to do; to the new one, the same jobs.
    assert study.jobs(participant_label="01") == {}
    assert study.jobs(participant_label="02") == jobs


def tree_of(study: Chain) -> Tree:
    tree = Tree.__new__(Tree)  # without writing its description anew
    tree.root, tree.filled = study.place / "raw", True
    return tree


def test_a_job_that_was_killed_runs_again_from_any_folder(study):
    (place,) = (study.place / "out/provenance/compare").rglob("*.json")
    about = json.loads(place.read_text())
    assert about["Complete"]
    place.write_text(json.dumps(about | {"Complete": False}))
    shutil.rmtree(study.place / ".snakemake")
    after = {"compare": 1, "compare_group": 1, "compare_task": 1, "rois": 1}
    jobs, changed = study.look()
    assert jobs == after
    assert changed == ["a job did not finish: sub-01/ses-01, sub-01_ses-01_task-images"]
    place.write_text(place.read_text()[:100])  # or its record was cut off
    assert study.jobs() == after


def test_an_edit_of_code_reruns_its_jobs_wherever_the_output_lies(study, tmp_path):
    code = tmp_path / "code"
    shutil.copytree(study.workflow, code)
    script = code / "workflow/scripts/compare_task.py"
    script.write_text(script.read_text() + "\n# another\n")
    shutil.rmtree(study.place / ".snakemake")
    edited = Chain(study.place, code)
    assert edited.look() == ({"compare_task": 1}, ["code of compare_task"])


def test_the_plan_names_products_that_were_made_otherwise(study):
    def plan(*pairs):
        command = [sys.executable, "-m", "mebold.plan", "raw", "--config", "output_dir=out"]
        design = f"design={SETTINGS['design']}"
        environment = {**os.environ, "PYTHONPATH": str(study.workflow / "workflow")}
        done = subprocess.run(
            [*command, design, *pairs], cwd=study.place, env=environment, text=True,
            capture_output=True, check=True,
        )  # fmt: skip
        return done.stdout.partition("Changed since products were made:\n")[2].splitlines()

    assert plan() == []
    path = study.place / f"raw/{RUN}_events.tsv"
    replace(path, path.read_text().replace("\tb", "\tc").encode())
    found = plan("output={jacobian: true}")
    assert "- setting output.jacobian: false -> true (series: 8 jobs)" in found
    name = f"bids:raw:{RUN}_events.tsv"
    jobs = "nordic_survival: 1 job, quality: 6 jobs, singletrial: 6 jobs"
    assert f"- input {name} has other content ({jobs})" in found
    assert len(found) == 4
    assert "snakemake" in found[2]
