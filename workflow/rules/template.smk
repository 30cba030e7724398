"""Alignment of the T1w with the template, in both directions."""


rule template:
    input:
        unpack(template_files),
        t1w=rules.anat.output.t1w,
        mask=rules.anat.output.mask,
    output:
        to_t1w="<out>/anatomical/{sub}/anat/{sub}_from-T1w_to-{template}_mode-image_xfm.nii.gz",
        to_template="<out>/anatomical/{sub}/anat/{sub}_from-{template}_to-T1w_mode-image_xfm.nii.gz",
        figure=report(
            "<out>/anatomical/{sub}/figures/{sub}_space-{template}_T1w.png",
            caption="../report/template.rst",
            category="Anatomy",
            labels={"subject": "{sub}", "figure": "template edges on T1w"},
        ),
    log:
        "<logs>/template/{sub}_{template}.log",
    benchmark:
        "<benchmarks>/template/{sub}_{template}.tsv"
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=memory(0, 4000),
        runtime=minutes(60),
    params:
        settings=chosen(
            "template", "registration_mm", "least_correlation", "least_dice"
        ),
        seed=config["seed"],
        dark_fluid=by(parameters.dark_fluid),
        reference=template_reference,
        code=code("template_align"),
    script:
        "../scripts/template_align.py"
