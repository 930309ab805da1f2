// A back end that stamps the time behind every operation and writes down what the operation had to
// read, write and multiply (model.md 7.1, 7.5). Off, it only forwards, and lets steps be recorded.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/api/breakdown.h"
#include "engine/ops/forwarding.h"

namespace ds4::breakdown {

class WatchingBackend final : public ops::ForwardingBackend {
 public:
  /// `model`: whose matrices are named; borrowed.
  WatchingBackend(std::unique_ptr<ops::Backend> inner, const weights::ModelWeights& model);

  /// From here on operations are stamped.
  void start();
  /// What happened since start(), the most expensive operation first.
  std::vector<OperationCost> stop();

  void run_step(std::span<const int64_t> key, ops::Segments segments,
                const std::function<void()>& operations) override;

  void embed(const weights::Matrix& table, int n, ops::Ids tokens, ops::Values h) override;
  void mix_in(const weights::HyperConnection& hc, const ops::MixSettings& settings,
              std::span<const float> gain, int n, ops::Values h, ops::Floats mix,
              ops::Values x) override;
  void mix_out(int streams, int n, ops::Values y, ops::Floats mix, ops::Values h) override;
  void project(const weights::Matrix& w, int n, ops::Values x, ops::Values y) override;
  void project_wide(const weights::Matrix& w, int n, ops::Values x, ops::Floats y) override;
  void project_each(std::span<const ops::Projection> products, int n, ops::Values x,
                    const ops::RmsNorm* norm) override;
  void rms_norm(std::span<const float> gain, float eps, int n, ops::Values x,
                ops::Values y) override;
  void rotation(std::span<const float> frequencies, ops::Segments segments,
                ops::Floats table) override;
  void finish_queries(int heads, float eps, int n, ops::Floats rotation, ops::Values q) override;
  void store_raw_rows(std::span<const float> gain, float eps, ops::Segments segments,
                      ops::Floats rotation, ops::Values kv,
                      std::span<const ops::RowStore> rows) override;
  void compress(const ops::CompressorStep& step, bool index, ops::Segments segments, ops::Floats kv,
                ops::Floats score) override;
  void finish_index_queries(int heads, ops::RowFormat keys, int n, ops::Floats rotation,
                            ops::Values iq) override;
  void select_rows(int heads, int ratio, ops::Segments segments, ops::Values iq,
                   ops::Values projected, std::span<const ops::RowStore> keys,
                   ops::Ids selected) override;
  void attend(const ops::KeySet& keys, std::span<const float> sinks, ops::Segments segments,
              ops::Floats rotation, ops::Values q, ops::Values o) override;
  void project_groups(const weights::Matrix& w, int groups, int n, ops::Values o,
                      ops::Values u) override;
  void route(const weights::Moe& moe, const ops::RouteSettings& settings, int n, ops::Ids tokens,
             ops::Floats logits, ops::Ids ids, ops::Floats route_weights) override;
  void experts(const weights::Moe& moe, float swiglu_limit, int per_token, int n, ops::Values x,
               ops::Ids ids, ops::Floats route_weights, ops::Values y) override;
  void mix_head(const weights::HeadMix& hc, const ops::MixSettings& settings,
                std::span<const float> gain, int n, ops::Values h, ops::Values x) override;

 private:
  struct Work {
    double weight_bytes = 0;
    double other_bytes = 0;
    double flops = 0;
  };
  template <class Run>
  void watch(const std::string& name, const Work& work, const Run& run);
  void name(const weights::Matrix& matrix, const std::string& name);
  void name_layer(const weights::Layer& layer);
  const std::string& name_of(const weights::Matrix& matrix) const;
  double values(int n, int64_t cols) const {
    return static_cast<double>(n) * static_cast<double>(cols) * value_bytes();
  }

  std::map<const std::byte*, std::string> names_;  // by where a matrix's data begins
  bool on_ = false;
  std::vector<OperationCost> calls_;  // in call order, seconds not yet known
};

}  // namespace ds4::breakdown
