"""What `import quernel` costs beside `import numpy`: fresh processes, interleaved.

python bench/importing.py [--runs 15]
"""

import argparse
import statistics
import subprocess
import sys
import time


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=15)
    runs = options.parse_args().runs
    times = {"numpy": [], "quernel": []}
    for run in range(runs + 1):
        for name, samples in times.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {name}"], check=True)
            if run:  # the first round fills the page cache
                samples.append(1e3 * (time.perf_counter() - start))
    for name, samples in times.items():
        print(
            f"{name:<8} median {statistics.median(samples):6.1f} ms  min {min(samples):6.1f}  max {max(samples):6.1f}"
        )
    print(f"difference of the medians {statistics.median(times['quernel']) - statistics.median(times['numpy']):.1f} ms")


if __name__ == "__main__":
    main()
