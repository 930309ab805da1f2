#include "engine/reap/observer.h"

#include <span>

namespace ds4::reap {
namespace {

template <typename T>
void fetch(ops::Backend& from, const std::byte* data, std::vector<T>& to, size_t count) {
  to.resize(count);
  from.read(data, std::as_writable_bytes(std::span(to)));
}

}  // namespace

void ObservingBackend::experts(const weights::Moe& moe, float swiglu_limit, int per_token, int n,
                               ops::Values x, ops::Ids ids, ops::Floats route_weights,
                               ops::Values y) {
  const auto watched = watched_.find(&moe);
  if (watched != watched_.end()) {
    const auto count = static_cast<size_t>(n) * static_cast<size_t>(per_token);
    const auto bytes = static_cast<int64_t>(count * sizeof(float));
    if (norms_.bytes < bytes) norms_ = inner().allocate(bytes);
    const ops::Floats norms{norms_.data.get(), per_token};
    inner().expert_norms(moe, swiglu_limit, per_token, n, x, ids, norms);
    fetch(inner(), ids.data, ids_, count);
    fetch(inner(), route_weights.data, gates_, count);
    fetch(inner(), norms.data, outputs_, count);
    // In the order of the tokens, so that neither chunks nor threads change a sum.
    BlockSums& sums = *watched->second;
    for (size_t pair = 0; pair < count; ++pair) {
      const auto expert = static_cast<size_t>(ids_[pair]);
      sums.sums[expert] += double{gates_[pair]} * double{outputs_[pair]};
      ++sums.counts[expert];
    }
  }
  inner().experts(moe, swiglu_limit, per_token, n, x, ids, route_weights, y);
}

}  // namespace ds4::reap
