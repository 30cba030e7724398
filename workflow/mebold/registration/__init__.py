"""Tools that find a transform; they know no stage.

Read rigid (the entry) and gauss_newton; ants, ants_syn and affine for images of other contrast;
similarity and doubts judge.
"""
