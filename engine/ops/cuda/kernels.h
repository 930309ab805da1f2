// What the host part of the CUDA back end asks of its kernels: plain structures and launchers, one
// group per .cu file beside this header. Everything is stream-ordered; nothing allocates. Values
// are BF16 when `strict` (the reference precision: rounding points and simulated formats on), else
// f32 without any rounding.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdint>
#include <span>

#include "engine/ops/drawing.h"

namespace ds4::ops::cuda {

struct Launch {
  cudaStream_t stream = nullptr;
  bool strict = true;
  bool early = false;        // kernels may come up before the one in front ends (launch.cuh)
  bool warp_groups = false;  // the GPU multiplies by warp groups (wgmma.cuh)
};

/// Kernels launched by this process so far, those of replayed graphs included.
inline std::atomic<int64_t> kernel_launches{0};

/// A matrix as the checkpoint stores it, in device memory (weights::Matrix, model.md 2.2).
struct PlainMatrix {
  enum Format : int { kFp4, kFp8, kBf16, kF32 };
  Format format = kF32;
  int64_t rows = 0, cols = 0;
  int64_t row_bytes = 0, scale_cols = 0;
  const uint8_t* data = nullptr;
  const uint8_t* scales = nullptr;
  int64_t first_row = 0;  // where a group of its rows begins
};

/// Up to so many rows are a step of sequences (decoding, checking drafts), more a chunk of a
/// prompt. A step is recorded, and takes the kernels for few rows, a few at a time.
inline constexpr int kStepRows = 32;

/// ops::RowLayout as kernels read it.
struct RowShape {
  enum Format : int { kFp8, kFp4, kBf16, kF32 };
  Format format = kF32;
  int dim = 0, nope = 0;
  int rope_offset = 0, scale_offset = 0, bytes = 0;
};

/// ops::Segments of one launch: view rows row[s] .. row[s + 1] - 1 are positions first[s], ...,
/// counted from *origin[s] (device memory) where there is one: a recorded step finds its positions
/// there. Launchers take any number of segments in groups of this size.
inline constexpr int kSegments = 8;
struct Places {
  int count = 0;
  int row[kSegments + 1] = {};
  int64_t first[kSegments] = {};
  const int64_t* origin[kSegments] = {};
  int rows() const { return row[count] - row[0]; }
  bool operator==(const Places&) const = default;
};

/// One store of equal shape per segment; row i of a store lies in slot i % slots. slots 0: none.
struct RowStores {
  RowShape shape;
  int64_t slots[kSegments] = {};
  uint8_t* data[kSegments] = {};
};

// --- vectors.cu: rows of values ---------------------------------------------------------------

void embed(Launch at, const PlainMatrix& table, int n, const int32_t* tokens, int streams, void* h);
void rms_norm(Launch at, const float* gain, float eps, int n, int64_t cols, const void* x, void* y);
/// table [n, 2 * pairs], row by row as `places` tells.
void rotation(Launch at, const float* frequencies, int pairs, const Places& places, float* table);
/// hidden = the values of `gated`, whose rows have 2 * inter columns in memory.
struct Input;
void swiglu(Launch at, const Input& gated, int64_t rows, int64_t inter, void* hidden);

// --- mixing.cu: hyper-connections -------------------------------------------------------------

inline constexpr int kMaxStreams = 8;
inline constexpr int kMostMixed = 12288;  // values of a stream
struct Mixing {
  int streams = 0;
  int iterations = 0;
  float mix_eps = 0, norm_eps = 0;
  const float* base = nullptr;
  const float* scale = nullptr;
  const float* gain = nullptr;
};
/// f32 numbers that mix_in and mix_head need as scratch.
int64_t mixing_scratch(int64_t rows, int64_t cols, int n);
/// `arranged`: x once more, where wanted; d a multiple of 128 then.
struct ArrangedInputs;
void mix_in(Launch at, const PlainMatrix& fn, const Mixing& mixing, int n, int64_t d, const void* h,
            float* scratch, float* mix, void* x, const ArrangedInputs& arranged);
void mix_head(Launch at, const PlainMatrix& fn, const Mixing& mixing, int n, int64_t d,
              const void* h, float* scratch, void* x);
void mix_out(Launch at, int streams, int n, int64_t d, const void* y, const float* mix, void* h);
// --- mix_few.cu: hyper-connections of few tokens ------------------------------------------------

/// The sublayer that is left: mix_out() with y, or with the sum of its parts as combine() makes it.
/// y null: none.
inline constexpr int kMostPerToken = 32;
struct Leaving {
  const void* y = nullptr;
  const float* mix = nullptr;
  // Not null: what y would be the sum of.
  const void* routed = nullptr;
  const int32_t* place = nullptr;
  const void* shared = nullptr;
  int per_token = 0;
};
/// For up to so many tokens of kMixedStreams streams.
inline constexpr int kMixedTokens = 8;
inline constexpr int kMixedStreams = 4;
/// Whether this GPU can do it for such streams.
bool can_mix_few(Launch at, int streams, int64_t d);
/// mix_out() and mix_in(), fn of f32, for the streams' coefficients only; Coefficients are to make
/// the others. `mix` gets the dots of these, then what multiplies all dots (1 / rms of h).
void mix_few(Launch at, const Leaving& from, const PlainMatrix& fn, const Mixing& mixing, int n,
             int64_t d, void* h, float* mix, void* x, const ArrangedInputs& arranged);

/// mean[i * stride + c] = bf(mean over the streams of h[i][., c]).
void mean_streams(Launch at, int streams, int n, int64_t d, const void* h, int64_t stride,
                  void* mean);
/// h[i][s] = bf(left[i] + right[i][s]).
void join_streams(Launch at, int streams, int n, int64_t d, const void* left, const void* right,
                  void* h);

// --- arrange.cu: activations as the products read them -----------------------------------------

/// The activations of a product: rows of values as they are, or the hidden values of gated experts,
/// whose rows in memory are the gate's results and then the up projection's:
/// bf(weight[r] * silu(min(gate, limit)) * clamp(up)), weight 1 where null.
struct Input {
  const void* values = nullptr;
  bool gated = false;
  float limit = 0;
  const float* weights = nullptr;
  // Not null, in products that arrange x by themselves: rms(values; gain) instead.
  const float* gain = nullptr;
  float eps = 0;
  // What arrange() made of them, where it was called.
  const void* arranged = nullptr;
  const float* scales = nullptr;
};

/// Element type and order of x inside each group of 128 (mma_feeds.cuh).
enum class Arrange {
  kE4m3,      // Q8 codes
  kF16,       // Q8 codes as f16
  kF16Words,  // Q8 codes as f16, for MXFP4 words
  kBf16Wide,  // x itself times 2^60, BF16
  kBf16,      // x itself
};
inline constexpr int kArranges = 5;
/// Where the elements lie that a lane of a fragment takes: one lane's behind the other's; or, for
/// products by warp groups, in chunks of 16 bytes that have four bytes of each of the four lanes.
enum class Order { kLanes, kChunks };
constexpr int arranged_bytes(Arrange arrange) {
  return arrange == Arrange::kE4m3 ? 1 : 2;
}
/// x of a sublayer in the orders in which its products read it, from those that make it.
struct ArrangedInputs {
  Arrange fp8 = Arrange::kF16;  // kF16 or kE4m3: what products of FP8 weights take
  void* ordered = nullptr;      // in that order; null: nothing is wanted
  uint32_t* codes = nullptr;  // Q8 codes, four by four, as they lie: what few tokens' experts take
  float* scales = nullptr;    // of both
};
/// x [rows, cols] as Q8 codes, four by four, with scales [rows, cols / 128].
struct Codes {
  const uint32_t* codes = nullptr;
  const float* scales = nullptr;
};
/// x [rows, cols] BF16, cols a multiple of 128. scales [rows, cols / 128]; null for BF16.
void arrange(Launch at, Arrange kind, Order order, int64_t rows, int64_t cols, const Input& x,
             void* out, float* scales);
/// The same of two inputs in one launch, both kLanes: `words` as kF16Words, `codes` as kF16 or
/// kE4m3.
struct Arranging {
  Arrange kind = Arrange::kF16;
  int64_t rows = 0, cols = 0;
  Input x;
  void* out = nullptr;
  float* scales = nullptr;
};
void arrange_both(Launch at, const Arranging& words, const Arranging& codes);
/// out [rows, cols] f32 = Q8(x; 128) times its scales when `quantise` and strict, else x.
void widen(Launch at, bool quantise, int64_t rows, int64_t cols, const void* x, float* out);

// --- plain_product.cu, few_columns.cu, many_columns.cu: matrix products --------------------------

/// Some columns (activation rows) that meet one matrix: places first.. of a sorted list. `row`:
/// what place `first` reads.
struct alignas(16) Job {
  int32_t matrix, first, count, row;
};

/// Where the columns of a product come from and go to. Without jobs: `groups` matrices, column c of
/// group j is row c * groups + j of x and of out, c < columns. With jobs: a column's place p reads
/// row x_rows[p] (p itself where null) and writes row p.
struct Columns {
  const Job* jobs = nullptr;
  const int32_t* n_jobs = nullptr;
  const int32_t* x_rows = nullptr;
  int groups = 1;     // without jobs
  int columns = 0;    // without jobs; with jobs the most columns a job has
  int most_jobs = 0;  // with jobs: bound on *n_jobs
};

/// out[row * out_stride + r] = sum_k W[r][k] x[row][k] for stored matrices of any format and shape;
/// x f32 [., cols]. `table` (device) holds one matrix per group or job. BF16 or f32 results.
void plain_product(Launch at, const PlainMatrix* table, int64_t rows, int64_t cols,
                   const Columns& columns, const float* x, bool values, void* out,
                   int64_t out_stride);

/// logits[r] += w2[r] . w1[previous], f32.
void markov_bias(Launch at, const PlainMatrix& w1, const PlainMatrix& w2, int64_t previous,
                 float* logits);

/// How repacked weights reach the tensor cores; the layout of the tiles follows (weight_store.cpp).
enum class Feed { kFp8E4m3, kFp8F16, kFp8Wide, kFp4Planes, kBf16 };
/// Columns of a job: few (decode) or many (prefill). Results do not depend on which.
inline constexpr int kFewColumns = 8;
inline constexpr int kManyColumns = 64;

struct Tiles {
  Feed feed = Feed::kBf16;
  int64_t rows = 0, cols = 0;  // of one matrix: multiples of 16 and 128
  const uint8_t* weights = nullptr;
  const uint8_t* scales = nullptr;
  int64_t stride = 0, scale_stride = 0;  // bytes from matrix to matrix
  int slices = 1;                        // of k, summed in order: 1, 2, 4 or 8
};
constexpr Arrange arrange_of(Feed feed) {
  return feed == Feed::kFp8E4m3   ? Arrange::kE4m3
         : feed == Feed::kFp8F16  ? Arrange::kF16
         : feed == Feed::kFp8Wide ? Arrange::kBf16Wide
         : feed == Feed::kBf16    ? Arrange::kBf16
                                  : Arrange::kF16Words;
}
/// Whether few_columns_product arranges x by itself (BF16: copies it), in shared memory: worth it
/// for few values, because each block does it again.
inline constexpr int kHereColumns = 4;
inline constexpr int64_t kHereValues = 8192;
inline bool arranges_here(const Tiles& tiles, const Columns& columns) {
  return columns.columns <= kHereColumns && columns.columns * tiles.cols <= kHereValues;
}
/// One product to be made: x must be arranged unless arranges_here() or the feed is kBf16.
struct Task {
  Tiles tiles;
  Columns columns;
  Input x;
  void* out = nullptr;
  int64_t out_stride = 0;
  bool values = true;  // BF16 results; else f32
};
inline bool arranges_here(const Task& task) {
  return !task.x.arranged && arranges_here(task.tiles, task.columns);
}
/// At most kFewColumns columns a job, without jobs kStepRows; with a finish kFewColumns.
struct Finish;
void few_columns_product(Launch at, const Task& task, const Finish& finish);
/// At most kMostTasks of them in one launch, of any feeds but kFp8Wide; x of all must be arranged
/// unless arranges_here() for all. `finishes`: of each task, at most one that does anything.
/// `sides`: what to do beside them.
inline constexpr int kMostTasks = 8;
bool arranges_here(std::span<const Task> tasks);
struct Sides;
void few_columns_set(Launch at, std::span<const Task> tasks, std::span<const Finish> finishes,
                     const Sides& sides);
/// Any number of columns.
void many_columns_product(Launch at, const Task& task);
/// Whether the GPU and the machine code that it runs multiply by warp groups.
bool has_warp_groups();
/// The same by warp groups; x of all feeds must be arranged, in chunks.
void group_columns_product(Launch at, const Task& task);

// --- repack.cu: stored weights to tiles, 16 rows at a time -------------------------------------

enum class Packing { kUnits, kPlanes };
/// native: `rows` stored rows of `row_bytes` (a multiple of 32 bytes per group of 128 columns).
void repack_weights(cudaStream_t stream, Packing packing, const uint8_t* native, uint8_t* out,
                    int64_t rows, int64_t row_bytes, int64_t cols);
/// MXFP4 scales [rows, cols / 32] to fragment order.
void repack_fp4_scales(cudaStream_t stream, const uint8_t* native, uint8_t* out, int64_t rows,
                       int64_t cols);

// --- experts.cu: routing and lists --------------------------------------------------------------

struct Routing {
  int n = 0, experts = 0, per_token = 0;
  bool normalise = true;
  float factor = 1;
  const float* bias = nullptr;       // score layers
  const int32_t* tid2eid = nullptr;  // hash layers
  const int32_t* tokens = nullptr;
};
void route(Launch at, const Routing& routing, float* logits, int32_t* ids, float* weights);

/// Pairs (token, slot) sorted by expert, ties by pair; jobs of at most `most_columns` places.
struct ExpertLists {
  Job* jobs = nullptr;          // [pairs + experts]
  int32_t* n_jobs = nullptr;    // [1]
  int32_t* token_at = nullptr;  // of a place
  float* weights = nullptr;     // of a place; null: not wanted
  int32_t* place = nullptr;     // of a pair
};
/// Up to so many pairs are listed by a block that looks at all of them.
inline constexpr int kFewPairs = 256;
/// route() and list_experts() of at most kFewPairs pairs.
struct FewRouting {
  Routing routing;
  int most_columns = 0;
  float* logits = nullptr;
  int32_t* ids = nullptr;
  float* weights = nullptr;
  ExpertLists lists;
};
/// Both in one launch.
void route_few(Launch at, const FewRouting& routing);
/// Shared memory that a block needs for them, in bytes.
size_t route_few_shared(const FewRouting& routing);
void list_experts(Launch at, int pairs, int per_token, int experts, int most_columns,
                  const int32_t* ids, const float* route_weights, const ExpertLists& lists);
/// norms[pair] = L2 norm of row place[pair] of routed [pairs, d].
void pair_norms(Launch at, int pairs, int64_t d, const void* routed, const int32_t* place,
                float* norms);
/// y[i] = bf(sum of rows place[i * per_token ..] of routed in ascending place + shared[i]).
void combine(Launch at, int n, int per_token, int64_t d, const void* routed, const int32_t* place,
             const void* shared, void* y);

// --- experts_few.cu: a few tokens' mixture of experts ------------------------------------------

/// Slots of a token that a block can route by itself.
inline constexpr int kRoutedSlots = 6;
/// The routed experts of at most kFewColumns tokens from their logits, and the shared one.
struct FewTokens {
  FewRouting routing;  // of its lists only `place` is written, by few_tokens_up(), with ids
  Tiles up, down;      // of the routed experts; up: w1 over w3
  Tiles shared_up, shared_down;  // of the shared one
  Codes x;                       // of up and of shared_up
  float limit = 0;
  void* hidden = nullptr;  // scratch [pairs by place, then tokens of the shared expert; down.cols]
  void* y = nullptr;       // of one token: bf(sum over experts in ascending id + shared expert)
  void* routed_y = nullptr;  // of several: [pairs by place, down.rows]
  void* shared_y = nullptr;  // of several: [n, down.rows]
};
/// Whether the shapes are those of these kernels.
bool can_few_tokens(const FewTokens& work);
/// The routing and all experts' gate and up. Behind the launch that makes the logits; x must have
/// been there before that one.
void few_tokens_up(Launch at, const FewTokens& work);
/// All experts' down. Directly behind few_tokens_up().
struct Sides;
void few_tokens_down(Launch at, const FewTokens& work, const Sides& sides);

// --- rows.cu: query heads and cache rows --------------------------------------------------------

/// Values of a query head at most; of an indexer's head kMaxIndexDim.
inline constexpr int kMostHeadDim = 576;
inline constexpr int kMaxIndexDim = 128;
/// Heads of queries or, with `index`, of the indexer's, finished in place.
struct QueryHeads {
  bool index = false;
  bool simulate = false;  // index: round to the format of FP4 keys
  int heads = 0, dim = 0;
  int64_t n_heads = 0;  // of all rows
  float eps = 0;        // of the norm that only queries have
  const float* rotation = nullptr;
  int rope = 0;
  void* q = nullptr;
};
struct RawRows {
  const float* gain = nullptr;
  float eps = 0;
  Places places;
  const float* rotation = nullptr;
  int rope = 0;
  const void* kv = nullptr;
  RowStores rows;
};
struct Compression {
  int ratio = 0, dim = 0, width = 0;
  bool overlap = false, index = false;
  const float* ape = nullptr;
  const float* gain = nullptr;
  const float* frequencies = nullptr;
  int pairs = 0;
  float eps = 0;
  RowStores rows;
  float* tail_kv[kSegments] = {};
  float* tail_score[kSegments] = {};
  int64_t tail_slots[kSegments] = {};
};
/// kv and score [., width] by view row; score without the position embedding. At most `rows`
/// compressed rows and `kept` tokens of tails a segment.
struct Pooling {
  Compression compression;
  Places places;
  const float* kv = nullptr;
  const float* score = nullptr;
  int rows = 0, kept = 0;
};
/// Whether rows read tails that the same tokens would overwrite: two launches then, the rows first.
bool set_pooling_counts(Pooling& work);

/// Of mix_few(): the dots that it left, in the slices into which blocks cut them, and all
/// coefficients.
inline constexpr int kMixedDots = kMixedStreams * (kMixedStreams + 1);
inline constexpr int kMostSlices = 64;
struct Coefficients {
  Mixing mixing;
  int n = 0;
  float* mix = nullptr;
  int64_t d = 0;
  const float* fn = nullptr;
  const void* h = nullptr;
  float* dots = nullptr;  // scratch [n, kMixedDots, slices]
};

/// Small work of which nothing depends on another part: in one launch, by itself or beside
/// products.
struct Sides {
  enum Part {
    kDots,
    kCoefficients,
    kRaw,
    kPooling,
    kIndexPooling,
    kQueries,
    kIndexQueries,
    kParts
  };
  Coefficients coefficients;  // also of the dots, which a launch in front has made by then
  RawRows raw;
  Pooling pooling[2];  // the second: of indexer keys
  QueryHeads queries[2];
  int end[kParts] = {};  // blocks of the parts up to each
  size_t shared = 0;     // bytes that a block needs

  /// Whether a part that waits reads the rows that begin there.
  bool read(const void* rows) const {
    return (has(kRaw) && raw.kv == rows) ||
           (has(kPooling) && (pooling[0].kv == rows || pooling[0].score == rows)) ||
           (has(kIndexPooling) && (pooling[1].kv == rows || pooling[1].score == rows));
  }
  bool only(Part part) const { return has(part) && end[kParts - 1] == blocks_of(part); }
  int blocks_of(Part part) const { return end[part] - (part == 0 ? 0 : end[part - 1]); }
  bool has(Part part) const { return blocks_of(part) > 0; }
  __host__ __device__ int blocks() const { return end[kParts - 1]; }
};
void add_dots(Sides& sides, const Coefficients& work);
void add(Sides& sides, const Coefficients& work);
void add(Sides& sides, const QueryHeads& work);
void add(Sides& sides, const RawRows& work);
void add(Sides& sides, const Pooling& work);
void remove(Sides& sides, Sides::Part part);
void run_sides(Launch at, const Sides& sides);

// --- finish.cuh: results of products of few columns, finished by them ---------------------------

/// What a block does with a part of the results: `part` of each column. kArrange: of feed kFp8Wide
/// (attention's output projection), BF16.
struct Finish {
  enum Kind : int { kNone, kArrange, kRoute };
  Kind kind = kNone;
  int part = 0;
  // Blocks of the parts of all jobs or groups, 0 in front and behind. kArrange: not those that the
  // launch in front counts with.
  unsigned* arrived = nullptr;
  // kArrange: the results as x of the next product, rows of out_stride values. `under_way`: room
  // for as many BF16, all bits set in front and behind.
  void* under_way = nullptr;
  Arrange arrange = Arrange::kF16;
  void* arranged = nullptr;
  float* scales = nullptr;
  FewRouting routing;  // its logits are the results
};
/// Places of `arrived`.
inline constexpr int kMostArrived = 1024;
/// Whether parts and blocks of the product fit each other.
bool can_finish(const Task& task, const Finish& finish);

// --- select.cu: the indexer ---------------------------------------------------------------------

struct Selection {
  int heads = 0, dim = 0, ratio = 0, top = 0;
  Places places;
  float scale = 0;
  const void* iq = nullptr;         // by view row, like the next three
  const void* arranged = nullptr;   // iq by arrange(kBf16, kChunks), where selects_by_groups()
  const void* projected = nullptr;  // [., heads]
  int32_t* selected = nullptr;      // [., top]
  RowStores keys;
  void* scores = nullptr;  // values [rows of the places, stride]
  int64_t stride = 0;      // a multiple of 8, at least the most visible rows
  bool settled = false;    // all keys; as Attention::settled
};
void select_rows(Launch at, const Selection& selection);
/// Whether many queries are scored by warp groups, from arranged ones (select_groups.cu).
bool selects_by_groups(Launch at, const Selection& selection);

// --- attend.cu: attention over cache rows -------------------------------------------------------

inline constexpr int kScoreStep = 128;
/// Up to so many queries in a launch have kernels of their own (attend_few.cu), with the same bits.
inline constexpr int kFewQueries = 8;
struct Attention {
  int heads = 0, dim = 0, window = 0, ratio = 0;
  Places places;
  RowStores raw, compressed;   // of one shape
  bool whole_segment = false;  // read window rows before the segment and all of its own
  int segment_before[kSegments] = {}, segment_rows[kSegments] = {};
  // [., top] by view row, of which min(top, visible rows) count; -1 among them: no row. Null: every
  // visible compressed row.
  const int32_t* selected = nullptr;
  int top = 0;
  const float* sinks = nullptr;
  const float* rotation = nullptr;  // [., rope] by view row
  int rope = 0;
  float scale = 0;
  const void* q = nullptr;
  QueryHeads unfinished;  // few queries: what is yet to be done with q, n_heads 0 for nothing
  void* o = nullptr;
  float* scores = nullptr;   // [rows of the places, heads, stride]
  float* sums = nullptr;     // [rows of the places, heads]
  int64_t stride = 0;        // a multiple of kScoreStep, at least the most keys of a query
  void* arranged = nullptr;  // not null, few queries: o once more, as kBf16Wide
  // What was stored by launches before the one in front, which has waited for them, and may be read
  // before it ends: of the rows all, or those of positions before the places; q.
  enum Settled : int { kNone, kOlder, kAll };
  Settled settled = kNone;
  bool settled_queries = false;
};
void attend(Launch at, const Attention& attention);
/// The same for a chunk of one sequence (attend_chunk.cu), with the same bits; without scores and
/// sums, but in a room of its own. Its bytes, at most `most`; 0: not for this shape or this GPU.
int64_t attend_chunk_room(Launch at, const Attention& attention, int64_t most);
void attend_chunk(Launch at, const Attention& attention, void* room, int64_t bytes);

// --- sample.cu: drawing tokens -----------------------------------------------------------------

inline constexpr int64_t kMostVocabulary = int64_t{1} << 18;
inline constexpr int kDrawRows = 8;     // of a launch
inline constexpr int kDrawParts = 256;  // parts into which blocks cut a vocabulary

/// ops::Draw as kernels read it.
struct DrawRow {
  const float* logits = nullptr;
  double temperature = 0;
  double top_p = 1;
  int64_t top_k = 0;          // 0: keep all
  uint64_t least_weight = 0;  // of min_p
  uint64_t random = 0;        // random_at()
  Penalties penalties;
  const TokenChange* changes = nullptr;
  const float* biases = nullptr;
  int n_changes = 0;
};
/// What the kernels of a draw hand on; zero before the first of them.
struct DrawState {
  double top = 0;      // the largest z
  bool none = false;   // is above -inf
  bool found = false;  // the least key of the cut under way
  unsigned arrived = 0;
  uint64_t least = 0;  // key that the cuts so far keep
  uint64_t prefix = 0, above = 0, goal = 0;
  double part_z[kDrawParts] = {};
  int32_t part_token[kDrawParts] = {};
  uint64_t part_weight[kDrawParts] = {};
};
struct DrawTask {
  int rows = 0;
  int id_bits = 0;  // of a token's id
  int64_t vocab = 0;
  DrawRow row[kDrawRows];
  DrawState* states = nullptr;  // [rows]
  uint64_t* bins = nullptr;     // draw_bins_bytes(), zero in front and behind; for cuts only
  uint64_t* keys = nullptr;     // [rows, vocab]; for all but plain greedy draws
  int32_t* tokens = nullptr;    // [rows], the result; may be host memory
};
int64_t draw_bins_bytes(int rows);
void draw(Launch at, const DrawTask& task);

}  // namespace ds4::ops::cuda
