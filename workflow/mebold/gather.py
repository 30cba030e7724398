"""Compiled loops that read volumes at transformed points and write masked series."""

import math

import numpy as np

from mebold import bspline
from mebold.bspline import RIM
from mebold.jit import kernel


@kernel
def gather(c, base, matrix, along, shift, order, fill, out):
    """Interpolate all echoes c (E, x, y, z) at the transformed points; out is (E, V)."""
    echoes = c.shape[0]
    nx, ny, nz = c.shape[1] - 2 * RIM, c.shape[2] - 2 * RIM, c.shape[3] - 2 * RIM
    m00, m01, m02, m03 = matrix[0, 0], matrix[0, 1], matrix[0, 2], matrix[0, 3]
    m10, m11, m12, m13 = matrix[1, 0], matrix[1, 1], matrix[1, 2], matrix[1, 3]
    m20, m21, m22, m23 = matrix[2, 0], matrix[2, 1], matrix[2, 2], matrix[2, 3]
    moved = shift.size > 0
    half = np.float32(0.5)
    one = np.float32(1.0)
    for v in range(base.shape[0]):
        bx, by, bz = base[v, 0], base[v, 1], base[v, 2]
        x = m00 * bx + m01 * by + m02 * bz + m03
        y = m10 * bx + m11 * by + m12 * bz + m13
        z = m20 * bx + m21 * by + m22 * bz + m23
        if moved:
            s = shift[v]
            x += along[0] * s
            y += along[1] * s
            z += along[2] * s
        if not bspline.inside(x, y, z, nx, ny, nz):
            for e in range(echoes):
                out[e, v] = fill
        elif order == 3:
            i, j, k = math.floor(x), math.floor(y), math.floor(z)
            a = bspline.weights(x - np.float32(i))
            b = bspline.weights(y - np.float32(j))
            d = bspline.weights(z - np.float32(k))
            for e in range(echoes):
                out[e, v] = bspline.cubic(c[e], i + 1, j + 1, k + 1, a, b, d)
        elif order == 1:
            i, j, k = math.floor(x), math.floor(y), math.floor(z)
            a1, b1, d1 = x - np.float32(i), y - np.float32(j), z - np.float32(k)
            a0, b0, d0 = one - a1, one - b1, one - d1
            i, j, k = i + RIM, j + RIM, k + RIM
            for e in range(echoes):
                g = c[e]
                out[e, v] = a0 * (
                    b0 * (d0 * g[i, j, k] + d1 * g[i, j, k + 1])
                    + b1 * (d0 * g[i, j + 1, k] + d1 * g[i, j + 1, k + 1])
                ) + a1 * (
                    b0 * (d0 * g[i + 1, j, k] + d1 * g[i + 1, j, k + 1])
                    + b1 * (d0 * g[i + 1, j + 1, k] + d1 * g[i + 1, j + 1, k + 1])
                )
        else:
            i, j, k = math.floor(x + half), math.floor(y + half), math.floor(z + half)
            i, j, k = min(i, nx - 1) + RIM, min(j, ny - 1) + RIM, min(k, nz - 1) + RIM
            for e in range(echoes):
                out[e, v] = c[e, i, j, k]


@kernel
def store(block, first, factor, clip, out):
    """Write a block (n, E, V) of volumes to out (E, V, T) from time index first."""
    n, echoes, voxels = block.shape
    zero = np.float32(0.0)
    scaled = factor.size > 0
    for e in range(echoes):
        for v in range(voxels):
            f = factor[v] if scaled else np.float32(1.0)
            for b in range(n):
                value = block[b, e, v] * f
                out[e, v, first + b] = zero if clip and value < zero else value


@kernel
def count_inside(base, matrix, along, shift, nx, ny, nz, count):
    """Add 1 to count where the transformed point lies in the field of view."""
    moved = shift.size > 0
    for v in range(base.shape[0]):
        bx, by, bz = base[v, 0], base[v, 1], base[v, 2]
        s = shift[v] if moved else np.float32(0.0)
        x = matrix[0, 0] * bx + matrix[0, 1] * by + matrix[0, 2] * bz + matrix[0, 3] + along[0] * s
        y = matrix[1, 0] * bx + matrix[1, 1] * by + matrix[1, 2] * bz + matrix[1, 3] + along[1] * s
        z = matrix[2, 0] * bx + matrix[2, 1] * by + matrix[2, 2] * bz + matrix[2, 3] + along[2] * s
        if bspline.inside(x, y, z, nx, ny, nz):
            count[v] += 1
