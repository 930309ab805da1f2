#include "reports/trace/agreement.h"

#include <algorithm>
#include <map>

#include "reports/trace/divergence.h"

namespace ds4::reports {
namespace {

// Numbers for the tokens of both traces: by id where every token of both has one, else by bytes.
class Names {
 public:
  Names(const Trace& base, const Trace& now) : by_id_(has_ids(base) && has_ids(now)) {}

  std::vector<int> of(const Trace& trace) {
    std::vector<int> numbers;
    for (const Trace::Entry& entry : trace.vocabulary) {
      const std::string name = by_id_ ? std::to_string(entry.id) : entry.text;
      numbers.push_back(places_.emplace(name, static_cast<int>(places_.size())).first->second);
    }
    return numbers;
  }

 private:
  static bool has_ids(const Trace& trace) {
    return std::all_of(trace.vocabulary.begin(), trace.vocabulary.end(),
                       [](const Trace::Entry& entry) { return entry.id >= 0; });
  }
  bool by_id_;
  std::map<std::string, int> places_;
};

// A position with tokens numbered alike on both sides.
struct Side {
  const Trace& trace;
  const std::vector<int>& numbers;

  int token(const Trace::Position& at) const { return numbers[static_cast<size_t>(at.entry)]; }
  std::vector<Weighted> top(const Trace::Position& at) const {
    std::vector<Weighted> top;
    for (const Trace::Likely& likely : at.top) {
      const int token = numbers[static_cast<size_t>(likely.entry)];
      // Servers that do not tell ids may name two tokens alike.
      if (std::none_of(top.begin(), top.end(),
                       [&](const Weighted& w) { return w.token == token; })) {
        top.push_back({token, likely.logprob});
      }
    }
    return top;
  }
  const std::string& text(const Trace::Position& at) const {
    const int entry = at.top.empty() ? at.entry : at.top.front().entry;
    return trace.vocabulary[static_cast<size_t>(entry)].text;
  }
};

double margin_of(const std::vector<Weighted>& top) {
  return top.size() < 2 ? 0 : top[0].logprob - top[1].logprob;
}

class Comparing {
 public:
  Comparing(Side base, Side now) : base_(base), now_(now) {}

  // `position` counts prompt and answer together.
  void add(const Trace::Position& base, const Trace::Position& now, int64_t position,
           bool in_prompt) {
    const std::vector<Weighted> p = base_.top(base), q = now_.top(now);
    PositionPair pair;
    pair.position = position;
    std::optional<Weighted> own_p, own_q;
    if (base.logprob) own_p = Weighted{base_.token(base), *base.logprob};
    if (now.logprob) own_q = Weighted{now_.token(now), *now.logprob};
    const int first_p = p.empty() ? base_.token(base) : p.front().token;
    const int first_q = q.empty() ? now_.token(now) : q.front().token;
    pair.top1_equal = first_p == first_q;
    if (!pair.top1_equal) {
      Fork fork{position, base_.text(base), now_.text(now), margin_of(p), margin_of(q)};
      ++found_.forks;
      found_.low_margin_forks += fork.margin() <= kLowMargin;
      if (!found_.first_fork) found_.first_fork = std::move(fork);
    }
    const Divergence d = divergence({p, own_p ? &*own_p : nullptr}, {q, own_q ? &*own_q : nullptr});
    pair.kl = d.kl;
    pair.js = d.js;
    pair.overlap = d.overlap;
    if (in_prompt) {
      pair.base_logprob = base.logprob;
      pair.now_logprob = now.logprob;
    }
    found_.sum_delta += d.sum_delta;
    found_.max_delta = std::max(found_.max_delta, d.max_delta);
    found_.n_delta += d.n_common;
    found_.positions.push_back(pair);
  }

  bool same(const Trace::Position& base, const Trace::Position& now) const {
    return base_.token(base) == now_.token(now);
  }

  CaseAgreement& found() { return found_; }

 private:
  Side base_, now_;
  CaseAgreement found_;
};

// Positions of a prompt without a log-probability are its first token, of which nothing is told.
bool told(const Trace::Position& position) {
  return position.logprob.has_value() || !position.top.empty();
}

}  // namespace

CaseAgreement compare_traces(const Trace& base, const Trace& now) {
  Names names(base, now);
  const std::vector<int> base_numbers = names.of(base), now_numbers = names.of(now);
  Comparing comparing({base, base_numbers}, {now, now_numbers});
  CaseAgreement& found = comparing.found();
  found.base_answer = std::ssize(base.answer);
  found.now_answer = std::ssize(now.answer);
  const size_t prompt = std::min(base.prompt.size(), now.prompt.size());
  for (size_t i = 0; i < prompt; ++i) {
    if (!comparing.same(base.prompt[i], now.prompt[i])) {
      found.remark = "the prompts are other tokens from position " + std::to_string(i) + " on";
      return std::move(found);
    }
    if (told(base.prompt[i]) && told(now.prompt[i])) {
      comparing.add(base.prompt[i], now.prompt[i], static_cast<int64_t>(i), /*in_prompt=*/true);
    }
  }
  if (base.prompt.size() != now.prompt.size()) {
    found.remark = base.prompt.empty() || now.prompt.empty()
                       ? "only one side tells of the prompt"
                       : "one prompt ends at position " + std::to_string(prompt);
    if (prompt > 0) return std::move(found);
  }
  const size_t answer = std::min(base.answer.size(), now.answer.size());
  for (size_t i = 0; i < answer; ++i) {
    const size_t position = std::max(base.prompt.size(), now.prompt.size()) + i;
    comparing.add(base.answer[i], now.answer[i], static_cast<int64_t>(position),
                  /*in_prompt=*/false);
    if (!comparing.same(base.answer[i], now.answer[i])) break;
    ++found.common_answer;
  }
  return std::move(found);
}

}  // namespace ds4::reports
