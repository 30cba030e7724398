"""Multi-echo gradient echo: T2*, R2*, S0, the echoes as one image, and B0 where there is phase."""


rule megre:
    input:
        by(raw_megre, "magnitudes"),
    output:
        t2star="<out>/anatomical/{folder}/anat/{megre}_T2starmap.nii.gz",
        r2star="<out>/anatomical/{folder}/anat/{megre}_R2starmap.nii.gz",
        s0="<out>/anatomical/{folder}/anat/{megre}_S0map.nii.gz",
        combined="<out>/anatomical/{folder}/anat/{megre}_desc-combined_T2starw.nii.gz",
        figure=report(
            "<out>/anatomical/{folder}/figures/{megre}_T2starmap.png",
            caption="../report/megre.rst",
            category="Anatomy",
            labels={"subject": "{megre}", "figure": "T2* of the multi-echo GRE"},
        ),
    log:
        "<logs>/megre/{folder}/{megre}.log",
    benchmark:
        "<benchmarks>/megre/{folder}/{megre}.tsv"
    conda:
        "../../envs/multiecho.yaml"
    resources:
        mem_mb=memory(0, 4000),
        runtime=minutes(15),
    params:
        te=by(parameters.megre_times),
        code=code("megre_decay"),
    script:
        "../scripts/megre_decay.py"


rule megre_field:
    input:
        by(raw_megre, "magnitudes", "phases"),
    output:
        field="<out>/anatomical/{folder}/fmap/{megre}_fieldmap.nii.gz",
        magnitude="<out>/anatomical/{folder}/fmap/{megre}_magnitude.nii.gz",
    log:
        "<logs>/megre_field/{folder}/{megre}.log",
    benchmark:
        "<benchmarks>/megre_field/{folder}/{megre}.tsv"
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=memory(0, 6000),
        runtime=minutes(30),
    params:
        rows=by(parameters.megre_rows),
        settings=chosen("fmap", "phase_range", "curvature", "steepest_hz_mm"),
        code=code("megre_field"),
    script:
        "../scripts/megre_field.py"
