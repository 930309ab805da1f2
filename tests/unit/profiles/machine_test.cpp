// Machine models: the shipped ones load, wrong ones are refused with their line.
#include "profiles/schema/machine.h"

#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "tests/support/source_dir.h"
#include "tests/unit/profiles/fixtures.h"

namespace ds4::profiles {
namespace {

using ::testing::HasSubstr;
constexpr int64_t kGiB = int64_t{1} << 30;
constexpr int64_t kMiB = int64_t{1} << 20;

Error refusal(const std::string& text) {
  try {
    parse_machine(text, "m.toml");
  } catch (const Error& e) {
    return e;
  }
  return Error(ErrorCode::kIo, "no error");
}

TEST(Machine, EveryShippedFileIsKnownByItsName) {
  size_t files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(test_support::source_dir() / "profiles" / "machines")) {
    const Machine machine = load_machine(entry.path().stem().string());
    EXPECT_EQ(machine.name, entry.path().stem());
    EXPECT_FALSE(machine.description.empty());
    for (const auto& pool : {machine.memory, machine.gpu}) {
      if (pool) {
        EXPECT_GT(pool->usable(), pool->total / 2) << machine.name;
      }
    }
    ++files;
  }
  EXPECT_EQ(files, machine_names().size());
}

TEST(Machine, ASparkHasOneMemory) {
  const Machine spark = load_machine("spark");
  EXPECT_TRUE(spark.unified);
  EXPECT_FALSE(spark.gpu);
  // Found free by the published K160 run: 114.01 GiB; its watchdog kept 6,291,456 kB.
  EXPECT_NEAR(static_cast<double>(spark.memory->usable() + spark.memory->floor),
              114.01 * static_cast<double>(kGiB), 0.005 * static_cast<double>(kGiB));
  EXPECT_EQ(spark.memory->floor, int64_t{6291456} * 1024);
}

TEST(Machine, CardsHaveMemoryOfTheirOwn) {
  const Machine h200 = load_machine("h200");
  EXPECT_FALSE(h200.unified);
  EXPECT_FALSE(h200.memory);
  EXPECT_EQ(h200.gpu->usable(), 143155 * kMiB);  // what cudaMemGetInfo says in all
}

TEST(Machine, AFileOfOnesOwn) {
  const ProfileLoader folder;
  const auto path = folder.path().parent_path() / "box.toml";
  write_file_atomic(path, "[gpu]\ntotal = 1024\nheld = \"1KiB\"\nfloor = 0\n");
  const Machine box = load_machine(path.string());
  EXPECT_EQ(box.name, "box");
  EXPECT_EQ(box.gpu->usable(), 0);
}

TEST(Machine, NamesWhatIsWrong) {
  const std::string pool = "total = 10\nheld = 1\nfloor = 1\n";
  EXPECT_THAT(refusal("[memory]\ntotal = 10\nheld = 1\nflor = 1\n").what(),
              HasSubstr("m.toml:4: unknown key `flor`"));
  EXPECT_THAT(refusal("[memory]\ntotal = 10\nheld = 1\n").what(),
              HasSubstr("needs the key `floor`"));
  EXPECT_THAT(refusal("[memory]\ntotal = \"ten\"\nheld = 1\nfloor = 1\n").what(),
              HasSubstr("m.toml:2: `memory.total`"));
  EXPECT_THAT(refusal("[memory]\ntotal = -1\nheld = 1\nfloor = 1\n").what(), HasSubstr("m.toml:2"));
  EXPECT_THAT(refusal("[memory]\ntotal = 10\nheld = 11\nfloor = 1\n").what(),
              HasSubstr("holds more than its `total`"));
  EXPECT_THAT(refusal("unified = true\n[memory]\n" + pool + "[gpu]\n" + pool).what(),
              HasSubstr("a unified machine has one memory"));
  EXPECT_THAT(refusal("unified = true\n[gpu]\n" + pool).what(), HasSubstr("one memory"));
  EXPECT_THAT(refusal("name = \"x\"\n").what(), HasSubstr("no memory"));
}

TEST(Machine, UnknownNamesGetTheNearest) {
  try {
    load_machine("h20");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kUsage);
    EXPECT_THAT(e.hint(), HasSubstr("`h200`"));
  }
  EXPECT_THROW(load_machine("no/such/file.toml"), Error);
}

}  // namespace
}  // namespace ds4::profiles
