"""Template space: alignment of the T1w with the template, and the output grid there."""


rule template:
    input:
        unpack(template_files),
        t1w=rules.anat.output.t1w,
        mask=rules.anat.output.mask,
    output:
        to_t1w="<out>/anatomical/{sub}/anat/{sub}_from-T1w_to-<space>_mode-image_xfm.nii.gz",
        to_template="<out>/anatomical/{sub}/anat/{sub}_from-<space>_to-T1w_mode-image_xfm.nii.gz",
        figure=report(
            "<out>/anatomical/{sub}/figures/{sub}_space-<space>_T1w.png",
            caption="../report/template.rst",
            category="Anatomy",
            labels={"subject": "{sub}", "figure": "template edges on T1w"},
        ),
    log:
        "<logs>/template/{sub}.log",
    benchmark:
        "<benchmarks>/template/{sub}.tsv"
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
        reference=spatial_reference,
        code=code("template_align"),
    script:
        "../scripts/template_align.py"


rule grid:
    input:
        unpack(template_files),
        t1w=rules.anat.output.t1w,
        mask=rules.anat.output.mask,
        dseg=rules.anat.output.dseg,
        to_t1w=rules.template.output.to_t1w,
    output:
        underlay="<out>/anatomical/{sub}/anat/{sub}_space-<space>_res-bold_desc-preproc_T1w.nii.gz",
        mask="<out>/anatomical/{sub}/anat/{sub}_space-<space>_res-bold_desc-brain_mask.nii.gz",
        series_mask="<out>/anatomical/{sub}/anat/{sub}_space-<space>_res-bold_desc-dilated_mask.nii.gz",
        dseg="<out>/anatomical/{sub}/anat/{sub}_space-<space>_res-bold_dseg.nii.gz",
        labels="<out>/anatomical/{sub}/anat/{sub}_space-<space>_res-bold_dseg.tsv",
        displacement="<out>/anatomical/{sub}/anat/{sub}_from-T1w_to-<space>_mode-image_desc-grid_xfm.nii.gz",
    log:
        "<logs>/grid/{sub}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 3000),
        runtime=minutes(10),
    params:
        voxel_mm=by(parameters.output_voxel_mm),
        dilation=config["output"]["mask_dilation_voxels"],
        reference=spatial_reference,
        code=code("grid_template"),
    script:
        "../scripts/grid_template.py"
