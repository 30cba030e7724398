"""Change of the field during a run, and its motion without that change; only where asked for."""


rule sdc_dynamic:
    input:
        magnitude=raw_magnitude,
        phase=raw_phase,
        native=run_native_field,
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
