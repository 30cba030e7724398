"""B0 field in Hz from the fieldmaps of a session, and distortion correction of the references."""


rule fmap:
    input:
        raw_fieldmaps,
    output:
        field="<out>/preproc/{folder}/fmap/{ses}_desc-preproc_fieldmap.nii.gz",
        magnitude="<out>/preproc/{folder}/fmap/{ses}_desc-preproc_magnitude.nii.gz",
        info="<out>/preproc/{folder}/fmap/{ses}_desc-preproc_fieldmap.json",
    log:
        "<logs>/fmap/{folder}/{ses}.log",
    benchmark:
        "<benchmarks>/fmap/{folder}/{ses}.tsv"
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=memory(0, 3000),
        runtime=minutes(20),
    params:
        rows=runs.fieldmap_parameters,
        settings=config["fmap"],
        code=code("fmap_field"),
    script:
        "../scripts/fmap_field.py"


rule sdc:
    input:
        boldref=rules.hmc.output.boldref,
        mask=rules.hmc.output.mask,
        field=of_field(rules.fmap.output.field),
        magnitude=of_field(rules.fmap.output.magnitude),
        info=of_field(rules.fmap.output.info),
    output:
        boldref="<out>/preproc/{folder}/func/{stem}_desc-sdc_boldref.nii.gz",
        field="<out>/preproc/{folder}/fmap/{stem}_desc-boldref_fieldmap.nii.gz",
        figure=report(
            "<out>/preproc/{folder}/figures/{stem}_desc-sdc_boldref.png",
            caption="../report/sdc.rst",
            category="Preprocessing",
            subcategory="{folder}",
            labels={"run": "{stem}", "figure": "distortion correction"},
        ),
    log:
        "<logs>/sdc/{folder}/{stem}.log",
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=memory(0, 2000),
        runtime=minutes(10),
    params:
        run=runs.run_parameters,
        settings=config["fmap"],
        hmc=config["hmc"],
        code=code("sdc_boldref"),
    script:
        "../scripts/sdc_boldref.py"


rule sdc_dynamic:
    input:
        magnitude=raw_magnitude,
        phase=raw_phase,
        sbref=raw_sbref,
        motion=rules.hmc.output.motion,
        volumes=rules.hmc.output.volumes,
        mask=rules.hmc.output.mask,
        field=rules.sdc.output.field,
    output:
        change="<out>/preproc/{folder}/fmap/{stem}_desc-change_fieldmap.nii.gz",
        motion="<out>/preproc/{folder}/func/{stem}_from-orig_to-boldref_mode-image_desc-dynamic_xfm.txt",
        figure=report(
            "<out>/preproc/{folder}/figures/{stem}_desc-change_fieldmap.png",
            caption="../report/sdc_dynamic.rst",
            category="Preprocessing",
            subcategory="{folder}",
            labels={"run": "{stem}", "figure": "change of the field"},
        ),
    log:
        "<logs>/sdc_dynamic/{folder}/{stem}.log",
    benchmark:
        "<benchmarks>/sdc_dynamic/{folder}/{stem}.tsv"
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(12, 2000),
        runtime=minutes(30),
    params:
        run=runs.run_parameters,
        settings=config["fmap"],
        hmc=config["hmc"],
        code=code("sdc_dynamic"),
    script:
        "../scripts/sdc_dynamic.py"
