#include "runners/serve/exchange.h"

#include <utility>

#include "engine/base/clock.h"

namespace ds4::runners::serve {

Exchange::Exchange(Request request)
    : request_(std::move(request)), posted_s_(monotonic_seconds()) {}

double Exchange::age_s() const {
  return monotonic_seconds() - posted_s_;
}

Exchange::News Exchange::wait(std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, at_most, [&] { return !news_.pieces.empty() || news_.response; });
  News news = std::exchange(news_, {});
  news.prompt_tokens = prompt_tokens_;
  return news;
}

void Exchange::add(const Pieces& pieces) {
  {
    const std::lock_guard lock(mutex_);
    news_.pieces.push_back(pieces);
  }
  changed_.notify_one();
}

void Exchange::end(Response response) {
  {
    const std::lock_guard lock(mutex_);
    news_.response = std::move(response);
  }
  changed_.notify_one();
}

}  // namespace ds4::runners::serve
