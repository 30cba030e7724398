"""Volume change between template and T1w, and grey matter of the subject in the template."""


rule template_morphometry:
    input:
        unpack(template_files),
        t1w=rules.anat.output.t1w,
        mask=rules.anat.output.mask,
        gm=rules.anat.output.gm,
        to_t1w=rules.template.output.to_t1w,
    output:
        jacobian="<out>/anatomical/{sub}/anat/{sub}_space-{template}_desc-jacobian_anatmap.nii.gz",
        grey="<out>/anatomical/{sub}/anat/{sub}_space-{template}_label-GM_desc-modulated_probseg.nii.gz",
        flicker=report(
            "<out>/anatomical/{sub}/figures/{sub}_space-{template}_desc-flicker_T1w.svg",
            caption="../report/template_flicker.rst",
            category="Anatomy",
            labels={"subject": "{sub}", "figure": "template edges, before and after"},
        ),
        figure=report(
            "<out>/anatomical/{sub}/figures/{sub}_space-{template}_desc-jacobian_anatmap.png",
            caption="../report/template_jacobian.rst",
            category="Anatomy",
            labels={"subject": "{sub}", "figure": "volume change to the template"},
        ),
    log:
        "<logs>/template_morphometry/{sub}_{template}.log",
    benchmark:
        "<benchmarks>/template_morphometry/{sub}_{template}.tsv"
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=memory(0, 3000),
        runtime=minutes(15),
    params:
        settings=chosen("template", "vbm_fwhm_mm"),
        reference=template_reference,
        code=code("template_morphometry"),
    script:
        "../scripts/template_morphometry.py"
