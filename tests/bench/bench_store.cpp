// What storing costs: one attempt with its events, samples and score, one transaction and one sync
// of the log each, as the supervisor does it; and its floor, the sync of as many bytes. The files
// are on the disk of the working directory.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "reports/store/store.h"

namespace ds4::reports {
namespace {

constexpr const char* kRun = "11111111-1111-4111-8111-111111111111";
constexpr int64_t kTexts = 3;  // new with each attempt: prompt, expected, text

// `events` tokens of an answer; texts differ, so each is hashed, compressed and stored.
AttemptRow attempt_of(int64_t number, int64_t events) {
  AttemptRow attempt;
  attempt.cell_key = "cell";
  attempt.suite = "arithmetic";
  attempt.case_id = "case-" + std::to_string(number);
  attempt.status = "ok";
  attempt.launch = 1;
  attempt.prompt = "What is " + std::to_string(number) + " + 30? " + std::string(400, 'x');
  attempt.expected = std::to_string(number + 30);
  attempt.text = "#### " + attempt.expected + std::string(100, 'y');
  attempt.content = attempt.text;
  for (int64_t i = 0; i < events; ++i) attempt.events.push_back({0.01 * static_cast<double>(i), 1});
  attempt.samples = {{"draft_rounds", 1, 1, ""}};
  return attempt;
}

void store_attempts(benchmark::State& state) {
  const std::filesystem::path file = "bench-store-" + std::to_string(::getpid()) + ".db";
  {
    const auto store = Store::open(file);
    RunRow run;
    run.id = kRun;
    CellRow cell;
    cell.key = "cell";
    cell.semantics = std::string("{}");
    cell.settings = std::string("{}");
    store->add_run(run, {cell});
    ScoreRow score;
    score.grade = "correct";
    score.values = {{"strict", 1}, {"flexible", 1}};
    int64_t n = 0;
    for (auto _ : state) store->add_attempt(kRun, attempt_of(n++, state.range(0)), score);
    // The attempt, its score, two values, a sample, new texts, and the events.
    const int64_t rows = 1 + 1 + 2 + 1 + kTexts + state.range(0);
    state.SetItemsProcessed(n * rows);
    state.counters["rows_per_attempt"] = static_cast<double>(rows);
  }
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(file.string() + end);
}
// The floor of a durable row: appending what the log grows by with an attempt, and one sync.
void append_and_sync(benchmark::State& state) {
  const std::string file = "bench-sync-" + std::to_string(::getpid());
  const std::string bytes(static_cast<size_t>(state.range(0)) << 10, 'x');
  const int fd = ::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  bool good = fd >= 0;
  for (auto _ : state) {
    good = good && ::write(fd, bytes.data(), bytes.size()) > 0 && ::fdatasync(fd) == 0;
  }
  if (!good) state.SkipWithError("cannot write here");
  ::close(fd);
  std::filesystem::remove(file);
}
BENCHMARK(append_and_sync)->Arg(40)->UseRealTime();
BENCHMARK(store_attempts)->Arg(0)->Arg(32)->Arg(1024)->UseRealTime();

}  // namespace
}  // namespace ds4::reports
