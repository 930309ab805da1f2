#include "runners/managed/metrics_poll.h"

#include <chrono>
#include <utility>

#include "engine/base/clock.h"
#include "runners/managed/prometheus.h"

namespace ds4::runners::managed {
namespace {

constexpr double kPatience_s = 5;  // a busy server answers late; then this reading is left out
constexpr size_t kMostSamples = 100000;

}  // namespace

MetricsPoll::MetricsPoll(const std::string& origin, const std::string& path, const std::string& key,
                         double interval_s, double began_s)
    : client_(origin, key, {kPatience_s, kPatience_s, kPatience_s, kPatience_s}),
      path_(path),
      interval_s_(interval_s),
      began_s_(began_s),
      thread_([this] { work(); }) {}

MetricsPoll::~MetricsPoll() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  client_.cancel();
  changed_.notify_all();
  thread_.join();
}

std::vector<probes::Sample> MetricsPoll::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(samples_, {});
}

void MetricsPoll::work() {
  while (read_once()) {
    std::unique_lock lock(mutex_);
    const std::chrono::duration<double> interval(interval_s_);
    if (changed_.wait_for(lock, interval, [this] { return ending_; })) return;
  }
}

bool MetricsPoll::read_once() {
  const http::Reply reply = client_.send({path_, ""});
  if (reply.status == 404 || reply.status == 405) return false;
  if (reply.status != 200) return true;
  std::vector<probes::Sample> samples =
      samples_of_metrics(reply.body, monotonic_seconds() - began_s_);
  const std::lock_guard lock(mutex_);
  n_ += samples.size();
  if (n_ > kMostSamples) return false;
  samples_.insert(samples_.end(), samples.begin(), samples.end());
  return true;
}

}  // namespace ds4::runners::managed
