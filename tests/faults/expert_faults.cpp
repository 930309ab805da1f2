// Faults of routing and experts (traps T1, T12, T13, T29).
#include <algorithm>
#include <cmath>
#include <map>

#include "tests/faults/fault.h"

namespace ds4::faults {
namespace {

using namespace ops;  // NOLINT: every signature here is one of theirs

/// Route weights made anew from the scores of the chosen experts.
template <class Weigh>
class OtherWeights : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void route(const weights::Moe& moe, const RouteSettings& settings, int n, Ids tokens,
             Floats logits, Ids ids, Floats route_weights) override {
    const std::vector<float> raw(floats(logits), floats(logits) + n * logits.cols);
    inner().route(moe, settings, n, tokens, logits, ids, route_weights);
    for (int64_t i = 0; i < n; ++i) {
      float* weight = floats(route_weights) + i * settings.per_token;
      const int32_t* chosen = ints(ids) + i * settings.per_token;
      std::vector<float> score;
      for (int j = 0; j < settings.per_token; ++j) {
        const float x = raw[static_cast<size_t>(i * logits.cols + chosen[j])];
        score.push_back(Weigh()(moe, chosen, j, std::log1p(std::exp(x)), settings.per_token));
      }
      float sum = 0;
      for (const float s : score) sum += s;
      for (int j = 0; j < settings.per_token; ++j) {
        weight[j] = settings.factor * score[static_cast<size_t>(j)] / sum;
      }
    }
  }
};

struct BiasInWeights {
  float operator()(const weights::Moe& moe, const int32_t* id, int j, float softplus, int) const {
    const float bias = moe.bias.empty() ? 0 : moe.bias[static_cast<size_t>(id[j])];
    return std::sqrt(softplus) + bias;
  }
};
struct NoRoot {
  float operator()(const weights::Moe&, const int32_t*, int, float softplus, int) const {
    return softplus;
  }
};
struct LastDropped {
  float operator()(const weights::Moe&, const int32_t*, int j, float softplus, int n) const {
    return n > 1 && j == n - 1 ? 0 : std::sqrt(softplus);
  }
};
struct NamedTwiceOnce {
  float operator()(const weights::Moe&, const int32_t* id, int j, float softplus, int) const {
    return std::find(id, id + j, id[j]) != id + j ? 0 : std::sqrt(softplus);
  }
};

class WeightsNotNormalised final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void route(const weights::Moe& moe, const RouteSettings& settings, int n, Ids tokens,
             Floats logits, Ids ids, Floats route_weights) override {
    RouteSettings other = settings;
    other.normalise = false;
    inner().route(moe, other, n, tokens, logits, ids, route_weights);
  }
};

class HashLayersByScore final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void route(const weights::Moe& moe, const RouteSettings& settings, int n, Ids tokens,
             Floats logits, Ids ids, Floats route_weights) override {
    weights::Moe other = moe;
    other.tid2eid.clear();
    if (moe.bias.empty()) other.bias.assign(moe.experts.size(), 0.0f);
    inner().route(other, settings, n, tokens, logits, ids, route_weights);
  }
};

class NextExpert final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void experts(const weights::Moe& moe, float swiglu_limit, int per_token, int n, Values x, Ids ids,
               Floats route_weights, Values y) override {
    for (int i = 0; i < n * per_token; ++i) ints(ids)[i] = (ints(ids)[i] + 1) % moe.n_experts();
    inner().experts(moe, swiglu_limit, per_token, n, x, ids, route_weights, y);
  }
};

/// Routed and shared experts computed apart and added.
class Apart : public Spoiled {
 public:
  using Spoiled::Spoiled;

 protected:
  static constexpr float kNoLimit = 1e30f;

  void add_apart(const weights::Moe& moe, float routed_limit, float shared_limit, int per_token,
                 int n, Values x, Ids ids, Floats route_weights, Values y, float shared_factor) {
    inner().experts(without_shared(moe), routed_limit, per_token, n, x, ids, route_weights, y);
    std::vector<float> none(static_cast<size_t>(n * per_token), 0.0f);
    std::vector<float> shared(static_cast<size_t>(n * y.cols));
    const Values to{reinterpret_cast<std::byte*>(shared.data()), y.cols};
    inner().experts(moe, shared_limit, per_token, n, x, ids,
                    {reinterpret_cast<std::byte*>(none.data()), per_token}, to);
    for (size_t i = 0; i < shared.size(); ++i) floats(y)[i] += shared_factor * shared[i];
  }

  weights::Moe without_shared(const weights::Moe& moe) {
    weights::Moe routed = moe;
    weights::Matrix& w2 = routed.shared.w2;
    zeros_.resize(std::max(zeros_.size(), static_cast<size_t>(w2.rows * w2.cols)));
    w2.format = weights::Matrix::Format::kF32;
    w2.data = reinterpret_cast<const std::byte*>(zeros_.data());
    w2.scales = nullptr;
    return routed;
  }

 private:
  std::vector<float> zeros_;
};

enum class Unclamped { kRouted, kShared };
template <Unclamped kWhich>
class NoClamp final : public Apart {
 public:
  using Apart::Apart;
  void experts(const weights::Moe& moe, float limit, int per_token, int n, Values x, Ids ids,
               Floats route_weights, Values y) override {
    const bool routed = kWhich == Unclamped::kRouted;
    add_apart(moe, routed ? kNoLimit : limit, routed ? limit : kNoLimit, per_token, n, x, ids,
              route_weights, y, 1);
  }
};

class NoShared final : public Apart {
 public:
  using Apart::Apart;
  void experts(const weights::Moe& moe, float limit, int per_token, int n, Values x, Ids ids,
               Floats route_weights, Values y) override {
    inner().experts(without_shared(moe), limit, per_token, n, x, ids, route_weights, y);
  }
};

class WeightAfterW2 final : public Apart {
 public:
  using Apart::Apart;
  void experts(const weights::Moe& moe, float limit, int per_token, int n, Values x, Ids ids,
               Floats route_weights, Values y) override {
    std::vector<float> sum(static_cast<size_t>(n * y.cols), 0.0f);
    std::vector<float> one(static_cast<size_t>(n), 1.0f);
    const weights::Moe routed = without_shared(moe);
    for (int j = 0; j < per_token; ++j) {
      std::vector<int32_t> id;
      for (int i = 0; i < n; ++i) id.push_back(ints(ids)[i * per_token + j]);
      inner().experts(routed, limit, 1, n, x, {reinterpret_cast<std::byte*>(id.data()), 1},
                      {reinterpret_cast<std::byte*>(one.data()), 1}, y);
      for (int64_t i = 0; i < n; ++i) {
        const float weight = floats(route_weights)[i * per_token + j];
        for (int64_t c = 0; c < y.cols; ++c) {
          sum[static_cast<size_t>(i * y.cols + c)] += weight * floats(y)[i * y.cols + c];
        }
      }
    }
    std::vector<float> none(static_cast<size_t>(n * per_token), 0.0f);
    inner().experts(moe, limit, per_token, n, x, ids,
                    {reinterpret_cast<std::byte*>(none.data()), per_token}, y);
    for (size_t i = 0; i < sum.size(); ++i) floats(y)[i] += sum[i];
  }
};

}  // namespace

std::vector<Fault> expert_faults() {
  return {
      operation_fault<OtherWeights<BiasInWeights>>("router bias added to the weights",
                                                   "router bias"),
      operation_fault<OtherWeights<NoRoot>>("softplus without the root", "route weights"),
      operation_fault<OtherWeights<LastDropped>>("one expert fewer", "route weights"),
      operation_fault<OtherWeights<NamedTwiceOnce>>("expert named twice counted once",
                                                    "experts named twice"),
      operation_fault<WeightsNotNormalised>("route weights not normalised", "route weights"),
      operation_fault<HashLayersByScore>("hash layers routed by score", "hash routing"),
      operation_fault<NextExpert>("expert ids off by one", "routed experts"),
      operation_fault<NoClamp<Unclamped::kRouted>>("routed experts unclamped",
                                                   "clamp of routed experts"),
      operation_fault<NoClamp<Unclamped::kShared>>("shared expert unclamped",
                                                   "clamp of the shared expert"),
      operation_fault<NoShared>("shared expert left out", "shared expert"),
      operation_fault<WeightAfterW2>("route weight applied after w2", "place of the route weight"),
  };
}

}  // namespace ds4::faults
