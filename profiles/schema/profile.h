// A profile as written by the user, validated, with defaults filled in and the place of every key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "profiles/schema/launch.h"
#include "suites/suite.h"

namespace ds4::profiles {

/// `[engine]`: the settings of the embedded engine, one to one with ds4::EngineSettings.
struct EngineSection {
  std::string device = "cpu";    // cpu | cuda
  std::string kv_dtype = "fp8";  // fp8 | bf16
  std::string index_dtype = "fp4";
  std::string residency = "device";  // device | managed | mapped
  int64_t context_length = 8192;
  int64_t prefill_chunk = 512;
  int64_t draft_tokens = 0;
  int64_t sequences = 1;
  int64_t threads = 0;
  uint64_t seed = 0;
};

/// `[server]`: a server that speaks the OpenAI protocol, for the targets `http` and `managed`
/// (docs/servers.md).
struct ServerSection {
  std::string url;                // "http://127.0.0.1:8000/v1"; managed: "" = a free port
  std::string model;              // "" = the only one that it lists
  std::string api_key_env;        // the variable that holds the key; "" = none is sent
  std::string form = "chat";      // chat | completions
  std::string thinking = "auto";  // how thinking is switched; auto = found out
  bool stream = true;             // answers in pieces, where the server can; else whole
  int64_t concurrency = 1;        // requests at a time
  double connect_timeout_s = 10;
  double first_byte_timeout_s = 0;  // 0 = limits.case_timeout alone
  double stall_timeout_s = 0;       // between bytes; 0 = the same
};

/// `[[suite]]`: one suite with its parameters (defaults of suite.toml already overlaid).
struct SuiteSection {
  std::string name;
  int version = 0;
  suites::Parameters parameters;
  std::vector<std::string> scores = {};  // names of its scores; the first is the headline
};

/// `[[gate]]`: what a run must keep: a bound of a figure (suite = "needle", score = "exact", min =
/// 0.98), a figure of a named baseline (metric = "decode_rate", not_worse_by = "3%", baseline =
/// "green"), or the absence of an outcome (no = "oom"). docs/gates.md.
struct Gate {
  std::string suite;                        // "" = every suite
  std::string figure;                       // a score name or a metric name; "" with `outcome`
  std::map<std::string, std::string> tags;  // only cases with these tags
  double min = 0, max = 0;
  bool has_min = false, has_max = false;
  int64_t floor = 0;        // above 0: max is what the memory has less these bytes
  std::string baseline;     // not "": no worse than this one's figure
  double not_worse_by = 0;  // by more than this share of it, or of 1 for a score
  std::string outcome;      // one of gate_outcomes(); not "": no launch may end so
  /// With fewer measurements than this the verdict is inconclusive (docs/method.md).
  int64_t min_n = 1;
  std::string source;  // "profiles/tiny.toml:41" for messages
};

/// What a gate may forbid: "oom", "watchdog", "failure", "invalid".
std::span<const std::string_view> gate_outcomes();

/// `[guard]`: the process that ends a worker before memory runs out (docs/guard.md).
struct GuardSection {
  bool enabled = true;
  std::optional<int64_t> floor;           // in place of limits.memory_floor and the machine's
  std::map<std::string, int64_t> floors;  // by phase, in place of `floor`
  double rate_hz = 10;
  double reaction_s = 0.5;
  double grace_s = 5;
  std::string target = "worker";  // or "pid:1234", "container:ID": a server that is not ours
};

/// One direction of the sweep: a key and its values, or several keys that vary together.
struct Axis {
  std::vector<std::string> keys;                 // "engine.kv_dtype"; several of a [[sweep.zip]]
  std::vector<std::vector<std::string>> values;  // [value][key], as canonical TOML text

  /// "engine.kv_dtype", "engine.context_length, needle.lengths".
  std::string name() const;
};

/// `engine.draft_tokens > 0`: `value` is TOML, of the key's type.
struct Comparison {
  std::string key, op, value;
};

/// Holds when all its comparisons hold.
struct Condition {
  std::string text;  // as written
  std::vector<Comparison> all;
};

/// `[sweep]` without its axes: which of their points are cells, in which order they run and what
/// happens between them. docs/sweeps.md explains each.
struct SweepSection {
  std::string mode = "cartesian";    // cartesian | one_at_a_time
  std::vector<Condition> exclude;    // cells for which one of them holds are left out
  std::string order = "as_written";  // as_written | memory | random
  uint64_t seed = 0;                 // of the random order
  int64_t repeats = 1;               // launches of each cell
  bool skip_dominated = true;        // skip what needs at least as much as a cell out of memory
  bool refuse_unfit = true;          // do not launch what does not fit this machine
  int64_t settle_tolerance = int64_t{1} << 30;  // bytes below the baseline that count as back
  double settle_timeout_s = 60;                 // the longest wait for that
  bool sentinel = false;        // measure the machine's speed before and after each launch
  double sentinel_bound = 0.5;  // a launch is slow when a reading is lower than best / (1 + bound)
};

struct Profile {
  std::string name;
  std::string description;
  std::filesystem::path path;
  std::string text;  // the file's bytes, stored with the run
  std::filesystem::path
      checkpoint;                 // resolved against the profile's folder; empty for null/scripted
  std::string target = "engine";  // engine | http | managed | null | replay | scripted
  std::string script;             // scripted target: path of its script
  std::string recording;          // replay target: path of the database with the answers
  EngineSection engine;
  ServerSection server;
  suites::Sampling sampling;  // `[sampling]`: how every case's answer is drawn
  std::vector<SuiteSection> suites;
  std::vector<Axis> axes;  // `[sweep]`, in the order of the file
  SweepSection sweep;      // and its other keys
  std::vector<Gate> gates;
  LaunchSection launch;          // `[launch]`: another server; read by the target `managed`
  double cell_timeout_s = 3600;  // `[limits] cell_timeout`
  double case_timeout_s = 600;   // `[limits] case_timeout`
  /// `[limits] memory_floor`: what must stay free, in place of the machine's; for `plan` and the
  /// guard.
  std::optional<int64_t> memory_floor;
  GuardSection guard;
  std::vector<std::string> overrides;  // the --set pairs applied, as given
};

/// Loads and validates a profile; `overrides` are `key=value` pairs of --set, applied first: keys
/// as in [sweep] ("engine.kv_dtype", "needle.lengths"), "limits.case_timeout" or a top-level name.
/// A key set so is no longer swept. Paths in the file are relative to its folder, those of --set to
/// the working directory; all come back absolute. Throws Error(kProfile): "FILE:LINE: unknown key
/// `x`", with the nearest valid key in the hint.
Profile load_profile(const std::filesystem::path& path,
                     const std::vector<std::string>& overrides = {});

/// Adds the [[gate]]s of a file of its own, which may hold nothing else, to the profile's. Throws
/// as load_profile().
void add_gates(Profile& profile, const std::filesystem::path& path);

/// The same of text that is no file: `path` names it in messages, and its folder is what paths are
/// relative to.
Profile parse_profile(const std::filesystem::path& path, std::string text);

/// Why a key of [engine], [sampling] or [limits] cannot have this value (TOML text); "" when it
/// can.
std::string setting_problem(const std::string& key, const std::string& value);

/// Parses the text of a suite.toml. `origin` names it in messages. Throws Error(kProfile).
suites::Definition parse_suite_definition(std::string_view text, std::string_view origin);

/// The definition of a suite: its embedded suite.toml (Suite::toml), parsed on first use.
const suites::Definition& suite_definition(const suites::Suite& suite);

}  // namespace ds4::profiles
