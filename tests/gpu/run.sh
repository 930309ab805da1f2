#!/usr/bin/env bash
# Builds the GPU programs with nvcc, checks them on small shapes, runs the memory checker on those,
# then checks and times the full shapes. Covers the GEMV bench; engine kernels join as they appear.
# Tables go to stdout; logs, a TSV and the disassembly counts to $OUT when it is set.
#
#   tests/gpu/run.sh            everything (about three minutes on 16 cores)
#   DS4_GPU_ARCH=121 ...        builds for another compute capability than the first GPU's
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_dir=$here/../bench/cuda
build=${DS4_GPU_BUILD:-$(mktemp -d)}
out=${OUT:-$build}
mkdir -p "$build" "$out"
for tool in nvcc nvidia-smi; do
  command -v "$tool" >/dev/null || { echo "skipped: $tool is not on the PATH" >&2; exit 77; }
done
arch=${DS4_GPU_ARCH:-$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)}
nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,clocks.max.mem --format=csv,noheader
nvcc --version | tail -1
failed=0
say() { echo "== $* (at $SECONDS s)"; }

say "build for sm_$arch"
pids=()
for file in mma_gemv fma_gemv data variants stage decode_gemv; do
  nvcc -O3 -std=c++17 -lineinfo -gencode "arch=compute_$arch,code=sm_$arch" -c "$source_dir/$file.cu" \
    -o "$build/$file.o" & pids+=($!)
done
counts=()
for count_arch in 90 121; do
  for file in mma_gemv fma_gemv; do
    cubin=$build/$file.sm_$count_arch.cubin
    counts+=("$count_arch:$cubin")
    nvcc -O3 -std=c++17 -gencode "arch=compute_$count_arch,code=sm_$count_arch" -cubin \
      "$source_dir/$file.cu" -o "$cubin" & pids+=($!)
  done
done
for pid in "${pids[@]}"; do wait "$pid"; done
nvcc "$build"/{mma_gemv,fma_gemv,data,variants,stage,decode_gemv}.o -o "$build/decode_gemv"

say "correctness, small shapes"
"$build/decode_gemv" --small | tee "$out/small.log" || failed=1

say "compute-sanitizer memcheck, small shapes"
if command -v compute-sanitizer >/dev/null; then
  status=0
  timeout "${DS4_MEMCHECK_SECONDS:-300}" compute-sanitizer --tool memcheck --error-exitcode 9 \
    "$build/decode_gemv" --small 2>&1 | tee "$out/memcheck.log" | tail -4 || status=$?
  case $status in
    0) ;;
    124) echo "memcheck: ran out of time; no error up to there" ;;
    *) failed=1 ;;
  esac
else
  echo "skipped: compute-sanitizer is not on the PATH"
fi

say "full shapes: checks, then times"
"$build/decode_gemv" --tsv "$out/decode_gemv.tsv" | tee "$out/decode_gemv.log" || failed=1

say "instructions per weight byte in the main loop"
if command -v cuobjdump >/dev/null; then
  for entry in "${counts[@]}"; do
    cuobjdump -sass "${entry#*:}" > "$build/sass.txt"
    awk -v arch="sm_${entry%%:*}" -f "$source_dir/sass_count.awk" "$build/sass.txt"
    if [ "${DS4_KEEP_SASS:-0}" = 1 ]; then
      gzip -c "$build/sass.txt" > "$out/$(basename "${entry#*:}").txt.gz"
    fi
  done | { command -v c++filt >/dev/null && c++filt || cat; } | tee "$out/sass_counts.tsv" || failed=1
else
  echo "skipped: cuobjdump is not on the PATH"
fi
say "done, failed=$failed"
exit "$failed"
