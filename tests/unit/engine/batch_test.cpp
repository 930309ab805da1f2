// Several sessions in one pass: each gets the logits it would have got alone, bit for bit, at
// whatever position it stands and whoever joins or leaves.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "engine/base/error.h"
#include "tests/unit/engine/session_support.h"

namespace ds4 {
namespace {
using namespace session_test;

struct Member {
  std::unique_ptr<Session> session;
  Tokens tokens;
};

class Batch : public ::testing::TestWithParam<const char*> {};

// One to eight sessions; every step some join, some leave, some take a chunk and the rest a token.
TEST_P(Batch, EqualsRunningAlone) {
  const Pair pair(GetParam(), settings_with(420, 48, 8));
  Rng rng(11);
  std::vector<Member> members;
  std::vector<int> sizes(9);
  for (int step = 0; step < 60; ++step) {
    if (members.size() < 8 && rng() % 3) {
      Member joining{pair.engine->new_session(), random_tokens(rng, 1 + rng() % 300, pair.vocab())};
      joining.session->extend_to(joining.tokens);
      members.push_back(std::move(joining));
    } else if (members.size() > 1 && rng() % 4 == 0) {
      members.erase(members.begin() + static_cast<std::ptrdiff_t>(rng() % members.size()));
    }
    if (members.empty()) continue;
    ++sizes[members.size()];
    std::vector<Tokens> added;
    const size_t chunk = rng() % (members.size() + 3);  // this one reads on, perhaps nobody
    for (size_t i = 0; i < members.size(); ++i) {
      added.push_back(random_tokens(rng, i == chunk ? 1 + rng() % 40 : 1, pair.vocab()));
    }
    std::vector<Engine::Addition> additions;
    for (size_t i = 0; i < members.size(); ++i) {
      additions.push_back({members[i].session.get(), added[i]});
    }
    pair.engine->append(additions);
    for (size_t i = 0; i < members.size(); ++i) {
      Member& member = members[i];
      member.tokens.insert(member.tokens.end(), added[i].begin(), added[i].end());
      EXPECT_EQ(member.session->length(), static_cast<int64_t>(member.tokens.size()));
      if (step % 4 == 0 || i == chunk) {
        ASSERT_EQ(logits_of(*member.session), pair.cold(member.tokens))
            << "step " << step << ", member " << i << " of " << members.size();
      }
    }
    std::erase_if(members, [](const Member& member) { return member.tokens.size() > 370; });
  }
  EXPECT_GT(sizes[1] + sizes[2], 0);
  EXPECT_GT(sizes[7] + sizes[8], 0);
}

INSTANTIATE_TEST_SUITE_P(Models, Batch, ::testing::Values("odd", "bf16", "one_csa", "one_hca"),
                         [](const auto& test) { return std::string(test.param); });

// Sessions in a batch keep their own memory of the past: going back works as ever.
TEST(BatchOfTwo, GoesBackAsAlone) {
  const Pair pair("odd", settings_with(300, 48, 2));
  Rng rng(12);
  Tokens a = random_tokens(rng, 200, pair.vocab());
  Tokens b = random_tokens(rng, 77, pair.vocab());
  const auto first = pair.engine->new_session();
  const auto second = pair.engine->new_session();
  first->extend_to(a);
  second->extend_to(b);
  for (int i = 0; i < 12; ++i) {
    const TokenId x = static_cast<TokenId>(i);
    const TokenId y = static_cast<TokenId>(96 - i);
    const Engine::Addition additions[] = {{first.get(), {&x, 1}}, {second.get(), {&y, 1}}};
    pair.engine->append(additions);
  }
  a.resize(196);
  first->extend_to(a);
  second->extend_to(b);
  EXPECT_EQ(second->reused(), 77);
  EXPECT_EQ(logits_of(*first), pair.cold(a));
  EXPECT_EQ(logits_of(*second), pair.cold(b));
}

TEST(BatchLimits, RefusesAndChangesNothing) {
  const auto engine = Engine::load(model_folder("odd"), settings_with(100, 10, 2));
  EXPECT_EQ(engine->max_rows(), 16);
  const auto a = engine->new_session();
  const auto b = engine->new_session();
  a->extend_to(Tokens{1, 2, 3});
  b->extend_to(Tokens(95, 4));
  const auto logits = logits_of(*a);
  const Tokens one = {5};
  const Tokens six(6, 1);
  const Tokens eleven(11, 1);
  const Tokens outside = {97};
  const Tokens none;
  const std::vector<Engine::Addition> wrong[] = {
      {{a.get(), one}, {b.get(), outside}},  // no such token
      {{a.get(), one}, {b.get(), none}},     // nothing to do
      {{a.get(), eleven}},                   // more than a chunk
      {{a.get(), one}, {b.get(), six}},      // no room in its context
  };
  for (const auto& additions : wrong) {
    try {
      engine->append(additions);
      ADD_FAILURE() << "nothing thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      EXPECT_FALSE(std::string(error.hint()).empty());
    }
    EXPECT_EQ(a->length(), 3);
    EXPECT_EQ(b->length(), 95);
    EXPECT_EQ(logits_of(*a), logits);
  }
  engine->append({});
  const auto three = Engine::load(model_folder("odd"), settings_with(100, 10, 3));
  std::vector<std::unique_ptr<Session>> sessions;
  for (int i = 0; i < 3; ++i) sessions.push_back(three->new_session());
  const Tokens nine(9, 1);  // 27 rows in all, 24 fit
  const std::vector<Engine::Addition> crowd = {
      {sessions[0].get(), nine}, {sessions[1].get(), nine}, {sessions[2].get(), nine}};
  EXPECT_THROW(three->append(crowd), Error);
  EXPECT_EQ(sessions[0]->length(), 0);
  EXPECT_THROW(engine->new_session(), Error) << "the plan is for two";
}

}  // namespace
}  // namespace ds4
