// A back end that watches the routed experts: beside experts() it sums, per block and expert, route
// weight times the L2 norm of the expert's unweighted output (REAP, docs/reap.md).
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "engine/api/reap.h"
#include "engine/ops/forwarding.h"

namespace ds4::reap {

class ObservingBackend final : public ops::ForwardingBackend {
 public:
  explicit ObservingBackend(std::unique_ptr<ops::Backend> inner)
      : ForwardingBackend(std::move(inner)) {}

  /// Sums what `moe` does into `sums`, which the caller owns; other experts go by unseen.
  void watch(const weights::Moe& moe, BlockSums& sums) { watched_[&moe] = &sums; }

  void experts(const weights::Moe& moe, float swiglu_limit, int per_token, int n, ops::Values x,
               ops::Ids ids, ops::Floats route_weights, ops::Values y) override;

 private:
  std::map<const weights::Moe*, BlockSums*> watched_;
  ops::Buffer norms_;
  std::vector<int32_t> ids_;    // of the current call, like the next two: [n * per_token]
  std::vector<float> gates_;    // route weights
  std::vector<float> outputs_;  // norms
};

}  // namespace ds4::reap
