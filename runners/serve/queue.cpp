#include "runners/serve/queue.h"

#include <utility>

#include "engine/base/check.h"

namespace ds4::runners::serve {
namespace {

Response cancelled() {
  Response response;
  response.answer.finish_reason = "cancelled";
  return response;
}

}  // namespace

std::shared_ptr<Exchange> RequestQueue::post(Request request) {
  auto exchange = std::make_shared<Exchange>(std::move(request));
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return nullptr;
    // Clients that left make room.
    std::erase_if(waiting_, [&](const auto& other) {
      if (!other->cancelled()) return false;
      end(*other, cancelled());
      return true;
    });
    if (waiting_.size() >= most_waiting_) return nullptr;
    waiting_.push_back(exchange);
    show_counts();
  }
  posted_.notify_one();
  return exchange;
}

void RequestQueue::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (const auto& exchange : std::exchange(waiting_, {})) end(*exchange, cancelled());
  show_counts();
  posted_.notify_all();
}

void RequestQueue::fail(const std::string& error) {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  Response failed;
  failed.error = error;
  failed.failure = Failure::kBroken;
  for (const auto& exchange : std::exchange(waiting_, {})) end(*exchange, failed);
  for (const auto& [id, taken] : std::exchange(taken_, {})) end(*taken.exchange, failed);
  show_counts();
  posted_.notify_all();
}

bool RequestQueue::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

std::optional<Work::Item> RequestQueue::next(bool wait) {
  std::unique_lock lock(mutex_);
  while (true) {
    if (wait) posted_.wait(lock, [&] { return closed_ || !waiting_.empty(); });
    if (waiting_.empty()) return std::nullopt;
    std::shared_ptr<Exchange> exchange = std::move(waiting_.front());
    waiting_.pop_front();
    if (exchange->cancelled()) {
      end(*exchange, cancelled());
      show_counts();
      continue;
    }
    const int64_t id = next_id_++;
    Item item{id, exchange->request()};
    const double waited_s = exchange->age_s();
    taken_[id] = {std::move(exchange), waited_s};
    show_counts();
    return item;
  }
}

bool RequestQueue::progress(int64_t id, int64_t prompt_done, int64_t /*completion_done*/) {
  const std::lock_guard lock(mutex_);
  Exchange& exchange = *taken_.at(id).exchange;
  exchange.prompt_at(prompt_done);
  return !closed_ && !exchange.cancelled();
}

void RequestQueue::text(int64_t id, const Pieces& pieces) {
  const std::lock_guard lock(mutex_);
  taken_.at(id).exchange->add(pieces);
}

void RequestQueue::done(int64_t id, Response response) {
  const std::lock_guard lock(mutex_);
  auto taken = taken_.extract(id);
  DS4_CHECK(!taken.empty());
  metrics_.answered(response, taken.mapped().waited_s, taken.mapped().exchange->age_s());
  show_counts();
  taken.mapped().exchange->end(std::move(response));
}

void RequestQueue::end(Exchange& exchange, Response response) {
  metrics_.answered(response, exchange.age_s(), exchange.age_s());
  exchange.end(std::move(response));
}

void RequestQueue::show_counts() const {
  metrics_.requests(std::ssize(taken_), std::ssize(waiting_));
}

}  // namespace ds4::runners::serve
