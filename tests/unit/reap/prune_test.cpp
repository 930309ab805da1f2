// Pruned checkpoints: what they hold, that they compute what the parent computes with the dropped
// experts masked, and that kills, full disks and wrong input leave nothing that loads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "engine/base/hash.h"
#include "engine/cache/kv_cache.h"
#include "engine/model/forward.h"
#include "engine/weights/checkpoint.h"
#include "tests/support/file_size_limit.h"
#include "tests/unit/reap/fixtures.h"

namespace ds4::reap {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using weights::Checkpoint;

std::string bytes_of(const Checkpoint& checkpoint, const std::string& name) {
  const weights::TensorRef* tensor = checkpoint.find(name);
  EXPECT_NE(tensor, nullptr) << name;
  if (!tensor) return "";
  return {reinterpret_cast<const char*>(tensor->data.data()), tensor->data.size()};
}

TEST(Prune, KeepsRowsBiasesAndExpertsByteForByte) {
  const PruneCase test(3);
  prune(test.options, no_progress);
  const Checkpoint source = Checkpoint::open(test.options.source);
  const Checkpoint pruned = Checkpoint::open(test.options.out);
  size_t expected = source.tensors().size();
  for (const BlockPlan& block : test.plan.blocks) {
    expected -= 6 * (block.scores.size() - block.kept.size());
    const std::string prefix = block.block + ".ffn.";
    for (size_t place = 0; place < block.kept.size(); ++place) {
      const std::string from = prefix + "experts." + std::to_string(block.kept[place]) + ".";
      const std::string to = prefix + "experts." + std::to_string(place) + ".";
      for (const char* part :
           {"w1.weight", "w1.scale", "w2.weight", "w2.scale", "w3.weight", "w3.scale"}) {
        EXPECT_EQ(bytes_of(pruned, to + part), bytes_of(source, from + part)) << to << part;
      }
      const auto row = [&](const Checkpoint& of, const char* tensor, size_t at, size_t n) {
        const std::string all = bytes_of(of, prefix + tensor);
        return all.substr(at * (all.size() / n), all.size() / n);
      };
      const auto kept = static_cast<size_t>(block.kept[place]);
      for (const char* tensor : {"gate.weight", "gate.bias"}) {
        if (block.hashed && std::string(tensor) == "gate.bias") continue;
        EXPECT_EQ(row(pruned, tensor, place, block.kept.size()),
                  row(source, tensor, kept, block.scores.size()));
      }
    }
  }
  EXPECT_EQ(pruned.tensors().size(), expected);
  for (const auto& tensor : source.tensors()) {
    if (tensor.name.find(".ffn.experts.") != std::string::npos) continue;
    if (tensor.name.find(".ffn.gate.") != std::string::npos) continue;
    EXPECT_EQ(bytes_of(pruned, tensor.name), bytes_of(source, tensor.name)) << tensor.name;
  }
}

TEST(Prune, WritesWhatBelongsBesideTheShards) {
  const PruneCase test(3);
  const PruneSizes sizes = prune(test.options, no_progress);
  const auto files = files_of(test.options.out);
  EXPECT_EQ(files.count("README.md"), 0u);  // it describes the parent
  EXPECT_EQ(files.at("tokenizer.json"), "{}");
  EXPECT_EQ(files.at("encoding/encoding_dsv4.py"), "# texts");
  EXPECT_EQ(files.at("reap_plan.json"), plan_text(test.plan));
  const auto config = nlohmann::json::parse(files.at("config.json"));
  EXPECT_EQ(config.at("n_routed_experts"), 3);
  EXPECT_EQ(config.at("num_experts_per_tok"), 2);
  const auto manifest = nlohmann::json::parse(files.at("REAP_MANIFEST.json"));
  EXPECT_EQ(manifest.at("complete"), true);
  EXPECT_EQ(manifest.at("tensor_bytes"), sizes.tensor_bytes());
  EXPECT_EQ(manifest.at("source_sha256"), test.plan.origin.sha256);
  ASSERT_EQ(manifest.at("shards").size(), 2u);
  for (const auto& shard : manifest.at("shards")) {
    const std::string file = shard.at("file");
    EXPECT_EQ(shard.at("output_sha256"), sha256_hex(files.at(file)));
    EXPECT_EQ(shard.at("output_bytes"), files.at(file).size());
    EXPECT_EQ(shard.at("source_sha256"), sha256_hex(read_file(test.options.source / file)));
    EXPECT_THAT(files.at(file), HasSubstr(R"({"__metadata__":{"format":"pt"},)"));
  }
  EXPECT_EQ(nlohmann::json::parse(files.at("model.safetensors.index.json"))
                .at("metadata")
                .at("total_size"),
            sizes.tensor_bytes());
  EXPECT_FALSE(fs::exists(test.partial()));
}

TEST(Prune, SizesFromHeadersAloneAreTheSizesWritten) {
  const PruneCase test(3);
  const PruneSizes planned = prune_sizes(test.options.source, 3);
  const PruneSizes written = prune(test.options, no_progress);
  ASSERT_EQ(planned.shards.size(), written.shards.size());
  for (size_t i = 0; i < planned.shards.size(); ++i) {
    EXPECT_EQ(planned.shards[i].output_bytes, written.shards[i].output_bytes);
    EXPECT_EQ(fs::file_size(test.options.out / planned.shards[i].file),
              static_cast<uintmax_t>(planned.shards[i].output_bytes));
  }
}

// Expert by expert: the parent's table, the rule of docs/reap.md written out once more.
std::vector<int32_t> masked_table(std::vector<int32_t> table, const std::vector<int>& kept,
                                  int cols) {
  for (size_t at = 0; at < table.size(); ++at) {
    const size_t token = at / static_cast<size_t>(cols);
    const size_t slot = at % static_cast<size_t>(cols);
    if (std::count(kept.begin(), kept.end(), table[at])) continue;
    const auto row = table.begin() + static_cast<std::ptrdiff_t>(token * static_cast<size_t>(cols));
    std::vector<int> spare;
    for (const int e : kept) {
      if (!std::count(row, row + cols, e)) spare.push_back(e);
    }
    table[at] = spare[(token + slot) % spare.size()];
  }
  return table;
}

// The whole parent with dropped experts masked: a bias that is never chosen, a table without them.
weights::ModelWeights masked(const fs::path& source, const Plan& plan) {
  weights::ModelWeights model = weights::load_weights(source);
  for (size_t l = 0; l < model.layers.size(); ++l) {
    weights::Moe& moe = model.layers[l].ffn;
    const std::vector<int>& kept = plan.blocks[l].kept;
    if (model.layers[l].hashed) {
      moe.tid2eid = masked_table(moe.tid2eid, kept, model.config.num_experts_per_tok);
      continue;
    }
    for (int e = 0; e < moe.n_experts(); ++e) {
      if (!std::count(kept.begin(), kept.end(), e)) moe.bias[static_cast<size_t>(e)] = -1e30F;
    }
  }
  return model;
}

std::vector<float> logits_of(const weights::ModelWeights& model, Precision precision) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < 40; ++i) tokens.push_back(i * i % 17);
  const auto backend = ops::make_cpu_backend(2, precision);
  EngineSettings settings;
  settings.precision = precision;
  settings.context_length = std::ssize(tokens);
  settings.prefill_chunk = static_cast<int>(tokens.size());
  const cache::KvCache memory(*backend, cache::plan_cache(model.config, settings));
  model::Forward forward(model, *backend, static_cast<int>(tokens.size()));
  const model::SequenceRows rows{tokens, 0, &memory};
  forward.run({&rows, 1});
  std::vector<float> all;
  for (int row = 0; row < 40; row += 10) {
    const auto logits = forward.logits(row, 10);
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

TEST(Prune, ComputesWhatTheParentComputesWithTheOthersMasked) {
  for (const int keep : {2, 3, 4}) {
    const PruneCase test(keep);
    prune(test.options, no_progress);
    const weights::ModelWeights pruned = weights::load_weights(test.options.out);
    const weights::ModelWeights parent = masked(test.options.source, test.plan);
    for (const Precision precision : {Precision::kReference, Precision::kF32}) {
      const std::vector<float> logits = logits_of(pruned, precision);
      EXPECT_EQ(logits, logits_of(parent, precision)) << "keep " << keep;
      if (keep < 4) {
        EXPECT_NE(logits, logits_of(weights::load_weights(test.options.source), precision));
      }
    }
  }
}

TEST(Prune, TwiceGivesTheSameFiles) {
  PruneCase test(3);
  prune(test.options, no_progress);
  const fs::path first = test.options.out;
  test.options.out = test.folder.path() / "again";
  prune(test.options, no_progress);
  EXPECT_EQ(files_of(first), files_of(test.options.out));
}

TEST(Prune, KeepingAllChangesNoTensor) {
  const PruneCase test(5);
  prune(test.options, no_progress);
  const Checkpoint source = Checkpoint::open(test.options.source);
  const Checkpoint pruned = Checkpoint::open(test.options.out);
  ASSERT_EQ(source.tensors().size(), pruned.tensors().size());
  for (const auto& tensor : source.tensors()) {
    EXPECT_EQ(bytes_of(pruned, tensor.name), bytes_of(source, tensor.name)) << tensor.name;
  }
}

// Runs prune() in a child that is killed when `bytes` are written.
void prune_and_die(const PruneOptions& options, int64_t bytes) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      prune(options, [&](int64_t done, int64_t) {
        if (done >= bytes) ::kill(::getpid(), SIGKILL);
      });
    } catch (...) {
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST(Prune, GoesOnAfterAKillAndNothingHalfLoads) {
  const PruneCase whole(3);
  size_t steps = 0;
  const int64_t total = prune(whole.options, [&](int64_t, int64_t) { ++steps; }).output_bytes();
  const auto expected = files_of(whole.options.out);
  for (const int64_t bytes : {int64_t{0}, total / 4, total / 2, total * 3 / 4, total}) {
    const PruneCase test(3);
    prune_and_die(test.options, bytes);
    EXPECT_FALSE(fs::exists(test.options.out));
    EXPECT_NE(message_of([&] { weights::load_weights(test.partial()); }), "") << bytes;
    std::vector<int64_t> seen;
    prune(test.options, [&](int64_t done, int64_t) { seen.push_back(done); });
    EXPECT_EQ(files_of(test.options.out), expected) << bytes;
    // A progress call belongs to each tensor written: finished shards are not written again.
    if (bytes == total) {
      EXPECT_LT(seen.size(), steps / 2 + 20);
    }
  }
}

TEST(Prune, AFullDiskLeavesNothingThatLoads) {
  const PruneCase test(3);
  {
    const test_support::FileSizeLimit limit(20'000);
    EXPECT_THAT(message_of([&] { prune(test.options, no_progress); }),
                AllOf(HasSubstr("cannot write"), HasSubstr("Free space")));
  }
  EXPECT_FALSE(fs::exists(test.options.out));
  EXPECT_NE(message_of([&] { weights::load_weights(test.partial()); }), "");
  prune(test.options, no_progress);
  EXPECT_EQ(weights::load_weights(test.options.out).layers[0].ffn.n_experts(), 3);
}

TEST(Prune, RefusesWrongInput) {
  PruneCase test(3);
  fs::create_directories(test.options.out);
  EXPECT_THAT(message_of([&] { prune(test.options, no_progress); }), HasSubstr("exists already"));
  fs::remove(test.options.out);

  // Another beginning in the way.
  prune_and_die(test.options, 1);
  PruneOptions other = test.options;
  Plan plan = make_plan(made_up_observation(test.options.source), 2);
  weights::write_text(test.folder.path() / "other.json", plan_text(plan));
  other.plan = test.folder.path() / "other.json";
  if (fs::exists(test.partial() / "REAP_MANIFEST.json")) {
    EXPECT_THAT(message_of([&] { prune(other, no_progress); }), HasSubstr("another pruning"));
  }
  fs::remove_all(test.partial());

  // A plan for other weights of the same structure: by its content hash; --transfer accepts it.
  plan.origin.sha256 = std::string(64, '1');
  weights::write_text(other.plan, plan_text(plan));
  EXPECT_THAT(message_of([&] { prune(other, no_progress); }), HasSubstr("--transfer"));
  EXPECT_FALSE(fs::exists(test.partial() / "config.json"));
  other.transfer = true;
  prune(other, no_progress);

  // Plans that do not fit: blocks, counts.
  plan.blocks.pop_back();
  weights::write_text(other.plan, plan_text(plan));
  other.out = test.folder.path() / "third";
  EXPECT_THAT(message_of([&] { prune(other, no_progress); }), HasSubstr("3 blocks"));
  EXPECT_FALSE(fs::exists(test.folder.path() / "third.partial"));
}

TEST(Prune, RefusesTableEntriesOutOfRange) {
  PruneCase test(3);
  weights::TestModel model;
  model.tensors["layers.0.ffn.gate.tid2eid"].bytes[8] = 4;
  fs::remove_all(test.options.source);
  fs::create_directories(test.options.source);
  model.write(test.options.source);
  test.options.transfer = true;
  EXPECT_THAT(message_of([&] { prune(test.options, no_progress); }),
              HasSubstr("names expert 4 for token 0"));
  EXPECT_FALSE(fs::exists(test.options.out));
}

}  // namespace
}  // namespace ds4::reap
