// `import` and `export`: foreign profiles in, launch settings out.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "profiles/exchange/export.h"
#include "profiles/exchange/import.h"
#include "profiles/schema/plan.h"
#include "runners/cli/plan_lint.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

constexpr int64_t kMaxFileBytes = 1 << 20;  // both kinds are a page of text

struct ImportOptions {
  std::string file, output, checkpoint;
  bool force = false;
};

struct ExportOptions {
  std::string profile, as = "vllm", output, cell;
  std::vector<std::string> set;
  bool force = false;
};

void write_text(const std::string& text, const std::string& output, bool force) {
  if (output.empty() || output == "-") {
    std::fputs(text.c_str(), stdout);
    return;
  }
  if (!force && std::filesystem::exists(output)) {
    throw Error(ErrorCode::kUsage, output + ": is there already", "Overwrite it with --force.");
  }
  write_file_atomic(output, text);
}

void import_file(const ImportOptions& options) {
  const std::string text = read_file(options.file, kMaxFileBytes);
  const bool recipe = std::filesystem::path(options.file).extension() == ".json";
  profiles::Draft draft = recipe ? profiles::import_recipe(text, options.file)
                                 : profiles::import_env(text, options.file);
  if (!options.checkpoint.empty()) draft.checkpoint = options.checkpoint;
  const std::string toml = profiles::to_toml(draft);
  const std::string place = options.output.empty() || options.output == "-"
                                ? std::filesystem::path(options.file).stem().string() + ".toml"
                                : options.output;
  const profiles::Plan plan = profiles::make_plan(profiles::parse_profile(place, toml));
  write_text(toml, options.output, options.force);
  for (const profiles::Note& note : draft.notes) {
    std::fprintf(
        stderr, "%s: %s%s\n", note.place.c_str(), note.key.empty() ? "" : (note.key + ": ").c_str(),
        note.unknown && !note.key.empty() ? "unknown key, kept as a comment" : note.reason.c_str());
  }
  print_findings(plan, lint_launches(plan), stderr);
}

// The one cell that is to be deployed.
profiles::Profile chosen_cell(const profiles::Plan& plan, const std::string& wanted) {
  std::string cells;
  for (const profiles::Cell& cell : plan.cells) {
    const bool named = !wanted.empty() && (cell.key.starts_with(wanted) || cell.label == wanted);
    if (named || (wanted.empty() && plan.cells.size() == 1)) return cell.profile;
    cells += (cells.empty() ? "" : "; ") + cell.key + " " + cell.label;
  }
  throw Error(ErrorCode::kUsage,
              wanted.empty() ? plan.profile.name + " is a sweep: which of its " +
                                   std::to_string(plan.cells.size()) + " cells?"
                             : plan.profile.name + ": no cell `" + wanted + "`",
              "Name it with --cell KEY: " + cells.substr(0, 400));
}

void export_profile(const ExportOptions& options) {
  const profiles::Plan plan =
      profiles::make_plan(profiles::load_profile(options.profile, options.set));
  const profiles::Profile profile = chosen_cell(plan, options.cell);
  const std::string text = options.as == "env"       ? profiles::export_env(profile)
                           : options.as == "compose" ? profiles::export_compose(profile)
                                                     : profiles::export_command(profile);
  write_text(text, options.output, options.force);
}

}  // namespace

void add_import(CLI::App& app, Common&) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* verb = app.add_subcommand("import", "Turn a .env profile or a recipe into a profile");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep import k160-mtp2-200k.env -o k160.toml\n"
      "  ds4-sweep import recipe.json --checkpoint /models/v4-flash-k160 -o k160.toml\n"
      "Nothing in the file is run. What is not taken over is said here and kept as a comment\n"
      "(docs/import.md); settings that went wrong elsewhere are warned of (docs/lint.md).");
  verb->add_option("FILE", options->file, "FILE.env, or a recipe of vLLM Studio (FILE.json)")
      ->required();
  verb->add_option("-o,--output", options->output, "Profile to write (default: standard output)");
  verb->add_option("--checkpoint", options->checkpoint, "Folder of the weights");
  verb->add_flag("--force", options->force, "Overwrite the output");
  verb->callback([options] { import_file(*options); });
}

void add_export(CLI::App& app, Common&) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* verb = app.add_subcommand("export", "Write a profile as another server's launch");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep export k160.toml --as vllm\n"
      "  ds4-sweep export sweep.toml --cell 3f2a91c0 --as env -o winner.env\n"
      "  ds4-sweep export k160.toml --as compose --set launch.image=vllm/vllm-openai:v1");
  verb->add_option("PROFILE", options->profile, "Profile file (TOML)")->required();
  verb->add_option("--as", options->as,
                   "vllm: the command line (of launch.server); env: a .env file; compose")
      ->check(CLI::IsMember({"vllm", "env", "compose"}))
      ->capture_default_str();
  verb->add_option("--cell", options->cell, "Cell of a sweep: its key or label");
  verb->add_option("--set", options->set, "Override a key of the profile: key=value");
  verb->add_option("-o,--output", options->output, "File to write (default: standard output)");
  verb->add_flag("--force", options->force, "Overwrite the output");
  verb->callback([options] { export_profile(*options); });
}

}  // namespace ds4::cli
