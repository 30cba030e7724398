"""What sidecars say of thermal noise and echoes, from the raw images to the fits."""

from mebold.files import metadata


def sidecar(echo_time: float, *, complex_data: bool = True) -> dict:
    result = {
        "threshold": 30.0 + echo_time,
        "noise_level": 0.7,
        "noise_volumes_trimmed": True,
        "median_components_removed": 40.0,
        "median_energy_removed": 0.5,
    }
    return {
        "EchoTime": echo_time,
        "Complex": complex_data,
        "NoiseMap": "pooled over the echoes",
        "NoiseVolumes": {"Count": 3, "Origin": "given"},
        "Result": result,
    }


def test_denoised_echoes_are_told_one_by_one():
    told = metadata.thermal_denoising([sidecar(0.011), sidecar(0.029)])
    assert told["Method"] == "NORDIC"
    assert told["Complex"]
    assert [echo["EchoTime"] for echo in told["Echoes"]] == [0.011, 0.029]
    assert [echo["Threshold"] for echo in told["Echoes"]] == [30.011, 30.029]
    assert told["Echoes"][0]["NoiseVolumes"] == 3
    assert metadata.thermal_denoising([]) == {"Method": "none"}


def test_a_fit_names_its_variant_its_runs_and_what_was_done_to_them():
    runs = {
        "run-01": {"ThermalDenoising": metadata.thermal_denoising([sidecar(0.011)])},
        "run-02": {
            "ThermalDenoising": metadata.thermal_denoising([sidecar(0.011, complex_data=False)])
        },
    }
    short, full = metadata.upstream("nordicOptcom", runs)
    assert short == {
        "Variant": "nordicOptcom",
        "ThermalDenoising": {"Method": "NORDIC", "Complex": False},
        "EchoCombination": "weighted by T2* (tedana)",
        "Runs": ["run-01", "run-02"],
    }
    assert full["ThermalDenoising"]["run-01"]["Echoes"][0]["Threshold"] == 30.011
    plain = metadata.upstream(
        "standardSingle", {"run-01": {"ThermalDenoising": {"Method": "none"}}}
    )
    assert plain[0]["ThermalDenoising"] == {"Method": "none"}
    assert plain[0]["EchoCombination"] == "none: one echo"
