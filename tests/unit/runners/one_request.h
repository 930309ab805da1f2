// A request by itself, for tests of targets.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "runners/targets/target.h"

namespace ds4::runners {

using OnProgress = std::function<bool(int64_t, int64_t)>;

/// Some requests as a target's whole work; responses in the order of the requests.
inline std::vector<Response> submit_all(Target& target, const std::vector<Request>& requests,
                                        const OnProgress& on_progress) {
  struct Requests final : Work {
    const std::vector<Request>& requests;
    const OnProgress& on_progress;
    size_t begun = 0;
    std::vector<Response> responses;

    Requests(const std::vector<Request>& r, const OnProgress& p)
        : requests(r), on_progress(p), responses(r.size()) {}
    std::optional<Item> next() override {
      if (begun == requests.size()) return std::nullopt;
      ++begun;
      return Item{static_cast<int64_t>(begun) - 1, requests[begun - 1]};
    }
    bool progress(int64_t, int64_t prompt, int64_t completion) override {
      return on_progress(prompt, completion);
    }
    void done(int64_t id, Response response) override {
      responses.at(static_cast<size_t>(id)) = std::move(response);
    }
  } work(requests, on_progress);
  target.run(work);
  return std::move(work.responses);
}

inline Response submit(Target& target, const Request& request, const OnProgress& on_progress) {
  return submit_all(target, {request}, on_progress).at(0);
}

}  // namespace ds4::runners
