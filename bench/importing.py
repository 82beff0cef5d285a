"""What `import quernel` costs beside `import numpy`: fresh processes, interleaved.

    python bench/importing.py [--runs 15]

`import quernel` loads no NumPy, so the honest row is the last one: a program that also touches kernels, layers and models.
"""

import argparse
import statistics
import subprocess
import sys
import time

PROGRAMS = {
    "numpy": "import numpy",
    "quernel": "import quernel",
    "quernel, in use": "import quernel as qn; qn.kernels.relu; qn.layers.Dense; qn.Sequential; qn.optimizers.Adam",
}


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=15)
    runs = options.parse_args().runs
    times = {name: [] for name in PROGRAMS}
    for run in range(runs + 1):
        for name, samples in times.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", PROGRAMS[name]], check=True)
            if run:  # the first round fills the page cache
                samples.append(1e3 * (time.perf_counter() - start))
    for name, samples in times.items():
        print(
            f"{name:<16} median {statistics.median(samples):6.1f} ms  min {min(samples):6.1f}  max {max(samples):6.1f}"
        )
    base = statistics.median(times["numpy"])
    print(
        f"quernel, in use, beyond NumPy: {statistics.median(times['quernel, in use']) - base:.1f} ms (difference of medians)"
    )


if __name__ == "__main__":
    main()
