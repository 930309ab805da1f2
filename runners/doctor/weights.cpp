// The checkpoints of a plan: present, whole, readable fast, and byte for byte what was published.
#include <set>

#include "engine/api/checkpoints.h"
#include "engine/api/inventory.h"
#include "engine/api/text.h"
#include "engine/base/checkpoint_name.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "runners/doctor/checks.h"
#include "runners/doctor/known_hashes.h"
#include "runners/doctor/mounts.h"

namespace ds4::runners::doctor {
namespace {

namespace fs = std::filesystem;

// Reads every byte of every file.
void check_bytes(const fs::path& folder, Findings& findings) {
  int known = 0, unknown = 0;
  for (const auto& [file, sha256] : checkpoint_file_sha256(folder)) {
    const std::string expected = known_sha256(file);
    if (expected.empty()) {
      ++unknown;
    } else if (expected == sha256) {
      ++known;
    } else {
      findings.push_back({Level::kProblem, "weights-bytes",
                          printable(file.native()) + " has sha256 " + sha256 + ", not " + expected +
                              " as it was published",
                          "Fetch it again: huggingface-cli download REPOSITORY " +
                              printable(file.filename().native()) + " --force-download"});
    }
  }
  if (known > 0) {
    findings.push_back({Level::kOk, "weights-bytes",
                        std::to_string(known) + (known == 1 ? " file has" : " files have") +
                            " the sha256 that came with them",
                        ""});
  }
  if (unknown > 0) {
    const std::string text = printable(folder.native());
    findings.push_back(
        {Level::kNote, "weights-bytes",
         std::to_string(unknown) + (unknown == 1 ? " file was" : " files were") +
             " read to the end, but nothing beside them says what they should be",
         "When you trust them: (cd " + text + " && sha256sum *.safetensors > SHA256SUMS)"});
  }
}

void check_disk(const Sources& sources, const fs::path& folder, Findings& findings) {
  std::error_code error;
  const fs::path there = fs::canonical(folder, error);
  const std::string type =
      error ? "" : printable(mount_type(sources.text("proc/self/mountinfo").value_or(""), there));
  if (file_system_kind(type) == FileSystem::kNetwork) {
    findings.push_back(
        {Level::kNote, "weights-disk",
         "the weights are on " + type + ": loading is as fast as the network",
         "Copy them to a local disk: cp -r " + printable(folder.native()) + " DISK"});
  }
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".safetensors") continue;
    if (!sources.direct(entry.path())) {
      findings.push_back(
          {Level::kNote, "weights-direct",
           "the weights cannot be read past the page cache (O_DIRECT): loading fills "
           "it, and is slower",
           "Copy them to ext4 or xfs: cp -r " + printable(folder.native()) + " DISK"});
    }
    return;
  }
}

void check_one(const Sources& sources, const fs::path& name, bool deep, Findings& findings) {
  const std::string shown = printable(name.native());
  if (is_synthetic_name(name.native())) {
    findings.push_back({Level::kOk, "weights", shown + ": generated, nothing on the disk", ""});
    return;
  }
  try {
    const fs::path folder = resolve_checkpoint(name);
    const Inventory found = take_inventory(folder);
    findings.push_back(
        {Level::kOk, "weights",
         shown + ": " + format_bytes(found.tensor_bytes) + " in " + std::to_string(found.n_shards) +
             (found.n_shards == 1 ? " file" : " files") +
             ", each as long as its header says; identity " + found.identity.substr(0, 12),
         ""});
    const auto tokenizer = Tokenizer::load(folder);
    findings.push_back({Level::kOk, "tokenizer",
                        shown + ": " + format_count(tokenizer->vocab_size()) + " tokens", ""});
    check_disk(sources, folder, findings);
    if (deep) check_bytes(folder, findings);
  } catch (const Error& error) {
    findings.push_back({Level::kProblem, "weights", error.what(),
                        error.hint().empty() ? "ls -l " + shown : error.hint()});
  }
}

}  // namespace

Findings check_weights(const Sources& sources, const profiles::Plan& plan, bool deep) {
  Findings findings;
  std::set<fs::path> seen;
  for (const profiles::Cell& cell : plan.cells) {
    if (cell.profile.target != "engine" || !seen.insert(cell.profile.checkpoint).second) continue;
    check_one(sources, cell.profile.checkpoint, deep, findings);
  }
  return findings;
}

}  // namespace ds4::runners::doctor
