"""Change of the field during a run, and its motion without that change; only where asked for."""

CHANGE_KEYS = (
    *("stem", "tr", "echo_times", "hmc_echo", "direction", "readout_s"),
    *("slice_timing", "slice_encoding_direction"),
)


rule sdc_dynamic:
    input:
        magnitude=raw_magnitude,
        phase=raw_phase,
        native=run_native_field,
        motion=rules.hmc.output.motion,
        volumes=rules.hmc.output.volumes,
        mask=rules.hmc.output.mask,
        field=rules.sdc.output.field,
    output:
        change="<out>/preproc/{folder}/fmap/{stem}_desc-change_fieldmap.nii.gz",
        motion="<out>/preproc/{folder}/func/{stem}_from-orig_to-boldref_mode-image_desc-dynamic_xfm.txt",
        figure="<out>/preproc/{folder}/figures/{stem}_desc-change_fieldmap.png",
    log:
        "<logs>/sdc_dynamic/{folder}/{stem}.log",
    benchmark:
        "<benchmarks>/sdc_dynamic/{folder}/{stem}.tsv"
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(12, 2000),
        runtime=minutes(30),
    params:
        run=by(parameters.of_run, *CHANGE_KEYS),
        settings=chosen("fmap", "phase_range", "change_smoothing_mm"),
        smoothing=chosen("hmc", *SMOOTHING),
        code=code("sdc_dynamic"),
    script:
        "../scripts/sdc_dynamic.py"
