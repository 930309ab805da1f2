// The CUDA back end: every operation is one or a few kernels (kernels.h) on one stream. Values are
// BF16 in the reference precision, f32 otherwise. Parameters are on the GPU after load(), others
// from their first use on, and must not change or move afterwards.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "engine/device/memory.h"
#include "engine/device/range.h"
#include "engine/device/stamps.h"
#include "engine/ops/cuda/estimate.h"
#include "engine/ops/cuda/kernels.h"
#include "engine/ops/cuda/recordings.h"
#include "engine/ops/cuda/weight_store.h"
#include "engine/ops/ops.h"

namespace ds4::ops::cuda {

class CudaBackend final : public Backend {
 public:
  CudaBackend(Precision precision, Residency residency);

  int value_bytes() const override {
    return cuda_value_bytes(strict() ? Precision::kReference : Precision::kF32);
  }
  weights::ModelWeights load(weights::OpenedModel opened, bool drafts,
                             const LoadProgress& progress) override;
  void reserve(int64_t pieces, int64_t scratch) override;
  Buffer allocate(int64_t bytes) override;
  void write_ids(std::span<const int32_t> from, Ids to) override;
  std::span<const float> read_floats(Floats from, int64_t count) override;
  void copy(std::span<const Copy> copies) override;
  void read(const std::byte* from, std::span<std::byte> to) override;
  void write(std::span<const std::byte> from, std::byte* to) override;
  void mark() override {
    settle();
    stamps_.add(stream_);
  }
  std::vector<double> take_marks() override { return stamps_.take(); }
  void run_step(std::span<const int64_t> key, Segments segments,
                const std::function<void()>& operations) override;

  void embed(const weights::Matrix& table, int n, Ids tokens, Values h) override;
  void mix_in(const weights::HyperConnection& hc, const MixSettings& settings,
              std::span<const float> gain, int n, Values h, Floats mix, Values x) override;
  void mix_out(int streams, int n, Values y, Floats mix, Values h) override;
  void project(const weights::Matrix& w, int n, Values x, Values y) override;
  void project_wide(const weights::Matrix& w, int n, Values x, Floats y) override;
  void project_each(std::span<const Projection> products, int n, Values x,
                    const RmsNorm* norm) override;
  void rms_norm(std::span<const float> gain, float eps, int n, Values x, Values y) override;

  void rotation(std::span<const float> frequencies, Segments segments, Floats table) override;
  void finish_queries(int heads, float eps, int n, Floats rotation, Values q) override;
  void store_raw_rows(std::span<const float> gain, float eps, Segments segments, Floats rotation,
                      Values kv, std::span<const RowStore> rows) override;
  void compress(const CompressorStep& step, bool index, Segments segments, Floats kv,
                Floats score) override;
  void finish_index_queries(int heads, RowFormat keys, int n, Floats rotation, Values iq) override;
  void select_rows(int heads, int ratio, Segments segments, Values iq, Values projected,
                   std::span<const RowStore> keys, Ids selected) override;
  void attend(const KeySet& keys, std::span<const float> sinks, Segments segments, Floats rotation,
              Values q, Values o) override;
  void project_groups(const weights::Matrix& w, int groups, int n, Values o, Values u) override;

  void route(const weights::Moe& moe, const RouteSettings& settings, int n, Ids tokens,
             Floats logits, Ids ids, Floats route_weights) override;
  void experts(const weights::Moe& moe, float swiglu_limit, int per_token, int n, Values x, Ids ids,
               Floats route_weights, Values y) override;
  void expert_norms(const weights::Moe& moe, float swiglu_limit, int per_token, int n, Values x,
                    Ids ids, Floats norms) override;

  void mix_head(const weights::HeadMix& hc, const MixSettings& settings,
                std::span<const float> gain, int n, Values h, Values x) override;
  void mtp_input(const weights::ClassicMtp& mtp, float eps, int n, Values e, Values h) override;
  void mean_streams(int streams, int n, Values h, int64_t column, Values mean) override;
  void add_markov_bias(const weights::Matrix& w1, const weights::Matrix& w2, TokenId previous,
                       int64_t row, Floats logits) override;
  void sample(std::span<const Draw> draws, std::span<TokenId> tokens) override;

 private:
  bool strict() const { return at_.strict; }
  /// An operation at work: how it launches, and its range for profilers.
  struct Operation : Launch {
    device::Range range;
  };
  /// Starts the operation that calls, with all before it launched: scratch is free again.
  [[nodiscard]] Operation begin(const char* name = __builtin_FUNCTION());
  /// The same beside the sides, which the caller has to launch or give back.
  [[nodiscard]] Operation begin_beside(Sides& sides, const char* name);
  /// The same for an operation whose first products join those that wait.
  [[nodiscard]] Operation begin_with_products(Sides& sides, const char* name);
  /// Small work of `rows` rows: that of a step waits for what can be launched with it. Parts that
  /// wait are independent; a second one of a kind may not be.
  template <class Work>
  void add_side(Sides::Part part, int rows, const Work& work) {
    launch_leaving();
    if (sides_.has(part)) launch_sides();
    add(sides_, work);
    if (rows > kStepRows) launch_sides();
  }
  /// Products of few columns, which wait for what is done with their results.
  void wait_with(Task task, const Finish& finish);
  /// Lets the product that waits with results at `out` finish them; false: there is none, or it
  /// cannot.
  bool finish_products(const void* out, Finish finish);
  void launch_products();
  void launch(const Sides& sides);
  /// How they are launched: pooling reads tails before the kernel in front has ended.
  Launch launch_of(const Sides& sides) const;
  /// To be called behind every launch that may have made rows or dots.
  void launched(const Sides& sides);
  void launch_sides();
  void launch_leaving();
  /// Launches what waits for company.
  void settle() {
    launch_products();
    launch_sides();
    ready_.values = nullptr;
    launch_leaving();
  }
  std::byte* take_values(int64_t count) { return arena_.take<std::byte>(count * value_bytes()); }
  /// y = W x for the columns given; x has `x_rows` rows of values. `values`: bf() the results.
  void multiply(const Product& product, const Columns& columns, int64_t x_rows, Input x,
                bool values, void* out, int64_t out_stride);
  /// Whether a product takes x from arrange_input().
  bool arranges(const Product& product, const Columns& columns) const;
  /// Puts x into the order of the tiles' feed, if nobody has yet.
  void arrange_input(const Tiles& tiles, const Columns& columns, int64_t x_rows, Input& x);
  /// The same, to be launched: memory is taken, and x set.
  Arranging arranging(Arrange kind, int64_t x_rows, int64_t cols, Input& x);
  /// x in the order of `product`, made by the products that wait and whose results it is; not
  /// arranged where they cannot.
  Input hand_over(const Product& product, int n, Values x);
  /// project_each() for the operation of that name.
  void project_all(const char* name, std::span<const Projection> products, int n, Values x,
                   const RmsNorm* norm);
  /// Whether streams of so many rows are mixed by mix_few().
  bool mixes_few(int n, int streams, int64_t d);
  Mixing mixing_of(const MixSettings& settings, std::span<const float> base,
                   std::span<const float> scale, std::span<const float> gain);

  /// Rows that are there in other orders as well; forgotten by every operation that may write them.
  struct Ready {
    const void* values = nullptr;
    int n = 0;
    std::array<Input, kArranges> inputs;
    Codes all_codes = {};

    /// The rows as codes, where they are.
    Codes codes(const void* x, int rows) const {
      return values == x && n == rows ? all_codes : Codes{};
    }
    /// The rows in that order, or as they are.
    Input input(Arrange arrange, const void* x, int rows) const {
      const Input& input = inputs[static_cast<size_t>(arrange)];
      return values == x && n == rows && input.arranged ? input : Input{.values = x};
    }
  };
  /// A stack of experts at work: rows follow the places of its columns.
  struct StackRun {
    const ExpertStack* stack = nullptr;
    Columns up, down;
    int64_t x_rows = 0;
    int64_t rows = 0;  // of gate_up and out
    Input x, hidden;   // hidden: the values of gate_up
    std::byte* gate_up = nullptr;
    std::byte* out = nullptr;  // [rows, d]
  };
  /// Makes the lists of the routed experts, where the routing has not.
  StackRun prepare_routed(const weights::Moe& moe, float limit, int per_token, int n, const void* x,
                          const int32_t* ids, const float* route_weights, ExpertLists& lists);
  StackRun prepare(const ExpertStack& stack, int64_t x_rows, int64_t rows, const void* x);
  void run(const StackRun& run);
  /// Gate and up of few columns, of tiles; x from `ready` or arranged.
  Task up_task(const StackRun& run, const Ready& ready);
  /// Both at once where they are few columns of tiles; else one after the other.
  void run(const StackRun& routed, const StackRun& shared, const Sides& sides, const Ready& ready);
  /// experts() of few tokens behind the router that waits, which are then routed there; false where
  /// the shapes are others.
  bool run_few_tokens(const weights::Moe& moe, float limit, int per_token, int n, Values x,
                      Values y, const Sides& sides, const Ready& ready);
  /// Copies to scratch memory of the operation under way; null for none.
  template <class T>
  const T* upload(const std::vector<T>& values);
  DrawRow draw_row(const Draw& draw);

  /// While a step is prepared, recorded or replayed: where the device finds its positions.
  const int64_t* origins() const { return recordings_.positions(); }

  /// What the routing of a step listed for experts() behind it.
  struct Listed {
    device::Memory memory{int64_t{kFewPairs} * (sizeof(Job) + 4 * sizeof(int32_t))};
    ExpertLists lists;
    const void* ids = nullptr;  // null: they may have changed since
    const void* weights = nullptr;
    int n = 0;
  };

  /// Products that wait; every other operation launches them first.
  struct Products {
    std::vector<Task> tasks;
    std::vector<Finish> finishes;  // of each task
    Sides sides;                   // beside them
  };

  /// Places where blocks arrive that finish results, and room for x that an operation arranges for
  /// the next: of a hyper-connection in an order and as codes, of attention, of a product. For the
  /// dots of a hyper-connection.
  static constexpr int64_t kHandedValues = int64_t{kFewColumns} * 32768;
  struct Finishing {
    static constexpr int64_t kScaleBytes = kHandedValues / 128 * int64_t{sizeof(float)};
    device::Memory arrived{3 * kMostArrived * int64_t{sizeof(unsigned)}};  // kRoute, kArrange twice
    device::Memory under_way{kHandedValues * 2};
    bool second = false;  // whose turn it is of kArrange's
    device::Memory ordered{kHandedValues * 2};
    device::Memory codes{kHandedValues};
    device::Memory mixed_scales{kScaleBytes};
    device::Memory attended{kHandedValues * 2};
    device::Memory handed{kHandedValues * 2};
    device::Memory handed_scales{kScaleBytes};
    device::Memory mixed_dots{int64_t{kMixedTokens} * kMixedDots * kMostSlices *
                              int64_t{sizeof(float)}};
  };
  /// Whether there is room for x of n rows.
  bool hands_over(int n, int64_t cols) const {
    return strict() && n <= kFewColumns && cols % 128 == 0 && n * cols <= kHandedValues;
  }

  /// What a hyper-connection is to leave besides x; ready_x() says that it has.
  ArrangedInputs arranged_x(int n, Values x);
  void ready_x(const ArrangedInputs& arranged, int n, Values x);

  /// The end of a sublayer of few tokens, which waits for the next one to be entered: experts()
  /// whose results are yet to be added, mix_out(), or both.
  struct Waiting {
    Leaving parts;  // of experts(); y is where their sum belongs
    Values y, h;    // of mix_out(); no data: has not come
    Floats mix;
    int streams = 0;
    int n = 0;
    int64_t d = 0;
  };

  /// What reserve() took and its pieces; Buffers keep it alive.
  struct Reserved;

  device::Stream stream_;
  Launch at_;
  std::shared_ptr<Reserved> reserved_;
  device::Arena arena_;
  const Residency residency_;
  WeightStore weights_;
  device::Stamps stamps_;
  Recordings recordings_;
  Listed listed_;
  Finishing finishing_;
  Products products_;
  Ready ready_;
  Sides sides_;
  // Of which positions the last launch stored cache rows, for each of its parts that did.
  std::vector<Places> stored_;
  // Whether select_rows() launched last.
  bool selected_ = false;
  Waiting waiting_;
  struct {
    int streams = 0;
    int64_t d = 0;
    bool few = false;
  } mixed_;                   // what mixes_few() found last
  device::HostMemory drawn_;  // tokens of a launch
  device::HostMemory host_;   // what read_floats() gave last
};

inline int rows_of(Segments segments) {
  return segments.empty() ? 0 : segments.back().row + segments.back().chunk.n;
}

inline float* floats(Floats v) {
  return reinterpret_cast<float*>(v.data);
}
inline int32_t* ints(Ids v) {
  return reinterpret_cast<int32_t*>(v.data);
}

/// Reports what the launches since the last call did wrong.
void check_launches();

}  // namespace ds4::ops::cuda
