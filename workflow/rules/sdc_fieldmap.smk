"""The field of a run at its reference image, from the fieldmaps, and that image undistorted."""

SDC_KEYS = ("stem", "direction", "readout_s", "fieldmaps", "centre_s")


rule sdc:
    input:
        boldref=rules.hmc.output.boldref,
        mask=rules.hmc.output.mask,
        field=of_field(rules.fmap.output.field),
        magnitude=of_field(rules.fmap.output.magnitude),
        info=of_field(rules.fmap.output.info),
    output:
        boldref="<out>/preproc/{folder}/func/{stem}_desc-sdc_boldref.nii.gz",
        field="<out>/preproc/{folder}/fmap/{stem}_desc-boldref_fieldmap.nii.gz",
        figure="<out>/preproc/{folder}/figures/{stem}_desc-sdc_boldref.png",
    log:
        "<logs>/sdc/{folder}/{stem}.log",
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=memory(0.3, 500),
        runtime=minutes(10),
    params:
        run=by(parameters.of_run, *SDC_KEYS),
        smoothing=chosen("hmc", *SMOOTHING),
        limits=chosen("fmap", "least_mutual_information", "least_coverage"),
        seed=config["seed"],
        code=code("sdc_boldref"),
    script:
        "../scripts/sdc_boldref.py"
