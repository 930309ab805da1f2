// `doctor`: what may spoil a run on this machine, each finding with its remedy; changes nothing.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/base/error.h"
#include "runners/cli/data_flag.h"
#include "runners/cli/verbs.h"
#include "runners/doctor/checks.h"
#include "runners/fit/this_machine.h"

namespace ds4::cli {
namespace {

namespace doctor = runners::doctor;
using doctor::Findings;
using doctor::Level;

struct DoctorOptions {
  std::string profile;
  std::vector<std::string> set;
  bool deep = false, strict = false;
};

void append(Findings& all, Findings more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

bool uses_gpu(const profiles::Plan& plan) {
  return std::any_of(plan.cells.begin(), plan.cells.end(), [](const profiles::Cell& cell) {
    return cell.profile.target == "engine" && cell.profile.engine.device == "cuda";
  });
}

// Needs the weights' headers, so it is asked only when those are well.
Findings fit_now(const profiles::Plan& plan) {
  try {
    return doctor::check_fit(plan, runners::fit::this_machine(uses_gpu(plan)));
  } catch (const Error& error) {
    return {{Level::kProblem, "fit", error.what(), error.hint()}};
  }
}

Findings examine(const DoctorOptions& options, const std::string& database) {
  std::optional<profiles::Plan> plan;
  if (!options.profile.empty()) {
    plan = profiles::make_plan(profiles::load_profile(options.profile, options.set));
  }
  const doctor::Sources sources;
  const doctor::GpuReport gpus = sources.gpus();
  Findings findings = doctor::check_memory(sources, gpus);
  append(findings, doctor::check_gpus(sources, gpus, plan && uses_gpu(*plan)));
  append(findings, doctor::check_permissions(sources));
  append(findings, doctor::check_host(sources));
  append(findings, doctor::check_database(sources, database));
  if (plan) {
    append(findings, doctor::check_datasets(*plan));
    Findings weights = doctor::check_weights(sources, *plan, options.deep);
    const bool whole = doctor::worst(weights) < Level::kProblem;
    append(findings, std::move(weights));
    if (whole) append(findings, fit_now(*plan));
  }
  return findings;
}

std::array<int, 4> counts(const Findings& findings) {
  std::array<int, 4> n{};
  for (const doctor::Finding& finding : findings) ++n[static_cast<size_t>(finding.level)];
  return n;
}

void print_text(const Findings& findings) {
  for (const doctor::Finding& finding : findings) {
    std::printf("%-8s  %-20s  %s\n", doctor::level_name(finding.level), finding.check.c_str(),
                finding.text.c_str());
    if (!finding.remedy.empty()) std::printf("%30s  -> %s\n", "", finding.remedy.c_str());
  }
  const auto n = counts(findings);
  std::printf("\n%d ok, %d notes, %d warnings, %d problems\n", n[0], n[1], n[2], n[3]);
}

void print_json(const Findings& findings, int exit_code) {
  nlohmann::ordered_json object;
  object["format"] = "ds4-doctor-1";
  const auto n = counts(findings);
  for (const Level level : {Level::kOk, Level::kNote, Level::kWarning, Level::kProblem}) {
    object["counts"][doctor::level_name(level)] = n[static_cast<size_t>(level)];
  }
  object["exit_code"] = exit_code;
  object["findings"] = nlohmann::ordered_json::array();
  for (const doctor::Finding& finding : findings) {
    object["findings"].push_back({{"level", doctor::level_name(finding.level)},
                                  {"check", finding.check},
                                  {"text", finding.text},
                                  {"remedy", finding.remedy}});
  }
  std::puts(object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace

void add_doctor(CLI::App& app, Common& common) {
  auto options = std::make_shared<DoctorOptions>();
  CLI::App* verb =
      app.add_subcommand("doctor", "What may spoil a run on this machine, and the remedy");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep doctor\n"
      "  ds4-sweep doctor profiles/k160-mtp2-200k.toml --set checkpoint=DIR\n"
      "  ds4-sweep doctor profiles/tiny.toml --deep --json\n"
      "Exit code 0 without a problem, 1 with one (--strict: or a warning), 3 when the machine "
      "cannot\n"
      "be read. docs/doctor.md explains every check.");
  verb->add_option("PROFILE", options->profile, "Also its weights, datasets and whether it fits");
  verb->add_option("--set", options->set, "Override a key of the profile: key=value");
  add_data_flag(verb);
  verb->add_flag("--deep", options->deep,
                 "Read every byte of the weights and compare their sha256 where it is known");
  verb->add_flag("--strict", options->strict, "A warning is a failure, too");
  verb->add_option("--db", common.db, "Database file whose disk is looked at")
      ->envname("DS4_SWEEP_DB")
      ->capture_default_str();
  verb->add_flag("--json", common.json, "Print as JSON");
  verb->callback([options, &common] {
    const Findings findings = examine(*options, common.db);
    common.exit_code = doctor::exit_code(findings, options->strict);
    common.json ? print_json(findings, common.exit_code) : print_text(findings);
  });
}

}  // namespace ds4::cli
