"""Reference image of a run in true geometry: gradient nonlinearity and field in one interpolation."""


rule gradunwarp:
    input:
        boldref=rules.hmc.output.boldref,
        mask=rules.hmc.output.mask,
        field=run_field,
        warp=run_warp,
    output:
        boldref="<out>/preproc/{folder}/func/{stem}_desc-unwarped_boldref.nii.gz",
        mask="<out>/preproc/{folder}/func/{stem}_desc-unwarpedBrain_mask.nii.gz",
        figure="<out>/preproc/{folder}/figures/{stem}_desc-unwarped_boldref.png",
    log:
        "<logs>/gradunwarp/{folder}/{stem}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 2000),
        runtime=minutes(10),
    params:
        run=by(parameters.of_run, "stem", "direction", "readout_s"),
        code=code("gradunwarp_boldref"),
    script:
        "../scripts/gradunwarp_boldref.py"
