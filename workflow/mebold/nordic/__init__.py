"""NORDIC.

Read denoise (the entry), run (the stages of one run), passes, then patches, grams, rank;
options, phase, noise_volumes and noise_map prepare, echo and record meet files and words.
survival (what the threshold lets through) and weakest (said of a run) are apart from the denoising.
"""
