// `baseline`: names for runs that later ones are held against, by gates and by `compare`.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/base/clock.h"
#include "reports/store/store.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

void add_db(CLI::App* verb, Common& common) {
  verb->add_option("--db", common.db, "Database file")
      ->envname("DS4_SWEEP_DB")
      ->capture_default_str();
}

void add_set(CLI::App& parent, Common& common) {
  struct Options {
    std::string name, run;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = parent.add_subcommand("set", "Name a run, or let a name mean another run");
  verb->footer("Examples:\n  ds4-sweep baseline set green latest");
  verb->add_option("NAME", options->name, "Letters, digits, `-`, `_` and `.`")->required();
  verb->add_option("RUN", options->run, "Run id, a unique beginning of it, or `latest`")
      ->required();
  add_db(verb, common);
  verb->callback([options, &common] {
    const auto store = reports::Store::open(common.db);
    const reports::RunRow run = store->run(options->run);
    store->set_baseline({options->name, run.id, utc_now()});
    std::printf("%s is run %s (%s, %s)\n", options->name.c_str(), run.id.substr(0, 8).c_str(),
                run.profile_name.c_str(), run.started_at.c_str());
  });
}

void add_list_of_names(CLI::App& parent, Common& common) {
  CLI::App* verb = parent.add_subcommand("list", "List the names and their runs");
  verb->footer("Examples:\n  ds4-sweep baseline list --json");
  add_db(verb, common);
  verb->add_flag("--json", common.json, "Print as JSON");
  verb->callback([&common] {
    const auto store = reports::Store::open_read_only(common.db);
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const reports::BaselineRow& row : store->baselines()) {
      const reports::RunRow run = store->run(row.run_id);
      list.push_back({{"name", row.name},
                      {"run", row.run_id},
                      {"profile", run.profile_name},
                      {"started_at", run.started_at},
                      {"set_at", row.set_at}});
      if (common.json) continue;
      std::printf("%-16s  %s  %s  %s\n", row.name.c_str(), row.run_id.substr(0, 8).c_str(),
                  run.started_at.c_str(), run.profile_name.c_str());
    }
    if (common.json) std::puts(list.dump(2).c_str());
  });
}

void add_remove(CLI::App& parent, Common& common) {
  auto name = std::make_shared<std::string>();
  CLI::App* verb = parent.add_subcommand("remove", "Forget a name; the run stays");
  verb->footer("Examples:\n  ds4-sweep baseline remove green");
  verb->add_option("NAME", *name, "A name of `baseline list`")->required();
  add_db(verb, common);
  verb->callback([name, &common] { reports::Store::open(common.db)->remove_baseline(*name); });
}

}  // namespace

void add_baseline(CLI::App& app, Common& common) {
  CLI::App* verb = app.add_subcommand("baseline", "Name runs that later ones are held against");
  verb->footer("");  // the parts take over what stands here when they are made
  verb->require_subcommand(1);
  add_set(*verb, common);
  add_list_of_names(*verb, common);
  add_remove(*verb, common);
  verb->footer(
      "Examples:\n"
      "  ds4-sweep baseline set green 3f2a\n"
      "  ds4-sweep compare baseline:green latest\n"
      "A gate names it as baseline = \"green\": docs/gates.md.");
}

}  // namespace ds4::cli
