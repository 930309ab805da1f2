// One stage of a decode step at fixed shapes: its weights in every layout, its activations, and one
// launch of a given design over a given region of the weights. Not a scheduler.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "data.hpp"

namespace ds4::bench {

struct StageShape {
  const char* name;
  Format format;
  bool quantised_x;
  int n, k;         // one matrix
  int dense_jobs;   // matrices per launch; 0: routed experts, 6 per row of n_experts
  bool x_per_pair;  // experts: each (row, expert) has its own x (down) or shares the row's (gate,
                    // up)
  int per_step;     // launches per decoded token (layers)
};

inline constexpr int kTopK = 6;

/// Distinct experts of `rows` rows that choose kTopK of n_experts uniformly, rounded.
int distinct_experts(int rows, int n_experts);

class Stage {
 public:
  /// Weights for at least `min_bytes` of distinct regions; n_experts matrices for a routed stage.
  Stage(const StageShape& shape, int n_experts, std::size_t min_bytes, std::uint64_t seed);

  const StageShape& shape() const { return shape_; }
  int matrices_per_launch(int rows) const;
  std::size_t bytes_per_launch(int rows) const;  // weights and scales, each once
  int regions(int rows) const;                   // launches before a matrix repeats
  std::size_t out_floats(int rows) const;
  /// Launches `variant` on region `region` (any number; wraps around) into `out`.
  void launch(const Variant& variant, int k_warps, int rows, int region, float* out,
              cudaStream_t stream, bool early_start = false) const;
  void launch_reference(int rows, int region, double* out) const;
  const std::uint8_t* native_weights() const { return weights_.at(Layout::kNative).as(); }

 private:
  Args args(Layout layout, int rows, int region) const;
  int pairs(int rows) const;

  StageShape shape_;
  int n_matrices_ = 0;
  std::map<Layout, DeviceBytes> weights_;
  DeviceBytes scales_, fragment_scales_;
  DeviceBytes x_, x_scale_;
  std::map<std::pair<int, int>, DeviceBytes> arranged_x_;  // by XOrder (type, order)
  std::map<int, DeviceBytes> jobs_;                        // by rows: one table per region
};

/// The variants this bench compares; `exists` says which apply to a stage.
const std::vector<Variant>& variants();

}  // namespace ds4::bench
