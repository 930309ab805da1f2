// Reads a server's /metrics again and again on a thread of its own, beside the work.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "probes/sample.h"
#include "runners/http/client.h"

namespace ds4::runners::managed {

class MetricsPoll {
 public:
  /// `began_s`: of the samples' times, on the monotonic clock. Ends by itself when the server has
  /// no such page.
  MetricsPoll(const std::string& origin, const std::string& path, const std::string& key,
              double interval_s, double began_s);
  ~MetricsPoll();
  MetricsPoll(const MetricsPoll&) = delete;
  MetricsPoll& operator=(const MetricsPoll&) = delete;

  /// Those since the last call. At most 100,000 in all.
  std::vector<probes::Sample> take();

 private:
  void work();
  bool read_once();

  http::Client client_;
  const std::string path_;
  const double interval_s_, began_s_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  size_t n_ = 0;
  std::vector<probes::Sample> samples_;
  std::thread thread_;
};

}  // namespace ds4::runners::managed
