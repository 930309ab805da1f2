// Times the CUDA back end on a model of the real shapes with random weights: chunks of a prompt,
// decode steps of 1 to 8 rows, and where each goes, operation by operation.
//
//   bench_cuda [experts 32] [prompt tokens 8192] [chunk 2048] [sets of weights per kind 2]
//              [first position 0: what lies before it is never computed]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>

#include "engine/cache/kv_cache.h"
#include "engine/model/forward.h"
#include "engine/ops/cuda/estimate.h"
#include "engine/ops/forwarding.h"
#include "tests/bench/full_shape.h"

namespace ds4::bench {
namespace {
using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Times every operation by itself, waiting for it; off, it only forwards.
class Watch final : public ops::ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;

  void watch(bool on) {
    on_ = on;
    spent_.clear();
  }
  void wait() { inner().read(nullptr, {}); }
  void print(const char* title) const {
    std::vector<std::pair<double, std::string>> rows;
    double total = 0;
    for (const auto& [name, spent] : spent_) {
      rows.emplace_back(spent.seconds, name);
      total += spent.seconds;
    }
    std::sort(rows.rbegin(), rows.rend());
    std::printf("%s: %.2f ms, each operation waited for\n", title, total * 1e3);
    for (const auto& [seconds, name] : rows) {
      const Spent& spent = spent_.at(name);
      std::printf("  %-22s %9.3f ms  %5.1f %%  %5d calls  %8.1f us each\n", name.c_str(),
                  seconds * 1e3, 100 * seconds / total, spent.calls, 1e6 * seconds / spent.calls);
    }
  }

  void run_step(std::span<const int64_t> key, ops::Segments segments,
                const std::function<void()>& operations) override {
    if (on_) return operations();
    inner().run_step(key, segments, operations);
  }
  void embed(const weights::Matrix& table, int n, ops::Ids tokens, ops::Values h) override {
    time("embed", [&] { inner().embed(table, n, tokens, h); });
  }
  void mix_in(const weights::HyperConnection& hc, const ops::MixSettings& settings,
              std::span<const float> gain, int n, ops::Values h, ops::Floats mix,
              ops::Values x) override {
    time("mix_in", [&] { inner().mix_in(hc, settings, gain, n, h, mix, x); });
  }
  void mix_out(int streams, int n, ops::Values y, ops::Floats mix, ops::Values h) override {
    time("mix_out", [&] { inner().mix_out(streams, n, y, mix, h); });
  }
  void project(const weights::Matrix& w, int n, ops::Values x, ops::Values y) override {
    time("project " + std::to_string(w.rows) + "x" + std::to_string(w.cols),
         [&] { inner().project(w, n, x, y); });
  }
  void project_wide(const weights::Matrix& w, int n, ops::Values x, ops::Floats y) override {
    time("wide " + std::to_string(w.rows) + "x" + std::to_string(w.cols),
         [&] { inner().project_wide(w, n, x, y); });
  }
  void project_groups(const weights::Matrix& w, int groups, int n, ops::Values o,
                      ops::Values u) override {
    time("project_groups", [&] { inner().project_groups(w, groups, n, o, u); });
  }
  void rms_norm(std::span<const float> gain, float eps, int n, ops::Values x,
                ops::Values y) override {
    time("rms_norm", [&] { inner().rms_norm(gain, eps, n, x, y); });
  }
  void finish_queries(int heads, float eps, int n, ops::Floats rotation, ops::Values q) override {
    time("finish_queries", [&] { inner().finish_queries(heads, eps, n, rotation, q); });
  }
  void store_raw_rows(std::span<const float> gain, float eps, ops::Segments segments,
                      ops::Floats rotation, ops::Values kv,
                      std::span<const ops::RowStore> rows) override {
    time("store_raw_rows",
         [&] { inner().store_raw_rows(gain, eps, segments, rotation, kv, rows); });
  }
  void compress(const ops::CompressorStep& step, bool index, ops::Segments segments, ops::Floats kv,
                ops::Floats score) override {
    time("compress", [&] { inner().compress(step, index, segments, kv, score); });
  }
  void finish_index_queries(int heads, ops::RowFormat keys, int n, ops::Floats rotation,
                            ops::Values iq) override {
    time("finish_index_queries",
         [&] { inner().finish_index_queries(heads, keys, n, rotation, iq); });
  }
  void select_rows(int heads, int ratio, ops::Segments segments, ops::Values iq,
                   ops::Values projected, std::span<const ops::RowStore> keys,
                   ops::Ids selected) override {
    time("select_rows",
         [&] { inner().select_rows(heads, ratio, segments, iq, projected, keys, selected); });
  }
  void attend(const ops::KeySet& keys, std::span<const float> sinks, ops::Segments segments,
              ops::Floats rotation, ops::Values q, ops::Values o) override {
    const char* name = keys.compressed.empty() ? "attend, window"
                       : keys.selected.data    ? "attend, selected"
                                               : "attend, all";
    time(name, [&] { inner().attend(keys, sinks, segments, rotation, q, o); });
  }
  void route(const weights::Moe& moe, const ops::RouteSettings& settings, int n, ops::Ids tokens,
             ops::Floats logits, ops::Ids ids, ops::Floats route_weights) override {
    time("route", [&] { inner().route(moe, settings, n, tokens, logits, ids, route_weights); });
  }
  void experts(const weights::Moe& moe, float limit, int per_token, int n, ops::Values x,
               ops::Ids ids, ops::Floats route_weights, ops::Values y) override {
    time("experts", [&] { inner().experts(moe, limit, per_token, n, x, ids, route_weights, y); });
  }

 private:
  struct Spent {
    double seconds = 0;
    int calls = 0;
  };
  template <class Run>
  void time(const std::string& name, const Run& run) {
    if (!on_) return run();
    wait();
    const auto begin = Clock::now();
    run();
    wait();
    Spent& spent = spent_[name];
    spent.seconds += since(begin);
    ++spent.calls;
  }

  bool on_ = false;
  std::map<std::string, Spent> spent_;
};

int run(int experts, int prompt, int chunk, int sets, int begin_at) {
  auto begin = Clock::now();
  const FullShape model = make_full_shape(experts, sets);
  const weights::ModelWeights& w = model.weights;
  std::printf("random weights made in %.1f s\n", since(begin));
  Watch backend(ops::make_cuda_backend(Precision::kReference));
  EngineSettings settings;
  settings.device = Device::kCuda;
  settings.context_length = prompt + 1024;
  settings.prefill_chunk = chunk;
  model::Forward forward(w, backend, chunk);
  cache::KvCache cache(backend, cache::plan_cache(w.config, settings));

  std::vector<TokenId> tokens(static_cast<size_t>(prompt + 1024));
  test_support::Random random(3);
  for (TokenId& t : tokens) t = static_cast<TokenId>(random.next() % 129280);
  const auto run_rows = [&](int64_t first, int n) {
    const model::SequenceRows rows{
        std::span(tokens).subspan(static_cast<size_t>(first), static_cast<size_t>(n)), first,
        &cache};
    forward.run({&rows, 1});
  };
  begin = Clock::now();
  run_rows(0, 1);
  forward.logits(0, 1);
  std::printf("first token, with the upload of all weights: %.1f s\n", since(begin));

  int64_t at = begin_at;
  const auto whole = Clock::now();
  for (; at < prompt; at += chunk) {
    begin = Clock::now();
    run_rows(at, chunk);
    forward.logits(chunk - 1, 1);
    const double seconds = since(begin);
    std::printf("prefill %6lld .. %6lld: %8.1f ms, %8.0f tok/s\n", static_cast<long long>(at),
                static_cast<long long>(at + chunk), seconds * 1e3, chunk / seconds);
  }
  std::printf("prefill %d .. %lld in all: %.0f tok/s\n", begin_at, static_cast<long long>(at),
              static_cast<double>(at - begin_at) / since(whole));
  backend.watch(true);
  run_rows(at - chunk, chunk);
  backend.print("last chunk again");
  backend.watch(false);
  std::printf("%lld launches so far\n", static_cast<long long>(ops::cuda_kernel_launches()));
  for (const int rows : {1, 2, 4, 8}) {
    constexpr int kSteps = 24;
    std::vector<double> times;
    for (int i = 0; i < kSteps; ++i) {
      begin = Clock::now();
      run_rows(at + i * rows, rows);
      forward.logits(0, rows);
      times.push_back(since(begin));
    }
    std::sort(times.begin(), times.end());
    const int64_t before = ops::cuda_kernel_launches();
    run_rows(at, rows);
    forward.logits(0, rows);
    std::printf(
        "decode, %d rows at %lld: %.3f ms a step (median of %d), best %.3f; %lld launches\n", rows,
        static_cast<long long>(at), times[kSteps / 2] * 1e3, kSteps, times[0] * 1e3,
        static_cast<long long>(ops::cuda_kernel_launches() - before));
  }
  for (const int rows : {1, 8}) {
    backend.watch(true);
    run_rows(at + 256, rows);
    forward.logits(0, rows);
    backend.print(rows == 1 ? "decode, 1 row" : "decode, 8 rows");
  }
  return 0;
}

}  // namespace
}  // namespace ds4::bench

int main(int argc, char** argv) {
  const auto argument = [&](int i, int otherwise) {
    return argc > i ? std::atoi(argv[i]) : otherwise;
  };
  return ds4::bench::run(argument(1, 32), argument(2, 8192), argument(3, 2048), argument(4, 2),
                         argument(5, 0));
}
