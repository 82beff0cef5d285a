"""The overview of a run: means, least, what is under its limit, by family; on 120 columns and as Markdown; --report."""

import importlib.util
import json
import subprocess
import sys
import time

import pytest

from quernel.bench import overview, page, process, report
from quernel.cli import parser
from quernel.cli.bench import check


def _row(op, case, family, threads=1, level="L2", roof=None, enough=True, **peers):
    def spread(v):
        return {"median": v, "low": 0.99 * v, "high": 1.01 * v, "rounds": 5}

    against = {"mkl": "kernel", "blas": "kernel"}
    made = {}
    for name, value in peers.items():
        called, replayed = value if isinstance(value, tuple) else (value, None)
        made[name] = {"seconds": spread(1.0), "ratio": spread(called), "replayed": replayed and spread(replayed),
                      "setting": "1 thread", "tried": {}, "against": against.get(name, "call"), "enough": True,
                      "crowded": 0}  # fmt: skip
    return {"op": op, "case": case, "family": family, "isa": "avx512", "threads": threads, "level": level,
            "seconds": spread(1e-3), "call": spread(2e-3), "gflops": 1.0, "gbs": 2.0, "flops": 1e6, "bytes": 1e6,
            "footprint": 1e6, "rounds": 7, "noisy": 2 if enough else 4, "crowded": 0, "counted": 5 if enough else 3,
            "enough": enough, "sentinel": 1.0, "peers": made, "left_out": {},
            "roof": roof and {"by": "copy", "seconds": 1e-3, "limits": {}, "percent": spread(roof)}}  # fmt: skip


def _run(rows, **more):
    names = list(dict.fromkeys(n for r in rows for n in r["peers"]))
    machine = {"quernel": "1", "compiler": "c", "python": "3", "date": "2026-01-02T03:04:05", "processor": "p", "cpus": 2,
               "system": "s", "caches": {"L1": 1024}, "environment": {}, "missing": {"jax": "not installed"},
               "peers": {n: {"version": "1", "what": "w"} for n in names}}  # fmt: skip
    roofs = [{"isa": "avx512", "threads": t, "probe": "fma", "in": "registers", "rate": 10.0 * t, "unit": "GFLOP/s"}
             for t in (1, 2)]  # fmt: skip
    return {"format": 1, "rows": rows, "machine": machine, "roofs": roofs, "skipped": [], "interrupted": False, "left": 0,
            "settings": {"backend": "native"}, **more}  # fmt: skip


RELU = [_row("relu", "1MB", "activations", roof=95.0, torch=(1.0, 2.0)),
        _row("exp", "1MB", "activations", roof=80.0, torch=(4.0, 8.0)),
        _row("tanh", "1MB", "activations", level="L3", roof=89.96, torch=(0.5, 0.9))]  # fmt: skip
GEMM = [_row("gemm", "128x128x128NN", "gemm from 128", roof=91.0, mkl=0.93, torch=(0.1, 0.1), blas=0.7),
        _row("gemm", "256x256x256NN", "gemm from 128", roof=97.0, mkl=0.89, torch=(0.1, 0.1))]  # fmt: skip


def _line(rows, family, threads=1):
    found = {(o["family"], o["threads"]): o for o in overview.overview(rows)}
    return found[family, threads]


def test_means_least_and_median():
    line = _line(RELU, "activations")
    assert line["cases"] == 3 and line["peers"] == ["torch"] and line["few"] == 0
    assert line["ratio"]["mean"] == pytest.approx(2 ** (1 / 3)) and line["ratio"]["least"] == 0.5
    assert line["replayed"]["mean"] == pytest.approx(14.4 ** (1 / 3)) and line["replayed"]["least"] == 0.9
    assert line["roof"]["median"] == 89.96 and line["roof"]["least"] == 80.0
    assert overview.cells(line) == ["activations", "3", "torch", "1.26", "0.50", "1/3", "2.43", "0.90", "1/3",
                                    "90", "80", "2/3"]  # fmt: skip


def test_what_is_under_is_named_worst_first():
    lines = overview.overview(RELU)
    assert overview.listed(lines, "ratio", "{:.2f}") == [("activations", "tanh 1MB 0.50")]
    assert overview.listed(lines, "roof", "{:.1f}") == [("activations", "exp 1MB 80.0, tanh 1MB 90.0")]


def test_gemm_is_judged_by_mkl_at_its_own_limit():
    line = _line(GEMM, "gemm from 128")
    assert line["peers"] == ["mkl"] and line["ratio"]["least"] == 0.89 and line["replayed"] is None
    assert [r["case"] for _, r, _ in line["ratio"]["under"]] == ["256x256x256NN"]  # 0.93 is not under 0.9
    without = [_row("gemm", "128x128x128NN", "gemm from 128", torch=(0.1, 0.1))]
    assert _line(without, "gemm from 128")["peers"] == ["torch"]
    assert overview.faster(GEMM) == [("gemm from 128", "128x128x128NN blas 0.70")]
    unsure = _row("gemm", "128x128x128NN", "gemm from 128", mkl=1.0, blas=0.7)
    unsure["peers"]["blas"]["ratio"]["high"] = 1.2
    assert overview.faster([unsure]) == []


def test_parts_of_families_and_of_the_memory():
    rows = [*RELU, *(_row(f"conv_{d}", c, "conv", torch=(2.0, 2.0)) for d in ("forward", "dx") for c in "ab")]
    rows.append(_row("conv_dw", "a", "conv", torch=(2.0, 2.0)))
    names = [o["family"] for o in overview.overview(rows)]
    assert names == ["activations", "conv", "conv: forward", "conv: dx", "memory-bound ops", "memory-bound ops, L2",
                     "memory-bound ops, L3"]  # fmt: skip
    assert _line(rows, "memory-bound ops, L2")["cases"] == 2 and _line(rows, "conv")["cases"] == 5


def test_thread_counts_apart():
    rows = [*RELU, _row("relu", "1MB", "activations", threads=2, torch=(3.0, 3.0))]
    assert _line(rows, "activations")["cases"] == 3 and _line(rows, "activations", 2)["ratio"]["least"] == 3.0
    text = overview.text({"rows": rows})
    assert text.index("avx512, 1 thread\n") < text.index("avx512, 2 threads\n")


def test_too_few_rounds_are_marked():
    rows = [_row("relu", "1MB", "activations", roof=50.0, enough=False, torch=(0.5, 0.5))]
    text = report.text(_run(rows))
    assert "3/7 ?" in text and "relu 1MB 0.50?" in text and "relu 1MB 50.0?" in text and "  1?" in text
    old = [{k: v for k, v in rows[0].items() if k not in ("enough", "crowded", "counted")}]  # a run kept before
    text = " ".join(report.text(_run(old)).split())
    assert "3/7 ?" in text and "was not yet told" in text and "0 of 7 rounds were dropped" not in text


def test_rows_without_peers_or_roof():
    text = report.text(_run([_row("relu", "1MB", "activations"), _row("copy", "1MB", "elementwise")]))
    assert "relu 1MB" in text and "jax: not installed" in text
    assert overview.cells(_line([_row("relu", "1MB", "activations")], "activations"))[2:] == ["-"] * 10


def test_rows_whose_roof_is_not_known_are_shown_without_a_percentage(tmp_path):
    bare = [
        _row("elu", "1MB", "activations", torch=(1.0, 2.0)),
        _row("gemm", "512x512x512NN", "gemm from 128", mkl=1.0),
    ]
    process.save(_run([*RELU, *GEMM, *bare]), tmp_path / "a.json")
    run = json.loads((tmp_path / "a.json").read_text())
    assert [r["roof"] for r in run["rows"]][-2:] == [None, None]
    line = _line(run["rows"], "activations")
    assert line["cases"] == 4 and line["roof"]["of"] == 3 and line["roof"]["least"] == 80.0
    head, lines = report.case_lines(run)
    assert [cells[head.index("% of roof")] for cells in lines] == ["95", "80", "90", "91", "97", "-", "-"]
    words = next(line for line in report.text(run).splitlines() if line.strip().startswith("elu 1MB")).split()
    assert words[7:9] == ["-", "L2"]  # behind its name, two times and its rate
    assert "elu 1MB" not in report.short(run) and "elu 1MB" not in report.short(run, markdown=True)  # under no limit
    done = _command(tmp_path, "--report", "a.json", "--html", "a.html", "--png", "a.png")
    assert done.returncode == 0, done.stderr
    assert "<td>elu 1MB</td>" in (tmp_path / "a.html").read_text()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def _long():
    cases = [f"16x28x28x128-dilation{i}-same" for i in range(40)]
    rows = [_row(op, c, "depthwise dx, dw", roof=50.0, torch=(0.5, 0.5), onednn=0.9, numba=100.0, numpy=12.5)
            for op in ("depthwise_conv_dx", "depthwise_conv_dw") for c in cases]  # fmt: skip
    return _run(rows, skipped=[["exp-1", "why"]], left=3)


def test_the_report_fits_120_columns():
    text = report.text(_long())
    assert max(map(len, text.splitlines())) <= 120, max(text.splitlines(), key=len)
    for word in (
        "depthwise_conv_...",
        "dx 16x28x28x128-dilation0-same",
        "exp-1: not measured: why",
        "3 lines are left",
    ):
        assert word in text, word
    for line in overview.text(_long()).splitlines():  # a list breaks between its entries
        if line.startswith("      "):
            assert line.split()[0] in ("depthwise_conv_dx", "depthwise_conv_dw", "as"), line


def test_markdown_has_tables_that_are_whole():
    text = report.short(_run([*RELU, *GEMM]), markdown=True)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 5 and len({line.count("|") for line in rows}) == 1
    assert rows[0].startswith("| family | cases | peer | as called, mean |") and rows[1].startswith("| --- | ---: |")
    assert "* activations: tanh 1MB 0.50" in text.splitlines()


def test_the_page_has_the_overview():
    pytest.importorskip("matplotlib")
    text = page.page(_run([*RELU, *GEMM]))
    assert "<th>as a plan: mean</th>" in text and "<li>activations: tanh 1MB 0.50</li>" in text


def _command(tmp_path, *words):
    command = [sys.executable, "-m", "quernel", "bench", *words]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)


def test_report_from_the_command_line(tmp_path):
    process.save(_run([*RELU, *GEMM]), tmp_path / "a.json")
    plain = _command(tmp_path, "--report", "a.json")
    assert plain.returncode == 0, plain.stderr
    assert any(line.split()[:3] == ["activations", "3", "torch"] for line in plain.stdout.splitlines())
    marked = _command(tmp_path, "--report", "a.json", "--markdown", "--png", "a.png", "--html", "a.html")
    assert marked.returncode == 0 and "| activations | 3 | torch |" in marked.stdout, marked.stderr
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG") and "<table>" in (tmp_path / "a.html").read_text()
    assert json.loads((tmp_path / "a.json").read_text())["rows"]


@pytest.mark.parametrize(
    "words, reason",
    [
        (["--report", "b.json"], "--report: b.json: No such file"),
        (["--report", "a.txt"], "--report: a.txt is no JSON"),
        (["--report", "a.txt", "--threads", "1"], "--report measures nothing: it goes without --threads"),
        (["--compare", "a.txt", "a.txt", "--json", "b.json"], "--compare measures nothing: it goes without --json"),
        (["--markdown"], "--markdown needs --report FILE"),
        (["--png", "a.doc"], "--png: expected a name that ends in .png, .svg, .pdf, received a.doc"),
        (["--html", "."], "--html: . is a folder, expected a file"),
        (["--history", "a.txt"], "--history: a.txt is a file, expected a folder"),
        (["--threads", "1,65", "--op", "relu"], "--threads: probe: expected 1 to 64 threads"),
    ],
)
def test_bad_options(tmp_path, words, reason):
    (tmp_path / "a.txt").write_text("words")
    done = _command(tmp_path, *words)
    assert done.returncode == 2 and reason in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_quick_ends_on_a_slow_machine_too():
    options = parser().parse_args(["bench", "--quick", "--peers", ""])
    run, _ = process.plan(options)
    assert 0 < run.until - time.monotonic() <= process.QUICK_ENDS < 60 and run.more == 1.0
    run, _ = process.plan(parser().parse_args(["bench", "--quick", "--peers", "", "--minutes", "9"]))
    assert run.until - time.monotonic() > 500
    run, _ = process.plan(parser().parse_args(["bench", "--peers", ""]))
    assert run.until == float("inf") and run.more > 1


def test_pictures_without_matplotlib_name_the_extra(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == "matplotlib" else real(n, *a))
    for flag in ("--png", "--html"):
        problem = check(parser().parse_args(["bench", flag, "a.png"]))
        assert problem == f"{flag} needs matplotlib: pip install 'quernel[bench]'"
    assert check(parser().parse_args(["bench", "--json", "a.json"])) is None
