#include "engine/text/python_json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include "tests/unit/text/fixtures.h"

namespace ds4::text {
namespace {

std::string again(std::string_view json) {
  const auto document = read_json(json);
  return document ? document->text : "(invalid)";
}

TEST(PythonJson, SeparatorsAndOrder) {
  EXPECT_EQ(again(R"({"b":1,"a":[1,2,{"x":null}],"c":{}})"),
            R"({"b": 1, "a": [1, 2, {"x": null}], "c": {}})");
  EXPECT_EQ(again(" [ ] "), "[]");
  EXPECT_EQ(again("[true,false,null]"), "[true, false, null]");
  EXPECT_EQ(again("{\"a\":\n 1 ,\t\"b\" :2}"), R"({"a": 1, "b": 2})");
  EXPECT_EQ(again(R"(["",["",""]])"), R"(["", ["", ""]])");
}

TEST(PythonJson, RepeatedKeysKeepThePlaceAndTakeTheLastValue) {
  EXPECT_EQ(again(R"({"a":1,"b":2,"a":"x"})"), R"({"a": "x", "b": 2})");
}

TEST(PythonJson, Strings) {
  EXPECT_EQ(again(R"(["\u00e9\ud83d\ude42\/\u0001\u007f"])"), "[\"é🙂/\\u0001\x7f\"]");
  EXPECT_EQ(again(R"(["\n\r\t\b\f\"\\"])"), R"(["\n\r\t\b\f\"\\"])");
  EXPECT_EQ(quote_json(std::string_view("\0\x1f", 2)), R"("\u0000\u001f")");
  EXPECT_EQ(quote_json("a\xFFz"), "\"a�z\"");
  EXPECT_EQ(again(R"("just text")"), "just text");
}

TEST(PythonJson, Numbers) {
  const auto expect = [](std::string_view in, std::string_view out) {
    EXPECT_EQ(again("[" + std::string(in) + "]"), "[" + std::string(out) + "]");
  };
  expect("0", "0");
  expect("-12", "-12");
  expect("18446744073709551615", "18446744073709551615");
  expect("123456789012345678901234567890", "123456789012345678901234567890");
  expect("-99999999999999999999", "-99999999999999999999");
  expect("1.0", "1.0");
  expect("1e3", "1000.0");
  expect("1.50", "1.5");
  expect("-0.0", "-0.0");
  expect("0.1", "0.1");
  expect("1e16", "1e+16");
  expect("1e15", "1000000000000000.0");
  expect("9999999999999998.0", "9999999999999998.0");
  expect("123456789012345678.0", "1.2345678901234568e+17");
  expect("0.0001", "0.0001");
  expect("0.00001", "1e-05");
  expect("0.000012345", "1.2345e-05");
  expect("1e-320", "1e-320");
  expect("1.7976931348623157e308", "1.7976931348623157e+308");
  expect("2.5E+2", "250.0");
}

TEST(PythonJson, ReprReadsBackTheSame) {
  std::mt19937_64 rng(9);
  for (int i = 0; i < 20000; ++i) {
    const uint64_t bits = rng();
    double value;
    std::memcpy(&value, &bits, sizeof(value));
    if (!std::isfinite(value)) continue;
    ASSERT_EQ(std::strtod(python_repr(value).c_str(), nullptr), value);
  }
}

TEST(PythonJson, RefusesWhatIsNoJson) {
  for (const char* json :
       {"", " ", "{", "{\"a\":}", "{a:1}", "[1,]", "1 2", "nul", "'a'", "\"\x01\"", "\"\xFF\"",
        "01", "1e999", "{\"a\":1}x", "NaN", "\"\\ud800\""}) {
    EXPECT_EQ(again(json), "(invalid)") << json;
  }
  EXPECT_EQ(again(std::string(501, '[') + std::string(501, ']')), "(invalid)");
  EXPECT_NE(again(std::string(500, '[') + std::string(500, ']')), "(invalid)");
  EXPECT_EQ(again(std::string(1 << 20, '[')), "(invalid)");
}

TEST(PythonJson, TakesObjectsApartOneLevelDeep) {
  const auto document = read_json(R"({"s":"a\nb","n":1.0,"o":{"k":["v"]},"e":""})");
  ASSERT_TRUE(document);
  EXPECT_EQ(document->kind, JsonDocument::Kind::kObject);
  ASSERT_EQ(document->members.size(), 4u);
  EXPECT_EQ(document->members[0].text, "a\nb");
  EXPECT_TRUE(document->members[0].is_string);
  EXPECT_EQ(document->members[1].text, "1.0");
  EXPECT_EQ(document->members[2].text, R"({"k": ["v"]})");
  EXPECT_FALSE(document->members[2].is_string);
  EXPECT_TRUE(document->members[3].is_string);
  EXPECT_EQ(read_json("[{}]")->kind, JsonDocument::Kind::kOther);
}

TEST(PythonJson, WritingIsStable) {
  std::mt19937 rng(10);
  for (int i = 0; i < 300; ++i) {
    const std::string quoted = quote_json(testing_support::random_utf8(rng, 30));
    const std::string once = again("{\"k\":[" + quoted + ",1.5]}");
    EXPECT_EQ(again(once), once);
    EXPECT_EQ(once, "{\"k\": [" + quoted + ", 1.5]}");
  }
}

}  // namespace
}  // namespace ds4::text
