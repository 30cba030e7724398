"""MP2RAGE: the combined image without its background, and T1."""


rule mp2rage:
    input:
        unpack(mp2rage_images),
    output:
        unit1="<out>/anatomical/{sub}/anat/{sub}_desc-cleaned_UNIT1.nii.gz",
        head="<out>/anatomical/{sub}/anat/{sub}_desc-head_mask.nii.gz",
        weighted=temp("<work>/mp2rage/{sub}_desc-weighted_UNIT1.nii.gz"),
        figure=report(
            "<out>/anatomical/{sub}/figures/{sub}_desc-cleaned_UNIT1.png",
            caption="../report/mp2rage.rst",
            category="Anatomy",
            labels={"subject": "{sub}", "figure": "MP2RAGE without its background"},
        ),
    log:
        "<logs>/mp2rage/{sub}.log",
    benchmark:
        "<benchmarks>/mp2rage/{sub}.tsv"
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 3000),
        runtime=minutes(10),
    params:
        settings=chosen("mp2rage", "regularisation", "unit1_range"),
        code=code("mp2rage_clean"),
    script:
        "../scripts/mp2rage_clean.py"


rule mp2rage_t1:
    input:
        unpack(mp2rage_images),
        head=rules.mp2rage.output.head,
    output:
        t1map="<out>/anatomical/{sub}/anat/{sub}_T1map.nii.gz",
    log:
        "<logs>/mp2rage_t1/{sub}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 3000),
        runtime=minutes(10),
    params:
        settings=chosen("mp2rage", "unit1_range"),
        protocol=by(parameters.mp2rage),
        code=code("mp2rage_t1"),
    script:
        "../scripts/mp2rage_t1.py"
