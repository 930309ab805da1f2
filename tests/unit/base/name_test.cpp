#include "engine/base/name.h"

#include <gtest/gtest.h>

#include <thread>
#include <unordered_map>
#include <vector>

namespace ds4 {
namespace {

TEST(NameTest, EqualTextsAreOneName) {
  const std::string text = "decode_rate";
  const Name name = text;
  EXPECT_EQ(name, Name("decode_rate"));
  EXPECT_EQ(&name.text(), &Name(std::string_view(text)).text());
  EXPECT_NE(name, Name("decode_rat"));
  EXPECT_EQ(name, "decode_rate");
  EXPECT_EQ(name, text);
  EXPECT_FALSE(name == "decode_rate_2");
}

TEST(NameTest, NothingIsTheEmptyName) {
  EXPECT_TRUE(Name().empty());
  EXPECT_EQ(Name(), Name(""));
  EXPECT_EQ(Name(), Name(std::string_view()));
  EXPECT_FALSE(Name("a").empty());
}

TEST(NameTest, OrderIsThatOfTheTextsNotOfWhenTheyCame) {
  const Name later("name_test b"), earlier("name_test a");
  EXPECT_LT(earlier, later);
  EXPECT_GT(later, Name("name_test"));
}

TEST(NameTest, ReadsAsText) {
  const Name name("needle");
  EXPECT_EQ(name + "/7", "needle/7");
  EXPECT_EQ("suite " + name, "suite needle");
  EXPECT_EQ(name + name, "needleneedle");
  const std::string& text = name;
  EXPECT_EQ(text, "needle");
}

TEST(NameTest, ThreadsThatBringTheSameTextsGetTheSameNames) {
  constexpr int kThreads = 4, kTexts = 300;
  std::vector<std::vector<Name>> names(kThreads);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&names, t] {
        for (int i = 0; i < kTexts; ++i) {
          names[static_cast<size_t>(t)].push_back("name_test " + std::to_string(i));
        }
      });
    }
  }
  for (const auto& of_thread : names) EXPECT_EQ(of_thread, names.front());
  std::unordered_map<Name, int> places;
  for (int i = 0; i < kTexts; ++i) places[names[0][static_cast<size_t>(i)]] = i;
  EXPECT_EQ(places.at("name_test 17"), 17);
  EXPECT_EQ(places.size(), static_cast<size_t>(kTexts));
}

}  // namespace
}  // namespace ds4
