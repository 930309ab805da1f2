// Guessing the tokens that follow (model.md 5): what the session knows of the classic MTP block and
// of the chained blocks of DSpark. A guess is never trusted, so nothing here can change an answer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/api/session.h"
#include "engine/model/mechanisms.h"

namespace ds4::model {

/// What a drafter remembers of one sequence: rings of rows indexed by position, so that going back
/// is a change of counters.
struct DraftMemory {
  ops::Buffer buffer;
  ops::Values states;              // classic: [slots, streams * d], backbone states
  std::vector<ops::RowStore> raw;  // raw KV rows of each block
  int64_t slots = 0;
  int64_t reach = 0;  // how many positions back a row is certainly still there

  // The backbone rows of positions [begin, end) are here.
  int64_t begin = 0;
  int64_t end = 0;
  // Classic: KV rows of positions below this belong to the timeline, as far as `begin` allows.
  int64_t paired = 0;

  /// Positions first.. of the timeline have been computed; those behind them are gone.
  void computed(int64_t first, int n);
  /// The timeline has `length` tokens.
  void go_back(int64_t length);
  /// The timeline is another one.
  void forget() { begin = end = paired = 0; }
};

/// A sequence that wants guesses about what follows `drawn`, which stands behind the computed
/// `timeline`.
struct Proposal {
  std::span<const TokenId> timeline;
  TokenId drawn = 0;
  int count = 0;
  DraftMemory* memory = nullptr;
};

/// A guess to be drawn: of which proposal, from which logits [vocab], and where it shall stand.
struct Guess {
  size_t proposal = 0;
  ops::Floats logits;
  int64_t position = 0;
};
/// Draws guesses of different proposals.
using Draw = std::function<std::vector<TokenId>(std::span<const Guess>)>;

/// One per engine; borrows weights and back end. The workspace comes with each pass.
class Drafter {
 public:
  virtual ~Drafter() = default;

  virtual DraftMemory new_memory() const = 0;
  /// Called between the layers of a backbone pass, when `layer` has left its output in h.
  virtual void after_layer(const Pass& pass, int layer) = 0;
  /// Called after a backbone pass for each sequence of the batch; leaves h as it is.
  virtual void observe(const Pass& pass, const ops::Segment& segment, DraftMemory& memory) = 0;
  /// Guesses, by calls of `draw` in the order of positions, the tokens that each proposal wants;
  /// none for one whose memory has no row of its timeline's last token. Uses up the workspace.
  virtual void propose(const Pass& pass, std::span<const Proposal> proposals, const Draw& draw) = 0;
};

/// Null when the settings ask for no drafts. `capacity`: the rows of the workspace, at least the
/// rows of a draft block.
std::unique_ptr<Drafter> make_drafter(const weights::ModelWeights& weights, ops::Backend& backend,
                                      const EngineSettings& settings, int capacity);

/// What the drafter takes: bytes of the engine and of each sequence.
struct DraftBytes {
  int64_t engine = 0;
  int64_t sequence = 0;
};
/// `blocks`: MTP blocks of the checkpoint; all zero without drafts.
DraftBytes drafter_bytes(const weights::ModelConfig& config, int blocks,
                         const EngineSettings& settings, int capacity, int value_bytes);

}  // namespace ds4::model
