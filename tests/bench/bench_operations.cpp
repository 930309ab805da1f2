// One operation at a time, at the shapes of the tiny checkpoint and of the real model.
#include <array>
#include <optional>

#include "tests/bench/measure.h"

namespace ds4::bench {
namespace {
using benchmark::State;
using weights::Matrix;

// y = W x: format, rows, columns, n. The matrices of the real model and the largest tiny one.
void project(State& state, Matrix::Format format) {
  const auto n = static_cast<int>(state.range(2));
  const RandomMatrix w(format, state.range(0), state.range(1));
  auto backend = ops::make_cpu_backend(threads(), Precision::kReference);
  auto x = normals(n * w->cols);
  auto y = normals(n * w->rows);
  const auto flops = static_cast<double>(2 * n * w->rows * w->cols);
  measure(state, flops, static_cast<double>(w->stored_bytes()),
          [&] { backend->project(*w, n, values(x, w->cols), values(y, w->rows)); });
}
void with_rows(benchmark::internal::Benchmark* b, std::vector<std::array<int64_t, 2>> shapes) {
  b->ArgNames({"rows", "cols", "n"});
  for (const auto& [rows, cols] : shapes) {
    for (const int64_t n : {1, 2, 3, 4, 512}) b->Args({rows, cols, n});
  }
}
BENCHMARK_CAPTURE(project, fp8, Matrix::Format::kFp8)->Apply([](auto* b) {
  with_rows(b, {{512, 256}, {32768, 1024}, {4096, 8192}});  // wq_b, wo_b
});
BENCHMARK_CAPTURE(project, fp4, Matrix::Format::kFp4)->Apply([](auto* b) {
  with_rows(b, {{128, 256}, {16384, 4096}, {16384, 2048}});  // w1 and w2 of several experts
});
BENCHMARK_CAPTURE(project, bf16, Matrix::Format::kBf16)->Apply([](auto* b) {
  with_rows(b, {{256, 256}, {1024, 4096}});  // compressor
});
// The head's 129,280 rows, an eighth of them.
BENCHMARK_CAPTURE(project, head, Matrix::Format::kBf16)->Apply([](auto* b) {
  with_rows(b, {{1024, 256}, {16160, 4096}});
});

// Routed and shared experts: dims, n. 16 experts, of which n tokens choose 6 (tiny: 4) in turn.
void experts(State& state) {
  const int64_t d = state.range(0);
  const int64_t inter = state.range(1);
  const auto k = static_cast<int>(state.range(2));
  const auto n = static_cast<int>(state.range(3));
  constexpr int kExperts = 16;
  using enum Matrix::Format;
  std::vector<RandomMatrix> storage;
  weights::Moe moe;
  const auto expert = [&](Matrix::Format format) {
    weights::Expert e;
    e.w1 = *storage.emplace_back(format, inter, d);
    e.w2 = *storage.emplace_back(format, d, inter);
    e.w3 = *storage.emplace_back(format, inter, d);
    return e;
  };
  for (int e = 0; e < kExperts; ++e) moe.experts.push_back(expert(kFp4));
  moe.shared = expert(kFp8);
  auto x = normals(n * d);
  auto y = normals(n * d);
  std::vector<int32_t> ids(static_cast<size_t>(n * k));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i % kExperts);
  std::vector<float> weight(ids.size() + 16, 0.25f);
  auto backend = ops::make_cpu_backend(threads(), Precision::kReference);
  const auto touched = std::min<double>(kExperts, n * k);
  const auto bytes_of = [](const weights::Expert& e) {
    return static_cast<double>(e.w1.stored_bytes() + e.w2.stored_bytes() + e.w3.stored_bytes());
  };
  measure(state, 6.0 * n * (k + 1) * static_cast<double>(d * inter),
          touched * bytes_of(moe.experts[0]) + bytes_of(moe.shared), [&] {
            backend->experts(moe, 10.0f, k, n, values(x, d),
                             {reinterpret_cast<std::byte*>(ids.data()), k}, floats(weight, k),
                             values(y, d));
          });
}
BENCHMARK(experts)
    ->ArgNames({"d", "inter", "k", "n"})
    ->ArgsProduct({{256}, {128}, {4}, {1, 2, 3, 4, 512}})
    ->ArgsProduct({{4096}, {2048}, {6}, {1, 2, 3, 4, 512}});

// heads, dim, raw rows + selected rows, n.
void attention(State& state) {
  const auto heads = state.range(0);
  const auto dim = static_cast<int>(state.range(1));
  const int64_t chosen_rows = state.range(2);
  const auto n = static_cast<int>(state.range(3));
  constexpr int kRope = 64;
  constexpr int kWindow = 128;
  auto backend = ops::make_cpu_backend(threads(), Precision::kReference);
  std::vector<std::byte> raw_memory, compressed_memory;
  const ops::RowLayout layout{ops::RowFormat::kFp8, dim, kRope};
  std::vector<int32_t> chosen(static_cast<size_t>(n * chosen_rows));
  for (size_t i = 0; i < chosen.size(); ++i) {
    chosen[i] = static_cast<int32_t>(static_cast<int64_t>(i) % chosen_rows * 3);
  }
  const ops::RowStore raw = filled_rows(layout, kWindow + n, raw_memory);
  const ops::RowStore compressed = filled_rows(layout, 2048, compressed_memory);
  const ops::KeySet keys{{&raw, 1},
                         kWindow,
                         {&compressed, 1},
                         4,
                         {reinterpret_cast<std::byte*>(chosen.data()), chosen_rows}};
  auto q = normals(n * heads * dim);
  auto o = normals(n * heads * dim);
  auto angles = normals(n * kRope);
  const std::vector<float> sinks(static_cast<size_t>(heads), 0.0f);
  const ops::Segment segment{0, {8192, n}};
  const double rows = static_cast<double>(n) * static_cast<double>(kWindow + chosen_rows);
  measure(state, 4.0 * rows * static_cast<double>(heads * dim),
          rows * static_cast<double>(layout.bytes()), [&] {
            backend->attend(keys, sinks, {&segment, 1}, floats(angles, kRope),
                            values(q, heads * dim), values(o, heads * dim));
          });
}
BENCHMARK(attention)
    ->ArgNames({"heads", "dim", "selected", "n"})
    ->ArgsProduct({{4}, {128}, {64}, {1, 4, 512}})
    ->ArgsProduct({{64}, {512}, {512}, {1, 2, 3, 4, 64}});

// The scan for the best rows: heads, dim, key rows, n. The keys are read once for all n.
void indexer(State& state) {
  const auto heads = static_cast<int>(state.range(0));
  const auto dim = static_cast<int>(state.range(1));
  const int64_t rows = state.range(2);
  const auto n = static_cast<int>(state.range(3));
  auto backend = ops::make_cpu_backend(threads(), Precision::kReference);
  std::vector<std::byte> memory;
  const ops::RowStore keys = filled_rows({ops::RowFormat::kFp4, dim, 64}, rows, memory);
  auto iq = normals(int64_t{n} * heads * dim);
  auto angles = normals(int64_t{n} * 64);
  backend->finish_index_queries(heads, ops::RowFormat::kFp4, n, floats(angles, 64),
                                values(iq, heads * dim));
  auto weight = normals(int64_t{n} * heads);
  std::vector<int32_t> selected(static_cast<size_t>(n) * 64);
  const ops::Segment segment{0, {rows * 4 - n, n}};
  measure(state, 2.0 * n * heads * dim * static_cast<double>(rows),
          static_cast<double>(rows * keys.layout.bytes()), [&] {
            backend->select_rows(heads, 4, {&segment, 1}, values(iq, heads * dim),
                                 values(weight, heads), {&keys, 1},
                                 {reinterpret_cast<std::byte*>(selected.data()), 64});
          });
}
BENCHMARK(indexer)
    ->ArgNames({"heads", "dim", "rows", "n"})
    ->ArgsProduct({{4}, {128}, {2048, 50000}, {1, 4, 512}})
    ->ArgsProduct({{64}, {128}, {50000}, {1, 4, 64}});

// One compressor without its projections: dim, ratio, n tokens.
void compress(State& state) {
  const auto dim = static_cast<int>(state.range(0));
  const auto ratio = static_cast<int>(state.range(1));
  const auto n = static_cast<int>(state.range(2));
  const int width = ratio == 4 ? 2 * dim : dim;
  weights::Compressor c;
  c.ratio = ratio;
  c.row_dim = dim;
  c.width = width;
  c.ape = normals(ratio * width);
  c.norm = normals(dim);
  const std::vector<float> frequencies(32, 0.01f);
  std::vector<std::byte> memory;
  const ops::RowStore rows = filled_rows({ops::RowFormat::kFp8, dim, 64}, 4096, memory);
  const int64_t slots = 2 * ratio;
  auto tail_kv = normals(slots * width);
  auto tail_score = normals(slots * width);
  const ops::TailRing tail{floats(tail_kv, width), floats(tail_score, width), slots};
  const ops::CompressorStep step{&c, frequencies, 1e-6f, {&rows, 1}, {&tail, 1}};
  auto kv = normals(n * width);
  auto score = normals(n * width);
  auto backend = ops::make_cpu_backend(threads(), Precision::kReference);
  const ops::Segment segment{0, {8192 - n % ratio, n}};
  measure(state, 6.0 * n * width, 8.0 * n * width, [&] {
    backend->compress(step, false, {&segment, 1}, floats(kv, width), floats(score, width));
  });
}
BENCHMARK(compress)
    ->ArgNames({"dim", "ratio", "n"})
    ->ArgsProduct({{128, 512}, {4, 128}, {1, 4, 512}});

// Both halves of a hyper-connection around a sublayer: hidden size, n.
void hyper_connection(State& state) {
  const int64_t d = state.range(0);
  const auto n = static_cast<int>(state.range(1));
  constexpr int kStreams = 4;
  constexpr int kMix = kStreams * (kStreams + 2);
  const RandomMatrix fn(Matrix::Format::kBf16, kMix, kStreams * d);
  const weights::HyperConnection hc{*fn, normals(kMix), {1, 1, 1}};
  auto h = normals(n * kStreams * d);
  auto x = normals(n * d);
  auto mix = normals(n * kMix);
  const auto gain = normals(d);
  auto backend = ops::make_cpu_backend(threads(), Precision::kReference);
  const auto flops = static_cast<double>(2 * n * d * kStreams * (kMix + 1 + kStreams + 1));
  measure(state, flops, static_cast<double>(fn->stored_bytes()), [&] {
    backend->mix_in(hc, {kStreams, 20, 1e-6f, 1e-6f}, {gain.data(), static_cast<size_t>(d)}, n,
                    values(h, kStreams * d), floats(mix, kMix), values(x, d));
    backend->mix_out(kStreams, n, values(x, d), floats(mix, kMix), values(h, kStreams * d));
  });
}
BENCHMARK(hyper_connection)->ArgNames({"d", "n"})->ArgsProduct({{256, 4096}, {1, 2, 3, 4, 512}});

}  // namespace
}  // namespace ds4::bench
