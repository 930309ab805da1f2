// Independent pieces of work on several threads.
#pragma once

#include <cstddef>
#include <functional>

namespace ds4 {

/// Calls work(0), ..., work(n - 1) on at most so many threads, the caller's among them, and no more
/// than there are processors; each takes the first that is left. Returns when all are done; of what
/// they threw the first is thrown on.
void side_by_side(size_t n, const std::function<void(size_t)>& work, int most_threads);

}  // namespace ds4
