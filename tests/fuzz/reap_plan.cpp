// The JSON files of pruning from any bytes: observations, plans and manifests, each refused or one
// that survives being written and read again; a plan made from an observation keeps what it says.
#include "engine/api/reap.h"
#include "engine/reap/manifest.h"
#include "tests/fuzz/fuzz.h"

using namespace ds4;

namespace {

void check_plan(const reap::Plan& plan, const fuzz::Scratch& scratch) {
  const std::string text = reap::plan_text(plan);
  fuzz::require(reap::plan_text(reap::read_plan(scratch.write("again.json", text))) == text,
                "a plan survives its file");
  for (const reap::BlockPlan& block : plan.blocks) {
    fuzz::require(std::ssize(block.kept) == std::min(plan.keep, block.n_experts()),
                  "each block keeps as many experts as the plan says");
    int before = -1;
    for (const int expert : block.kept) {
      fuzz::require(expert > before && expert < block.n_experts(), "kept experts exist, ascending");
      before = expert;
    }
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  static const fuzz::Scratch scratch;
  const auto path = scratch.write("x.json", fuzz::as_text(data + 1, size - 1));
  const int kind = data[0] % 3;
  fuzz::refuses([&] {
    if (kind == 0) check_plan(reap::read_plan(path), scratch);
    if (kind == 1) {
      const reap::Observation observation = reap::read_observation(path);
      const std::string text = reap::observation_text(observation);
      fuzz::require(
          reap::observation_text(reap::read_observation(scratch.write("again.json", text))) == text,
          "an observation survives its file");
      check_plan(reap::make_plan(observation, data[0] / 3), scratch);
    }
    if (kind == 2) {
      const reap::Manifest manifest = reap::read_manifest(path);
      fuzz::require(manifest.same_work(manifest), "a manifest is its own beginning");
      reap::write_manifest(manifest, scratch.path() / "again.json");
      fuzz::require(reap::read_manifest(scratch.path() / "again.json").shards.size() ==
                        manifest.shards.size(),
                    "a manifest survives its file");
    }
  });
  return 0;
}
