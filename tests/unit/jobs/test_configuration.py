"""Configuration: defaults, and messages that name the key."""

import pytest
from configured import SCHEMAS, completed

from mebold.errors import ConfigError
from mebold.jobs import configuration

BASE = {"bids_dir": "raw", "output_dir": "out"}


def test_defaults_are_filled_at_every_level_and_input_is_not_changed():
    config = {**BASE, "hmc": {"echo": 2}}
    complete = completed(config)
    assert complete["hmc"]["echo"] == 2
    assert complete["hmc"]["fwhm_mm"] == 3.0
    assert complete["primary_variant"] == "nordicOptcom"
    assert config == {**BASE, "hmc": {"echo": 2}}


def test_every_key_of_the_schema_has_a_description_and_a_default():
    def walk(rule, name):
        for key, child in rule.get("properties", {}).items():
            where = f"{name}.{key}"
            if child.get("type") == "object" and "properties" in child:
                assert child.get("additionalProperties") is False, where
                walk(child, where)
            elif where not in ("config.bids_dir", "config.output_dir"):
                assert "default" in child, where
                assert "description" in child or "$ref" in child, where

    walk(configuration.load_schema(SCHEMAS / "config.schema.yaml"), "config")


def test_text_from_the_command_line_is_read_where_a_number_is_wanted():
    config = {**BASE, "hmc": {"echo": "2", "fwhm_mm": "2.5"}, "ica": {"report": "false"}}
    config["output"] = {"repetition_time_s": "1.0", "voxel_size_mm": "acquired"}
    complete = completed(config)
    assert complete["hmc"]["echo"] == 2
    assert complete["hmc"]["fwhm_mm"] == 2.5
    assert complete["ica"]["report"] is False
    assert complete["output"]["repetition_time_s"] == 1.0
    assert complete["output"]["voxel_size_mm"] == "acquired"
    assert complete["primary_variant"] == "nordicOptcom"


def test_lists_and_null_of_the_command_line_are_read_in_nested_keys():
    config = {**BASE, "fmap": {"phase_range": ["-3.2", "3.2"]}, "template": {"space": "null"}}
    config["noise_ceiling"] = {"groups": {"2rep": "2"}}
    config["design"] = {"label_column": "null", "stimulus_duration_s": "null"}
    complete = completed(config)
    assert complete["fmap"]["phase_range"] == [-3.2, 3.2]
    assert complete["template"]["space"] is None
    assert complete["noise_ceiling"]["groups"] == {"2rep": 2}
    # A column may have any name.
    assert complete["design"]["label_column"] == "null"
    assert complete["design"]["stimulus_duration_s"] is None


@pytest.mark.parametrize("value", ["01,02", ["01", "02"], "sub-01, sub-02"])
def test_labels_are_lists_of_strings(value):
    assert completed({**BASE, "participant_label": value})["participant_label"] == [
        "01",
        "02",
    ]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"nordick": {}}, r"Unknown configuration key `nordick` \(did you mean `nordic`\?\)"),
        ({"hmc": {"fwhm": 3}}, r"`hmc.fwhm` \(did you mean `hmc.fwhm_mm`\?\)"),
        ({"hmc": {"fwhm_mm": "x"}}, r"`hmc.fwhm_mm`: 'x' is not of type 'number'"),
        ({"variants": ["nordicOptcon"]}, r"`variants.0`: 'nordicOptcon' is not one of"),
        ({"variants": ["nordicOptcom", "nordicIca"]}, r"standardSingle is not among `variants`"),
        ({"sdc": "topup"}, r"`sdc`: 'topup' .* \['static', 'dynamic', 'medic', 'none'\]"),
        ({"visual_roi": {"source": "nordicIca"}, "variants": ["standardSingle"]}, "visual_roi"),
    ],
)
def test_mistakes_are_named(extra, message):
    with pytest.raises(ConfigError, match=message):
        completed({**BASE, **extra})


def test_missing_key_says_how_to_give_it():
    with pytest.raises(ConfigError, match=r"'output_dir' is a required property.*--config"):
        completed({"bids_dir": "raw"})


def test_fields_of_the_noise_map_are_checked():
    config = {**BASE, "nordic": {"noise_map": "maps/{folder}/{stem}{echo}.nii.gz"}}
    assert completed(config)["nordic"]["noise_map"].startswith("maps/")
    for wrong, named in (("{subject}.nii", "subject"), ("{stem.nii", "expected '}'")):
        with pytest.raises(ConfigError, match=rf"nordic.noise_map.*{named}.*folder, stem, echo"):
            completed({**BASE, "nordic": {"noise_map": wrong}})


def test_an_output_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    paths = {"bids_dir": "raw", "output_dir": str(tmp_path / "sealed/out")}
    (tmp_path / "sealed").mkdir()
    assert completed(paths)["output_dir"]
    monkeypatch.setattr(configuration.os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match=r"nothing can be written to .*sealed is read-only"):
        completed(paths)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ({"maps_space": "T1w"}, "T1w is no template"),
        ({"maps_space": "MNI152NLin2009aSym", "space": "boldref"}, "has to be T1w"),
        ({"maps_space": "MNI152Nlin2009asym"}, "did you mean MNI152NLin2009aSym"),
    ],
)
def test_maps_in_a_second_space_need_a_template_and_the_t1w(output, says):
    with pytest.raises(ConfigError, match=r"output\.maps_space.*" + says):
        completed({**BASE, "output": output})
    good = {"maps_space": "MNI152NLin2009aSym", "space": "T1w"}
    assert completed({**BASE, "output": good})["output"]["maps_space"] == "MNI152NLin2009aSym"


def test_the_inventory_is_asked_what_the_configuration_says(tmp_path):
    config = completed(BASE | {"fmap": {"assign": "session"}, "participant_label": "02"})
    asked = configuration.selection(config)
    assert asked["assign"] == "session"
    assert asked["participant_labels"] == ["02"]


def test_every_selection_has_its_table_and_a_relative_path_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [
        configuration.table_name(completed(BASE) | {"bids_dir": where, **extra})
        for where, extra in (
            ("raw", {}),
            (str(tmp_path / "raw"), {}),
            ("raw", {"participant_label": ["02"]}),
            ("other", {}),
        )
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 3
