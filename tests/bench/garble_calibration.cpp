// Calibrates the bounds of suites/common/garble: false positives on good texts, detection on texts
// corrupted on purpose, by kind, dose and onset. Prints the tables of docs/garble.md.
//   garble_calibration DATA REPOSITORY [MORE.jsonl]
// DATA holds the published sets; MORE has lines {"class", "prompt", "answer"} of further good
// texts.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <tuple>

#include "suites/common/garble.h"
#include "suites/common/rng.h"
#include "suites/common/scripts.h"

namespace {

using namespace ds4::suites;
using nlohmann::json;
namespace fs = std::filesystem;

struct Text {
  std::string kind, prompt, answer;
};

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

void each_row(const fs::path& path, const std::function<void(const json&)>& use) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) use(json::parse(line));
  }
}

// In pieces of about `bytes`, cut at line ends.
void add_pieces(std::vector<Text>& texts, const std::string& kind, const std::string& prompt,
                const std::string& whole, size_t bytes) {
  std::string piece;
  std::istringstream lines(whole);
  for (std::string line; std::getline(lines, line);) {
    piece += line + "\n";
    if (piece.size() < bytes) continue;
    texts.push_back({kind, prompt, std::move(piece)});
    piece.clear();
  }
  if (piece.size() > bytes / 4) texts.push_back({kind, prompt, std::move(piece)});
}

std::string base64(Rng& rng, size_t n) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < n; ++i) out += kDigits[rng.below(64)];
  return out;
}

const std::vector<std::pair<const char*, std::vector<std::string>>>& languages() {
  static const std::vector<std::pair<const char*, std::vector<std::string>>> list = {
      {"Chinese",
       {"今天早上天气很好，我们去公园散步。", "请把这份报告在星期五之前交给经理。",
        "这家饭店的菜又便宜又好吃。", "他从小就喜欢读历史书。", "火车晚点了二十分钟，大家都在等。",
        "学习一门语言需要时间和耐心。", "我的电脑坏了，明天要拿去修理。", "河边新开了一家书店。"}},
      {"Japanese",
       {"今日は天気がいいので散歩に行きます。", "この本はとても面白かったです。",
        "駅まで歩いて十分くらいかかります。", "昨日の会議は三時間も続きました。",
        "コーヒーと紅茶、どちらがいいですか。", "日本の夏は蒸し暑いとよく言われる。"}},
      {"Korean",
       {"오늘은 날씨가 맑아서 산책을 했습니다.", "이 책은 정말 재미있어요.",
        "회의는 세 시에 시작합니다.", "역까지 걸어서 십 분쯤 걸립니다.",
        "저는 커피보다 차를 더 좋아합니다."}},
      {"Russian",
       {"Сегодня утром было холодно, и мы остались дома.",
        "Этот поезд приходит в половине девятого.", "Она давно работает в этой библиотеке.",
        "Мы купили хлеб, молоко и немного сыра.", "Задача оказалась проще, чем казалось сначала."}},
      {"Arabic",
       {"ذهبنا إلى السوق في الصباح الباكر.", "هذا الكتاب مفيد جدا للطلاب.",
        "يبدأ الاجتماع في الساعة الثالثة.", "المدينة القديمة قريبة من النهر."}},
      {"Hindi",
       {"आज सुबह मौसम बहुत अच्छा था।", "यह किताब बच्चों के लिए है।", "हम कल शाम को बाज़ार जाएंगे।",
        "मुझे चाय पसंद है।"}},
      {"Thai", {"วันนี้อากาศดีมาก", "ฉันชอบอ่านหนังสือตอนเย็น", "รถไฟมาถึงช้ากว่ากำหนด"}},
      {"Greek", {"Σήμερα ο καιρός είναι καλός.", "Το βιβλίο είναι πολύ ενδιαφέρον."}},
      {"German",
       {"Heute früh war es kühl, später schien die Sonne.", "Der Zug fährt um halb neun.",
        "Über die Brücke führt ein schmaler Weg.", "Größere Mengen müssen vorbestellt werden."}},
  };
  return list;
}

void add_made(std::vector<Text>& texts) {
  Rng rng(7);
  for (int i = 0; i < 300; ++i) {
    const auto& [language, sentences] = languages()[rng.below(languages().size())];
    std::string answer;
    for (const std::string& s : rng.sample(sentences, 1 + rng.below(sentences.size()))) {
      answer += s + (rng.below(2) ? " " : "\n");
    }
    texts.push_back(
        {"other languages", std::string("Write a few sentences in ") + language + ".", answer});
  }
  static const std::vector<std::string> names = {"client", "queue", "store", "worker", "report",
                                                 "gate",   "cache", "index", "router", "head"};
  for (int i = 0; i < 300; ++i) {
    std::string a;
    const size_t n = 2 + rng.below(8);
    for (size_t k = 0; k < n; ++k) {
      const std::string& name = rng.pick(names);
      switch (i % 4) {
        case 0:
          a += "+" + std::string(name.size() + 4, '-') + "+\n|  " + name + "  |\n+" +
               std::string(name.size() + 4, '-') + "+\n        |\n        v\n";
          break;
        case 1:
          if (k == 0) a += "flowchart TD\n";
          a += "  " + name + std::to_string(k) + "[" + name + "] --> " + rng.pick(names) + "\n";
          break;
        case 2: {
          std::string bar;
          for (size_t c = 0; c < name.size() + 2; ++c) bar += "─";
          a += "┌" + bar + "┐\n│ " + name + " │\n└" + bar + "┘\n";
          break;
        }
        default:
          a += std::string(k, ' ') + "├── " + name + std::to_string(rng.below(100)) + ".txt\n";
      }
    }
    texts.push_back({"diagrams", "Draw it.", a});
  }
  for (int i = 0; i < 300; ++i) {
    const size_t n = 64 + rng.below(3000);
    texts.push_back({"payloads", "Encode it.",
                     "{\"name\": \"blob.bin\", \"data\": \"" + base64(rng, n) + "\"}"});
  }
  for (int i = 0; i < 300; ++i) {
    std::string a;
    const size_t rows = 3 + rng.below(40), columns = 2 + rng.below(12);
    const bool sparse = i % 3 == 0;
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < columns; ++c) {
        const auto number = std::to_string(sparse ? (r == c ? 1 : 0) : rng.below(1000));
        a += (i % 2 ? "| " : "") + number + (i % 2 ? " " : ", ");
      }
      a += i % 2 ? "|\n" : "\n";
    }
    texts.push_back({"number tables", "Give the table.", a});
  }
}

std::vector<Text> good_texts(const fs::path& data, const fs::path& repository) {
  std::vector<Text> texts;
  each_row(data / "gsm8k/train.jsonl", [&](const json& row) {
    texts.push_back({"gsm8k answers", row.at("question"), row.at("answer")});
  });
  std::map<int64_t, std::string> prompts;
  each_row(data / "ifeval/input_data.jsonl",
           [&](const json& row) { prompts[row.at("key")] = row.at("prompt"); });
  each_row(data / "ifeval/gpt4_responses_with_verdicts.jsonl", [&](const json& row) {
    texts.push_back({"ifeval responses", prompts.at(row.at("key")), row.at("response")});
  });
  for (const auto& entry : fs::directory_iterator(data / "bfcl/possible_answer")) {
    if (entry.path().extension() != ".json") continue;
    each_row(entry.path(), [&](const json& row) {
      const std::string dumped =
          row.at("ground_truth").dump(row.at("id").dump().size() % 2 ? 2 : -1);
      // Keys hold texts of any script, as their questions do.
      texts.push_back({"bfcl keys", dumped, dumped});
    });
  }
  each_row(data / "humaneval/HumanEval.jsonl", [&](const json& row) {
    texts.push_back(
        {"humaneval", row.at("prompt"),
         row.at("prompt").get<std::string>() + row.at("canonical_solution").get<std::string>()});
  });
  for (const char* name : {"inaugural", "state_union"}) {
    each_row(data / "haystack" / (std::string(name) + ".jsonl"), [&](const json& row) {
      add_pieces(texts, "speeches", "Give a speech.", row.at("text"), 2500);
    });
  }
  for (const auto& entry : fs::recursive_directory_iterator(repository / "engine")) {
    if (entry.path().extension() != ".cpp") continue;
    add_pieces(texts, "code", "Write C++.", read_all(entry.path()), 2000);
  }
  for (const auto& entry : fs::recursive_directory_iterator(repository / "docs")) {
    if (entry.path().extension() != ".md") continue;
    add_pieces(texts, "pages and tables", "Document it.", read_all(entry.path()), 2000);
  }
  add_made(texts);
  // The order of a folder is not the same everywhere.
  std::sort(texts.begin(), texts.end(), [](const Text& a, const Text& b) {
    return std::tie(a.kind, a.prompt, a.answer) < std::tie(b.kind, b.prompt, b.answer);
  });
  return texts;
}

// Corruptions. Each spoils a share `dose` of what stands behind `onset` (a share of the text).

std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    word += c;
    if (c == ' ' || c == '\n') words.push_back(std::exchange(word, ""));
  }
  if (!word.empty()) words.push_back(word);
  return words;
}

using WordChange = std::function<std::string(Rng&, const std::string&)>;

std::string change_words(const std::string& text, double onset, double dose, Rng& rng,
                         const WordChange& change) {
  std::vector<std::string> words = split_words(text);
  const auto begin = static_cast<size_t>(onset * static_cast<double>(words.size()));
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool hit = i >= begin && static_cast<double>(rng.below(1000000)) < dose * 1e6;
    out += hit ? change(rng, words[i]) : words[i];
  }
  return out;
}

struct Corruption {
  std::string name;
  std::vector<double> doses;
  std::string dose_means;
  std::function<std::string(const std::string&, double onset, double dose, Rng&)> spoil;
};

const std::vector<std::string>& foreign_words() {
  static const std::vector<std::string> words = [] {
    std::vector<std::string> out;
    for (const auto& [language, sentences] : languages()) {
      if (std::string_view(language) == "German" || std::string_view(language) == "Greek") continue;
      for (const std::string& sentence : sentences) {
        for (const std::string& word : split_words(sentence)) out.push_back(word + " ");
      }
    }
    return out;
  }();
  return words;
}

std::string as_mojibake(const std::string& word) {
  std::string out;  // as if UTF-8 were Latin-1, once more encoded
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xc0 | byte >> 6);
      out += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return out;
}

std::vector<Corruption> corruptions(const std::vector<std::string>& vocabulary) {
  const auto words = [](const WordChange& change) {
    return [change](const std::string& text, double onset, double dose, Rng& rng) {
      return change_words(text, onset, dose, rng, change);
    };
  };
  const std::string share = "share of words";
  std::vector<Corruption> list;
  list.push_back(
      {"words swapped for others of the same texts",
       {0.1, 0.5, 1},
       share,
       words([&vocabulary](Rng& rng, const std::string&) { return rng.pick(vocabulary); })});
  list.push_back({"random bytes", {0.01, 0.1, 0.5}, share, words([](Rng& rng, const std::string&) {
                    std::string out;
                    for (int i = 0; i < 5; ++i) out += static_cast<char>(rng.below(256));
                    return out;
                  })});
  list.push_back({"U+FFFD for a word", {0.01, 0.1, 0.5}, share, words([](Rng&, const std::string&) {
                    return "\xef\xbf\xbd ";
                  })});
  list.push_back(
      {"control characters", {0.01, 0.1, 0.5}, share, words([](Rng& rng, const std::string& word) {
         return word + static_cast<char>(1 + rng.below(8));
       })});
  list.push_back(
      {"mojibake of other languages", {0.1, 0.5, 1}, share, words([](Rng& rng, const std::string&) {
         return as_mojibake(rng.pick(foreign_words()));
       })});
  list.push_back({"words of six other scripts",
                  {0.02, 0.1, 0.5},
                  share,
                  words([](Rng& rng, const std::string&) { return rng.pick(foreign_words()); })});
  list.push_back({"words of one other script",
                  {0.02, 0.1, 0.5},
                  share,
                  words([](Rng& rng, const std::string&) {
                    return rng.pick(split_words(rng.pick(languages()[3].second)));
                  })});
  list.push_back(
      {"a special token's text", {0.01, 0.1}, share, words([](Rng&, const std::string& word) {
         return word + "</think>";
       })});
  for (const size_t unit : {1, 5, 20, 60}) {
    list.push_back({"loop of " + std::to_string(unit) + (unit == 1 ? " word" : " words"),
                    {200, 1000},
                    "words appended",
                    [unit](const std::string& text, double onset, double dose, Rng&) {
                      std::vector<std::string> all = split_words(text);
                      const auto keep =
                          std::max(unit, static_cast<size_t>(std::max(onset, 0.1) *
                                                             static_cast<double>(all.size())));
                      all.resize(std::min(keep, all.size()));
                      const size_t n = all.size();
                      for (size_t i = 0; i < static_cast<size_t>(dose); ++i) {
                        all.push_back(all[n - std::min(unit, n) + i % std::min(unit, n)]);
                      }
                      std::string out;
                      for (const std::string& word : all) out += word;
                      return out;
                    }});
  }
  list.push_back({"nothing but white space", {1}, "", [](const std::string&, double, double, Rng&) {
                    return std::string(40, '\n');
                  }});
  return list;
}

GarbleValues values_of(const std::string& prompt, const std::string& answer) {
  return garble_values({prompt, answer, static_cast<int64_t>(answer.size() / 4 + 2)});
}

// One-sided 95 % upper bound of a share: exact without a hit, else Wilson's.
double upper_bound(size_t hits, size_t n) {
  if (n == 0) return 1;
  const auto total = static_cast<double>(n);
  if (hits == 0) return 1 - std::pow(0.05, 1 / total);
  const double z = 1.645, p = static_cast<double>(hits) / total;
  return (p + z * z / (2 * total) +
          z * std::sqrt(p * (1 - p) / total + z * z / (4 * total * total))) /
         (1 + z * z / total);
}

double badness(GarbleFeature feature, const GarbleValue& value) {
  const auto bound = bound_of(feature);
  if (!value.value || !bound) return -1e9;
  return bound->above ? *value.value : -*value.value;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: garble_calibration DATA REPOSITORY [MORE.jsonl]\n");
    return 2;
  }
  std::vector<Text> good = good_texts(argv[1], argv[2]);
  if (argc > 3) {
    each_row(argv[3], [&](const json& row) {
      good.push_back({row.at("class"), row.at("prompt"), row.at("answer")});
    });
  }
  std::vector<GarbleValues> of_good;
  for (const Text& text : good) of_good.push_back(values_of(text.prompt, text.answer));

  // Even texts chose the bounds, odd ones judge them.
  std::printf(
      "### False positives\n\nTexts with an odd number; those with an even one chose the "
      "bounds.\n\n");
  std::printf("| good texts | n | with a sign | upper bound (95 %%) |\n|---|---|---|---|\n");
  std::map<std::string, std::pair<size_t, size_t>> by_kind;
  size_t all = 0, wrong = 0;
  for (size_t i = 1; i < good.size(); i += 2) {
    const bool sign = !garble_signs(of_good[i]).empty();
    ++by_kind[good[i].kind].first;
    by_kind[good[i].kind].second += sign;
    ++all;
    wrong += sign;
    if (sign) {
      std::fprintf(stderr, "sign on good: %s: %s\n%.300s\n", good[i].kind.c_str(),
                   garble_reason(of_good[i]).c_str(), good[i].answer.c_str());
    }
  }
  for (const auto& [kind, count] : by_kind) {
    std::printf("| %s | %zu | %zu | %.2f %% |\n", kind.c_str(), count.first, count.second,
                100 * upper_bound(count.second, count.first));
  }
  std::printf("| **all** | %zu | %zu | %.2f %% |\n\n", all, wrong, 100 * upper_bound(wrong, all));

  // Corrupted ones are made from long enough texts with odd numbers.
  std::vector<const Text*> bases;
  std::vector<std::string> vocabulary;
  for (size_t i = 1; i < good.size(); i += 2) {
    const bool prose = good[i].kind == "ifeval responses" || good[i].kind == "speeches" ||
                       (good[i].kind == "gsm8k answers" && i % 20 == 1);
    if (!prose || good[i].answer.size() < 300) continue;
    bases.push_back(&good[i]);
    for (const std::string& word : split_words(good[i].answer)) vocabulary.push_back(word);
  }
  std::array<std::vector<double>, kGarbleFeatures> bad_scores;
  std::printf(
      "### Detection\n\nMade of %zu prose answers with odd numbers each; share with a sign, by "
      "onset (share of the answer).\n\n",
      bases.size());
  std::printf(
      "| corruption | dose | onset 0 | onset 0.5 | onset 0.9 | signs at onset 0 "
      "|\n|---|---|---|---|---|---|\n");
  for (const Corruption& corruption : corruptions(vocabulary)) {
    for (const double dose : corruption.doses) {
      std::printf("| %s | %g %s |", corruption.name.c_str(), dose, corruption.dose_means.c_str());
      std::map<std::string, size_t> signs;
      for (const double onset : {0.0, 0.5, 0.9}) {
        size_t found = 0;
        for (size_t i = 0; i < bases.size(); ++i) {
          Rng rng(mix64(i + 1) ^ static_cast<uint64_t>(1000 * (onset + dose)));
          const GarbleValues values =
              values_of(bases[i]->prompt, corruption.spoil(bases[i]->answer, onset, dose, rng));
          found += !garble_signs(values).empty();
          for (size_t f = 0; f < kGarbleFeatures; ++f) {
            bad_scores[f].push_back(badness(static_cast<GarbleFeature>(f), values[f]));
          }
          if (onset == 0) {
            for (const GarbleFeature sign : garble_signs(values)) {
              ++signs[std::string(name_of(sign))];
            }
          }
        }
        std::printf(" %.0f %% |",
                    100.0 * static_cast<double>(found) / static_cast<double>(bases.size()));
      }
      std::string told;
      for (const auto& [name, n] : signs) {
        if (n * 20 >= bases.size()) told += (told.empty() ? "" : ", ") + name;
      }
      std::printf(" %s |\n", told.c_str());
    }
  }

  std::printf(
      "\n### Each feature alone\n\nDetection over all corrupted texts above (most are of a kind "
      "that the feature is not for) at bounds that so many good texts with even numbers are "
      "beyond, and at the bound in use.\n\n");
  std::printf(
      "| feature | worst good value | bound for 1 %% | finds | bound for 0.1 %% | finds | in use | "
      "good beyond it | finds |\n|---|---|---|---|---|---|---|---|---|\n");
  for (size_t f = 0; f < kGarbleFeatures; ++f) {
    const auto feature = static_cast<GarbleFeature>(f);
    const auto bound = bound_of(feature);
    if (!bound) continue;
    std::vector<double> scores;
    for (size_t i = 0; i < good.size(); i += 2) {
      if (of_good[i][f].value) scores.push_back(badness(feature, of_good[i][f]));
    }
    if (scores.empty()) continue;
    std::sort(scores.begin(), scores.end());
    const double sign = bound->above ? 1 : -1;
    const auto share_beyond = [](const std::vector<double>& values, double limit) {
      const auto n =
          std::count_if(values.begin(), values.end(), [&](double v) { return v > limit; });
      return 100.0 * static_cast<double>(n) / static_cast<double>(values.size());
    };
    std::printf("| %s | %.3g |", std::string(name_of(feature)).c_str(), sign * scores.back());
    for (const double rate : {0.01, 0.001}) {
      const auto at = static_cast<size_t>((1 - rate) * static_cast<double>(scores.size() - 1));
      std::printf(" %.3g | %.1f %% |", sign * scores[at], share_beyond(bad_scores[f], scores[at]));
    }
    std::printf(" %s %.3g | %.2f %% | %.1f %% |\n", bound->above ? "above" : "below", bound->value,
                share_beyond(scores, sign * bound->value),
                share_beyond(bad_scores[f], sign * bound->value));
  }
  return 0;
}
