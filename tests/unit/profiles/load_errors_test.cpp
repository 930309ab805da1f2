// Profiles that are wrong: every message names file, line and key, and the hint the remedy.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/profiles/fixtures.h"

namespace ds4::profiles {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// A valid profile whose line 5 is `line`, inside `section`.
std::string with_line(const std::string& section, const std::string& line) {
  return "target = \"null\"\n[[suite]]\nname = \"needle\"\n" + section + "\n" + line + "\n";
}

struct Wrong {
  const char* name;
  std::string text;
  const char* what;  // beginning of the message
  const char* hint;  // part of the hint
};

class WrongProfile : public testing::TestWithParam<Wrong> {};

TEST_P(WrongProfile, IsNamedWithItsPlace) {
  const Error error = ProfileLoader().error(GetParam().text);
  EXPECT_EQ(error.code(), ErrorCode::kProfile) << error.what();
  EXPECT_THAT(error.what(), StartsWith(GetParam().what));
  EXPECT_THAT(error.hint(), HasSubstr(GetParam().hint));
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongProfile,
    testing::Values(
        Wrong{"syntax", "target = \"null\nx", "p.toml:1: ", "TOML"},
        Wrong{"top_key", "target = \"null\"\nchekpoint = \"x\"\n",
              "p.toml:2: unknown key `chekpoint`", "`checkpoint`"},
        Wrong{"first_of_two_keys", "zz = 1\naa = 2\n", "p.toml:1: unknown key `zz`", ""},
        Wrong{"engine_key", with_line("[engine]", "prefil_chunk = 4"),
              "p.toml:5: unknown key `prefil_chunk`", "`prefill_chunk`"},
        Wrong{"engine_type", with_line("[engine]", "threads = \"2\""),
              "p.toml:5: `engine.threads` is a string; it must be an integer", ""},
        Wrong{"engine_fraction", with_line("[engine]", "threads = 2.0"),
              "p.toml:5: `engine.threads` is a number with a fraction", ""},
        Wrong{"engine_range", with_line("[engine]", "prefill_chunk = 0"),
              "p.toml:5: `engine.prefill_chunk` is 0; it must be from 1 to", ""},
        Wrong{"engine_enumeration", with_line("[engine]", "kv_dtype = \"bf61\""),
              "p.toml:5: `engine.kv_dtype` is `bf61`; it must be one of `fp8`, `bf16`", "`bf16`"},
        Wrong{"negative_seed", with_line("[engine]", "seed = -1"), "p.toml:5: `engine.seed` is -1",
              ""},
        Wrong{"sampling_key", with_line("[sampling]", "topk = 4"), "p.toml:5: unknown key `topk`",
              "`top_k`"},
        Wrong{"sampling_range", with_line("[sampling]", "min_p = 1.5"),
              "p.toml:5: `sampling.min_p` is 1.5; it must be from 0 to 1", ""},
        Wrong{"sampling_zero", with_line("[sampling]", "top_p = 0"),
              "p.toml:5: `sampling.top_p` is 0; it must be above 0 and at most 1", ""},
        Wrong{"sampling_stop", with_line("[sampling]", "stop = [\"a\", \"\"]"),
              "p.toml:5: `sampling.stop` holds an empty text", ""},
        Wrong{"engine_no_table", "engine = 3\ntarget = \"null\"\n[[suite]]\nname = \"smoke\"\n",
              "p.toml:1: `engine` is an integer; it must be a table", ""},
        Wrong{"target", "target = \"nul\"\n", "p.toml:1: `target` is `nul`", "`null`"},
        Wrong{"no_checkpoint", "[[suite]]\nname = \"smoke\"\n",
              "p.toml: the target `engine` needs the key `checkpoint`", "checkpoint = "},
        Wrong{"no_script", "target = \"scripted\"\n[[suite]]\nname = \"smoke\"\n",
              "p.toml: the target `scripted` needs the key `script`", "script = "},
        Wrong{"no_suite", "target = \"null\"\n", "p.toml: no [[suite]]", "[[suite]]"},
        Wrong{"suite_as_table", "target = \"null\"\n[suite]\nname = \"smoke\"\n",
              "p.toml:2: `suite` must be written [[suite]]", ""},
        Wrong{"suite_without_name", "target = \"null\"\n[[suite]]\nlengths = [1]\n",
              "p.toml:2: a [[suite]] needs the key `name`", ""},
        Wrong{"suite_unknown", "target = \"null\"\n[[suite]]\nname = \"neddle\"\n",
              "p.toml:3: unknown suite `neddle`", "`needle`"},
        Wrong{"suite_twice",
              "target = \"null\"\n[[suite]]\nname = \"smoke\"\n[[suite]]\nname = \"smoke\"\n",
              "p.toml:5: suite `smoke` is listed twice", "sweep"},
        Wrong{"parameter_unknown", with_line("lengths = [1]", "lenghts = [2]"),
              "p.toml:5: unknown key `lenghts`", "`lengths`"},
        Wrong{"parameter_type", with_line("", "lengths = 512"),
              "p.toml:5: `needle.lengths` is an integer; it must be an array", ""},
        Wrong{"parameter_element", with_line("", "lengths = [512, \"x\"]"),
              "p.toml:5: `needle.lengths` is a string; it must be an integer", ""},
        Wrong{"parameter_fraction", with_line("", "cases = 1.5"),
              "p.toml:5: `needle.cases` is a number with a fraction", ""},
        Wrong{"parameter_infinite", with_line("", "share = inf"),
              "p.toml:5: `needle.share` must be a finite number", ""},
        Wrong{"limits_key", with_line("[limits]", "timeout = 3"), "p.toml:5: unknown key `timeout`",
              "_timeout"},
        Wrong{"limits_value", with_line("[limits]", "case_timeout = \"soon\""),
              "p.toml:5: `limits.case_timeout`", ""},
        Wrong{"limits_zero", with_line("[limits]", "case_timeout = 0"),
              "p.toml:5: `limits.case_timeout` must be more than 0", ""},
        Wrong{"sweep_unknown", with_line("[sweep]", "\"engine.kvdtype\" = [\"fp8\"]"),
              "p.toml:5: [sweep] names the unknown key `engine.kvdtype`", "`engine.kv_dtype`"},
        Wrong{"sweep_other_suite", with_line("[sweep]", "\"smoke.style\" = [\"a\"]"),
              "p.toml:5: [sweep] names the unknown key `smoke.style`", "`needle.style`"},
        Wrong{"sweep_value", with_line("[sweep]", "\"engine.kv_dtype\" = [\"fp8\", \"fp9\"]"),
              "p.toml:5: `engine.kv_dtype` is `fp9`", "`fp8`"},
        Wrong{"checkpoints_of_one_name", with_line("[sweep]", "checkpoint = [\"a/t\", \"b/t/\"]"),
              "p.toml:5: `sweep.checkpoint` lists t twice", "rename"},
        Wrong{"sweep_twice", with_line("[sweep]", "\"engine.seed\" = [1, 1]"),
              "p.toml:5: `sweep.engine.seed` lists 1 twice", ""},
        Wrong{"sweep_empty", with_line("[sweep]", "\"engine.seed\" = []"),
              "p.toml:5: `sweep.engine.seed` is empty", ""},
        Wrong{"sweep_mode", with_line("[sweep]", "mode = \"cartesan\""),
              "p.toml:5: `sweep.mode` is `cartesan`; it must be one of", "`cartesian`"},
        Wrong{"sweep_option", with_line("[sweep]", "repeat = 2"),
              "p.toml:5: [sweep] names the unknown key `repeat`", "`repeats`"},
        Wrong{"sweep_repeats", with_line("[sweep]", "repeats = 0"),
              "p.toml:5: `sweep.repeats` is 0; it must be from 1 to 1000", ""},
        Wrong{"sweep_bound", with_line("[sweep]", "sentinel_bound = 0"),
              "p.toml:5: `sweep.sentinel_bound` must be more than 0", ""},
        Wrong{"sweep_settle", with_line("[sweep]", "settle_tolerance = \"1 gig\""),
              "p.toml:5: `sweep.settle_tolerance`", ""},
        Wrong{"zip_form", with_line("[sweep]", "zip = 1"),
              "p.toml:5: `zip` must be written [[sweep.zip]]", ""},
        Wrong{"zip_lengths",
              with_line("[[sweep.zip]]", "\"engine.seed\" = [1, 2]\n\"engine.threads\" = [1]"),
              "p.toml:6: `engine.threads` has 1 values and `engine.seed` 2", "as many"},
        Wrong{"zip_twice", with_line("[[sweep.zip]]", "\"engine.seed\" = [1, 1]"),
              "p.toml:4: a [[sweep.zip]] lists the same values twice", ""},
        Wrong{"zip_and_axis",
              with_line("[sweep]",
                        "\"engine.seed\" = [1, 2]\n[[sweep.zip]]\n\"engine.seed\" = [1, 2]"),
              "p.toml:7: [sweep] varies `engine.seed` twice", "one of the two"},
        Wrong{"exclude_key", with_line("[sweep]", "exclude = [\n\"engine.sed > 1\"]"),
              "p.toml:6: `exclude` names the unknown key `engine.sed`", "`engine.seed`"},
        Wrong{"exclude_syntax", with_line("[sweep]", "exclude = [\"engine.seed\"]"),
              "p.toml:5: `exclude`: `engine.seed` has no comparison", "KEY OPERATOR VALUE"},
        Wrong{"exclude_operator", with_line("[sweep]", "exclude = [\"engine.seed = 1\"]"),
              "p.toml:5: `exclude`: `engine.seed = 1` has the operator `=`", "=="},
        Wrong{"exclude_value", with_line("[sweep]", "exclude = [\"engine.seed == \"]"),
              "p.toml:5: `exclude`: `engine.seed ==` has no value", ""},
        Wrong{"exclude_or",
              with_line("[sweep]", "exclude = [\"engine.seed == 1 or engine.seed == 2\"]"),
              "p.toml:5: `engine.seed` is a string; it must be an integer", ""},
        Wrong{"exclude_range", with_line("[sweep]", "exclude = [\"engine.draft_tokens > 9\"]"),
              "p.toml:5: `engine.draft_tokens` is 9; it must be from 0 to 5", ""},
        Wrong{"exclude_choice", with_line("[sweep]", "exclude = [\"engine.kv_dtype == 'fp9'\"]"),
              "p.toml:5: `engine.kv_dtype` is `fp9`", "fp8"},
        Wrong{"exclude_order", with_line("[sweep]", "exclude = [\"engine.kv_dtype > 'fp8'\"]"),
              "p.toml:5: `exclude`: `engine.kv_dtype > 'fp8'` orders values", ""},
        Wrong{"exclude_list", with_line("[sweep]", "exclude = [\"needle.lengths == 512\"]"),
              "p.toml:5: `exclude` cannot compare `needle.lengths`, which is a list", ""},
        Wrong{"exclude_type", with_line("[sweep]", "exclude = [7]"),
              "p.toml:5: `sweep.exclude` is an integer; it must be a string", ""},
        Wrong{"sweep_scalar", with_line("[sweep]", "\"engine.seed\" = 1"),
              "p.toml:5: `sweep.engine.seed` is an integer; it must be an array", ""},
        Wrong{"gate_suite", with_line("[[gate]]", "suite = \"smoke\""),
              "p.toml:5: the gate names suite `smoke`", "`needle`"},
        Wrong{"gate_score", with_line("[[gate]]", "score = \"exakt\""),
              "p.toml:5: no suite of this profile gives the score `exakt`", "`exact`"},
        Wrong{"gate_metric", with_line("[[gate]]", "metric = \"tfft\""),
              "p.toml:5: unknown metric `tfft`", "`ttft`"},
        Wrong{"gate_neither", with_line("[[gate]]", "min = 1"),
              "p.toml:4: a gate needs either `score` or `metric`", "score = "},
        Wrong{"gate_no_bound", with_line("[[gate]]", "score = \"exact\""),
              "p.toml:4: a gate needs `min` or `max`", "min = "},
        Wrong{"gate_key", with_line("[[gate]]", "scroe = \"exact\""),
              "p.toml:5: unknown key `scroe`", "`score`"},
        Wrong{"gate_range", with_line("[[gate]]\nscore = \"exact\"", "min = 98"),
              "p.toml:6: a score lies between 0 and 1", ""},
        Wrong{"gate_impossible", with_line("[[gate]]\nscore = \"exact\"\nmin = 0.9", "max = 0.1"),
              "p.toml:4: `min` is above `max`", ""},
        Wrong{"gate_tag", with_line("[[gate]]\nscore = \"exact\"", "tags = { depth = 0.5 }"),
              "p.toml:6: `tags.depth` is a number with a fraction", "quotes"}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(LoadProfileErrors, OverridesNameThemselves) {
  const ProfileLoader loader;
  const std::string text = with_line("[engine]", "threads = 1");
  EXPECT_THAT(loader.error(text, {"engine.thread=2"}).what(),
              StartsWith("--set: unknown key `thread`"));
  EXPECT_THAT(loader.error(text, {"engine.threads=two"}).what(),
              StartsWith("--set: `engine.threads` is a string"));
  EXPECT_THAT(loader.error(text, {"needel.cases=2"}).hint(), HasSubstr("`needle`"));
  EXPECT_THAT(loader.error(text, {"smoke.cases=2"}).what(), HasSubstr("unknown key `smoke.cases`"));
  EXPECT_EQ(loader.error(text, {"engine.threads"}).code(), ErrorCode::kUsage);
  EXPECT_EQ(loader.error(text, {"=3"}).code(), ErrorCode::kUsage);
  // A value cannot bring further keys with it.
  EXPECT_THAT(loader.error(text, {"engine.threads=2\nseed = 3"}).what(),
              StartsWith("--set: `engine.threads` is a string"));
}

TEST(LoadProfileErrors, AMissingFileIsAnIoError) {
  try {
    load_profile_with("/nonexistent/p.toml", {}, {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kIo);
    EXPECT_THAT(e.what(), HasSubstr("/nonexistent/p.toml"));
  }
}

}  // namespace
}  // namespace ds4::profiles
