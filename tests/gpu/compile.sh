#!/usr/bin/env bash
# Compiles every kernel of the engine and the probes to machine code, with the build's own
# optimisation, for GPUs that need not be here; runs nothing.
#
#   tests/gpu/compile.sh [CAPABILITY...]     default: 90a 121
#
# Exit code 77 (ctest: skipped) where there is no nvcc of CUDA 13 or later.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
nvcc=$(command -v nvcc || command -v /usr/local/cuda/bin/nvcc || true)
[ -n "$nvcc" ] || { echo "skipped: no nvcc on the PATH or in /usr/local/cuda"; exit 77; }
release=$("$nvcc" --version | sed -n 's/.*release \([0-9]*\)\..*/\1/p')
[ "$release" -ge 13 ] || { echo "skipped: $nvcc is of CUDA $release, the kernels need 13"; exit 77; }
[ $# -gt 0 ] || set -- 90a 121

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
jobs=0
for source in engine/ops/cuda/*.cu probes/*.cu probes/device/*.cu; do
  for capability in "$@"; do
    printf '%s\0%s\0%s\0' "$source" "$capability" "$out/$(basename "$source" .cu).$capability.cubin"
    jobs=$((jobs + 1))
  done
done >"$out/jobs"
# Stops at the first that fails; its errors are on stderr.
xargs -0 -n 3 -P "$(nproc)" bash -c \
  '"$0" --std=c++20 -O3 -DNDEBUG -lineinfo -I . -arch="sm_$2" -cubin -o "$3" "$1" ||
     { echo "$1 does not compile for sm_$2" >&2; exit 255; }' "$nvcc" <"$out/jobs"
made=$(find "$out" -name '*.cubin' -size +0 | wc -l)
echo "$made of $jobs compiled, sm_$(IFS=/; echo "$*")"
[ "$made" -eq "$jobs" ]
