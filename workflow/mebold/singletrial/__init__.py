"""Single-trial fits (GLMsingle).

Read session (runs and design), fit (the entry), stages (the order of the passes), then on_off,
hrf_search, components, badness, threshold and final; ridge, blocks and stream are their tools,
upstream runs the original program instead; regressors serves questions about a design.
"""
