"""Labels of points that do not cover each other, the points or the edges of their axes."""

import math

import numpy as np
from matplotlib.text import Text

SIZE = 7.5  # points
RINGS = (7, 12, 18, 26, 36, 48, 62, 80, 105, 135, 170, 215, 270, 340, 430)  # pixels from the point
ANGLES = [math.radians(a) for a in (0, 180, 90, 270, 45, 315, 135, 225, 20, 340, 160, 200, 70, 110, 250, 290)]


def place(axes, labels, points, texts=()):
    """Writes every label beside its point at the nearest free place, a thin line to it where that is far.

    Args:
        axes: matplotlib Axes whose limits are final.
        labels: [(x, y, text, color)] in data coordinates.
        points: [(x, y)] that no label may cover.
        texts: what is written already.
    """
    renderer = axes.figure.canvas.get_renderer()
    to_pixels, frame = axes.transData, axes.get_window_extent(renderer)
    taken = [_around(*to_pixels.transform(p), 4, 4) for p in points]
    back = to_pixels.inverted()
    for other in filter(None, [axes.get_legend(), *texts]):
        box = other.get_window_extent(renderer)
        taken.append((box.x0, box.y0, box.x1, box.y1))
    for x, y, text, color in sorted(labels, key=lambda v: (-v[1], v[0])):
        px, py = to_pixels.transform((x, y))
        probe = Text(0, 0, text, fontsize=SIZE, figure=axes.figure)
        extent = probe.get_window_extent(renderer)
        width, height = extent.width + 2, extent.height + 1
        best = _free(px, py, width, height, taken, frame)
        if best is None:
            continue
        cx, cy = best
        taken.append(_around(cx, cy, width / 2, height / 2))
        at = back.transform((cx, cy))
        far = math.hypot(cx - px, cy - py) > 14 + width / 2
        axes.annotate(
            text, (x, y), at, fontsize=SIZE, color=np.asarray(color) * 0.75, ha="center", va="center", zorder=4,
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.5, "alpha": 0.8, "shrinkA": 0, "shrinkB": 2}
            if far or abs(cy - py) > 12 else None,
        )  # fmt: skip


def _around(x, y, half_width, half_height):
    return (x - half_width, y - half_height, x + half_width, y + half_height)


def _free(px, py, width, height, taken, frame):
    """The centre of the nearest box that meets nothing, or None."""
    boxes = np.asarray(taken)
    for ring in RINGS:
        for angle in ANGLES:
            dx, dy = math.cos(angle), math.sin(angle)
            x = px + dx * (ring + width / 2 * abs(dx))
            y = py + dy * (ring + height / 2 * abs(dy))
            a, b, c, d = _around(x, y, width / 2, height / 2)
            if a < frame.x0 or b < frame.y0 or c > frame.x1 or d > frame.y1:
                continue
            if not np.any((boxes[:, 0] < c) & (boxes[:, 2] > a) & (boxes[:, 1] < d) & (boxes[:, 3] > b)):
                return x, y
    return None
