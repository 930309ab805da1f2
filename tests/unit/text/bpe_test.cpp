#include "engine/text/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "engine/text/added_tokens.h"

namespace ds4::text {
namespace {

// The definition, word for word: merge the lowest rank, leftmost on ties, until nothing is left.
std::vector<TokenId> merge_naively(std::vector<TokenId> ids, const std::vector<Merge>& merges) {
  std::map<std::pair<TokenId, TokenId>, size_t> rank;
  for (size_t i = 0; i < merges.size(); ++i) rank[{merges[i].left, merges[i].right}] = i;
  while (true) {
    size_t best = merges.size();
    size_t at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = rank.find({ids[i], ids[i + 1]});
      if (found != rank.end() && found->second < best) {
        best = found->second;
        at = i;
      }
    }
    if (best == merges.size()) return ids;
    ids[at] = merges[best].result;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
}

std::array<TokenId, 256> identity_bytes() {
  std::array<TokenId, 256> ids;
  for (int i = 0; i < 256; ++i) ids[i] = i;
  return ids;
}

// Random merges over a tiny alphabet, in random order, so that ranks do not grow with length.
std::vector<Merge> random_merges(std::mt19937& rng) {
  std::vector<TokenId> known = {'a', 'b', 'c'};
  std::vector<Merge> merges;
  std::map<std::pair<TokenId, TokenId>, bool> seen;
  for (TokenId next = 256; next < 296; ++next) {
    const TokenId left = known[rng() % known.size()];
    const TokenId right = known[rng() % known.size()];
    if (seen[{left, right}]) continue;
    seen[{left, right}] = true;
    merges.push_back({left, right, next});
    known.push_back(next);
  }
  std::shuffle(merges.begin(), merges.end(), rng);
  return merges;
}

TEST(Bpe, EqualsTheDefinitionForShortAndLongPieces) {
  std::mt19937 rng(7);
  BpeMerger::Scratch scratch;
  for (int round = 0; round < 60; ++round) {
    const auto merges = random_merges(rng);
    const BpeMerger merger(merges, identity_bytes());
    for (const size_t n : {0, 1, 2, 3, 7, 39, 40, 41, 42, 100, 400}) {
      std::string piece;
      for (size_t i = 0; i < n; ++i) piece += static_cast<char>("aaabc"[rng() % 5]);
      std::vector<TokenId> out = {-7};  // encode appends
      ASSERT_EQ(merger.encode(piece, out, scratch), -1);
      out.erase(out.begin());
      ASSERT_EQ(out, merge_naively({piece.begin(), piece.end()}, merges)) << piece;
    }
  }
}

TEST(Bpe, TakesAMegabyteInOnePiece) {
  const std::vector<Merge> merges = {{'a', 'a', 256}, {256, 256, 257}, {257, 257, 258}};
  const BpeMerger merger(merges, identity_bytes());
  BpeMerger::Scratch scratch;
  std::vector<TokenId> out;
  ASSERT_EQ(merger.encode(std::string(1 << 20, 'a'), out, scratch), -1);
  EXPECT_EQ(out, std::vector<TokenId>(1 << 17, 258));
}

TEST(Bpe, NamesTheByteWithoutToken) {
  auto bytes = identity_bytes();
  bytes['x'] = -1;
  const BpeMerger merger({}, bytes);
  BpeMerger::Scratch scratch;
  std::vector<TokenId> out;
  EXPECT_EQ(merger.encode("axb", out, scratch), 'x');
  EXPECT_TRUE(out.empty());
}

TEST(AddedTokens, AreFoundLeftmostAndLongest) {
  AddedTokenMatcher matcher;
  matcher.add("<a", 1);
  matcher.add("<a b>", 2);
  matcher.add("b>", 3);
  matcher.add("｜D", 4);
  const auto expect = [&](std::string_view text, size_t from, size_t begin, size_t length, int id) {
    const auto match = matcher.find(text, from);
    EXPECT_EQ(match.begin, begin) << text;
    EXPECT_EQ(match.length, length) << text;
    EXPECT_EQ(match.id, id) << text;
  };
  expect("x<a b>", 0, 1, 5, 2);
  expect("x<a b", 0, 1, 2, 1);  // the longer one stays incomplete
  expect("x<a b>", 2, 4, 2, 3);
  expect("<<<a", 0, 2, 2, 1);
  expect("no <", 0, 4, 0, -1);
  expect("", 0, 0, 0, -1);
  expect("\xEF\xBD｜D", 0, 2, 4, 4);
}

}  // namespace
}  // namespace ds4::text
