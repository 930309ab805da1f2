#include "runners/sweep/order.h"

#include <algorithm>
#include <random>
#include <utility>

namespace ds4::runners::sweep {
namespace {

// Fisher and Yates; std::shuffle is not the same everywhere.
void shuffle(std::vector<QueuedCell>& cells, std::mt19937_64& random) {
  for (size_t i = cells.size(); i > 1; --i) {
    // The remainder's bias is below i / 2^64.
    std::swap(cells[i - 1], cells[random() % i]);
  }
}

}  // namespace

std::vector<reports::TurnRow> make_queue(const profiles::SweepSection& sweep,
                                         const std::vector<QueuedCell>& cells) {
  std::vector<QueuedCell> round = cells;
  if (sweep.order == "memory") {
    std::stable_sort(round.begin(), round.end(), [](const QueuedCell& a, const QueuedCell& b) {
      return a.need_bytes < b.need_bytes;
    });
  }
  std::mt19937_64 random(sweep.seed);
  std::vector<reports::TurnRow> queue;
  for (int64_t repeat = 0; repeat < sweep.repeats; ++repeat) {
    if (sweep.order == "random") shuffle(round, random);
    for (const QueuedCell& cell : round) {
      queue.push_back({.ordinal = static_cast<int>(queue.size()),
                       .cell_key = cell.key,
                       .need_bytes = cell.need_bytes});
    }
  }
  return queue;
}

}  // namespace ds4::runners::sweep
