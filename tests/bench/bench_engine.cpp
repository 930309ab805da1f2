// Times of the engine's operations and of whole steps on this machine. Inside the window is the
// operation alone; inputs are made before. "flops" counts a multiply-add as two; "bytes" counts the
// stored weights or cache rows read once.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <numeric>
#include <random>
#include <vector>

#include "engine/api/session.h"
#include "engine/ops/cpu/kernels.h"
#include "engine/ops/ops.h"
#include "tests/support/source_dir.h"

namespace {
using namespace ds4;
using benchmark::Counter;
using benchmark::State;
using weights::Matrix;

int threads() {
  return 0;  // all this process may use
}

struct Memory {
  explicit Memory(int64_t bytes) : data(static_cast<size_t>(bytes + 64)) {
    std::mt19937 random(7);
    for (auto& byte : data) byte = static_cast<std::byte>(random() % 120);  // no NaN code
  }
  std::vector<std::byte> data;
};

std::vector<float> normals(int64_t count) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  std::vector<float> out(static_cast<size_t>(count) + 16);
  for (float& x : out) x = normal(random);
  return out;
}

ops::Values values(std::vector<float>& data, int64_t cols) {
  return {reinterpret_cast<std::byte*>(data.data()), cols};
}
ops::Floats floats(std::vector<float>& data, int64_t cols) {
  return {reinterpret_cast<std::byte*>(data.data()), cols};
}

void rates(State& state, double flops, double bytes) {
  state.counters["flops"] = Counter(flops, Counter::kIsIterationInvariantRate);
  state.counters["bytes"] = Counter(bytes, Counter::kIsIterationInvariantRate);
}

// --- one operation ----------------------------------------------------------------------------

void project(State& state, Matrix::Format format) {
  const int64_t size = state.range(0);
  const auto n = static_cast<int>(state.range(1));
  Matrix w{format, size, size, nullptr, nullptr};
  const Memory memory(w.rows * w.row_bytes());
  const std::vector<uint8_t> scales(static_cast<size_t>(size * (size / 32 + 1)), 120);
  w.data = memory.data.data();
  if (w.quantised()) w.scales = scales.data();
  auto backend = ops::make_cpu_backend(threads(), Precision::kReference);
  auto x = normals(n * size);
  auto y = normals(n * size);
  for (auto _ : state) backend->project(w, n, values(x, size), values(y, size));
  rates(state, 2.0 * n * static_cast<double>(size) * static_cast<double>(size),
        static_cast<double>(w.stored_bytes()));
}
void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"size", "n"})->ArgsProduct({{256, 2048}, {1, 2, 16, 512}})->UseRealTime();
}
BENCHMARK_CAPTURE(project, fp4, Matrix::Format::kFp4)->Apply(shapes);
BENCHMARK_CAPTURE(project, fp8, Matrix::Format::kFp8)->Apply(shapes);
BENCHMARK_CAPTURE(project, bf16, Matrix::Format::kBf16)->Apply(shapes);

ops::RowStore filled_rows(const ops::RowLayout& layout, int64_t count,
                          std::vector<std::byte>& memory) {
  memory.resize(static_cast<size_t>(layout.bytes() * count + 64));
  const ops::RowStore rows{layout, count, memory.data()};
  const auto values_of_row = normals(layout.dim);
  for (int64_t i = 0; i < count; ++i) {
    ops::cpu::encode_row(layout, values_of_row.data(), rows.row(i));
  }
  return rows;
}

// Attention at the real head size: 128 raw rows and 512 selected ones, 64 heads.
void attention(State& state) {
  const auto n = static_cast<int>(state.range(0));
  constexpr int kHeads = 64, kDim = 512, kRope = 64, kSelected = 512;
  auto backend = ops::make_cpu_backend(threads(), Precision::kReference);
  std::vector<std::byte> raw_memory, compressed_memory;
  const ops::RowLayout layout{ops::RowFormat::kFp8, kDim, kRope};
  std::vector<int32_t> chosen(static_cast<size_t>(n * kSelected));
  for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = static_cast<int32_t>(i % kSelected) * 3;
  const ops::RowStore raw = filled_rows(layout, 128 + n, raw_memory);
  const ops::RowStore compressed = filled_rows(layout, 2048, compressed_memory);
  const ops::KeySet keys{{&raw, 1},
                         128,
                         {&compressed, 1},
                         4,
                         {reinterpret_cast<std::byte*>(chosen.data()), kSelected}};
  auto q = normals(n * kHeads * kDim);
  auto o = normals(n * kHeads * kDim);
  auto angles = normals(n * kRope);
  const std::vector<float> sinks(kHeads, 0.0f);
  const ops::Segment segment{0, {8192, n}};
  for (auto _ : state) {
    backend->attend(keys, sinks, {&segment, 1}, floats(angles, kRope), values(q, kHeads * kDim),
                    values(o, kHeads * kDim));
  }
  rates(state, 4.0 * n * kHeads * kDim * (128 + kSelected),
        static_cast<double>(n) * (128 + kSelected) * static_cast<double>(layout.bytes()));
}
BENCHMARK(attention)->ArgName("n")->Arg(1)->Arg(16)->UseRealTime();

// The indexer scan: 64 heads of 128 at the real size, 4 of 64 as in the tiny checkpoint.
void indexer(State& state) {
  const auto heads = static_cast<int>(state.range(0));
  const auto dim = static_cast<int>(state.range(1));
  const int64_t rows = state.range(2);
  const auto n = static_cast<int>(state.range(3));
  auto backend = ops::make_cpu_backend(threads(), Precision::kReference);
  std::vector<std::byte> memory;
  const ops::RowStore keys = filled_rows({ops::RowFormat::kFp4, dim, 32}, rows, memory);
  auto iq = normals(int64_t{n} * heads * dim);
  auto weight = normals(int64_t{n} * heads);
  std::vector<int32_t> selected(static_cast<size_t>(n) * 64);
  const ops::Segment segment{0, {rows * 4 - n, n}};
  for (auto _ : state) {
    backend->select_rows(heads, 4, {&segment, 1}, values(iq, heads * dim), values(weight, heads),
                         {&keys, 1}, {reinterpret_cast<std::byte*>(selected.data()), 64});
  }
  rates(state, 2.0 * n * heads * dim * static_cast<double>(rows),
        static_cast<double>(rows * keys.layout.bytes()));
}
BENCHMARK(indexer)
    ->ArgNames({"heads", "dim", "rows", "n"})
    ->ArgsProduct({{4}, {64}, {2048, 50000}, {1, 64}})
    ->Args({64, 128, 16384, 1})
    ->Args({64, 128, 16384, 16})
    ->UseRealTime();

// --- whole steps of the tiny checkpoint -------------------------------------------------------

struct Tiny {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Session> session;
  std::vector<TokenId> tokens;

  explicit Tiny(int64_t length) {
    EngineSettings settings;
    settings.context_length = length + 4096;
    settings.threads = threads();
    engine = Engine::load(test_support::source_dir() / "checkpoints/tiny", settings);
    session = engine->new_session();
    std::mt19937 random(3);
    tokens.resize(static_cast<size_t>(length));
    for (TokenId& token : tokens) token = static_cast<TokenId>(random() % 1024);
  }
};

void prefill(State& state) {
  Tiny tiny(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    tiny.session.reset();
    tiny.session = tiny.engine->new_session();
    state.ResumeTiming();
    tiny.session->extend_to(tiny.tokens);
  }
  state.counters["tok_s"] =
      Counter(static_cast<double>(state.range(0)), Counter::kIsIterationInvariantRate);
}
BENCHMARK(prefill)
    ->ArgName("tokens")
    ->Arg(2048)
    ->Arg(16384)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void decode(State& state) {
  Tiny tiny(state.range(0));
  tiny.session->extend_to(tiny.tokens);
  constexpr int kSteps = 32;
  int64_t left = 4000;
  for (auto _ : state) {
    if (left < kSteps) {
      state.PauseTiming();
      tiny.session->extend_to(tiny.tokens);
      left = 4000;
      state.ResumeTiming();
    }
    for (int i = 0; i < kSteps; ++i) tiny.session->append(tiny.session->sample({}));
    left -= kSteps;
  }
  state.counters["tok_s"] = Counter(kSteps, Counter::kIsIterationInvariantRate);
}
BENCHMARK(decode)
    ->ArgName("context")
    ->Arg(256)
    ->Arg(16384)
    ->Arg(64000)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
