"""T2w in the frame of the T1w."""


rule t2w:
    input:
        t2w=raw_t2w,
        t1w=rules.anat.output.t1w,
        mask=rules.anat.output.mask,
    output:
        t2w="<out>/anatomical/{sub}/anat/{sub}_space-T1w_desc-preproc_T2w.nii.gz",
        xfm="<out>/anatomical/{sub}/anat/{sub}_from-T2w_to-T1w_mode-image_xfm.txt",
        info="<out>/anatomical/{sub}/anat/{sub}_from-T2w_to-T1w_mode-image_xfm.json",
        figure=report(
            "<out>/anatomical/{sub}/figures/{sub}_space-T1w_desc-preproc_T2w.png",
            caption="../report/t2w.rst",
            category="Anatomy",
            labels={"subject": "{sub}", "figure": "T2w edges on T1w"},
        ),
    log:
        "<logs>/t2w/{sub}.log",
    benchmark:
        "<benchmarks>/t2w/{sub}.tsv"
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=anatomy_memory(400, 60),
        runtime=minutes(20),
    params:
        settings=chosen("coreg", "least_mutual_information"),
        seed=config["seed"],
        code=code("t2w_align"),
    script:
        "../scripts/t2w_align.py"
