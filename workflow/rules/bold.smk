"""The preprocessed BOLD image that users read, named by the way its echoes were combined."""

BOLD_KEYS = ("stem", "task", "tr_out", "echo_times", "single_echo", "slice_timing")


rule bold_single:
    input:
        store=series_of_variant,
        samples=of_level(rules.series.output.samples),
        coverage=of_level(rules.series.output.coverage),
        mask=of_subject(rules.grid.output.series_mask),
        brain=of_subject(rules.grid.output.mask),
        boldref=run_boldref,
        xfm=rules.coreg_run.output.xfm,
        displacement=grid_displacement,
    output:
        bold="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-preproc_bold.nii.gz",
        mask="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-brain_mask.nii.gz",
        series_mask="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-dilated_mask.nii.gz",
        coverage="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-coverage_boldmap.nii.gz",
        boldref="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-preproc_boldref.nii.gz",
        figure="<out>/{dataset}/{folder}/figures/{stem}_space-<space>_desc-tsnr_bold.png",
    log:
        "<logs>/bold/{dataset}/{folder}/{stem}.log",
    wildcard_constraints:
        dataset="preproc-(standard|nordic)Single",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 450, output=0.9),
        runtime=minutes(20),
    params:
        run=by(parameters.of_run, *BOLD_KEYS),
        echoes=lambda wildcards: VARIANTS[variant_of(wildcards.dataset)][1],
        sources=by(parameters.raw_of_run),
        reference=spatial_reference,
        code=code("bold_write"),
    script:
        "../scripts/bold_write.py"


use rule bold_single as bold_optcom with:
    output:
        bold="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-optcom_bold.nii.gz",
        linked="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-preproc_bold.nii.gz",
        mask="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-brain_mask.nii.gz",
        series_mask="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-dilated_mask.nii.gz",
        coverage="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-coverage_boldmap.nii.gz",
        boldref="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-preproc_boldref.nii.gz",
        figure="<out>/{dataset}/{folder}/figures/{stem}_space-<space>_desc-tsnr_bold.png",
    wildcard_constraints:
        dataset="tedana|preproc-standardOptcom",


use rule bold_single as bold_ica with:
    input:
        store=series_of_variant,
        samples=of_level(rules.series.output.samples),
        coverage=of_level(rules.series.output.coverage),
        mask=of_subject(rules.grid.output.series_mask),
        brain=of_subject(rules.grid.output.mask),
        boldref=run_boldref,
        xfm=rules.coreg_run.output.xfm,
        displacement=grid_displacement,
        outcome=ica_outcome,
    output:
        bold="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-denoised_bold.nii.gz",
        mask="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-brain_mask.nii.gz",
        series_mask="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-dilated_mask.nii.gz",
        coverage="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-coverage_boldmap.nii.gz",
        boldref="<out>/{dataset}/{folder}/func/{stem}_space-<space>_desc-preproc_boldref.nii.gz",
        figure="<out>/{dataset}/{folder}/figures/{stem}_space-<space>_desc-tsnr_bold.png",
    wildcard_constraints:
        dataset="preproc-(standard|nordic)Ica",


rule bold_echo:
    input:
        store=of_level(rules.series.output.store),
        samples=of_level(rules.series.output.samples),
        mask=of_subject(rules.grid.output.series_mask),
    output:
        bold="<out>/{dataset}/{folder}/func/{stem}{echo}_space-<space>_desc-preproc_bold.nii.gz",
    log:
        "<logs>/bold/{dataset}/{folder}/{stem}{echo}.log",
    wildcard_constraints:
        echo="_echo-[A-Za-z0-9]+",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 1500, output=3),
        runtime=minutes(20),
    params:
        run=by(parameters.as_single_echo, *BOLD_KEYS),
        sources=by(parameters.raw_of_run),
        reference=spatial_reference,
        code=code("bold_echo"),
    script:
        "../scripts/bold_echo.py"
