"""mebold: raw BIDS multi-echo fMRI to single-trial betas and noise-ceiling maps.

Stages are included in the order of the science. `snakemake -n` lists the jobs, `make plan` says
which stages run for which run and why one does not. Configuration: config/README.md.
"""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.3")


# `workflow.basedir` is another folder where this file is a module of another workflow.
configfile: f"{Path(workflow.snakefile).parent}/config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/common.smk"


# What `output.space: auto` means follows from the run table.
pathvars:
    out=OUT,
    work=str(Path(OUT, "work")),
    logs=str(Path(OUT, "work", "logs")),
    benchmarks=str(Path(OUT, "work", "benchmarks")),
    space=runs.space,
    anchor=runs.anchor,
    template=str(runs.template),


include: "workflow/inputs/raw.smk"
include: "workflow/inputs/geometry.smk"
include: "workflow/inputs/series.smk"
include: "workflow/inputs/regions.smk"
include: "workflow/inputs/targets.smk"
include: "workflow/rules/inventory.smk"
include: "workflow/rules/mp2rage.smk"
include: "workflow/rules/megre.smk"
include: "workflow/rules/antspynet.smk"
include: "workflow/rules/anat.smk"
include: "workflow/rules/t2w.smk"
include: "workflow/rules/hmc.smk"
include: "workflow/rules/fmap.smk"
include: f"workflow/rules/sdc_{'medic' if config['sdc'] == 'medic' else 'fieldmap'}.smk"
include: "workflow/rules/sdc_dynamic.smk"
include: "workflow/rules/gradunwarp.smk"
include: "workflow/rules/nordic.smk"
include: "workflow/rules/coreg.smk"


if runs.template_identifiers:

    include: "workflow/rules/template.smk"
    include: "workflow/rules/template_morphometry.smk"


include: f"workflow/rules/grid_{runs.grid_kind}.smk"
include: "workflow/rules/resample.smk"
include: "workflow/rules/multiecho.smk"
include: "workflow/rules/bold.smk"
include: "workflow/rules/confounds.smk"
include: "workflow/rules/singletrial.smk"
include: "workflow/rules/noiseceiling.smk"
include: "workflow/rules/report.smk"


if config["output"]["maps_space"]:

    include: "workflow/rules/template_maps.smk"


if config["rois"]["surface"]["spaces"]:

    include: "workflow/rules/surface_maps.smk"


include: "workflow/rules/compare.smk"
include: "workflow/rules/rois.smk"
include: "workflow/inputs/records.smk"
include: "workflow/inputs/signatures.smk"


# What a defect left out is said last, and makes the exit status 1; `exclude` accepts it.
onsuccess:
    give_back()
    anatomy_table()
    report_pages()
    if workflow.is_main_process and found.closing():
        raise WorkflowError(found.closing())


onerror:
    give_back()
    logged = "".join(Path(file).read_text() for file in log if Path(file).exists())
    failed = failures.found_in(logged)
    anatomy_table()
    report_pages(failed)
    if told := failures.said(failed):
        logger.error(told)
    if found.closing():
        logger.error(found.closing())


rule all:
    default_target: True
    input:
        rules.datasets.output,
        rules.plan.output,
        anatomy_targets,
        preprocessing_targets,
        single_trial_targets,
        region_targets,
        comparison_targets,


rule preprocessing:
    input:
        rules.datasets.output,
        rules.plan.output,
        anatomy_targets,
        preprocessing_targets,


rule anatomy:
    input:
        rules.datasets.output,
        anatomy_targets,


rule anat_only:
    input:
        rules.datasets.output,
        rules.plan.output,
        anatomy_targets,


rule comparison:
    input:
        rules.datasets.output,
        comparison_targets,
