"""Compiled loops that read rimmed coefficients at transformed points.

Points are handled in blocks: a first pass turns their coordinates into an offset and a fraction per
axis, which vectorises over points; a second pass sums the 64 taps of each point, which vectorises
over the taps. Kernels that call each other stay in this file, because numba's disk cache notices
changes of the file that holds the caller only.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from mebold.geometry.bspline import RIM
from mebold.geometry.jit import inlined, kernel

#: Points located before their taps are summed: the scratch arrays stay in the first-level cache.
_POINTS = 256

#: Distance in voxels from the outermost voxel centres at which a point still counts as inside;
#: negative is outwards. Half a voxel for output, one voxel inwards for registration.
FIELD_OF_VIEW = np.float32(-0.5)


@intrinsic
def _sum_taps(_typing, coefficients, offset, row, plane, weights, point):
    """Sum 4 x 4 x 4 taps from a flat array, four along the last axis at a time.

    numba does not turn the four neighbours into one vector by itself, which costs a factor of two.
    """
    signature = types.float32(coefficients, offset, row, plane, weights, point)

    def build(context, builder, signature, arguments):
        single, lane = ir.FloatType(), ir.IntType(32)
        vector = ir.VectorType(single, 4)
        flags = ("contract", "reassoc", "nsz")
        array = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
        table = cgutils.create_struct_proxy(signature.args[4])(context, builder, arguments[4])
        offset, row, plane, point = arguments[1], arguments[2], arguments[3], arguments[5]
        _, columns = cgutils.unpack_tuple(builder, table.shape, 2)

        def weight(n):
            index = builder.add(builder.mul(columns, ir.Constant(columns.type, n)), point)
            return builder.load(builder.gep(table.data, [index]))

        def spread(value):
            one = builder.insert_element(
                ir.Constant(vector, ir.Undefined), value, ir.Constant(lane, 0)
            )
            return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(lane, 4), [0] * 4))

        x, y, z = ([weight(4 * axis + n) for n in range(4)] for axis in range(3))
        sums = []
        for p in range(4):
            start = builder.add(offset, builder.mul(plane, ir.Constant(plane.type, p)))
            part = None
            for q in range(4):
                address = builder.gep(array.data, [start])
                taps = builder.load(builder.bitcast(address, vector.as_pointer()))
                taps.align = 4
                term = builder.fmul(taps, spread(y[q]), flags=flags)
                part = term if part is None else builder.fadd(part, term, flags=flags)
                start = builder.add(start, row)
            sums.append(builder.fmul(part, spread(x[p]), flags=flags))
        total = builder.fadd(
            builder.fadd(sums[0], sums[1], flags=flags),
            builder.fadd(sums[2], sums[3], flags=flags),
            flags=flags,
        )
        result = ir.Constant(single, 0.0)
        for n in range(4):
            value = builder.extract_element(total, ir.Constant(lane, n))
            result = builder.fadd(builder.fmul(value, z[n], flags=flags), result, flags=flags)
        return result

    return signature, build


@inlined
def _locate(points, first, n, matrix, along, shift, shape, edge, offsets, fractions):
    """Map points (3, V) from index first; write the first tap's offset (-1 outside), fractions."""
    nx, ny, nz = shape[0] - 2 * RIM, shape[1] - 2 * RIM, shape[2] - 2 * RIM
    plane, row = np.int32(shape[1] * shape[2]), np.int32(shape[2])
    low = np.float32(edge)
    one = np.int32(1)
    high_x = np.float32(nx - 1) - low
    high_y = np.float32(ny - 1) - low
    high_z = np.float32(nz - 1) - low
    m00, m01, m02, m03 = matrix[0, 0], matrix[0, 1], matrix[0, 2], matrix[0, 3]
    m10, m11, m12, m13 = matrix[1, 0], matrix[1, 1], matrix[1, 2], matrix[1, 3]
    m20, m21, m22, m23 = matrix[2, 0], matrix[2, 1], matrix[2, 2], matrix[2, 3]
    ax, ay, az = along[0], along[1], along[2]
    px = points[0, first : first + n]
    py = points[1, first : first + n]
    pz = points[2, first : first + n]
    moved = shift.size > 0
    shift = shift[first : first + n]
    for b in range(n):
        s = shift[b] if moved else np.float32(0.0)
        x = m00 * px[b] + m01 * py[b] + m02 * pz[b] + m03 + ax * s
        y = m10 * px[b] + m11 * py[b] + m12 * pz[b] + m13 + ay * s
        z = m20 * px[b] + m21 * py[b] + m22 * pz[b] + m23 + az * s
        fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
        fractions[0, b] = x - fx
        fractions[1, b] = y - fy
        fractions[2, b] = z - fz
        # Half-open, so that a point half-way between two voxels has one nearest neighbour.
        good = (x >= low) & (y >= low) & (z >= low) & (x < high_x) & (y < high_y) & (z < high_z)
        offset = (np.int32(fx) + one) * plane + (np.int32(fy) + one) * row + np.int32(fz) + one
        offsets[b] = offset if good else np.int32(-1)


@inlined
def _weigh(fractions, n, order, weights):
    """Turn fractions (3, n) into the four weights of each axis, weights (12, n)."""
    one = np.float32(1.0)
    zero = np.float32(0.0)
    half = np.float32(0.5)
    sixth = np.float32(1.0 / 6.0)
    two_thirds = np.float32(2.0 / 3.0)
    for axis in range(3):
        for b in range(n):
            t = fractions[axis, b]
            u = one - t
            if order == 3:
                weights[4 * axis, b] = u * u * u * sixth
                weights[4 * axis + 1, b] = two_thirds - t * t + half * t * t * t
                weights[4 * axis + 2, b] = two_thirds - u * u + half * u * u * u
                weights[4 * axis + 3, b] = t * t * t * sixth
            else:
                if order == 0:
                    t = zero if t < half else one
                weights[4 * axis, b] = zero
                weights[4 * axis + 1, b] = one - t
                weights[4 * axis + 2, b] = t
                weights[4 * axis + 3, b] = zero


@kernel
def gather(c, points, matrix, along, shift, order, fill, out):
    """Interpolate all echoes c (E, x, y, z) at transformed points (3, V) into out (E, V)."""
    echoes = c.shape[0]
    voxels = points.shape[1]
    shape = c.shape[1:]
    plane, row = shape[1] * shape[2], shape[2]
    offsets = np.empty(_POINTS, np.int32)
    fractions = np.empty((3, _POINTS), np.float32)
    weights = np.empty((12, _POINTS), np.float32)
    for first in range(0, voxels, _POINTS):
        n = min(_POINTS, voxels - first)
        _locate(points, first, n, matrix, along, shift, shape, FIELD_OF_VIEW, offsets, fractions)
        _weigh(fractions, n, order, weights)
        for e in range(echoes):
            flat = c[e].reshape(-1)
            for b in range(n):
                offset = np.int64(offsets[b])
                if offset >= 0:
                    out[e, first + b] = _sum_taps(flat, offset, row, plane, weights, b)
                else:
                    out[e, first + b] = fill


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
def count_inside(points, matrix, along, shift, shape, count):
    """Add 1 to count where a transformed point lies in the field of view."""
    offsets = np.empty(_POINTS, np.int32)
    fractions = np.empty((3, _POINTS), np.float32)
    for first in range(0, points.shape[1], _POINTS):
        n = min(_POINTS, points.shape[1] - first)
        _locate(points, first, n, matrix, along, shift, shape, FIELD_OF_VIEW, offsets, fractions)
        for b in range(n):
            if offsets[b] >= 0:
                count[first + b] += 1


@inlined
def _add_products(weight, x, y, z, n, sums):
    """Add the sums of weight times 1, x, y, z, xx, yy, zz, xy, xz, yz over a block."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = s8 = s9 = np.float32(0.0)
    for b in range(n):
        w = weight[b]
        wx, wy, wz = w * x[b], w * y[b], w * z[b]
        s0 += w
        s1 += wx
        s2 += wy
        s3 += wz
        s4 += wx * x[b]
        s5 += wy * y[b]
        s6 += wz * z[b]
        s7 += wx * y[b]
        s8 += wx * z[b]
        s9 += wy * z[b]
    for m, part in enumerate((s0, s1, s2, s3, s4, s5, s6, s7, s8, s9)):
        sums[m] += part


@inlined
def _scale(values, gain, x, y, z, n):
    """Multiply values by the quadratic polynomial with the coefficients gain, in place."""
    g0, g1, g2, g3, g4 = gain[0], gain[1], gain[2], gain[3], gain[4]
    g5, g6, g7, g8, g9 = gain[5], gain[6], gain[7], gain[8], gain[9]
    for b in range(n):
        px, py, pz = x[b], y[b], z[b]
        values[b] *= (
            g0
            + px * (g1 + g4 * px + g7 * py + g8 * pz)
            + py * (g2 + g5 * py + g9 * pz)
            + pz * (g3 + g6 * pz)
        )


@inlined
def _add_sums(moving, fixed, n, residual, sums):
    """Write the residual of a block and add its sums of v, r, vv, rr, vr."""
    v = r = vv = rr = vr = np.float32(0.0)
    for b in range(n):
        residual[b] = moving[b] - fixed[b]
        v += moving[b]
        r += fixed[b]
        vv += moving[b] * moving[b]
        rr += fixed[b] * fixed[b]
        vr += moving[b] * fixed[b]
    sums[1] += v
    sums[2] += r
    sums[3] += vv
    sums[4] += rr
    sums[5] += vr


@kernel
def compare(c, points, slopes, values, matrix, gain, edge, inside, gradient, sums):
    """Compare a volume c with reference values (N,) at transformed points (3, N).

    v is the volume's value times the quadratic polynomial `gain` (10,) of the point, r the value of
    the reference. inside (N,) tells which points lie in the volume; over these, gradient (16,)
    becomes the sum of v - r times slopes (6, N) and times r and the ten monomials; sums (6,) the
    count and the sums of v, r, vv, rr, vr.
    """
    gradient[:] = 0.0
    sums[:] = 0.0
    flat = c.reshape(-1)
    shape = c.shape
    plane, row = shape[1] * shape[2], shape[2]
    nothing = np.zeros(3, np.float32)
    still = np.zeros(0, np.float32)
    offsets = np.empty(_POINTS, np.int32)
    fractions = np.empty((3, _POINTS), np.float32)
    weights = np.empty((12, _POINTS), np.float32)
    moving = np.empty(_POINTS, np.float32)
    fixed = np.empty(_POINTS, np.float32)
    residual = np.empty(_POINTS, np.float32)
    for first in range(0, points.shape[1], _POINTS):
        n = min(_POINTS, points.shape[1] - first)
        _locate(points, first, n, matrix, nothing, still, shape, edge, offsets, fractions)
        _weigh(fractions, n, 3, weights)
        x, y, z = (
            points[0, first : first + n],
            points[1, first : first + n],
            points[2, first : first + n],
        )
        for b in range(n):
            offset = np.int64(offsets[b])
            inside[first + b] = offset >= 0
            if offset >= 0:
                moving[b] = _sum_taps(flat, offset, row, plane, weights, b)
                fixed[b] = values[first + b]
                sums[0] += 1.0
            else:
                moving[b] = np.float32(0.0)
                fixed[b] = np.float32(0.0)
        _scale(moving, gain, x, y, z, n)
        _add_sums(moving, fixed, n, residual, sums)
        for m in range(6):
            line = slopes[m, first : first + n]
            part = np.float32(0.0)
            for b in range(n):
                part += line[b] * residual[b]
            gradient[m] += part
        for b in range(n):
            residual[b] *= fixed[b]
        _add_products(residual, x, y, z, n, gradient[6:])
