"""Tools that find a transform; they know no stage.

Read rigid (the entry) and gauss_newton; ants, ants_syn and affine for images of other contrast;
unlike (starts for them, and their neighbours), similarity and doubts judge.
"""
