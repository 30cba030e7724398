"""Thermal noise removal of every echo of a run, before anything interpolates."""

# What `nordic.write` names is kept; the magnitude is needed by the stages that follow.
WRITTEN = config["nordic"]["write"]
KEEP_MAGNITUDE = str if "magnitude" in WRITTEN else temp
PHASE = {
    part: "<out>/nordic/{folder}/func/{stem}{echo}_part-phase_desc-nordic_bold.nii.gz"
    for part in WRITTEN
    if part == "phase"
}
ECHO_KEYS = (
    *("stem", "task", "tr", "acquired_slice_timing", "slice_encoding_direction"),
    *("direction", "readout_s"),
)


rule nordic_gfactor:
    input:
        magnitude=raw_magnitude,
        phase=raw_phase,
        norf=raw_norf,
        volumes=rules.hmc.output.volumes,
    output:
        gfactor=temp("<work>/nordic/{folder}/{stem}_gfactor.nii"),
    log:
        "<logs>/nordic_gfactor/{folder}/{stem}.log",
    benchmark:
        "<benchmarks>/nordic_gfactor/{folder}/{stem}.tsv"
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(4.5, 500),
        runtime=minutes(30),
    params:
        options=parameters.gfactor_options(),
        code=code("nordic_gfactor"),
    script:
        "../scripts/nordic_gfactor.py"


rule nordic:
    input:
        magnitude=raw(runs.echo_images, "bold", "mag"),
        phase=raw(runs.echo_images, "bold", "phase"),
        norf=raw(runs.echo_images, "noRF", "mag", "phase"),
        volumes=rules.hmc.output.volumes,
        noise_map=noise_map,
    output:
        **PHASE,
        magnitude=KEEP_MAGNITUDE(
            "<out>/nordic/{folder}/func/{stem}{echo}_part-mag_desc-nordic_bold.nii.gz"
        ),
        info="<out>/nordic/{folder}/func/{stem}{echo}_part-mag_desc-nordic_bold.json",
        gfactor="<out>/nordic/{folder}/func/{stem}{echo}_desc-gfactor_boldmap.nii.gz",
        noise_sd="<out>/nordic/{folder}/func/{stem}{echo}_desc-noiseSD_boldmap.nii.gz",
        residual_sd="<out>/nordic/{folder}/func/{stem}{echo}_desc-residualSD_boldmap.nii.gz",
        components_removed="<out>/nordic/{folder}/func/{stem}{echo}_desc-componentsRemoved_boldmap.nii.gz",
        figure="<out>/nordic/{folder}/figures/{stem}{echo}_desc-nordic_bold.png",
    log:
        "<logs>/nordic/{folder}/{stem}{echo}.log",
    benchmark:
        "<benchmarks>/nordic/{folder}/{stem}{echo}.tsv"
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(4.5, 500),
        runtime=minutes(30),
    params:
        run=by(parameters.of_echo, *ECHO_KEYS),
        options=parameters.nordic_options(),
        noise_map=by(parameters.noise_map_origin),
        code=code("nordic_denoise"),
    script:
        "../scripts/nordic_denoise.py"


# A job of its own, so that neither events nor design make NORDIC run again.
rule nordic_survival:
    input:
        magnitude=raw(runs.echo_images, "bold", "mag"),
        info=rules.nordic.output.info,
        gfactor=rules.nordic.output.gfactor,
        noise_sd=rules.nordic.output.noise_sd,
        events=run_events,
    output:
        shared="<out>/nordic/{folder}/func/{stem}{echo}_desc-weakestResponse_boldmap.nii.gz",
        images="<out>/nordic/{folder}/func/{stem}{echo}_desc-weakestDifference_boldmap.nii.gz",
        figure="<out>/nordic/{folder}/figures/{stem}{echo}_desc-weakestResponse_boldmap.png",
    log:
        "<logs>/nordic_survival/{folder}/{stem}{echo}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0.9, 500),
        runtime=minutes(15),
    params:
        tr=by(parameters.of_run, "tr"),
        design=chosen("design", "label_column", "blank", "stimulus_duration_s"),
        patches=chosen("nordic", "patch_overlap", "compat"),
        asked=chosen(
            "nordic", "responding_share", "kept_share", "weakest_limit_percent"
        ),
        code=code("nordic_survival"),
    script:
        "../scripts/nordic_survival.py"
