"""Twenty T1w scans, one of them broken: nineteen are done, and the broken one is named."""

import numpy as np
import pytest
from snakemake_runner import snakemake

from mebold.anat import measures, mni
from mebold.files import images, tables

pytestmark = pytest.mark.e2e

BROKEN, WITHOUT = "sub-07", "sub-21"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Nineteen brains without skull at 6 mm, one scan of noise, one subject with a T2w alone."""
    root = tmp_path_factory.mktemp("folder")
    maps, affine = mni.load_template(6.0)
    for number in range(1, 22):
        sub = f"sub-{number:02d}"
        rng = np.random.default_rng(number)
        head = 800 * rng.uniform(0.9, 1.1) * maps["t1"] + 20 * rng.normal(size=maps["t1"].shape)
        image = np.where(maps["brain"] > 0.5, head, 0.0)
        if sub == BROKEN:
            image = rng.uniform(0, 900, image.shape)
        suffix = "T2w" if sub == WITHOUT else "T1w"
        path = root / "raw" / sub / "anat" / f"{sub}_{suffix}.nii.gz"
        path.parent.mkdir(parents=True)
        images.save(path, np.maximum(image, 0), affine, dtype="int16")
        tables.write_json(tables.sidecar(path), {"MagneticFieldStrength": 3})
    about = {"Name": "anatomy alone", "BIDSVersion": "1.8.0"}
    tables.write_json(root / "raw/dataset_description.json", about)
    said = snakemake(
        "anat_only", "--cores", "2", "--keep-going",
        cwd=root, bids_dir="raw", output_dir="out", anat="{priors: false}",
    )  # fmt: skip
    return root / "out", said


def test_nineteen_are_done_and_the_exit_status_says_that_one_is_not(finished):
    out, said = finished
    assert said.returncode == 1
    done = sorted(p.parents[1].name for p in out.glob("anatomical/sub-*/anat/*_dseg.nii.gz"))
    assert len(done) == 19
    assert BROKEN not in done
    last = "\n".join(said.stdout.splitlines()[-12:])
    assert f"{BROKEN}.log" in last
    assert f"error in rule anat of {BROKEN}: " in said.stdout


def test_every_scan_has_its_row(finished):
    out, _ = finished
    table = tables.read_tsv(out / "anatomical/desc-anat_measures.tsv").set_index("participant_id")
    assert len(table) == 21
    assert dict(table["status"].value_counts()) == {"done": 19, "failed": 1, "left out": 1}
    assert table["reason"][BROKEN].endswith(f"(work/logs/anat/{BROKEN}.log)")
    assert table["reason"][BROKEN].startswith("no brain found: ")
    assert "T2w" in table["reason"][WITHOUT]
    done = table[table["status"] == "done"]
    assert done["intracranial_ml"].between(1500, 2200).all()
    assert set(measures.MEASURES) <= set(table.columns)
    for sub in ("sub-01", "sub-20"):
        assert "`anat.priors` is false" in done["warnings"][sub]
        assert (out / f"anatomical/{sub}/figures/{sub}_desc-segmentation_T1w.png").stat().st_size
        about = tables.read_json(out / f"anatomical/{sub}/anat/{sub}_dseg.json")
        assert about["Method"] == "k-means"
