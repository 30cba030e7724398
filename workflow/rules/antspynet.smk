"""Brain mask by a trained network: the optional package antspynet, which the user installs."""


rule antspynet:
    input:
        t1w=raw_t1w,
        mask_source=mask_source,
    output:
        mask=temp("<work>/antspynet/{sub}_desc-brain_mask.nii.gz"),
    log:
        "<logs>/antspynet/{sub}.log",
    benchmark:
        "<benchmarks>/antspynet/{sub}.tsv"
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=memory(0, 8000),
        runtime=minutes(30),
    params:
        settings=config["antspynet"],
        code=code("antspynet_mask"),
    script:
        "../scripts/antspynet_mask.py"
