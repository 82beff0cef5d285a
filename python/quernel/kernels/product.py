"""product_loop: the matrix product of the Numba fallbacks."""

from .kernel import jit


@jit
def product_loop(y, a, b):
    """y[s] = a[s] @ b[s] for C-contiguous (s, m, k) and (s, k, n): four rows of y share each row of b."""
    m, k = a.shape[1:]
    for s in range(y.shape[0]):
        y[s] = 0
        i = 0
        while i + 4 <= m:
            y0, y1, y2, y3 = y[s, i], y[s, i + 1], y[s, i + 2], y[s, i + 3]
            for q in range(k):
                a0, a1, a2, a3 = a[s, i, q], a[s, i + 1, q], a[s, i + 2, q], a[s, i + 3, q]
                row = b[s, q]
                for j in range(row.size):
                    y0[j] += a0 * row[j]
                    y1[j] += a1 * row[j]
                    y2[j] += a2 * row[j]
                    y3[j] += a3 * row[j]
            i += 4
        while i < m:
            y0 = y[s, i]
            for q in range(k):
                a0 = a[s, i, q]
                row = b[s, q]
                for j in range(row.size):
                    y0[j] += a0 * row[j]
            i += 1
