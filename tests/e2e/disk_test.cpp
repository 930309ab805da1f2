// Files that fail under the program: a model file cut while it is mapped, a disk that fills up
// while results are stored. Always a message with the file's name, and nothing committed is lost.
#include <gmock/gmock.h>

#include <thread>

#include "engine/base/error.h"
#include "tests/e2e/sweep.h"
#include "tests/support/source_dir.h"

namespace ds4::test_support {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// The default checkpoint, to be spoilt.
fs::path copy_of_checkpoint(const fs::path& folder) {
  const fs::path copy = folder / "model";
  fs::copy(source_dir() / "checkpoints" / "tiny", copy);
  for (const auto& entry : fs::directory_iterator(copy)) {
    fs::permissions(entry.path(), fs::perms::owner_write, fs::perm_options::add);
  }
  return copy;
}

void cut_weights(const fs::path& checkpoint) {
  for (const auto& entry : fs::directory_iterator(checkpoint)) {
    if (entry.path().extension() == ".safetensors") fs::resize_file(entry.path(), 5000);
  }
}

TEST(CutModelFile, EndsAConversationWithItsName) {
  const TemporaryFolder folder;
  const fs::path model = copy_of_checkpoint(folder.path());
  // Once the first answer is there the model is loaded; then its files are cut.
  const CommandResult result =
      run_shell("cd " + folder.path().string() +
                "; touch answer; (echo Hi; for i in $(seq 600); do test -s answer && break; "
                "sleep 0.1; done; truncate -s 5000 model/*.safetensors; echo again) | " +
                DS4_SWEEP_BINARY + " generate --checkpoint model --max-tokens 4 > answer");
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(result.err, HasSubstr("model-00001-of-00002.safetensors: cannot be read any more"));
  EXPECT_THAT(result.err, HasSubstr("Restore the file"));
}

TEST(CutModelFile, IsNamedInTheOutcomeOfItsCell) {
  const TemporaryFolder folder;
  const fs::path model = copy_of_checkpoint(folder.path());
  write_file_atomic(folder / "p.toml",
                    "checkpoint = \"model\"\n[[suite]]\nname = \"needle\"\n"
                    "lengths = [2000]\nsamples = [400]\n");
  const fs::path db = folder / "r.db";
  const int run =
      start_command({DS4_SWEEP_BINARY, "run", folder / "p.toml", "--db", db, "--no-progress"});
  size_t answered = 0;
  for (int i = 0; i < 600 && answered == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    try {
      const auto store = reports::Store::open_read_only(db);
      answered = store->attempts(store->run("latest").id, false).size();
    } catch (const Error&) {  // not made yet
    }
  }
  ASSERT_GT(answered, 0u);
  cut_weights(model);
  EXPECT_EQ(wait_command(run), 4);
  const auto store = reports::Store::open_read_only(db);
  const std::string id = store->run("latest").id;
  EXPECT_GE(store->attempts(id, false).size(), answered);
  const auto launches = store->launches(id);
  ASSERT_EQ(launches.size(), 1u);
  EXPECT_EQ(launches[0].outcome, "LOAD_INCOMPATIBLE");
  EXPECT_THAT(launches[0].message, HasSubstr(".safetensors: cannot be read any more"));
}

// A file system of 3 MB, seen by one shell script and its children only.
class FullDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    if (in_small_disk("true").exit_code != 0) {
      GTEST_SKIP() << "no file system can be mounted here (unshare -rm)";
    }
  }
  // Runs `script` in a shell whose folder `disk` is that file system.
  CommandResult in_small_disk(const std::string& script) const {
    fs::create_directories(sweep_.folder() / "disk");
    write_file_atomic(
        sweep_.folder() / "script.sh",
        "set -u; cd " + sweep_.folder().string() + "; sweep=" + DS4_SWEEP_BINARY + "\n" + script);
    return run_shell("unshare -rm sh -c 'mount -t tmpfs -o size=3000k none " +
                     (sweep_.folder() / "disk").string() + " && exec sh " +
                     (sweep_.folder() / "script.sh").string() + "'");
  }

  const Sweep sweep_{R"({"rules": [{"text": "Tokyo"}]})", "[[suite]]\nname = \"smoke\"\n"};
};

TEST_F(FullDisk, TheStoreKeepsWhatIsCommittedAndResumeFinishes) {
  in_small_disk(R"(
    head -c 2700k /dev/zero > disk/ballast
    $sweep run profile.toml --db disk/r.db -o reports --no-progress 2> full.err
    echo $? > full.code
    cp disk/r.db before.db; cp disk/r.db-wal before.db-wal
    rm disk/ballast
    $sweep resume latest --db disk/r.db -o reports --no-progress > /dev/null 2> resume.err
    echo $? > resume.code
    cp disk/r.db results.db; cp disk/r.db-wal results.db-wal 2> /dev/null || true)");
  const auto text = [&](const char* name) { return read_file(sweep_.folder() / name); };
  EXPECT_EQ(text("full.code"), "3\n") << text("full.err");
  EXPECT_THAT(text("full.err"), HasSubstr("disk/r.db"));
  EXPECT_THAT(text("full.err"), HasSubstr("disk is full"));
  EXPECT_THAT(text("full.err"), HasSubstr("resume"));
  const auto before = reports::Store::open_read_only(sweep_.folder() / "before.db");
  const size_t committed = before->attempts(before->run("latest").id, false).size();
  EXPECT_GT(committed, 0u);
  EXPECT_EQ(text("resume.code"), "0\n") << text("resume.err");
  const auto answered = sweep_.answered();
  EXPECT_GE(answered.size(), 10u);
  EXPECT_LT(committed, answered.size());
  for (const auto& [name, n] : answered) EXPECT_EQ(n, 1) << name;  // kept, not repeated
}

TEST_F(FullDisk, AReportThatDoesNotFitSaysThatTheResultsAreStored) {
  const CommandResult result = in_small_disk(R"(
    head -c 2980k /dev/zero > disk/ballast
    $sweep run profile.toml --db results.db -o disk/reports --no-progress)");
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(result.err, HasSubstr("disk/reports/report.html: cannot write: No space left"));
  EXPECT_THAT(result.err, HasSubstr("Everything measured is stored: ds4-sweep report "));
  EXPECT_GE(sweep_.answered().size(), 10u);
  const CommandResult later =
      run_command(sweep_.command({"report", "latest", "-o", (sweep_.folder() / "later").string()}));
  EXPECT_EQ(later.exit_code, 0) << later.err;
}

TEST(FullOutput, IsAnErrorNotASilentCut) {
  const Sweep sweep(R"({"rules": [{"text": "Tokyo"}]})", "[[suite]]\nname = \"smoke\"\n");
  sweep.run();
  for (const std::string verb :
       {"report latest --format html -o -", "show latest", "report latest"}) {
    const CommandResult result = run_shell(std::string(DS4_SWEEP_BINARY) + " " + verb + " --db " +
                                           sweep.db().string() + " > /dev/full");
    EXPECT_EQ(result.exit_code, 3) << verb << ": " << result.err;
    EXPECT_THAT(result.err, HasSubstr("standard output could not be written")) << verb;
  }
}

}  // namespace
}  // namespace ds4::test_support
