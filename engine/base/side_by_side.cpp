#include "engine/base/side_by_side.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/base/processors.h"

namespace ds4 {

void side_by_side(size_t n, const std::function<void(size_t)>& work, int most_threads) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr thrown;
  const auto take = [&] {
    for (size_t i = next++; i < n; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!thrown) thrown = std::current_exception();
        next = n;
      }
    }
  };
  {
    const auto wanted = std::min(n, static_cast<size_t>(most_threads));
    const auto threads = std::min(wanted, static_cast<size_t>(usable_processors()));
    std::vector<std::jthread> helpers;
    for (size_t i = 1; i < threads; ++i) helpers.emplace_back(take);
    take();
  }
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace ds4
