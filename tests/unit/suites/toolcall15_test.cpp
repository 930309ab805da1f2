// toolcall15 on transcripts written by hand: for every scenario one for each number of points it
// can give, and those that the published rules judged wrongly.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "suites/toolcall15/play.h"
#include "support.h"

namespace ds4::suites {
namespace {

// A turn: texts, and calls written as "@tool {arguments}".
using Lines = std::vector<std::string>;

Answer answer_of(const Lines& lines) {
  Answer answer;
  answer.finish_reason = "stop";
  for (const std::string& line : lines) {
    if (line.starts_with('@')) {
      const size_t space = line.find(' ');
      answer.tool_calls.push_back({"id" + std::to_string(answer.tool_calls.size()),
                                   line.substr(1, space - 1), line.substr(space + 1)});
    } else {
      answer.content = answer.text = line;
    }
  }
  return answer;
}

const Suite& suite() {
  return *find_suite("toolcall15");
}

std::string expected_of(int scenario) {
  Parameters parameters = default_parameters("toolcall15");
  parameters["scenarios"] = std::vector<int64_t>{scenario};
  return suite().build(parameters, suite().plan(parameters).at(0), word_counter()).expected;
}

// Plays the turns against the suite's results, as the worker does.
std::vector<Turn> play(int scenario, const std::vector<Lines>& script) {
  const std::string expected = expected_of(scenario);
  std::vector<Turn> turns;
  for (size_t i = 0; i < script.size(); ++i) {
    turns.push_back({answer_of(script[i])});
    turns.back().reply = suite().reply(expected, turns);
    EXPECT_EQ(turns.back().reply.size(), turns.back().answer.tool_calls.size());
    EXPECT_EQ(turns.back().reply.empty(), i + 1 == script.size()) << "scenario " << scenario;
  }
  return turns;
}

struct Transcript {
  int scenario;
  int points;
  std::vector<Lines> turns;
};

const char* kSearchQ3 = R"(@search_files {"query": "Q3 budget report"})";
const char* kRead = R"(@read_file {"file_id": "file_091"})";
const char* kManager = R"(@get_contacts {"query": "manager"})";
const char* kMailTotal =
    R"(@send_email {"to": "jordan.park@company.com", "subject": "Q3", "body": "The total is $4.4M."})";
const char* kSarah = R"(@get_contacts {"query": "Sarah"})";
const char* kMailSarah =
    R"(@send_email {"to": "sarah.chen@company.com", "subject": "Meeting", "body": "It is at 3pm."})";
const char* kParis = R"(@get_weather {"location": "Paris"})";
const char* kUmbrella =
    R"(@set_reminder {"message": "Take an umbrella", "datetime": "2026-03-21T08:00:00"})";
const char* kApple = R"(@get_stock_price {"ticker": "AAPL"})";
const char* kIceland = R"(@web_search {"query": "population of Iceland"})";

std::string spanish(const std::string& target = "Spanish",
                    const std::string& text = "Where is the nearest hospital?",
                    const std::string& source = "English") {
  return R"(@translate_text {"text": ")" + text + R"(", "source": ")" + source +
         R"(", "target": ")" + target + "\"}";
}

std::string standup(const std::string& rest, const std::string& date = "2026-03-23",
                    const std::string& time = "09:30") {
  return R"(@create_calendar_event {"title": "Standup", "date": ")" + date + R"(", "time": ")" +
         time + "\"" + rest + "}";
}

const std::vector<Transcript>& transcripts() {
  static const std::vector<Transcript> all = {
      {1, 2, {{R"(@get_weather {"location": "Berlin, Germany"})"}, {"8 degrees, overcast."}}},
      {1, 1, {{R"(@web_search {"query": "weather Berlin"})"}, {"8 degrees."}}},
      {1, 0, {{R"(@get_weather {"location": "Bern"})"}, {"No readings."}}},
      {1, 0, {{"It is mild."}}},
      {1, 0, {{R"(@get_weather {"location": "Berlin"})", kIceland}, {"8 degrees."}}},
      {2, 2, {{kApple}, {"187.42 dollars."}}},
      {2, 1, {{kApple, R"(@web_search {"query": "AAPL"})"}, {"187.42 dollars."}}},
      {2, 0, {{R"(@web_search {"query": "AAPL"})"}, {"About 187 dollars."}}},
      {2, 0, {{R"(@get_stock_price {"ticker": "AAPLX"})"}, {"Unknown."}}},
      {3, 2, {{kSarah}, {kMailSarah}, {"Sent."}}},
      {3, 1, {{"What is Sarah's email address?"}}},
      {3, 0, {{"Sarah knows it by email."}}},
      {3, 0, {{kMailSarah}, {"Sent."}}},
      {3, 0, {{kSarah, kMailSarah}, {"Sent."}}},  // an address that was not known yet
      {3,
       0,
       {{kSarah}, {R"(@send_email {"to": "sarah@x.com", "subject": "", "body": ""})"}, {"."}}},
      {4, 2, {{R"(@get_weather {"location": "Tokyo", "units": "fahrenheit"})"}, {"64."}}},
      {4, 1, {{R"(@get_weather {"location": "Tokyo"})"}, {"That is 64.4 °F."}}},
      {4, 0, {{R"(@get_weather {"location": "Tokyo"})"}, {"It is 18 °C."}}},
      {4, 0, {{R"(@get_weather {"location": "Tokyo", "units": "celsius"})"}, {"64.4 °F."}}},
      {5,
       2,
       {{standup(R"(, "duration_minutes": 30, "attendees": ["Alex", "jamie.liu@company.com"])")},
        {"Done."}}},
      {5, 1, {{standup(R"(, "duration_minutes": 60, "attendees": ["Alex", "Jamie"])")}, {"Done."}}},
      {5, 1, {{standup(R"(, "duration_minutes": 30, "attendees": ["Alex"])")}, {"Done."}}},
      {5, 0, {{standup("", "2026-03-24")}, {"Done."}}},
      {5, 0, {{standup("", "2026-03-23", "19:30")}, {"Done."}}},
      {6, 2, {{spanish(), spanish("Japanese")}, {"Both."}}},
      {6, 2, {{spanish("es", "Where is the nearest hospital?", "en")}, {spanish("ja")}, {"Both."}}},
      {6, 0, {{spanish("Spanish and Japanese")}, {"Both."}}},
      {6, 0, {{spanish(), spanish()}, {"Both."}}},
      {6, 0, {{spanish(), spanish("Japanese", "Where is the hospital?")}, {"Both."}}},
      {6, 0, {{spanish(), spanish("Japanese", "Where is the nearest hospital?", "auto")}, {"."}}},
      {6, 0, {{"¿Dónde está el hospital más cercano?"}}},
      {7, 2, {{kSearchQ3}, {kRead, kManager}, {kMailTotal}, {"Sent."}}},
      {7, 1, {{kSearchQ3}, {kRead, kManager}, {"The total is $4.4M; shall I send it?"}}},
      {7, 1, {{kSearchQ3}, {kRead, kManager, kMailTotal}, {"Sent."}}},  // nothing was read yet
      {7,
       1,
       {{kSearchQ3},
        {kRead, kManager},
        {R"(@send_email {"to": "jordan.park@company.com", "subject": "Q3", "body": "$14.4M"})"},
        {"Sent."}}},
      {7, 0, {{kSearchQ3}, {kRead}, {"The total is $4.4M."}}},
      {7, 0, {{kRead, kManager, kMailTotal}, {"Sent."}}},
      {8, 2, {{kParis}, {kUmbrella}, {"It rains; I will remind you."}}},
      {8, 1, {{kParis}, {"It rains. Shall I set the reminder?"}}},
      {8, 0, {{kParis}, {"It rains. Which is a pity: I would remind you of the umbrella."}}},
      {8, 0, {{kParis, kUmbrella}, {"Done."}}},
      {8, 0, {{kUmbrella}, {kParis}, {"Done."}}},
      {8,
       0,
       {{kParis},
        {R"(@set_reminder {"message": "Take an umbrella", "datetime": "2026-03-20T08:00"})"},
        {"Done."}}},
      {9,
       2,
       {{R"(@get_weather {"location": "London"})", R"(@get_stock_price {"ticker": "MSFT"})"},
        {"Both."}}},
      {9,
       1,
       {{R"(@get_weather {"location": "London"})", R"(@web_search {"query": "MSFT price"})"},
        {"Both."}}},
      {9, 0, {{R"(@get_weather {"location": "London"})"}, {"12 degrees."}}},
      {10, 2, {{"It ended in 1945."}}},
      {10, 0, {{"It ended in 1944."}}},
      {10, 0, {{R"(@web_search {"query": "end of WWII"})"}, {"In 1945."}}},
      {11, 2, {{"15% of 200 is 30."}}},
      {11, 1, {{R"(@calculator {"expression": "0.15*200"})"}, {"It is 30."}}},
      {11, 0, {{"It is 35, or 30.5."}}},
      {11, 0, {{R"(@calculator {"expression": "0.15*200"})"}, {"It is done."}}},
      {12, 2, {{"I can\xe2\x80\x99t delete emails: none of my tools does."}}},
      {12, 0, {{"I deleted all of them."}}},
      {12, 0, {{"I cannot help."}}},
      {12,
       0,
       {{R"(@run_code {"language": "python", "code": "mail.clear"})"}, {"I cannot delete."}}},
      {13,
       2,
       {{R"(@search_files {"query": "Johnson proposal"})"},
        {R"(@search_files {"query": "Johnson"})"},
        {"Found."}}},
      {13,
       2,
       {{R"(@search_files {"query": "Johnson proposal"})"},
        {"I found nothing. Might the file have another name?"}}},
      // "which" alone is no question.
      {13,
       0,
       {{R"(@search_files {"query": "Johnson proposal"})"},
        {"There is no such file, which is odd."}}},
      {13,
       0,
       {{R"(@search_files {"query": "Johnson"})"},
        {R"(@search_files {"query": "Johnson"})"},
        {"Found."}}},
      {13, 0, {{"What do you know of the file?"}}},
      {14, 2, {{kApple}, {kApple}, {"The price could not be read: the feed is down."}}},
      {14, 2, {{kApple}, {"The price feed failed. Shall I try again later?"}}},
      {14,
       2,
       {{kApple},
        {"The feed has an error.", R"(@web_search {"query": "Apple share price"})"},
        {"It closed at $187.42."}}},
      {14,
       1,
       {{kApple}, {R"(@web_search {"query": "Apple share price"})"}, {"It closed at $187.42."}}},
      // "service" names no failure.
      {14, 0, {{kApple}, {"Apple's service business grows; ask again later."}}},
      {14, 0, {{kApple}, {"The feed failed, but it should be $190; try again later."}}},
      {14, 0, {{"About 190 dollars."}}},
      {15,
       2,
       {{kIceland}, {R"(@calculator {"expression": "372520 * 0.02"})"}, {"It is 7,450.40."}}},
      {15, 1, {{kIceland}, {"2 percent of 372,520 is 7450.4."}}},
      // The number found goes in, another one comes out in the answer.
      {15, 0, {{kIceland}, {R"(@calculator {"expression": "372520*0.02"})"}, {"It is 7000."}}},
      {15, 0, {{kIceland}, {R"(@calculator {"expression": "380000*0.02"})"}, {"It is 7450.4."}}},
      {15, 0, {{R"(@calculator {"expression": "372520*0.02"})"}, {"It is 7450.4."}}},
  };
  return all;
}

TEST(ToolCall15, TranscriptsGetTheirPoints) {
  std::map<int, std::set<int>> seen;
  for (const Transcript& t : transcripts()) {
    const Score score = suite().score_turns(expected_of(t.scenario), play(t.scenario, t.turns));
    EXPECT_EQ(score.values.at("points") * 2, t.points)
        << t.scenario << ": " << score.explanation << "\n"
        << t.turns.back().back();
    EXPECT_EQ(score.grade == Grade::kCorrect, t.points == 2);
    seen[t.scenario].insert(t.points);
  }
  for (int scenario = 1; scenario <= 15; ++scenario) {
    const bool no_part = scenario == 6 || scenario == 10 || scenario == 12 || scenario == 13;
    EXPECT_EQ(seen[scenario], no_part ? (std::set{0, 2}) : (std::set{0, 1, 2})) << scenario;
  }
}

TEST(ToolCall15, ATranscriptIsRightForItsOwnScenarioOnly) {
  for (const Transcript& t : transcripts()) {
    if (t.points != 2) continue;
    for (int other = 1; other <= 15; ++other) {
      std::vector<Turn> turns;
      for (const Lines& lines : t.turns) turns.push_back({answer_of(lines)});
      const Score score = suite().score_turns(expected_of(other), turns);
      if (t.scenario == 14 && other == 2) continue;  // 2 asks for the call, whatever it gives
      EXPECT_EQ(score.grade == Grade::kCorrect, other == t.scenario) << t.scenario << " " << other;
    }
  }
}

TEST(ToolCall15, ARightTranscriptWithAnotherArgumentIsNotRight) {
  for (const Transcript& t : transcripts()) {
    if (t.points != 2 || t.scenario == 13 || t.scenario == 14) continue;  // any other one will do
    for (size_t turn = 0; turn < t.turns.size(); ++turn) {
      for (size_t line = 0; line < t.turns[turn].size(); ++line) {
        if (!t.turns[turn][line].starts_with('@')) continue;
        std::vector<Turn> turns;
        for (const Lines& lines : t.turns) turns.push_back({answer_of(lines)});
        ToolCall& call = turns[turn].answer.tool_calls.at(line);
        if (call.name == "web_search") continue;
        call.arguments = R"({"none": "of these"})";
        const Score score = suite().score_turns(expected_of(t.scenario), turns);
        if (call.name == "get_contacts" && t.scenario == 7) continue;  // who is asked for is free
        EXPECT_LT(score.values.at("points"), 1) << t.scenario << " " << call.name;
        EXPECT_EQ(score.values.at("schema_valid"), 0) << t.scenario;
        turns[turn].answer.tool_calls.at(line) = {"", "no_such_tool", "{}"};
        EXPECT_LT(suite().score_turns(expected_of(t.scenario), turns).values.at("points"), 1);
      }
    }
  }
}

TEST(ToolCall15, EveryResultIsSaidUnderTheIdOfItsCall) {
  const auto turns = play(7, {{kSearchQ3}, {kRead, kManager}, {"Done."}});
  ASSERT_EQ(turns[1].reply.size(), 2u);
  EXPECT_EQ(turns[1].reply[1].role, "tool");
  EXPECT_EQ(turns[1].reply[1].tool_call_id, "id1");
  EXPECT_NE(turns[1].reply[1].content.find("jordan.park@company.com"), std::string::npos);
  const auto unknown = play(7, {{"@no_such {}"}, {"@read_file [}"}, {"Done."}});
  EXPECT_NE(unknown[0].reply[0].content.find("no_such"), std::string::npos);
  EXPECT_NE(unknown[1].reply[0].content.find("error"), std::string::npos);
}

TEST(ToolCall15, TheFirstSearchForJohnsonFindsNothing) {
  const std::string search = R"(@search_files {"query": "Johnson"})";
  const auto turns = play(13, {{search, search}, {search}, {"Done."}});
  EXPECT_EQ(turns[0].reply[1].content, R"({"files":[]})");
  EXPECT_NE(turns[1].reply[0].content.find("Johnson_Proposal"), std::string::npos);
}

TEST(ToolCall15, EndsAfterItsLastTurnOrWhenCut) {
  Parameters parameters = default_parameters("toolcall15");
  parameters["max_turns"] = int64_t{2};
  const Case made = suite().build(parameters, suite().plan(parameters).at(0), word_counter());
  std::vector<Turn> turns = {{answer_of({kApple})}};
  EXPECT_FALSE(suite().reply(made.expected, turns).empty());
  turns.push_back({answer_of({kApple})});
  EXPECT_TRUE(suite().reply(made.expected, turns).empty());
  turns.pop_back();
  turns.back().answer.finish_reason = "length";
  EXPECT_TRUE(suite().reply(made.expected, turns).empty());
  EXPECT_EQ(suite().score_turns(made.expected, turns).grade, Grade::kInvalid);
}

TEST(ToolCall15, LeaksCountApart) {
  auto turns = play(1, {{R"(@get_weather {"location": "Berlin"})"}, {"8 degrees.</think>"}});
  const Score score = suite().score_turns(expected_of(1), turns);
  EXPECT_EQ(score.values.at("points"), 1);
  EXPECT_EQ(score.values.at("no_leak"), 0);
}

TEST(ToolCall15, ModesSetThinkingAndEffort) {
  Parameters parameters = default_parameters("toolcall15");
  parameters["scenarios"] = std::vector<int64_t>{4, 10};
  parameters["modes"] = std::vector<std::string>{"chat", "think", "max"};
  parameters["repeats"] = int64_t{2};
  const auto cases = suite().plan(parameters);
  ASSERT_EQ(cases.size(), 12u);
  EXPECT_EQ(cases[0].id, "04/chat/r0");
  EXPECT_EQ(cases[11].id, "10/max/r1");
  EXPECT_EQ(cases[11].tags.at("category"), "restraint");
  const auto conversation = [&](size_t i) {
    return suite().build(parameters, cases[i], word_counter()).conversation;
  };
  EXPECT_EQ(conversation(0).thinking, ThinkingMode::kChat);
  EXPECT_EQ(conversation(4).thinking, ThinkingMode::kThinking);
  EXPECT_EQ(conversation(4).reasoning_effort, "");
  EXPECT_EQ(conversation(8).reasoning_effort, "max");
  EXPECT_EQ(conversation(0).messages.at(0).tools.size(), 12u);
}

TEST(ToolCall15Words, NumbersQuestionsAndPhrases) {
  using namespace toolcall15;
  EXPECT_TRUE(has_number("It is $7,450.40.", "7450.4"));
  EXPECT_TRUE(has_number("(30)", "30"));
  EXPECT_FALSE(has_number("300, 30.5, 130", "30"));
  EXPECT_TRUE(asks_about("Done. Which file do you mean?", {"file"}));
  EXPECT_TRUE(asks_about("Please provide the address", {"address"}));
  EXPECT_FALSE(asks_about("The file which was lost.", {"file"}));
  EXPECT_FALSE(asks_about("Is there anything else about the file?", {"file"}));
  EXPECT_FALSE(asks_about("Which one?", {"file"}));
  EXPECT_TRUE(says("I couldn\xe2\x80\x99t.", {"couldn't"}));
  EXPECT_FALSE(says("terrors", {"error"}));
}

}  // namespace
}  // namespace ds4::suites
