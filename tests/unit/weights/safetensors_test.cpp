// One safetensors file: what is accepted, and some fifty malformed ones each refused by name.
#include "engine/weights/containers/safetensors.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <ostream>

#include "tests/unit/weights/model_files.h"

namespace ds4::weights {
namespace {

constexpr const char* kGood = R"({"a":{"dtype":"U8","shape":[2,3],"data_offsets":[0,6]}})";

class SafetensorsTest : public testing::Test {
 protected:
  SafetensorsFile open(const std::string& bytes) {
    write_text(path_, bytes);
    return SafetensorsFile(path_);
  }
  std::string error(const std::string& bytes) {
    return error_of([&] { open(bytes); });
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "x.safetensors";
};

TEST_F(SafetensorsTest, ReadsTensorsAndTheirBytes) {
  const SafetensorsFile file =
      open(raw_safetensors(R"({"b":{"dtype":"BF16","shape":[1],"data_offsets":[6,8]},)"
                           R"("a":{"dtype":"U8","shape":[2,3],"data_offsets":[0,6]}})",
                           "abcdefgh"));
  ASSERT_EQ(file.tensors().size(), 2u);
  const TensorHeader& a = file.tensors()[1];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.dtype, Dtype::kU8);
  EXPECT_EQ(a.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(static_cast<char>(file.data(a)[5]), 'f');
}

TEST_F(SafetensorsTest, AcceptsWhatTheFormatAllows) {
  // Space padding, metadata, scalars, tensors without elements, unused bytes, no tensors at all.
  EXPECT_EQ(open(raw_safetensors(std::string(kGood) + "   ", "abcdef")).tensors().size(), 1u);
  EXPECT_EQ(
      open(raw_safetensors(R"({"__metadata__":{"format":"pt","x":"y"}})", "")).tensors().size(),
      0u);
  EXPECT_EQ(
      open(raw_safetensors(R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", "abcd"))
          .tensors()[0]
          .shape.size(),
      0u);
  EXPECT_EQ(
      open(raw_safetensors(
               R"({"e":{"dtype":"F32","shape":[0,9223372036854775807,9],"data_offsets":[0,0]}})",
               ""))
          .tensors()
          .size(),
      1u);
  EXPECT_EQ(
      open(raw_safetensors(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})", "abcdefg"))
          .tensors()
          .size(),
      1u);
  EXPECT_EQ(open(raw_safetensors("{}", "")).tensors().size(), 0u);
}

TEST_F(SafetensorsTest, RefusesBrokenLengths) {
  const std::string good = raw_safetensors(kGood, "abcdef");
  EXPECT_NE(error("").find("too few"), std::string::npos);
  EXPECT_NE(error("1234567").find("too few"), std::string::npos);
  EXPECT_NE(error(std::string(8, '\0')).find("no JSON object"), std::string::npos);
  EXPECT_NE(error(std::string(8, '\xff') + kGood).find("claims 18446744073709551615"),
            std::string::npos);
  EXPECT_NE(error(std::string("\0\0\0\0\0\0\0\x80", 8) + kGood).find("claims"), std::string::npos);
  EXPECT_NE(error(good.substr(0, 20)).find("claims"), std::string::npos);
  EXPECT_NE(error(good.substr(0, good.size() - 1)).find("5 data bytes"), std::string::npos);
}

TEST_F(SafetensorsTest, RefusesWhatIsNoRegularFile) {
  EXPECT_NE(error_of([&] { SafetensorsFile{folder_.path()}; }).find("regular"), std::string::npos);
  EXPECT_NE(error_of([&] { SafetensorsFile{folder_.path() / "none"}; }).find("missing"),
            std::string::npos);
  const auto pipe = folder_.path() / "pipe.safetensors";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_NE(error_of([&] { SafetensorsFile{pipe}; }).find("regular"), std::string::npos);
}

struct BadHeader {
  const char* header;
  const char* named;
};

void PrintTo(const BadHeader& bad, std::ostream* out) {
  *out << bad.named;
}

class SafetensorsRefuses : public SafetensorsTest, public testing::WithParamInterface<BadHeader> {};

TEST_P(SafetensorsRefuses, TheHeaderByName) {
  const std::string text = error(raw_safetensors(GetParam().header, "abcdefghijklmnop"));
  EXPECT_NE(text.find("x.safetensors"), std::string::npos) << text;
  EXPECT_NE(text.find(GetParam().named), std::string::npos) << text;
}

INSTANTIATE_TEST_SUITE_P(
    Hostile, SafetensorsRefuses,
    testing::Values(
        BadHeader{"not json at all", "no JSON object"}, BadHeader{"[]", "no JSON object"},
        BadHeader{" {}", "no JSON object"}, BadHeader{"{", "not valid JSON"},
        BadHeader{"{} x", "not valid JSON"}, BadHeader{"{}{}", "not valid JSON"},
        BadHeader{R"({"a":)", "not valid JSON"}, BadHeader{"{\"\xff\xfe\":{}}", "not valid JSON"},
        BadHeader{R"({"a":1e999})", "not valid JSON"}, BadHeader{R"({"a":1})", "a number"},
        BadHeader{R"({"a":"x"})", "`a` holds text"}, BadHeader{R"({"a":null})", "null"},
        BadHeader{R"({"a":[1]})", "list"}, BadHeader{R"({"a":{}})", "lacks"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[1]}})", "lacks"},
        BadHeader{R"({"a":{"shape":[1],"data_offsets":[0,1]}})", "lacks"},
        BadHeader{R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", "lacks"},
        BadHeader{R"({"a":{"dtype":"X9","shape":[1],"data_offsets":[0,1]}})", "dtype `X9`"},
        BadHeader{R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,1]}})", "`a` holds a number"},
        BadHeader{R"({"a":{"dtype":null,"shape":[1],"data_offsets":[0,1]}})", "null"},
        BadHeader{R"({"a":{"dtype":["U8"],"shape":[1],"data_offsets":[0,1]}})", "list"},
        BadHeader{R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "twice"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})",
                  "unknown field"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", "negative"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", "whole number"},
        BadHeader{R"({"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}})", "text"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}})", "truth"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[null],"data_offsets":[0,1]}})", "null"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", "list"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[{}],"data_offsets":[0,1]}})", "object"},
        BadHeader{R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", "number"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})",
                  "dimensions"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1]}})",
                  "18446744073709551615"},
        BadHeader{R"({"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})",
                  "impossible"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})",
                  "impossible"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}})", "[2,0]"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[-2,0]}})", "negative"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[15,17]}})", "16 data bytes"},
        BadHeader{
            R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[9223372036854775806,9223372036854775807]}})",
            "16 data bytes"},
        BadHeader{R"({"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,3]}})", "not 4"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2,4]}})", "exactly two"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0]}})", "exactly two"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[]}})", "exactly two"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[2],"data_offsets":"0,2"}})", "text"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[2],"data_offsets":{"0":2}}})", "object"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                  R"("b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})",
                  "`a` and `b` share"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                  R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                  "`a` occurs twice"},
        BadHeader{R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "empty name"},
        BadHeader{R"({"__metadata__":{"a":{"b":"c"}}})", "__metadata__"},
        BadHeader{R"({"__metadata__":{"a":["b"]}})", "__metadata__"},
        BadHeader{R"({"a\n\u0007b":1})", "`a\\x0a\\x07b`"}));

TEST_F(SafetensorsTest, RefusesDeepNestingAndPadding) {
  EXPECT_NE(error(raw_safetensors("{\"a\":" + std::string(1000000, '['), "")), "");
  EXPECT_NE(
      error(raw_safetensors(std::string(kGood) + std::string(8, '\0'), "abcdef")).find("zero byte"),
      std::string::npos);
}

}  // namespace
}  // namespace ds4::weights
