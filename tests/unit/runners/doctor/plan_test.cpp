// Findings about a plan: database, weights, cases, fit. And every check has a line in
// docs/doctor.md.
#include <gmock/gmock.h>

#include <fstream>
#include <regex>
#include <set>

#include "engine/base/hash.h"
#include "reports/store/store.h"
#include "runners/doctor/known_hashes.h"
#include "tests/support/source_dir.h"
#include "tests/unit/runners/doctor/fake_machine.h"

namespace ds4::runners::doctor {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

fs::path tiny() {
  return test_support::source_dir() / "checkpoints/tiny";
}

class DoctorPlan : public ::testing::Test {
 protected:
  Finding database(const fs::path& file, const std::string& check) const {
    const Findings findings = check_database(machine_.sources, file);
    expect_remedies(findings);
    return find(findings, check);
  }
  Finding weights(const std::string& check, bool deep = false) const {
    const Findings findings = check_weights(machine_.sources, plan_, deep);
    expect_remedies(findings);
    return find(findings, check);
  }
  // A copy of the tiny checkpoint, to be spoiled.
  fs::path copy() const {
    const fs::path folder = machine_.path("copy");
    fs::remove_all(folder);
    fs::copy(tiny(), folder, fs::copy_options::recursive);
    return folder;
  }
  void use(const fs::path& checkpoint) {
    profiles::Cell cell;
    cell.label = "default";
    cell.profile.checkpoint = checkpoint;
    plan_.cells = {cell};
  }

  FakeMachine machine_;
  profiles::Plan plan_;
};

TEST_F(DoctorPlan, DatabaseDisk) {
  EXPECT_EQ(database("/home/r.db", "database-disk").level, Level::kOk);
  machine_.disk.free_bytes = int64_t{2} << 30;
  EXPECT_EQ(database("/home/r.db", "database-disk").level, Level::kWarning);
  machine_.disk.free_bytes = 1 << 20;
  EXPECT_EQ(database("/home/r.db", "database-disk").level, Level::kProblem);
  machine_.disk.writable = false;
  EXPECT_THAT(database("/home/r.db", "database-disk").text, HasSubstr("may not be written"));
  machine_.disk.problem = "No such device";
  EXPECT_EQ(database("/home/r.db", "database-disk").level, Level::kProblem);
  EXPECT_GT(ask_disk(machine_.path("not/yet/there")).free_bytes, 0);
}

TEST_F(DoctorPlan, DatabaseFileSystem) {
  EXPECT_EQ(database("/home/r.db", "database-file-system").level, Level::kOk);
  EXPECT_EQ(database("/fast disk/r.db", "database-file-system").text, "file system xfs");
  EXPECT_EQ(database("/net/r.db", "database-file-system").level, Level::kWarning);
  EXPECT_EQ(database("/ram/r.db", "database-file-system").level, Level::kWarning);
  EXPECT_THAT(database("/ram/r.db", "database-file-system").text, HasSubstr("in memory"));
}

TEST_F(DoctorPlan, DatabaseItself) {
  const fs::path file = machine_.path("r.db");
  EXPECT_THAT(database(file, "database").text, HasSubstr("no database yet"));
  {
    const auto store = reports::Store::open(file);
    reports::RunRow run;
    run.id = "11111111-1111-4111-8111-111111111111";
    run.started_at = "2026-03-01T00:00:00Z";
    store->add_run(run, std::vector<reports::CellRow>{});
  }
  EXPECT_EQ(database(file, "database").level, Level::kNote);
  EXPECT_THAT(database(file, "database").text, HasSubstr("1 run, 1 not finished"));
  std::ofstream(file, std::ios::trunc) << "no database at all, but long enough to be read as one";
  EXPECT_EQ(database(file, "database").level, Level::kWarning);
}

TEST_F(DoctorPlan, WholeWeights) {
  use(tiny());
  EXPECT_EQ(weights("weights").level, Level::kOk);
  EXPECT_THAT(weights("weights").text, HasSubstr("in 2 files, each as long as its header says"));
  EXPECT_EQ(weights("tokenizer").level, Level::kOk);
  EXPECT_EQ(weights("weights-disk").check, "");
  EXPECT_EQ(weights("weights-direct").check, "");
  use("synthetic:k160:layers=2");
  EXPECT_THAT(weights("weights").text, HasSubstr("generated"));
}

TEST_F(DoctorPlan, WeightsThatAreNotWhole) {
  use(machine_.path("nowhere"));
  EXPECT_EQ(weights("weights").level, Level::kProblem);
  const fs::path folder = copy();
  use(folder);
  const fs::path shard = folder / "model-00002-of-00002.safetensors";
  fs::resize_file(shard, fs::file_size(shard) - 1);
  EXPECT_EQ(weights("weights").level, Level::kProblem);
  EXPECT_THAT(weights("weights").text, HasSubstr("model-00002"));
  fs::remove(shard);
  EXPECT_EQ(weights("weights").level, Level::kProblem);
  EXPECT_THAT(weights("weights").text, HasSubstr("model-00002"));
  copy();
  write_file_atomic(folder / "tokenizer.json", "{");
  EXPECT_EQ(weights("weights").level, Level::kProblem);
  EXPECT_THAT(weights("weights").text, HasSubstr("tokenizer.json"));
}

TEST_F(DoctorPlan, WhereWeightsLie) {
  const fs::path folder = copy();
  use(folder);
  machine_.direct = false;
  EXPECT_EQ(weights("weights-direct").level, Level::kNote);
  machine_.write("proc/self/mountinfo", "27 1 0:24 / / rw - nfs4 server:/x rw\n");
  EXPECT_EQ(weights("weights-disk").level, Level::kNote);
}

TEST_F(DoctorPlan, DeepReadsEveryByte) {
  const fs::path folder = copy();
  use(folder);
  EXPECT_EQ(weights("weights-bytes", true).level,
            Level::kNote);  // nothing says what they should be
  std::string sums;
  for (const char* name :
       {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}) {
    sums += sha256_hex(read_file(folder / name)) + "  " + name + "\n";
  }
  write_file_atomic(folder / "SHA256SUMS", sums);
  EXPECT_EQ(weights("weights-bytes", true).level, Level::kOk);
  EXPECT_THAT(weights("weights-bytes", true).text, HasSubstr("2 files have"));
  // One bit of one weight, where no header can tell.
  std::fstream shard(folder / "model-00001-of-00002.safetensors",
                     std::ios::in | std::ios::out | std::ios::binary);
  shard.seekg(-1, std::ios::end);
  const char last = static_cast<char>(shard.get());
  shard.seekp(-1, std::ios::end);
  shard.put(static_cast<char>(last ^ 1));
  shard.close();
  EXPECT_EQ(weights("weights").level, Level::kOk);
  EXPECT_EQ(weights("weights-bytes", true).level, Level::kProblem);
  EXPECT_THAT(weights("weights-bytes", true).text, HasSubstr("model-00001"));
}

TEST_F(DoctorPlan, HashesFromADownload) {
  const fs::path file = machine_.path("w/m.safetensors");
  const std::string hash(64, 'a');
  EXPECT_EQ(known_sha256(file), "");
  machine_.write("w/.cache/huggingface/download/m.safetensors.metadata",
                 "c0ffee\n" + hash + "\n1700000000.0\n");
  EXPECT_EQ(known_sha256(file), hash);
  machine_.write("w/.cache/huggingface/download/m.safetensors.metadata",
                 "c0ffee\n0123456789abcdef0123456789abcdef01234567\n1\n");
  EXPECT_EQ(known_sha256(file), "") << "a small file's etag is no sha256";
  const std::string other(64, 'b');
  for (const std::string& line :
       {other, other + "  ", other + "  m.safetensors.bak",
        std::string(64, 'z') + "  m.safetensors", std::string("\0\0", 2)}) {
    machine_.write("w/SHA256SUMS", line + "\n");
    EXPECT_EQ(known_sha256(file), "") << line;
  }
  machine_.write("w/SHA256SUMS", std::string(64, 'B') + " *m.safetensors\n");
  EXPECT_EQ(known_sha256(file), other);
}

TEST_F(DoctorPlan, CasesAndFit) {
  const profiles::Plan plan = profiles::make_plan(
      profiles::load_profile(test_support::source_dir() / "profiles/tiny.toml"));
  EXPECT_THAT(find(check_datasets(plan), "datasets").text, HasSubstr("needle 120"));
  profiles::Machine machine;
  machine.memory = profiles::MemoryPool{int64_t{16} << 30, int64_t{2} << 30, int64_t{2} << 30};
  EXPECT_EQ(find(check_fit(plan, machine), "fit").level, Level::kOk);
  machine.memory->total = int64_t{4} << 30;
  const Finding finding = find(check_fit(plan, machine), "fit");
  EXPECT_EQ(finding.level, Level::kProblem);
  EXPECT_THAT(finding.text, HasSubstr("does not fit"));
  EXPECT_FALSE(finding.remedy.empty());
}

TEST(DoctorDocs, EveryCheckHasALine) {
  const std::string docs = read_file(test_support::source_dir() / "docs/doctor.md");
  const std::regex check(R"re(\{[^"{}]*,\s*"([a-z]+(-[a-z]+)*)",)re");
      std::set<std::string>
          names;
  for (const auto& entry : fs::directory_iterator(test_support::source_dir() / "runners/doctor")) {
    const std::string text = read_file(entry.path());
    for (std::sregex_iterator i(text.begin(), text.end(), check), end; i != end; ++i) {
      names.insert((*i)[1]);
    }
  }
  EXPECT_GE(names.size(), 25u);
  for (const std::string& name : names) EXPECT_THAT(docs, HasSubstr("| `" + name + "` |"));
}

}  // namespace
}  // namespace ds4::runners::doctor
