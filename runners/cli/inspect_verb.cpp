// `inspect`: the inventory of a checkpoint, from its headers alone.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "engine/api/checkpoints.h"
#include "engine/api/inventory.h"
#include "engine/base/files.h"
#include "runners/cli/inspect.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {

void add_inspect(CLI::App& app, Common& common) {
  auto folder = std::make_shared<std::string>();
  auto whole = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("inspect", "Inventory of a checkpoint, from headers alone");
  verb->footer(
      "Examples:\n  ds4-sweep inspect checkpoints/tiny\n  ds4-sweep inspect DIR --json\n  "
      "ds4-sweep inspect DIR --sha256");
  verb->add_option("DIR", *folder, "Checkpoint folder (config.json and *.safetensors)")->required();
  verb->add_flag("--json", common.json, "Print as JSON");
  verb->add_flag("--sha256", *whole,
                 "Print the sha256 of all bytes instead; cached in runs/sha256.json");
  verb->callback([folder, whole, &common] {
    *folder = resolve_checkpoint(*folder).string();
    if (*whole) {
      make_folders("runs");
      std::puts(checkpoint_sha256(*folder, "runs/sha256.json").c_str());
      return;
    }
    const Inventory inventory = take_inventory(*folder);
    std::puts((common.json ? inspect_json(inventory) : inspect_text(inventory)).c_str());
  });
}

}  // namespace ds4::cli
