"""The bench's picture: every family has a panel, every case a point of its own with a label, whatever lies in one place."""

import numpy as np
import pytest

from quernel.bench.families import family
from quernel.testing.cases import speed_cases

pytest.importorskip("matplotlib")
from quernel.bench.picture import APART, PANELS, draw  # noqa: E402 - needs matplotlib


def _row(case, gbs, limit=None):
    return {"op": case.op, "case": case.name, "family": family(case), "isa": "avx512", "threads": 1, "flops": 1e6,
            "bytes": 1e6, "gflops": gbs, "gbs": gbs, "footprint": 1e6,
            "roof": {"seconds": 1e6 / (limit or 2 * gbs) / 1e9}}  # fmt: skip


def _draw(rows):
    limits = [("read", "L1", 400.0), ("copy", "L1", 390.0)]
    roofs = [{"isa": "avx512", "threads": 1, "probe": p, "in": w, "rate": r, "unit": "GB/s"} for p, w, r in limits]
    machine = {"quernel": "1", "processor": "p", "date": "2026-01-02"}
    return draw({"rows": rows, "roofs": roofs, "machine": machine})


def test_every_family_has_a_panel():
    shown = [name for names, _ in PANELS for name in names]
    assert {family(case) for case in speed_cases()} == set(shown) and len(shown) == len(set(shown))


def test_points_and_texts_of_one_place_are_apart():
    cases = [c for c in speed_cases() if family(c) == "elementwise"][:12]
    figure = _draw([_row(case, 100.0 + i / 10) for i, case in enumerate(cases)])
    (axes,) = figure.axes
    points = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert len(points) == len(cases)
    places = axes.transData.transform(points)
    for i, place in enumerate(places):
        assert all(np.max(np.abs(place - other)) > APART - 1e-6 for other in places[:i])
        assert axes.bbox.contains(*place)
    written = {text.get_text(): text for text in axes.texts}
    assert {f"{c.op.replace('_', ' ')} {c.name}" for c in cases} <= set(written)
    boxes = [written[t].get_window_extent() for t in ("read L1 400 GB/s", "copy L1 390 GB/s")]
    assert not boxes[0].overlaps(boxes[1])
