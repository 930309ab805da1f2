// `fetch`: brings published data sets to the folder that suites read them from.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "profiles/schema/nearest.h"
#include "runners/cli/stop_signals.h"
#include "runners/cli/verbs.h"
#include "runners/fetch/data_sets.h"

namespace ds4::cli {
namespace {

namespace fetch = runners::fetch;
using fetch::FileState;

constexpr double kLine_s = 0.2;

struct FetchOptions {
  std::vector<std::string> names;
  std::string folder, mirror;
};

std::vector<const suites::Dataset*> chosen_sets(const std::vector<std::string>& names) {
  std::vector<const suites::Dataset*> sets;
  std::vector<std::string> known;
  for (const suites::Dataset& set : suites::datasets()) known.push_back(set.name);
  for (const std::string& name : names.empty() ? known : names) {
    if (std::ranges::find(known, name) == known.end()) {
      std::string list;
      for (const std::string& each : known) list += (list.empty() ? "" : ", ") + each;
      throw Error(
          ErrorCode::kUsage, "no data set is called `" + name + "`",
          "Did you mean `" + profiles::nearest(name, known) + "`? There are: " + list + ".");
    }
    const suites::Dataset* set = &suites::dataset(name);
    if (std::ranges::find(sets, set) == sets.end()) sets.push_back(set);
  }
  return sets;
}

nlohmann::json to_json(const FileState& state, const std::string& mirror) {
  return {{"data_set", state.set->name},  {"file", state.file->name},
          {"path", state.path.string()},  {"url", fetch::url_of(state, mirror)},
          {"bytes", state.file->bytes},   {"bytes_there", state.bytes},
          {"sha256", state.file->sha256}, {"state", fetch::name_of(state.kind)}};
}

// What there is to fetch, and what of it is there.
void list_sets(const FetchOptions& options, const std::filesystem::path& folder, bool as_json) {
  auto files = nlohmann::json::array();
  for (const suites::Dataset* set : chosen_sets({})) {
    int64_t bytes = 0;
    size_t right = 0;
    for (const FileState& state : fetch::states_of({set}, folder)) {
      files.push_back(to_json(state, options.mirror));
      bytes += state.file->bytes;
      right += state.kind == FileState::kRight;
    }
    if (as_json) continue;
    std::printf("%-8s %2zu files, %s, %s, from %s: %s\n", set->name.c_str(), set->files.size(),
                format_bytes(bytes).c_str(), set->licence.c_str(), set->origin.c_str(),
                right == set->files.size() ? "there"
                : right == 0               ? "not there"
                                           : (std::to_string(right) + " there").c_str());
  }
  if (as_json) {
    std::puts(nlohmann::json{{"folder", folder.string()}, {"files", files}}.dump(1).c_str());
  } else {
    std::printf("folder:  %s\n", folder.c_str());
  }
}

// One line on a terminal: how far, how fast, how long still.
class DownloadLine {
 public:
  DownloadLine(bool shown, int64_t total) : shown_(shown), total_(total) {}
  ~DownloadLine() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }

  /// `there` bytes of all files are there, `came` of them by now over the network.
  void show(const std::string& file, int64_t there, int64_t came) {
    const double now = monotonic_seconds();
    if (!shown_ || (drawn_ && now - drawn_s_ < kLine_s)) return;
    const double speed = static_cast<double>(came) / (now - begun_s_ + 1e-9);
    std::string line = file + ": " + format_bytes(there) + " of " + format_bytes(total_) +
                       " in all, " + format_bytes(static_cast<int64_t>(speed)) + "/s";
    if (speed > 0 && came > 0) {
      line += ", about " + format_seconds(static_cast<double>(total_ - there) / speed) + " left";
    }
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    std::fflush(stderr);
    drawn_ = true;
    drawn_s_ = now;
  }

 private:
  bool shown_, drawn_ = false;
  int64_t total_;
  double begun_s_ = monotonic_seconds(), drawn_s_ = 0;
};

void fetch_sets(const FetchOptions& options, const std::filesystem::path& folder, Common& common) {
  fetch::Downloader downloader;
  const StopSignals signals([&] { downloader.stop(); });
  const double begin = monotonic_seconds();
  const auto states = fetch::states_of(chosen_sets(options.names), folder);
  int64_t total = 0, there = 0, came = 0;
  for (const FileState& state : states) total += state.file->bytes;
  auto rows = nlohmann::json::array();
  int fetched = 0;
  bool whole = true;
  {
    const bool live = !common.no_progress && !common.quiet && ::isatty(STDERR_FILENO) != 0;
    DownloadLine line(live, total);
    for (const FileState& state : states) {
      nlohmann::json row = to_json(state, options.mirror);
      row.erase("bytes_there");
      row["was"] = row["state"];
      if (state.kind != FileState::kRight) {
        int64_t before = -1;
        const fetch::Download download =
            downloader.get({fetch::url_of(state, options.mirror), state.path, state.file->bytes,
                            state.file->sha256},
                           [&](int64_t bytes) {
                             if (before >= 0 && bytes > before) came += bytes - before;
                             before = bytes;
                             line.show(state.name(), there + bytes, came);
                           });
        whole = download.whole;
        if (!whole) break;
        ++fetched;
        row["state"] = fetch::name_of(FileState::kRight);
        row["resumed_at"] = download.resumed_at;
        row["tries"] = download.tries;
        row["redirects"] = download.redirects;
      }
      there += state.file->bytes;
      rows.push_back(std::move(row));
    }
  }
  const double seconds = monotonic_seconds() - begin;
  if (common.json) {
    std::puts(nlohmann::json{
        {"folder", folder.string()}, {"files", rows}, {"whole", whole}, {"seconds", seconds}}
                  .dump(1)
                  .c_str());
  } else if (whole) {
    std::printf("%s: %zu files are there and right, %d of them fetched now (%s in all, %s)\n",
                folder.c_str(), states.size(), fetched, format_bytes(total).c_str(),
                format_seconds(seconds).c_str());
  }
  if (whole) return;
  std::fprintf(stderr,
               "interrupted; %zu of %zu files are there, and what came of the next one is kept. "
               "The same command goes on from there.\n",
               rows.size(), states.size());
  common.exit_code = kInterruptedExit;
}

}  // namespace

void add_fetch(CLI::App& app, Common& common) {
  auto options = std::make_shared<FetchOptions>();
  CLI::App* verb = app.add_subcommand("fetch", "Download published data sets that suites ask from");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep fetch                      what there is, and what of it is here\n"
      "  ds4-sweep fetch gsm8k bfcl\n"
      "  ds4-sweep fetch gsm8k --data /data/sets && ds4-sweep run p.toml --data /data/sets\n"
      "  ds4-sweep fetch gsm8k --from http://box:8080   of another machine's folder, served by\n"
      "                                       (cd ~/.local/share/ds4-sweep && python3 -m "
      "http.server 8080)\n"
      "Ctrl-C keeps what came; the same command goes on from there. docs/datasets.md.");
  verb->add_option("NAME", options->names, "Data sets; none = list them");
  verb->add_option("--from", options->mirror, "Mirror that has URL/gsm8k/test.jsonl and so on")
      ->type_name("URL");
  verb->add_option(
          "--data", options->folder,
          "Folder to put them in (default: $DS4_SWEEP_DATA, else ~/.local/share/ds4-sweep)")
      ->type_name("DIR");
  verb->add_flag("--json", common.json, "Print the result as one JSON object");
  verb->add_flag("-q,--quiet", common.quiet, "No progress");
  verb->add_flag("--no-progress", common.no_progress, "No progress");
  verb->callback([options, &common] {
    const std::filesystem::path folder =
        options->folder.empty() ? suites::dataset_folder() : std::filesystem::path(options->folder);
    if (options->names.empty()) {
      list_sets(*options, folder, common.json);
    } else {
      fetch_sets(*options, folder, common);
    }
  });
}

}  // namespace ds4::cli
