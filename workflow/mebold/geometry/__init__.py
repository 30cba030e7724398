"""Where things are, and reading them there.

Read affines, grids and masks, then phase_encoding and displacement, then interpolation with its
kernels bspline and bspline_sampling; jit compiles them.
"""
