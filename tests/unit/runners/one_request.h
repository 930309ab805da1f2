// A request by itself, for tests of targets.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "runners/targets/target.h"

namespace ds4::runners {

using OnProgress = std::function<bool(int64_t, int64_t)>;

/// A response and the pieces that came before it, together.
struct Told {
  Response response;
  std::string reasoning, content;
  std::vector<TokenLogprob> logprobs;
  int pieces = 0;
};

/// Some requests as a target's whole work; what was told of them, in the order of the requests.
inline std::vector<Told> told_of_all(Target& target, const std::vector<Request>& requests,
                                     const OnProgress& on_progress) {
  struct Requests final : Work {
    const std::vector<Request>& requests;
    const OnProgress& on_progress;
    size_t begun = 0;
    std::vector<Told> told;

    Requests(const std::vector<Request>& r, const OnProgress& p)
        : requests(r), on_progress(p), told(r.size()) {}
    std::optional<Item> next(bool) override {
      if (begun == requests.size()) return std::nullopt;
      ++begun;
      return Item{static_cast<int64_t>(begun) - 1, requests[begun - 1]};
    }
    bool progress(int64_t, int64_t prompt, int64_t completion) override {
      return on_progress(prompt, completion);
    }
    void text(int64_t id, const Pieces& pieces) override {
      Told& of = told.at(static_cast<size_t>(id));
      of.reasoning += pieces.reasoning;
      of.content += pieces.content;
      of.logprobs.insert(of.logprobs.end(), pieces.logprobs.begin(), pieces.logprobs.end());
      ++of.pieces;
    }
    void done(int64_t id, Response response) override {
      told.at(static_cast<size_t>(id)).response = std::move(response);
    }
  } work(requests, on_progress);
  target.run(work);
  return std::move(work.told);
}

inline std::vector<Response> submit_all(Target& target, const std::vector<Request>& requests,
                                        const OnProgress& on_progress) {
  std::vector<Response> responses;
  for (Told& told : told_of_all(target, requests, on_progress)) {
    responses.push_back(std::move(told.response));
  }
  return responses;
}

inline Response submit(Target& target, const Request& request, const OnProgress& on_progress) {
  return submit_all(target, {request}, on_progress).at(0);
}

}  // namespace ds4::runners
