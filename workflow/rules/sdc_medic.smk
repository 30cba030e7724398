"""The field of a run from the phase of its volumes by MEDIC, and the reference image undistorted."""


rule sdc:
    input:
        magnitude=raw_magnitude,
        phase=raw_phase,
        boldref=rules.hmc.output.boldref,
        mask=rules.hmc.output.mask,
        motion=rules.hmc.output.motion,
        volumes=rules.hmc.output.volumes,
    output:
        boldref="<out>/preproc/{folder}/func/{stem}_desc-sdc_boldref.nii.gz",
        field="<out>/preproc/{folder}/fmap/{stem}_desc-boldref_fieldmap.nii.gz",
        native=temp("<work>/sdc/{folder}/{stem}_native.nii.gz"),
        figure="<out>/preproc/{folder}/figures/{stem}_desc-sdc_boldref.png",
    log:
        "<logs>/sdc/{folder}/{stem}.log",
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=memory(30, 2000),
        runtime=minutes(60),
    params:
        run=by(parameters.of_run, "stem", "direction", "readout_s", "echo_times"),
        settings=chosen("fmap", "phase_range"),
        code=code("sdc_medic"),
    script:
        "../scripts/sdc_medic.py"
