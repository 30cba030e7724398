"""One session of the demo phantom through the whole chain, with three variants, against its truth.

ICA is asked of more volumes than a run has, so that its variant shows what a fallback looks like.
"""

import json
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bids import BIDSLayout
from meshes import inside
from nilearn.interfaces.fmriprep import load_confounds_strategy
from page_reader import Page, broken
from scipy.spatial import cKDTree
from snakemake_runner import job_counts, snakemake

from mebold.anat import mni
from mebold.files import images, tables
from mebold.geometry import affines, grids, interpolation
from mebold.jobs import cortex as cortex_files
from mebold.jobs import coverage
from mebold.phantom import anatomy, check, cortex, dataset, freesurfer
from mebold.phantom.spec import make_spec

pytestmark = pytest.mark.e2e

CONFIG = {
    "variants": '["standardSingle","standardIca","nordicOptcom"]',
    "write_bold": '["standardSingle","standardIca"]',
    "compare": "{n_bootstrap: 200}",
    "ica": "{minimum_volumes: 500}",
    "output": "{repetition_time_s: 1.0, maps_space: MNI152NLin2009aSym}",
    "template": "{registration_mm: 4}",
}
OTHER_TR = CONFIG["output"].replace("1.0", "1.5")
SESSION = "sub-01/ses-01/func/sub-01_ses-01_task-images"
FIT = "glmsingle-tedana/sub-01/ses-01/func/sub-01_ses-01_task-images"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Simulate the session and run everything."""
    folder = tmp_path_factory.mktemp("e2e")
    spec = make_spec("demo", sessions=("01",), surfaces=True)
    dataset.write_dataset(folder / "raw", spec, truth=folder / "truth")
    done = start(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout[-5000:]
    return folder


def start(folder, *arguments, **changes):
    config = CONFIG | changes
    return snakemake(*arguments, cwd=folder, bids_dir="raw", output_dir="out", **config)


def test_truth_is_recovered(finished):
    rows = check.check(finished / "out", finished / "truth")
    failed = [str(row) for row in rows if not row.ok]
    assert len(rows) == 21
    assert not failed, "\n".join(failed)


def test_second_run_does_nothing(finished):
    done = start(finished, "-n")
    assert "Nothing to be done" in done.stdout, done.stdout[-3000:]


@pytest.mark.parametrize(
    ("key", "value", "kept", "again"),
    [
        (
            "output",
            "{repetition_time_s: 1.5, maps_space: MNI152NLin2009aSym}",
            {"hmc", "nordic", "sdc", "coreg_run"},
            {"series"},
        ),
        ("coreg", "{least_dice: 0.5}", {"hmc", "nordic", "sdc", "anat"}, {"coreg_run"}),
        ("hmc", "{outlier_mm: 0.9}", {"fmap", "anat"}, {"hmc"}),
        (
            "design",
            "{stimulus_duration_s: 3.0}",
            {"hmc", "nordic", "sdc", "coreg_run"},
            {"nordic_survival", "singletrial"},
        ),
    ],
)
def test_a_key_reruns_what_uses_it(finished, key, value, kept, again):
    done = start(finished, "-n", **{key: value})
    jobs = set(job_counts(done.stdout))
    assert again <= jobs, done.stdout[-3000:]
    assert not kept & jobs


def field_sign(output, run):
    stem = f"sub-01_ses-01_task-images_run-{run}_from-boldref_to-T1w_mode-image_desc-coreg_xfm"
    path = output / f"preproc/sub-01/ses-01/func/{stem}.json"
    return json.loads(path.read_text())["Quality"]["field_sign"], path


def test_the_sign_of_the_field_is_confirmed(finished):
    for run in ("01", "02", "03"):
        found = field_sign(finished / "out", run)[0]
        assert found["verdict"] == "plus", found


def test_a_reversed_phase_encoding_stops_with_the_evidence(finished, tmp_path):
    for path in (finished / "raw").rglob("*"):
        copy = tmp_path / "raw" / path.relative_to(finished / "raw")
        if path.is_dir():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json" and path.parent.name == "func":
            sidecar = json.loads(path.read_text())
            assert sidecar["PhaseEncodingDirection"] == "j-"
            copy.write_text(json.dumps(sidecar | {"PhaseEncodingDirection": "j"}))
        else:
            copy.hardlink_to(path)  # keeps the time of the file
    for name in ("anatomical", "preproc"):  # what does not depend on the direction is kept
        shutil.copytree(finished / "out" / name, tmp_path / "out" / name)
    target = field_sign(tmp_path / "out", "01")[1].with_suffix(".txt")
    options = ["--cores", "2", "--rerun-triggers", "mtime", "--forcerun", "sdc"]
    done = start(tmp_path, str(target.relative_to(tmp_path)), *options)
    assert done.returncode != 0
    assert "wrong sign: agreement with the anatomy" in done.stdout
    assert "PhaseEncodingDirection (j)" in done.stdout
    assert not target.exists()


def test_nilearn_and_pybids_read_what_is_written(finished):
    func = finished / "out/tedana/sub-01/ses-01/func"
    image = func / "sub-01_ses-01_task-images_run-01_space-T1w_desc-preproc_bold.nii.gz"
    assert image.is_symlink()
    n = nib.load(image).shape[3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside both
        for strategy in ("simple", "scrubbing", "compcor"):
            confounds, _ = load_confounds_strategy(str(image), strategy)
            assert len(confounds) == n
            assert confounds.shape[1] > 6
        datasets = [path.parent for path in finished.glob("out/*/dataset_description.json")]
        assert len(datasets) > 6
        for folder in datasets:
            layout = BIDSLayout(folder, validate=False, is_derivative=True)
            if folder.name == "tedana":
                found = layout.get(suffix="bold", desc="preproc", extension=".nii.gz")
                assert [file.entities["run"] for file in found] == [1, 2, 3]
                assert found[0].get_metadata()["RepetitionTime"] == 1.0


def test_sources_resolve_and_say_what_was_denoised(finished):
    roots = {path.parent.name: path.parent for path in finished.glob("out/*/descriptions.tsv")}
    roots["raw"] = finished / "raw"
    sidecars = list(finished.glob("out/*/sub-*/**/*.json"))
    assert len(sidecars) > 100
    for path in sidecars:
        for source in tables.read_json(path).get("Sources", ()):
            _, dataset, file = source.split(":", 2)
            assert (roots[dataset] / file).exists(), (path, source)
    variants = {}
    for path in finished.glob("out/glmsingle-*/sub-01/ses-01/func/*SingletrialBetas_statmap.json"):
        about = tables.read_json(path)
        bold = [source for source in about["Sources"] if "_bold.nii.gz" in source]
        told = (about["Variant"], about["ThermalDenoising"]["Method"], len(about["Runs"]))
        variants[path.parts[-5]] = (*told, bold[0].split(":")[1])
    assert variants == {
        "glmsingle-tedana": ("nordicOptcom", "NORDIC", 3, "tedana"),
        "glmsingle-standardSingle": ("standardSingle", "none", 3, "preproc-standardSingle"),
        "glmsingle-standardIca": ("standardIca", "none", 3, "preproc-standardIca"),
    }
    bold = next(finished.glob("out/tedana/sub-01/ses-01/func/*run-01*optcom_bold.json"))
    echoes = tables.read_json(bold)["ThermalDenoising"]["Echoes"]
    assert len(echoes) == 3
    assert all(echo["Threshold"] > 1 for echo in echoes)


def test_readers_find_what_the_published_client_reads(finished):
    fit = finished / "out" / FIT
    trials = tables.read_tsv(f"{fit}_desc-SingletrialBetas_trials.tsv")
    assert list(trials.columns[:4]) == ["session", "run", "beta_index", "label"]
    assert trials["beta_index"].tolist() == list(range(len(trials)))
    betas = nib.load(f"{fit}_space-T1w_stat-effect_desc-SingletrialBetas_statmap.nii.gz")
    assert betas.shape[3] == len(trials)
    subject = finished / "out/glmsingle-tedana/sub-01/sub-01_task-images"
    r2mean = images.load(f"{subject}_space-T1w_stat-rsquare_desc-R2mean_statmap.nii.gz")[0]
    assert np.isfinite(r2mean).all()
    assert (r2mean > 0).any()
    assert np.isfinite(betas.get_fdata(dtype=np.float32)[r2mean > 0]).all()
    about = tables.read_json(f"{subject}_desc-GLMsingle_summary.json")
    for name, repeats in about["ImagesPerRepeatCount"].items():
        image = Path(f"{subject}_space-T1w_desc-Noiseceiling{name}_statmap.nii.gz")
        assert image.exists() == bool(repeats), name
        if repeats:
            values = images.load(image)[0]
            assert values.min() >= 0
            assert values.max() <= 100
        else:
            assert "no image is shown" in about["MapsNotWritten"][name]


def test_maps_lie_in_the_brain_of_the_template_too(finished):
    maps, affine = mni.load_template(1.0)
    name = "glmsingle-tedana/sub-01/sub-01_task-images_space-{}_stat-rsquare_desc-R2mean_statmap"
    own, there = (
        images.load(finished / f"out/{name.format(space)}.nii.gz")
        for space in ("T1w", "MNI152NLin2009aSym")
    )
    assert np.median(there[0][there[0] > 0]) == pytest.approx(
        np.median(own[0][own[0] > 0]), rel=0.25
    )
    brain = grids.onto(maps["brain"], affine, there[0].shape, there[1]) > 0.5
    assert np.mean(there[0][brain] > 0) > 0.85  # the field of view ends in the cerebellum
    assert np.mean(brain[there[0] > 0]) > 0.75  # and the mask is grown by a voxel
    about = tables.read_json(finished / f"out/{name.format('MNI152NLin2009aSym')}.json")
    assert "MNI152NLin2009aSym" in about["SpatialReference"]


def test_preprocessed_bold_says_what_it_is(finished):
    folder = finished / "out/tedana/sub-01/ses-01/func"
    name = "sub-01_ses-01_task-images_run-01_space-T1w_desc-optcom_bold"
    metadata = json.loads((folder / f"{name}.json").read_text())
    image = nib.load(folder / f"{name}.nii.gz")
    assert metadata["RepetitionTime"] == pytest.approx(1.0)
    assert image.header.get_zooms()[3] == pytest.approx(1.0)
    assert metadata["SliceTimingCorrected"] is True
    assert metadata["StartTime"] == 0
    assert metadata["EdgeSamples"][:2] == [0, 1]
    # Voxels at the edge of the field of view that the head left for some samples.
    assert 0 < metadata["VoxelsPartlyOutside"] < 200
    assert metadata["BridgedSamples"]
    assert 0.8 == metadata["LeastCoverage"] <= metadata["SmallestCoverage"] < 1.0
    assert any(source.startswith("bids:raw:sub-01/ses-01/func/") for source in metadata["Sources"])


def test_decay_maps_have_units_and_meet_their_definitions(finished):
    stem = finished / "out/preproc/sub-01/ses-01/func/sub-01_ses-01_task-images_space-T1w"
    names = {
        "T2starmap": "s",
        "S0map": "arbitrary",
        "stat-rmse_desc-decay_statmap": "arbitrary",
        "stat-rsquare_desc-decay_statmap": "1",
    }
    maps = {name: images.load(f"{stem}_{name}.nii.gz")[0] for name in names}
    for name, unit in names.items():
        assert json.loads(Path(f"{stem}_{name}.json").read_text())["Units"] == unit
    good = images.load(f"{stem}_desc-adaptiveGoodSignal_mask.nii.gz")[0]
    assert set(np.unique(good)) <= {0, 1, 2, 3}
    np.testing.assert_array_equal(maps["T2starmap"] > 0, good > 0)
    r_squared = maps["stat-rsquare_desc-decay_statmap"]
    assert np.isfinite(r_squared[good == 3]).all()
    assert np.median(r_squared[good == 3]) > 0.95
    assert np.isnan(r_squared[(good > 0) & (good < 3)]).all()


def test_runs_without_ica_are_told_everywhere(finished):
    out = finished / "out"
    reason = "100 volumes acquired, at least 500 are needed"
    bold = "sub-01/ses-01/func/sub-01_ses-01_task-images_run-02_space-T1w_desc-denoised_bold.json"
    metadata = json.loads((out / "preproc-standardIca" / bold).read_text())
    assert metadata["IcaStatus"] == "fallback"
    assert reason in metadata["Description"]
    summary = "glmsingle-standardIca/sub-01/ses-01/func/sub-01_ses-01_task-images_desc-GLMsingle"
    fallbacks = json.loads((out / f"{summary}_summary.json").read_text())["IcaFallbacks"]
    assert [entry["reason"] for entry in fallbacks] == [reason] * 3
    table = tables.read_tsv(out / "comparison/desc-variants_metrics.tsv")
    row = table[table["metric"] == "ica_fallback_runs"]
    assert row[["variant", "value"]].to_numpy().tolist() == [["standardIca", 3]]
    text = (out / "comparison/task-images_desc-variants_summary.md").read_text()
    assert "ICA was not used in 3 runs of standardIca" in text
    drawing = (out / "comparison/figures/task-images_desc-variants_comparison.svg").read_text()
    assert "ICA was not used" in drawing


def test_the_comparison_says_which_variant_the_data_support(finished):
    folder = finished / "out/comparison"
    advice = tables.read_json(folder / "task-images_desc-variants_advice.json")
    # On the demo NORDIC helps, and shrinks the response.
    assert (advice["Supported"], advice["Change"]) == ("nordicOptcom", {})
    order = sorted(advice["Predictivity"], key=advice["Predictivity"].get)
    assert order == ["standardSingle", "standardIca", "nordicOptcom"]
    text = (folder / "task-images_desc-variants_summary.md").read_text()
    assert text.startswith("**Advice.** These data support nordicOptcom")
    table = tables.read_tsv(folder / "desc-variants_metrics.tsv")
    kept = table[table["metric"] == "signal_kept"].set_index("variant")["value"]
    assert kept["nordicOptcom"] < kept["standardSingle"] == 100


def test_nilearn_loads_the_confounds(finished):
    from nilearn.interfaces.fmriprep import load_confounds

    folder = finished / "out/preproc-standardSingle/sub-01/ses-01/func"
    name = "sub-01_ses-01_task-images_run-01_space-T1w_desc-preproc_bold.nii.gz"
    confounds, _ = load_confounds(
        str(folder / name), strategy=("motion", "high_pass", "wm_csf", "compcor"), n_compcor=2
    )
    assert len(confounds) == nib.load(folder / name).shape[3]


def test_nothing_half_written_and_no_temporary_series_left(finished):
    assert not list((finished / "out").rglob(".partial-*"))
    assert not list((finished / "out/work").rglob("*_series.npy"))
    assert not list((finished / "out/work/nordic").rglob("*.nii"))


def test_every_dataset_is_valid_bids(finished):
    validator = Path(sys.executable).parent / "bids-validator-deno"
    if not validator.exists():
        pytest.skip("bids-validator-deno is not installed beside the interpreter")
    datasets = sorted(p.parent for p in (finished / "out").glob("*/dataset_description.json"))
    assert len(datasets) == 11
    for folder in [finished / "raw", *datasets]:
        done = subprocess.run(
            [validator, "--json", str(folder)], text=True, capture_output=True, check=False
        )
        issues = json.loads(done.stdout)["issues"]["issues"]
        errors = {(i["code"], i.get("location")) for i in issues if i["severity"] == "error"}
        assert not errors, f"{folder.name}: {sorted(errors, key=str)[:5]}"


def test_the_pages_hold_every_figure_and_answer(finished):
    folder = finished / "out" / "report"
    page = Page(folder / "sub-01.html")
    for one in (page, Page(folder / "index.html")):
        assert broken(one) == []
        assert set(one.answers) == {"usable", "variant", "ceiling", "skipped", "acquisition"}
    shown = {Path(picture["src"]).name for picture in page.all("img")}
    drawn = {
        path.name
        for path in folder.parent.glob("*/**/figures/*.png")
        if "tedana" not in path.relative_to(folder.parent).parts[1:]
    }
    assert drawn - shown == set()
    assert "nordicOptcom" in page.answers["variant"]
    assert "visual: median" in page.answers["ceiling"]
    assert (folder / "group_bold.tsv").read_text().count("\n") == 1 + page.text.count('id="run-sub')


def test_report_is_made(finished):
    if (
        shutil.which("snakemake") is None
        and not Path(sys.executable).with_name("snakemake").exists()
    ):
        pytest.skip("the snakemake command is not installed")
    done = start(finished, "--report", "report.html")
    assert done.returncode == 0, done.stdout[-3000:]
    page = (finished / "report.html").read_text()
    assert "Noise ceilings" in page
    assert "Comparison" in page
    # What there is of every run stands on our own pages: this one must not grow with the runs.
    assert not re.search(r"run-01_desc-(motion|coreg|sdc)", page)
    assert len(page) < 9e6


def test_given_masks_are_resampled_written_and_summarised(finished):
    """A mask on a grid of its own, an expression, and the tables of both."""
    visual = nib.load(finished / f"out/comparison/{SESSION}_space-T1w_label-visual_mask.nii.gz")
    size = np.diag([-2.0, 2.0, 2.0, 1.0])
    size[:3, 3] = (100, -120, -90)
    fine = grids.onto(visual.get_fdata(), visual.affine, (100, 100, 90), size, order=0)
    (finished / "given").mkdir()
    nib.save(nib.Nifti1Image(fine.astype(np.uint8), size), finished / "given/V1.nii.gz")
    rois = "{given: [{path: given, category: test}], expressions: {both: V1 & visual}}"
    done = start(finished, "--cores", "2", rois=rois)
    assert done.returncode == 0, done.stdout[-3000:]
    (path,) = (finished / "out/rois/sub-01/test").glob("*_label-V1_mask.nii.gz")
    mask, wanted = (nib.load(p).get_fdata() > 0 for p in (path, visual.get_filename()))
    assert 2 * (mask & wanted).sum() / (mask.sum() + wanted.sum()) > 0.9
    assert "nearest voxel" in tables.read_json(tables.sidecar(path))["Notes"][0]
    table = tables.read_tsv(
        finished / "out/rois/sub-01/sub-01_task-images_desc-Noiseceiling_rois.tsv"
    )
    row = table[(table["roi"] == "V1") & (table["map"] == "NoiseceilingAllrep")].iloc[0]
    name = "sub-01_task-images_space-T1w_desc-NoiseceilingAllrep_statmap.nii.gz"
    values = coverage.read_known(finished / f"out/glmsingle-tedana/sub-01/{name}", mask)
    values = values[np.isfinite(values)]
    assert row["n_data"] == values.size
    assert row["n_voxels"] == mask.sum()
    assert row["median"] == pytest.approx(np.median(values), abs=1e-4)
    assert row["p90"] == pytest.approx(np.percentile(values, 90), abs=1e-4)
    assert row["ci_low"] < row["median"] < row["ci_high"]
    sizes = table.drop_duplicates("roi").set_index("roi")["n_voxels"]
    assert sizes["both"] == (mask & wanted).sum()
    assert sizes["brain"] > sizes["greyMatter"] > sizes["visual"] == wanted.sum()
    above = name.replace("_statmap", "FDR_mask")
    above = images.load_mask(finished / f"out/glmsingle-tedana/sub-01/{above}")[0]
    (brain,) = (finished / "out/anatomical/sub-01/anat").glob("*_res-bold_desc-brain_mask.nii.gz")
    assert sizes["reliable"] == (above & images.load_mask(brain)[0]).sum()


def place_of(points):
    """Return a function of the place, mm of the T1w: no two axes, and no two sides, are alike."""
    x, y, z = points.T
    return 400 + 1.5 * x - 0.8 * y + 1.1 * z + 10 * np.sin((x + 2 * y - z) / 25)


def in_the_middle(head, hemi, depths=(0.2, 0.4, 0.6, 0.8)):
    """Return a function of the place as it is between the surfaces that the phantom fitted."""
    fitted = cortex.hemisphere(hemi)
    white, pial = (head.from_mni(one) for one in (fitted.white, fitted.pial))
    return np.mean([place_of((1 - depth) * white + depth * pial) for depth in depths], axis=0)


def on_average(head, side, directions=None):
    """Return the function of the place at vertices of fsaverage5, or next to other directions."""
    middle = np.mean([average_files(side, name) for name in ("white", "pial")], axis=0)
    values = place_of(head.from_mni(middle))
    if directions is None:
        return values
    sphere = average_files(side, "sphere")
    return values[cKDTree(sphere / np.linalg.norm(sphere[0])).query(directions)[1]]


def average_files(side, name):
    return cortex_files.fsaverage5(side, name)[0]


def share_of_label(head, name, shape, affine):
    """Return how much of each voxel lies in a label's ball and between white and pial."""
    steps = (np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(-1, 3) - 1) / 3
    points, share = affines.grid_points(shape, affine), np.zeros(np.prod(shape))
    for hemi, labels in freesurfer.LABELS_MM.items():
        fitted, radius = cortex.hemisphere(hemi), freesurfer.LABEL_RADIUS_MM
        for centre in [np.array(labels[name])] if name in labels else []:
            middle = head.from_mni(centre[None])[0]
            near = np.linalg.norm(points - middle, axis=1) < radius + 6
            own = (points[near][:, None] + steps @ affine[:3, :3].T).reshape(-1, 3)
            filled = np.linalg.norm(head.mni(own) - centre, axis=1) <= radius
            for surface, wanted in ((fitted.pial, True), (fitted.white, False)):
                place = own[filled]
                filled[filled] = inside(head.from_mni(surface), fitted.faces, place) == wanted
            share[near] += filled.reshape(-1, len(steps)).mean(axis=1)
    return share.reshape(shape)


def test_surfaces_of_the_subject(finished):
    """Regions on the fitted surfaces, and maps on them and on the average brain."""
    head = anatomy.make_head(make_spec("demo", sessions=("01",)), "01")
    (brain,) = (finished / "out/anatomical/sub-01/anat").glob("*_res-bold_desc-brain_mask.nii.gz")
    mask, affine = images.load_mask(brain)
    # A map whose value at every place is known, among those of the fits.
    place = finished / f"out/{FIT}_space-T1w_desc-Place_statmap.nii.gz"
    volume = place_of(affines.grid_points(mask.shape, affine)).reshape(mask.shape)
    images.save(place, volume, affine, metadata={"Units": "mm"})
    folder = "raw/derivatives/freesurfer/sub-{subject}"
    paths = ("label/*.V1.label", "label/*.faces.label", "label/*.lobes.annot")
    regions = ", ".join(f"{{path: '{folder}/{path}'}}" for path in paths)
    spaces = "[fsnative, fsaverage5, fsaverage]"
    # A coarse sphere stands for the 163,842 vertices of fsaverage, which FreeSurfer brings.
    unit, faces = cortex.icosphere(4)
    average = finished / "raw/derivatives/freesurfer/fsaverage/surf"
    average.mkdir(parents=True)
    for hemi in ("lh", "rh"):
        nib.freesurfer.write_geometry(average / f"{hemi}.sphere.reg", 100 * unit, faces)
    rois = f"{{surface: {{folder: '{folder}', spaces: {spaces}, regions: [{regions}]}}}}"
    base = "out/" + FIT + "_hemi-{}_space-{}_{}_statmap.func.gii"
    names = ("fsnative", "fsaverage5", "fsaverage")
    asked = [base.format(hemi, name, "desc-Place") for hemi in "LR" for name in names]
    others = {  # surface to volume
        f"out/preproc/{SESSION}_hemi-L_space-fsnative_T2starmap.func.gii": (
            f"preproc/{SESSION}_space-T1w_T2starmap.nii.gz"
        ),
        base.format("L", "fsnative", "stat-rsquare_desc-R2"): (
            f"{FIT}_space-T1w_stat-rsquare_desc-R2_statmap.nii.gz"
        ),
        base.format("L", "fsnative", "stat-effect_desc-MeanBetas"): (
            f"{FIT}_space-T1w_stat-effect_desc-SingletrialBetas_statmap.nii.gz"
        ),
    }
    listed = "out/rois/sub-01/sub-01_space-T1w_desc-regions_rois.tsv"
    figure = "sub-01_task-images_space-fsaverage5_desc-NoiseceilingAllrep_statmap.png"
    figure = f"out/glmsingle-tedana/sub-01/figures/{figure}"
    done = start(finished, listed, *asked, *others, figure, "--cores", "1", rois=rois)
    assert done.returncode == 0, done.stdout[-3000:]
    assert (finished / figure).stat().st_size > 10_000

    for hemi, side in (("lh", "L"), ("rh", "R")):
        wanted = in_the_middle(head, hemi)
        found = nib.load(finished / base.format(side, "fsnative", "desc-Place")).agg_data()
        known = np.isfinite(found)
        assert known.mean() > 0.9
        # Far below the 2 percent that are asked for: the base of the map would hide a shift.
        np.testing.assert_allclose(found[known], wanted[known], atol=0.5)
        for name, there in (
            ("fsaverage5", on_average(head, side)),
            ("fsaverage", on_average(head, side, unit)),
        ):
            found = nib.load(finished / base.format(side, name, "desc-Place")).agg_data()
            known = np.isfinite(found)
            assert known.mean() > 0.9
            assert np.corrcoef(found[known], there[known])[0, 1] > 0.97, name

    table = tables.read_tsv(finished / listed).set_index("roi")
    assert set(table.index) == {"V1", "faces", "occipital", "frontal"}
    assert (table["inside"] > 0.9).all()
    found = {}
    for name in table.index:
        (path,) = (finished / "out/rois/sub-01/given").glob(f"*_label-{name}_mask.nii.gz")
        found[name] = images.load_mask(path)[0]
    at = affines.grid_points(mask.shape, affine).reshape(*mask.shape, 3)
    for name in ("V1", "faces"):
        wanted = share_of_label(head, name, mask.shape, affine) >= 0.5
        assert 2 * (found[name] & wanted).sum() / (found[name].sum() + wanted.sum()) > 0.8, name
        assert head.tissue(at[found[name]])["gm"].mean() > 0.75, name
    assert head.mni(at[found["faces"]])[:, 0].min() > 0  # a label of the right hemisphere alone
    assert at[found["frontal"]][:, 1].min() > at[found["occipital"]][:, 1].max()
    both = found["V1"] & found["occipital"]
    assert both.sum() > 0.8 * found["V1"].sum()

    depths = (0.2, 0.4, 0.6, 0.8)
    fitted = cortex.hemisphere("lh")
    white, pial = (head.from_mni(one) for one in (fitted.white, fitted.pial))
    for path, file in others.items():
        volume = images.load(finished / "out" / file)[0]
        volume = volume.mean(axis=3) if volume.ndim == 4 else volume
        between = [(1 - depth) * white + depth * pial for depth in depths]
        read = [interpolation.resample_volume(volume, affine, at, order=1) for at in between]
        there, values = np.mean(read, axis=0), nib.load(finished / path).agg_data()
        known = np.isfinite(values) & (there != 0)
        # Voxels without data are left out on the surface, and are 0 in the volume.
        near = np.abs(values - there) <= 0.02 * np.abs(there) + 1e-3 * np.abs(there[known]).max()
        assert near[known].mean() > 0.85, path


def test_without_surfaces_of_the_subject_maps_go_through_the_template(finished):
    """Onto the average brain; where the place of each vertex is known (needs the test above)."""
    head = anatomy.make_head(make_spec("demo", sessions=("01",)), "01")
    name = "out/" + FIT + "_hemi-{}_space-fsaverage5_desc-Place_statmap.func.gii"
    paths = {hemi: name.format(hemi) for hemi in "LR"}
    rois = "{surface: {spaces: [fsaverage5]}}"
    done = start(finished, *paths.values(), "--cores", "1", rois=rois)
    assert done.returncode == 0, done.stdout[-3000:]
    for hemi, path in paths.items():
        found, wanted = nib.load(finished / path).agg_data(), on_average(head, hemi)
        known = np.isfinite(found)
        assert known.mean() > 0.8
        assert np.median(np.abs(found - wanted)[known]) < 4


def test_masks_and_surfaces_of_another_place_are_refused(finished):
    """One call, two jobs that each name their file; their tables go (after the tests above)."""
    image = nib.load(next((finished / "out/rois/sub-01/given").glob("*_label-V1_mask.nii.gz")))
    away = image.affine.copy()
    away[2, 3] += 140
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), away), finished / "away.nii.gz")
    for name in ("lh.white", "lh.pial", "rh.white", "rh.pial"):
        path = finished / "raw/derivatives/freesurfer/sub-01/surf" / name
        vertices, faces, told = nib.freesurfer.read_geometry(path, read_metadata=True)
        told |= {"head": np.array([2, 0, 20], np.int32), "cras": told["cras"] + [0, 60, 40]}
        other = finished / "fs/sub-01/surf" / name
        other.parent.mkdir(parents=True, exist_ok=True)
        nib.freesurfer.write_geometry(other, vertices, faces, volume_info=told)
    listed = "out/rois/sub-01/sub-01_space-T1w_desc-regions_rois.tsv"
    surface = f"out/{FIT}_hemi-L_space-fsnative_desc-Place_statmap.func.gii"
    rois = (
        "{given: [{path: away.nii.gz}], surface: {folder: 'fs/sub-{subject}', spaces: [fsnative]}}"
    )
    done = start(finished, listed, surface, "--keep-going", "--cores", "1", rois=rois)
    assert done.returncode != 0
    assert "region away: 0 % of away.nii.gz lie in the brain, at least 50 %" in done.stdout
    assert re.search(r"fs/sub-01: \d+ % of the cortex of lh.white lie in the brain", done.stdout)
    assert "it is the folder of another subject" in done.stdout
    assert "Traceback" not in done.stdout


def test_mask_on_another_grid_is_refused(finished):
    """Last in this file: the job that refuses takes its tables along."""
    image = nib.Nifti1Image(np.ones((5, 6, 7), np.uint8), np.diag([2.0, 2, 2, 1]))
    nib.save(image, finished / "V1.nii.gz")
    done = start(finished, "--cores", "1", visual_roi="{source: V1.nii.gz}")
    assert done.returncode != 0
    assert "ROI mask V1.nii.gz is on another grid than the output grid" in done.stdout
    assert "5 x 6 x 7 voxels of 2 x 2 x 2 mm" in done.stdout
    assert "Traceback" not in done.stdout
