// What a server prints, read on a thread of its own: kept in a file, told to this process's log,
// looked through for facts. The server never waits for it long.
#pragma once

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "runners/managed/log_facts.h"

namespace ds4::runners::managed {

class ServerOutput {
 public:
  struct Keep {
    std::filesystem::path file;  // appended to; "" = none
    std::FILE* tell = nullptr;   // gets every line too; null = nobody
    std::string secret = {};     // replaced by *** wherever it is printed; "" = none
    double began_s = 0;          // of the samples' times, on the monotonic clock
  };

  /// Reads `fd` until its end or this object's. Throws Error(kIo) when the file cannot be written.
  ServerOutput(int fd, const Keep& keep);
  ~ServerOutput();
  ServerOutput(const ServerOutput&) = delete;
  ServerOutput& operator=(const ServerOutput&) = delete;

  /// Reads what is there already and ends; call when nobody writes any more.
  void finish();

  std::vector<probes::Sample> take_samples();
  std::string phase();
  /// The last lines, at most so many.
  std::string tail(size_t lines);

 private:
  void work();
  void read_all();
  void feed(std::string_view bytes);
  void end_line(double time_s);

  const int fd_;
  const Keep keep_;
  int end_ = -1;  // readable once the thread is to end
  std::ofstream file_;
  size_t written_ = 0;
  std::string line_;  // not ended yet
  std::mutex mutex_;  // facts_, tail_
  LogFacts facts_;
  std::vector<std::string> tail_;
  std::thread thread_;
};

}  // namespace ds4::runners::managed
