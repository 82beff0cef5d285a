"""The bench's picture: a panel for each family, a point and a name for each case, and nothing that covers another."""

import numpy as np
import pytest

from quernel.bench.families import family as c_family
from quernel.testing.cases import speed_cases

pytest.importorskip("matplotlib")
from matplotlib.text import Text  # noqa: E402 - needs matplotlib

from quernel.bench.picture import APART, PANELS, draw, short  # noqa: E402 - needs matplotlib


def _short(case):
    return short({"op": case.op, "case": case.name})


def _row(case, gbs, limit=None):
    return {"op": case.op, "case": case.name, "family": c_family(case), "isa": "avx512", "threads": 1, "flops": 1e6,
            "bytes": 1e6, "gflops": gbs, "gbs": gbs, "footprint": 1e6,
            "roof": {"seconds": 1e6 / (limit or 2 * gbs) / 1e9}}  # fmt: skip


def _draw(rows):
    limits = [("read", "L2", 150.5), ("copy", "L2", 150.0)]
    roofs = [{"isa": "avx512", "threads": t, "probe": p, "in": w, "rate": r, "unit": "GB/s"}
             for p, w, r in limits for t in (1, 2)]  # fmt: skip
    machine = {"quernel": "1", "processor": "p", "date": "2026-01-02"}
    return draw({"rows": rows, "roofs": roofs, "machine": machine})


def test_every_family_has_a_panel():
    shown = [name for names, _ in PANELS for name in names]
    assert {c_family(case) for case in speed_cases()} == set(shown) and len(shown) == len(set(shown))


def _overlaps(texts):
    boxes = [(t.get_text(), Text.get_window_extent(t)) for t in texts if t.get_text()]  # without its arrow
    return [(a, b) for i, (a, one) in enumerate(boxes) for b, other in boxes[:i] if one.overlaps(other)]


@pytest.mark.parametrize("family", ["elementwise", "conv", "softmax and losses"])
def test_cases_of_one_place_have_lines_of_their_own(family):
    cases = [c for c in speed_cases() if c_family(c) == family]
    rows = [{**_row(case, 100.0 + i / 10), "threads": t} for i, case in enumerate(cases) for t in (1, 2)]
    figure = _draw(rows)
    figure.canvas.draw()
    (axes,) = figure.axes
    names = [t.get_text() for t in axes.get_yticklabels()]
    assert len(names) == len(cases) == len(set(names)) and {_short(c) for c in cases} == set(names)
    assert not _overlaps(axes.get_yticklabels()) and not _overlaps(axes.texts)
    for label in axes.get_yticklabels():
        assert figure.bbox.contains(label.get_window_extent().x0, label.get_window_extent().y0), label.get_text()
    marks = [line for line in axes.lines if line.get_marker() in "os" and len(line.get_xdata())]
    heights = sorted(line.get_ydata()[0] for line in marks)
    assert len(marks) == 2 * len(cases) and min(np.diff(heights)) > 0.3
    legend = axes.get_legend().get_window_extent()
    other = [axes.bbox, *(t.get_window_extent() for t in axes.texts)]
    other += [
        t.get_window_extent() for t in [*axes.get_xticklabels(), *axes.get_xticklabels(minor=True)] if t.get_text()
    ]
    assert not any(legend.overlaps(box) for box in other) and figure.bbox.contains(legend.x0, legend.y0)
    assert sum(t.get_text() in ("read L2 150", "copy L2 150") for t in axes.texts) == (family != "conv")  # too close
    dashes = [line for line in axes.lines if line.get_marker() == "|"]
    assert len(dashes) == len(marks)  # each has its roof, at twice its rate
    assert {round(d.get_xdata()[0] / m.get_xdata()[0], 3) for d, m in zip(dashes, marks)} == {2.0}


def test_products_of_one_place_are_spread_and_named():
    cases = [c for c in speed_cases() if c_family(c) == "gemm from 128"]
    figure = _draw([_row(case, 100.0 + i % 7) for i, case in enumerate(cases)])
    figure.canvas.draw()
    (axes,) = figure.axes
    points = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert len(points) == len(cases)
    places = axes.transData.transform(points)
    for i, place in enumerate(places):
        assert all(np.max(np.abs(place - other)) > APART - 1e-6 for other in places[:i])
        assert axes.bbox.contains(*place)
    assert {_short(c) for c in cases} <= {text.get_text() for text in axes.texts}
    assert not _overlaps(axes.texts)


def test_panels_do_not_cover_each_other():
    figure = _draw([_row(case, 100.0) for case in speed_cases()])
    figure.canvas.draw()
    boxes = [axes.get_tightbbox(figure.canvas.get_renderer()) for axes in figure.axes]
    assert len(boxes) == len(PANELS)
    for i, one in enumerate(boxes):
        assert one.x0 >= 0 and one.y0 >= 0 and one.x1 <= figure.bbox.x1 and one.y1 <= figure.bbox.y1
        for j, other in enumerate(boxes[:i]):
            assert not one.overlaps(other), (PANELS[i], PANELS[j])
