"""mebold: raw multi-echo fMRI to single-trial betas and noise ceilings.

One package per stage, named as its rule file. Read geometry and files for what everything
stands on, then the stages in the order of the science: anat, hmc, fmap, sdc, nordic, coreg,
resample, multiecho, confounds, singletrial, noiseceiling, rois, compare. Import modules, never
packages: these files stay empty.
"""
