// The diagrams suite: answers written by hand (diagrams.golden) hit every field, and each way to
// spoil one loses exactly the field it should.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

#include "engine/base/error.h"
#include "golden_texts.h"
#include "suites/diagrams/boxes.h"
#include "suites/diagrams/mermaid.h"
#include "support.h"

namespace ds4::suites {
namespace {

const Suite& diagrams() {
  return *find_suite("diagrams");
}

std::map<std::string, std::string> golden_answers() {
  return golden_texts("diagrams.golden");
}

std::string expected_of(const std::string& id) {
  const Parameters parameters = default_parameters("diagrams");
  for (const CaseSpec& spec : diagrams().plan(parameters)) {
    if (spec.id == id) return diagrams().build(parameters, spec, word_counter()).expected;
  }
  ADD_FAILURE() << "no case " << id;
  return "{}";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  if (at != text.npos) text.replace(at, from.size(), to);
  return text;
}

// The fields an answer misses, by name.
std::string missed(const std::string& id, const std::string& answer) {
  const Score score = diagrams().score(expected_of(id), content_answer(answer));
  std::string out;
  for (const auto& [name, value] : score.values) {
    if (name != "fields" && value == 0) out += (out.empty() ? "" : " ") + name;
  }
  EXPECT_EQ(score.grade == Grade::kCorrect, out.empty()) << score.explanation;
  return out;
}

TEST(Diagrams, EveryTaskHasAnAnswerThatHitsEveryField) {
  const auto answers = golden_answers();
  const Parameters parameters = default_parameters("diagrams");
  size_t n = 0;
  for (const CaseSpec& spec : diagrams().plan(parameters)) {
    ASSERT_TRUE(answers.contains(spec.id)) << spec.id;
    const Case made = diagrams().build(parameters, spec, word_counter());
    const Score score = diagrams().score(made.expected, content_answer(answers.at(spec.id)));
    EXPECT_EQ(score.grade, Grade::kCorrect) << spec.id << ": " << score.explanation;
    EXPECT_EQ(score.values.at("fields"), 1) << spec.id;
    ++n;
  }
  EXPECT_EQ(n, 45u);
}

// Every answer to another task of its form: shared labels aside, nothing of it may pass.
TEST(Diagrams, TheAnswerToAnotherTaskIsWrong) {
  const auto answers = golden_answers();
  for (const auto& [id, answer] : answers) {
    for (const auto& [other, expected] : answers) {
      if (id == other || id.substr(0, id.find('/')) != other.substr(0, other.find('/'))) continue;
      const Score score = diagrams().score(expected_of(other), content_answer(answer));
      EXPECT_EQ(score.grade, Grade::kWrong) << id << " for " << other;
      EXPECT_LT(score.values.at("fields"), 0.7) << id << " for " << other << score.explanation;
    }
  }
}

struct Spoiled {
  const char* id;
  const char* from;
  const char* to;
  const char* loses;
};

TEST(Diagrams, OneFaultLosesItsField) {
  const auto answers = golden_answers();
  const std::vector<Spoiled> faults = {
      {"ascii/pipeline", "```\n", "```\n```\n```\n",
       "fence glyphs labels boxes edges nothing_else"},
      {"ascii/pipeline", "\n```", "\n\xe2\x80\xa6\n```", "glyphs"},
      {"ascii/web", "Database", "        ", "labels"},
      {"ascii/web", "Database", "Datebase", "labels nothing_else"},
      {"ascii/web", "| Browser |", "| Browser  ", "boxes"},
      {"ascii/web", "+----------+\n```", "+---------- \n```", "boxes"},
      {"ascii/circle", "<-----", "------", "edges"},
      {"ascii/circle", "<-----", "<-   -", "edges"},
      {"ascii/circle", "<-----", "<---->", "nothing_else"},
      {"ascii/balancer", "|   +--------+   |\n                    +",
       "|   +--------+   |\n                     ", "edges"},
      {"ascii/split", "```\n", "```\n+----+\n| On |\n+----+\n", "nothing_else"},
      {"unicode/pipeline", "───▶│ Parse", "--->│ Parse", ""},
      {"unicode/web", "▼", "\xff", "glyphs edges"},
      {"unicode/pipeline", "│ Read", "| Read", "glyphs"},
      {"unicode/pipeline", "Print", "     ", "labels"},
      {"unicode/web", "└──────────┘", "└────────── ", "boxes"},
      {"unicode/pipeline", "│ Print │", "│ Print ┼", "junctions"},
      {"unicode/web", "└────┬────┘", "└────┴────┘", "junctions"},
      {"unicode/web", "│ Server │  ", "│ Server │", "width"},
      {"unicode/wide", "│ 出口 │", "│ 出口│ ", "boxes junctions"},
      {"unicode/retry", "▲", "│", "edges"},
      {"unicode/wide", "├────▶│ 检查", "│◀───▶│ 检查", "nothing_else"},
      {"flowchart/order", "```mermaid", "```", "fence"},
      {"flowchart/order", "flowchart TD\n", "", "header"},
      {"flowchart/order", "flowchart TD\n", "sequenceDiagram\n", "header"},
      {"flowchart/order", "flowchart TD\n", "flowchart TD\n  A[Open bracket\n", "syntax"},
      {"flowchart/order", "Delivered --> Closed(", "Delivered --> Closed((", "syntax edges"},
      {"flowchart/diamond", "  end\n", "", "syntax"},
      {"flowchart/pipeline", " --> C[Print]", "", "labels"},
      {"flowchart/pipeline", "A[Read] -->", "A[Read] ---", "edges"},
      {"flowchart/pipeline", "A[Read] -->", "A[Read] <-->", "nothing_else"},
      {"flowchart/pipeline", "[Print]\n", "[Print]\n  C --> D[Exit]\n", "nothing_else"},
      {"flowchart/circle", "next round", "again", "edge_labels"},
      {"flowchart/circle", "A -- next round -->", "A -->", "edge_labels"},
      {"flowchart/retry", "style r ", "style ghost ", "defined"},
      {"flowchart/circle", "C --> A[Act]", "C --> A[Act]\n  C --> Z", "defined"},
      {"sequence/cache", "participant C as Store", "participant C as",
       "labels nothing_else defined"},
      {"sequence/cache", "    end\n", "", "syntax"},
      {"sequence/login", "Site-->>User: welcome", "Site-->>User", "syntax edges"},
      {"sequence/handshake", "    Caller->>Listener: SYN\n", "", "edges edge_labels"},
      {"sequence/login", "welcome", "go away", "edge_labels"},
      {"sequence/login", "welcome\n", "welcome\n    User->>User: smile\n", "nothing_else"},
      {"state/job", "stateDiagram-v2", "stateDiagram-v3", "header defined"},
      {"state/job", "    end note\n", "", "syntax"},
      {"state/door", "Closed --> Open", "Closed -> Open", "syntax edges"},
      {"state/lamp", "Yellow --> Red", "Yellow --> Blue", "edges defined"},
  };
  for (const Spoiled& fault : faults) {
    const std::string answer = replaced(answers.at(fault.id), fault.from, fault.to);
    std::istringstream names(fault.loses);
    std::set<std::string> sorted;
    for (std::string name; names >> name;) sorted.insert(name);
    std::string loses;
    for (const std::string& name : sorted) loses += (loses.empty() ? "" : " ") + name;
    EXPECT_EQ(missed(fault.id, answer), loses)
        << fault.id << ": " << fault.from << " -> " << fault.to << "\n"
        << diagrams().score(expected_of(fault.id), content_answer(answer)).explanation;
  }
}

TEST(Diagrams, WithoutAFenceTheAnswerIsTheDiagram) {
  for (const auto& [id, answer] : golden_answers()) {
    const size_t begin = answer.find('\n') + 1;
    EXPECT_EQ(missed(id, answer.substr(begin, answer.rfind("```") - begin)), "fence");
    EXPECT_EQ(missed(id, answer.substr(0, answer.rfind("```"))), "fence") << "not closed";
    EXPECT_EQ(missed(id, "Here it is.\n" + answer + "Anything else?\n```\nno\n```\n"), "fence");
  }
}

TEST(Diagrams, CutIsInvalidAndNothingIsNothing) {
  const std::string answer = golden_answers().at("ascii/web");
  EXPECT_EQ(diagrams().score(expected_of("ascii/web"), content_answer(answer, "length")).grade,
            Grade::kInvalid);
  for (const char* id :
       {"ascii/web", "unicode/web", "flowchart/web", "sequence/login", "state/door"}) {
    const Score score = diagrams().score(expected_of(id), content_answer("I would rather not."));
    EXPECT_EQ(score.values.at("fields"), 0) << id << score.explanation;
  }
}

TEST(Diagrams, TokensAreHeld) {
  Parameters parameters = default_parameters("diagrams");
  parameters["max_tokens"] = int64_t{128};
  EXPECT_THROW(diagrams().plan(parameters), Error);
  parameters["max_tokens"] = int64_t{1024};
  EXPECT_NO_THROW(diagrams().plan(parameters));
  parameters["thinking"] = true;
  EXPECT_THROW(diagrams().plan(parameters), Error);
}

TEST(Boxes, FramesAreNoNodesAndTablesAreCells) {
  const Canvas canvas("+---+---+\n| A | B |\n+---+---+\n");
  const auto boxes = closed_boxes(canvas);
  ASSERT_EQ(boxes.size(), 2u);
  EXPECT_EQ(boxes[0].label, "a");
  EXPECT_EQ(boxes[1].label, "b");
  EXPECT_TRUE(arrows(canvas, boxes).empty());
}

TEST(Mermaid, Statements) {
  const auto edges = [](const char* text) {
    std::string out;
    for (const MermaidEdge& edge : read_mermaid(text, MermaidKind::kFlowchart).edges) {
      out += edge.from + (edge.head ? ">" : "-") + edge.to + ":" + edge.label + " ";
    }
    return out;
  };
  const auto problem = [](const char* text) {
    return read_mermaid(text, MermaidKind::kFlowchart).problem;
  };
  EXPECT_EQ(edges("graph LR; a-->b; b --- c; c -.-> d; d ==> e; e --x f; f --o g"),
            "a>b: b-c: c>d: d>e: e>f: f>g: ");
  EXPECT_EQ(edges("graph LR\na --one two--> b\nb -->|x; y| c\nc -. z .-> d ~~~ e"),
            "a>b:one two b>c:x; y c>d:z ");
  EXPECT_EQ(edges("graph LR\na & b --> c & d"), "a>c: a>d: b>c: b>d: ");
  EXPECT_EQ(edges("graph LR\na<-->b\nmy-node.x----->y"), "a>b: b>a: my-node.x>y: ");
  EXPECT_EQ(problem("graph LR\na[\"f(x) [1]\"] --> b\n%% a comment [\n"), "");
  EXPECT_NE(problem("graph LR\na[f(x)] --> b"), "") << "bare brackets in a text";
  EXPECT_NE(problem("graph LR\na --> end"), "") << "a reserved word";
  EXPECT_NE(problem("graph LR\na -> b"), "");
  EXPECT_NE(problem("graph LR\na --> "), "");
  EXPECT_NE(problem("graph LR\nend"), "");
}

// Whatever stands there: no crash, no endless loop, and time in proportion to the length.
TEST(Diagrams, HostileTextIsReadInLinearTime) {
  const auto repeat = [](const std::string& unit, size_t bytes) {
    std::string out;
    while (out.size() < bytes) out += unit;
    return out;
  };
  constexpr size_t kBytes = 1 << 19;
  std::vector<std::string> texts;
  for (const char* unit : {"+",
                           "+-",
                           "+\n",
                           "|\n",
                           "[",
                           "((",
                           "a-->",
                           "a & ",
                           "a --",
                           "a-",
                           "```\n",
                           "|x",
                           "subgraph\n",
                           "A->>B: x\n",
                           "A-",
                           "state x {\n",
                           "\"",
                           "<br",
                           "%%",
                           ";",
                           "-.",
                           "\xe2\x94\xbc",
                           "\xff",
                           "┌─┐\n│x│\n└─┘\n",
                           "+--+\n|vv|\n+--+\n",
                           "a[\"b\"]"}) {
    texts.push_back(repeat(unit, kBytes));
  }
  uint64_t state = 1;
  std::string noise;
  const std::string alphabet = "+-|<>^v \n[](){}\"&;:%=.ab\xe2\x94\x80\xff`";
  for (size_t i = 0; i < kBytes / 4; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    noise += alphabet[(state >> 33) % alphabet.size()];
  }
  texts.push_back(noise);
  for (const char* id :
       {"ascii/web", "unicode/web", "flowchart/web", "sequence/login", "state/door"}) {
    const std::string expected = expected_of(id);
    for (const std::string& text : texts) {
      for (const char* open : {"```mermaid\n", "```mermaid\ngraph LR\n"}) {
        const Score score = diagrams().score(expected, content_answer(open + text + "\n```\n"));
        EXPECT_EQ(score.grade, Grade::kWrong) << id << text.substr(0, 20);
      }
    }
  }
}

}  // namespace
}  // namespace ds4::suites
