#!/usr/bin/env bash
# Everything that needs a GPU, in one command: the engine's operations and models on the CUDA back
# end, some of them under compute-sanitizer, the program's self-test, the full-shape model's speed and
# memory beside the marks they should reach, more rows at once, then the GEMV bench (checked on small
# shapes and under the memory checker, then checked and timed on the full ones). Tables go to stdout;
# logs, JSON, a TSV and the disassembly counts to $OUT when it is set.
#
#   tests/gpu/run.sh            everything; builds what it runs
#   DS4_GPU_PARTS="tests sanitizer selftest probes marks bench gemv"   some of the seven, or also
#                               "million": a chunk and 256 tokens behind a million, of which most are copies
#   DS4_GPU_TESTS=FILE DS4_GPU_PROBES=FILE DS4_GPU_PROGRAM=FILE DS4_GPU_BENCH=FILE DS4_GPU_LOAD=FILE   ready
#                               test_engine_gpu, test_probes_gpu, ds4-sweep, bench_cuda and bench_load, where
#                               the libraries to build them are missing
#   DS4_GPU_CHECKPOINT=NAME     the full-shape model instead of the one that fits (synthetic:k160 or k96)
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
[ -n "${DS4_GPU_ARCH:-}" ] || [ "$arch" != 90 ] || arch=90a  # with products of warp groups
nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,clocks.max.mem --format=csv,noheader
nvcc --version | tail -1
gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -1)
parts=${DS4_GPU_PARTS:-tests sanitizer selftest probes marks bench gemv}
failed=0
say() { echo "== $* (at $SECONDS s)"; }

# Needs a process that did nothing before.
memory_test='LoadOnGpu.TakesWhatWasPlannedAndNothingLater'

# Test filters that end in time under the tools: each kernel at least once (docs/hardness.md says which
# test reaches which).
both_tests='SmallShapes.*:OpsGolden.*:*LinearGolden*:Float64Rows.*:SampleOnTheGpu.AFew*:LoadOnGpu.Repacks*'
memcheck_tests="$both_tests:*MatchesTheReference/one_*:*AFewReplayed*:Models/Batch.EqualsRunningAlone/one_hca"
memcheck_tests+=':Models/Decode.DraftsChangeNoToken/odd:LoadOnGpu.ReadsFiles*:LoadOnGpu.Mapped*'

has() { [[ " $parts " == *" $1 "* ]]; }

# Named checks under a tool of compute-sanitizer; its errors and running out of time count.
sanitize() {  # tool seconds command...
  local tool=$1 seconds=$2 status=0
  shift 2
  if ! command -v compute-sanitizer >/dev/null; then
    echo "skipped: compute-sanitizer is not on the PATH"
    return
  fi
  timeout "$seconds" compute-sanitizer --tool "$tool" --error-exitcode 9 "$@" \
    >"$out/$tool.$(basename "$1").log" 2>&1 || status=$?
  tail -3 "$out/$tool.$(basename "$1").log"
  case $status in
    0) ;;
    124) echo "$tool: ran out of time; no error up to there" ;;
    *) failed=1 ;;
  esac
}

# The path of a ready binary, or of the one made now. Configured once for all.
made() {  # ready target built-path
  if [ -n "$1" ]; then
    echo "$1"
    return
  fi
  if [ ! -e "$build/cmake/CMakeCache.txt" ]; then
    cmake -S "$here/../.." -B "$build/cmake" -DCMAKE_BUILD_TYPE=Release -DDS4_CUDA=ON -DDS4_BENCH=ON \
      -DCMAKE_CUDA_ARCHITECTURES="$arch" >"$out/configure.log"
  fi
  say "build $2 for sm_$arch" >&2
  cmake --build "$build/cmake" --parallel --target "$2" >>"$out/build.log"
  echo "$build/cmake/$3"
}

if has tests || has sanitizer; then
  gpu_tests=$(made "${DS4_GPU_TESTS:-}" test_engine_gpu tests/unit/engine/test_engine_gpu)
fi
if has tests; then
  say "operations and models on the CUDA back end"
  "$gpu_tests" --gtest_brief=0 --gtest_filter="-$memory_test" >"$out/tests.log" 2>&1 || failed=1
  "$gpu_tests" --gtest_filter="$memory_test" >>"$out/tests.log" 2>&1 || failed=1
  grep -E '\[  (error|parity|memory|mapped) |\[ float64 ' "$out/tests.log" || true
  grep -E 'Failure|\[  FAILED|\[  PASSED|\[  SKIPPED|Skipped' "$out/tests.log" | head -40 || true
fi
if has sanitizer; then
  # The tools slow everything down a hundredfold: small models that reach every kernel, recorded steps,
  # batches and drafts among them.
  say "compute-sanitizer memcheck"
  sanitize memcheck "${DS4_MEMCHECK_SECONDS:-150}" "$gpu_tests" --gtest_filter="$memcheck_tests"
  say "compute-sanitizer racecheck"
  sanitize racecheck "${DS4_RACECHECK_SECONDS:-150}" "$gpu_tests" --gtest_filter="$both_tests"
fi
if has selftest || has probes || has marks || has million; then
  program=$(made "${DS4_GPU_PROGRAM:-}" ds4-sweep ds4-sweep)
fi
if has selftest; then
  say "the self-test on the CUDA back end"
  "$program" selftest --device cuda --no-color | tee "$out/selftest.log" || failed=1
fi
if has probes; then
  say "the probes' kernels against float64, then what this GPU can do"
  probe_tests=$(made "${DS4_GPU_PROBES:-}" test_probes_gpu tests/unit/probes/test_probes_gpu)
  "$probe_tests" >"$out/probe_tests.log" 2>&1 || failed=1
  grep -E '\[  FAILED|\[  PASSED' "$out/probe_tests.log" || true
  sanitize memcheck 100 "$probe_tests" --gtest_filter="*AWrongActivation*:StreamingOnGpu.Copies*"
  "$program" probe --device cuda --quick --scratch "$build" | tee "$out/probe.log" || failed=1
fi
if has marks; then
  memory_mib=$(nvidia-smi --query-gpu=memory.total --format=csv,noheader,nounits | head -1)
  model=synthetic:k160
  [ "$memory_mib" -ge 110000 ] || model=synthetic:k96  # the same bytes per token
  model=${DS4_GPU_CHECKPOINT:-$model}
  if [ "$memory_mib" -lt 70000 ] && [ -z "${DS4_GPU_CHECKPOINT:-}" ]; then
    echo "marks skipped: $memory_mib MiB do not hold the full-shape model"
  else
    for context in 8192 186000; do
      say "$model, a chunk, a step and 256 tokens behind $context"
      "$program" breakdown --checkpoint "$model" --device cuda --context "$context" --chunk 4096 \
        --repeats 3 --generate 256 --json >"$out/breakdown.$context.json" || failed=1
    done
    load_bench=$(made "${DS4_GPU_LOAD:-}" bench_load tests/bench/bench_load)
    say "loading $model:layers=2, 9 GB, from the disk of $build"
    "$load_bench" "$model:layers=2" "$build/loaded" | tee "$out/load.log" || failed=1
    rm -rf "$build/loaded"
    python3 "$here/marks.py" "$gpu" "$out/breakdown.8192.json" "$out/breakdown.186000.json" "$out/load.log" |
      tee "$out/marks.txt" || failed=1
  fi
fi
if has million; then
  say "${model:=${DS4_GPU_CHECKPOINT:-synthetic:k160}}, a chunk, a step and 256 tokens behind 1,044,480"
  "$program" breakdown --checkpoint "$model" --device cuda --context 1044480 --computed 65536 \
    --chunk 4096 --repeats 1 --generate 256 | tee "$out/million.log" || failed=1
fi
if has bench; then
  engine_bench=$(made "${DS4_GPU_BENCH:-}" bench_cuda tests/bench/bench_cuda)
  say "the engine at the real shapes: prefill, decode of 1 to 8 rows, by operation"
  "$engine_bench" | tee "$out/bench_cuda.log" || failed=1
fi
if ! has gemv; then
  say "done, failed=$failed"
  exit "$failed"
fi

say "build for sm_$arch"
pids=()
for file in mma_gemv fma_gemv data variants stage decode_gemv; do
  nvcc -O3 -std=c++20 -lineinfo -I "$here/../.." -gencode "arch=compute_$arch,code=sm_$arch" -c "$source_dir/$file.cu" \
    -o "$build/$file.o" & pids+=($!)
done
counts=()
for count_arch in 90 121; do
  for file in mma_gemv fma_gemv; do
    cubin=$build/$file.sm_$count_arch.cubin
    counts+=("$count_arch:$cubin")
    nvcc -O3 -std=c++20 -I "$here/../.." -gencode "arch=compute_$count_arch,code=sm_$count_arch" -cubin \
      "$source_dir/$file.cu" -o "$cubin" & pids+=($!)
  done
done
for pid in "${pids[@]}"; do wait "$pid"; done
nvcc "$build"/{mma_gemv,fma_gemv,data,variants,stage,decode_gemv}.o -o "$build/decode_gemv"

say "correctness, small shapes"
"$build/decode_gemv" --small | tee "$out/small.log" || failed=1

say "compute-sanitizer memcheck, small shapes"
sanitize memcheck "${DS4_MEMCHECK_SECONDS:-300}" "$build/decode_gemv" --small

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
