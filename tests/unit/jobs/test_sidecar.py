"""Sidecars: sources as BIDS URIs, keys of preprocessed BOLD, dataset descriptions."""

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest

from mebold.files import datasets
from mebold.files.metadata import bold_metadata
from mebold.jobs import code_hash, sidecar
from mebold.singletrial import fit

SCRIPTS = sorted((Path(code_hash.__file__).parents[2] / "scripts").glob("*.py"))
BY_NAME = {"warpkit"}  # an extra, imported by its name where it is installed
IMPORTED_AS = {"antspyx": "ants", "scikit-image": "skimage", "scikit-learn": "sklearn"}
RUN = {"echo_times": [0.011, 0.029, 0.047], "single_echo": 1, "task": "images", "tr_out": 1.0}


def test_sources_are_uris_and_intermediate_files_are_left_out(tmp_path):
    files = [
        tmp_path / "raw/sub-01/func/a_bold.nii.gz",
        tmp_path / "out/preproc/sub-01/func/b_xfm.txt",
        tmp_path / "out/work/series.npy",
        tmp_path / "elsewhere.nii",
    ]
    uris = sidecar.source_uris(files, raw=str(tmp_path / "raw"), output=str(tmp_path / "out"))
    assert uris == [
        "bids:raw:sub-01/func/a_bold.nii.gz",
        "bids:preproc:sub-01/func/b_xfm.txt",
        (tmp_path / "elsewhere.nii").as_uri(),  # such as a warp that the configuration names
    ]


def test_output_inside_the_raw_dataset_keeps_its_own_dataset(tmp_path):
    raw = tmp_path / "raw"
    file = raw / "derivatives/preproc/sub-01/x.nii.gz"
    uris = sidecar.source_uris([file], raw=str(raw), output=str(raw / "derivatives"))
    assert uris == ["bids:preproc:sub-01/x.nii.gz"]


def test_sidecar_holds_parameters_without_the_code_hash(tmp_path):
    job = SimpleNamespace(
        config={"bids_dir": str(tmp_path / "raw"), "output_dir": str(tmp_path / "out")},
        input=[tmp_path / "raw/a.nii"],
        params={"fwhm_mm": 3.0, "code": "abc"},
    )
    chain = ["bids:raw:a.nii", "bids:nordic:a.json"]
    made = sidecar.Sidecar(job, packages=["numpy"], chain=chain, Resolution="1 mm")(Units="Hz")
    assert made["Parameters"] == {"fwhm_mm": 3.0}
    assert made["Sources"] == chain
    assert (made["Units"], made["Resolution"]) == ("Hz", "1 mm")
    assert made["GeneratedBy"][0]["Packages"]["numpy"]


@pytest.mark.parametrize(
    ("echoes", "expected"),
    [
        ("single", {"EchoTime": 0.029}),
        ("optcom", {"EchoTimesCombined": [0.011, 0.029, 0.047]}),
    ],
)
def test_bold_metadata_names_the_echoes(echoes, expected):
    metadata = bold_metadata({**RUN, "slice_timing": [0.0, 0.5]}, echoes=echoes)
    assert expected.items() <= metadata.items()
    assert metadata["SliceTimingCorrected"] is True
    assert (metadata["RepetitionTime"], metadata["StartTime"]) == (1.0, 0.0)


def test_bold_metadata_leaves_out_what_is_not_known():
    run = {**RUN, "echo_times": [None], "single_echo": 0, "slice_timing": None}
    metadata = bold_metadata(run, echoes="single")
    assert "EchoTime" not in metadata
    assert metadata["SliceTimingCorrected"] is False


def test_description_links_raw_and_sibling_datasets(tmp_path):
    made = datasets.description(
        "tedana",
        raw=str(tmp_path / "raw"),
        folder=tmp_path / "out/tedana",
        siblings=["tedana", "preproc"],
    )
    assert made["DatasetType"] == "derivative"
    assert made["DatasetLinks"] == {"raw": "../../raw", "preproc": "../preproc"}


def test_every_ignored_pattern_is_explained():
    texts = datasets.texts("preproc")
    for pattern in texts[".bidsignore"].split():
        assert f"`{pattern}`: " in texts["README.md"]


def named(script):
    """Return the packages that a script gives to its sidecars as a list of words."""
    for node in ast.walk(ast.parse(script.read_text())):
        if (isinstance(node, ast.keyword) and node.arg == "packages") or (
            isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "packages"
        ):
            value = node.value
        else:
            continue
        yield from (e.value for e in getattr(value, "elts", []) if isinstance(e, ast.Constant))


def imported(script):
    """Return the top-level packages that a script or the library modules it uses import or find."""
    files = [script, *(f for f in code_hash.modules_of(script) if f.suffix == ".py")]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in getattr(node, "names", [])]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from (name.partition(".")[0] for name in names)
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "find_spec":
                yield node.args[0].value


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_sidecars_name_packages_that_are_used(script):
    used = set(imported(script))
    unused = [name for name in named(script) if IMPORTED_AS.get(name, name) not in used | BY_NAME]
    assert unused == []


def test_the_engine_of_a_fit_decides_what_its_sidecar_names():
    assert fit.packages("mebold") == []
    assert fit.packages("upstream") == ["glmsingle", "scikit-learn"]
