"""Output grid of a subject in a template: its field of view, voxels of the BOLD."""


rule grid:
    input:
        unpack(template_files),
        t1w=rules.anat.output.t1w,
        mask=rules.anat.output.mask,
        dseg=rules.anat.output.dseg,
        to_t1w=of_subject(rules.template.output.to_t1w),
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
