"""Tables of an ICA beside the optimal combination, as nilearn looks for them."""

import json
import warnings

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from bids_trees import Tree
from nilearn.interfaces.fmriprep import load_confounds
from snakemake_runner import snakemake

pytestmark = pytest.mark.workflow
RUN = "sub-01_ses-01_task-images_run-01"
TABLES = ("desc-ICA_mixing.tsv", "desc-tedana_metrics.tsv")


def test_tables_follow_the_outcome(tmp_path):
    tree = Tree(tmp_path / "raw", filled=True)
    tree.session("01", "01")
    tree.events(f"sub-01/ses-01/func/{RUN}_events.tsv", ["a", "a"])
    made, beside = (
        tmp_path / f"out/{name}/sub-01/ses-01/func" for name in ("preproc-nordicIca", "tedana")
    )
    made.mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f"ICA_{k:02d}" for k in range(4)]
    mixing = pd.DataFrame(rng.normal(size=(20, 4)), columns=names)
    verdict = ["accepted", "rejected", "accepted", "rejected"]
    metrics = pd.DataFrame({"Component": names, "classification": verdict})
    for end, table in zip(TABLES, (mixing, metrics), strict=True):
        table.to_csv(made / f"{RUN}_{end}", sep="\t", index=False)
    outcome = made / f"{RUN}_desc-ICA_outcome.json"
    outcome.write_text(json.dumps({"status": "denoised"}))
    target = beside / f"{RUN}_desc-ICA_outcome.json"

    ask(tmp_path, target)
    image = beside / f"{RUN}_space-T1w_desc-optcom_bold.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 20), np.float32), np.eye(4)), image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rejected, _ = load_confounds(str(image), strategy=["tedana"], tedana="aggressive")
    assert list(rejected.columns) == ["rejected_ICA_01", "rejected_ICA_03"]

    for end in TABLES:
        (made / f"{RUN}_{end}").unlink()
    outcome.write_text(json.dumps({"status": "fallback"}))
    ask(tmp_path, target)
    assert json.loads(target.read_text()) == {"status": "fallback"}
    assert not list(beside.glob("*.tsv"))


def ask(folder, target):
    options = ("--cores", "1", "--allowed-rules", "ica_tables", "--forcerun", "ica_tables")
    configured = {"bids_dir": "raw", "output_dir": "out"}
    done = snakemake(str(target.relative_to(folder)), *options, cwd=folder, **configured)
    assert done.returncode == 0, done.stdout[-3000:]
