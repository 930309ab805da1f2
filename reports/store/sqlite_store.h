// The Store over SQLite. Writing is in writer.cpp, reading in reader.cpp.
#pragma once

#include <mutex>
#include <optional>

#include "reports/store/database.h"
#include "reports/store/store.h"

namespace ds4::reports {

/// Not thread-safe but for load_texts() and trace(); any number of processes may read while one
/// writes.
class SqliteStore final : public Store {
 public:
  SqliteStore(const std::filesystem::path& path, Database::Mode mode);

  using Store::add_run;
  std::filesystem::path path() const override { return database_.path(); }

  void add_run(const RunRow& run, const std::vector<CellRow>& cells,
               const std::vector<TurnRow>& queue) override;
  void finish_run(const std::string& run_id, const std::string& finished_at) override;
  void set_turn(const std::string& run_id, const TurnRow& turn,
                const std::optional<TurnRow>& appended) override;
  void add_launch(const std::string& run_id, const LaunchRow& launch,
                  const std::vector<probes::Sample>& samples) override;
  void end_launch(const std::string& run_id, const LaunchRow& launch,
                  const std::vector<probes::Sample>& samples) override;
  int64_t add_attempt(const std::string& run_id, const AttemptRow& attempt,
                      const std::optional<ScoreRow>& score) override;
  void add_score(const ScoreRow& score) override;
  void set_outcome(int64_t attempt_id, const std::string& outcome,
                   const std::string& note) override;

  std::vector<RunRow> runs() override;
  RunRow run(const std::string& id_or_prefix) override;
  std::vector<CellRow> cells(const std::string& run_id) override;
  std::vector<TurnRow> queue(const std::string& run_id) override;
  std::vector<PartRow> parts(const std::string& run_id) override;
  std::vector<LaunchRow> launches(const std::string& run_id) override;
  std::vector<LaunchSample> launch_samples(const std::string& run_id) override;
  std::vector<StoredAttempt> attempts(const std::string& run_id, bool with_texts) override;
  void load_texts(StoredAttempt& attempt) override;
  std::string trace(int64_t attempt_id) override;

  void set_baseline(const BaselineRow& baseline) override;
  void remove_baseline(const std::string& name) override;
  std::vector<BaselineRow> baselines() override;

 private:
  BaselineRow baseline(const std::string& name);
  void insert_turn(const std::string& run_id, const TurnRow& turn);
  void insert_launch_samples(int64_t launch_id, const std::vector<probes::Sample>& samples);
  void insert_score(const ScoreRow& score, int64_t attempt_id);
  void load_scores(const std::string& run_id, std::vector<StoredAttempt>& attempts);

  Database database_;
  std::mutex texts_;  // of what several threads may read
};

}  // namespace ds4::reports
