"""T1w: bias field, brain mask, tissue classes, and their measures."""


rule anat:
    input:
        t1w=raw_t1w,
        repeats=raw_t1w_repeats,
        mask_source=mask_source,
        given_mask=network_mask,
    output:
        t1w="<out>/anatomical/{sub}/anat/{sub}_desc-preproc_T1w.nii.gz",
        mask="<out>/anatomical/{sub}/anat/{sub}_desc-brain_mask.nii.gz",
        dseg="<out>/anatomical/{sub}/anat/{sub}_dseg.nii.gz",
        labels="<out>/anatomical/{sub}/anat/{sub}_dseg.tsv",
        csf="<out>/anatomical/{sub}/anat/{sub}_label-CSF_probseg.nii.gz",
        gm="<out>/anatomical/{sub}/anat/{sub}_label-GM_probseg.nii.gz",
        wm="<out>/anatomical/{sub}/anat/{sub}_label-WM_probseg.nii.gz",
        measures="<out>/anatomical/{sub}/anat/{sub}_desc-anat_measures.tsv",
        figure=report(
            "<out>/anatomical/{sub}/figures/{sub}_desc-segmentation_T1w.png",
            caption="../report/anat.rst",
            category="Anatomy",
            labels={"subject": "{sub}", "figure": "brain mask and tissue classes"},
        ),
    log:
        "<logs>/anat/{sub}.log",
    benchmark:
        "<benchmarks>/anat/{sub}.tsv"
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=anatomy_memory(900, 170),
        runtime=minutes(15, anatomy=2),
    params:
        settings=chosen("anat", "priors", "prior_weight", "registration_mm"),
        limits=chosen("template", "least_correlation", "least_dice"),
        seed=config["seed"],
        code=code("anat_preprocess"),
    script:
        "../scripts/anat_preprocess.py"
