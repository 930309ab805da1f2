#include "reports/load/conventions.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "reports/load/percentile.h"
#include "reports/load/steady.h"

namespace ds4::reports {
namespace {

constexpr size_t kLeastForP99 = 100;

using Values = std::vector<double>;

class Figures {
 public:
  Figures(const LoadTrace& trace, std::string convention)
      : trace_(trace), convention_(std::move(convention)) {}

  /// Values without a percentile are left out.
  void linear(const std::string& name, const Values& values, bool careful = false) {
    if (values.empty()) return;
    LoadFigure& figure = with_mean(name, values, {});
    figure.p50 = percentile_linear(values, 0.5);
    figure.p90 = percentile_linear(values, 0.9);
    if (!careful || values.size() >= kLeastForP99) figure.p99 = percentile_linear(values, 0.99);
  }
  void inverse(const std::string& name, const Values& values, const Values& weights) {
    if (values.empty()) return;
    LoadFigure& figure = with_mean(name, values, weights);
    figure.p50 = percentile_inverse(values, weights, 0.5);
    figure.p90 = percentile_inverse(values, weights, 0.9);
    figure.p99 = percentile_inverse(values, weights, 0.99);
  }
  void rate(const std::string& name, const std::string& unit, double amount, double duration_s) {
    if (!(duration_s > 0)) return;
    made_.push_back({convention_,
                     name,
                     unit,
                     std::ssize(trace_.requests),
                     amount / duration_s,
                     {},
                     {},
                     {},
                     {}});
  }
  void plain(const std::string& name, const std::string& unit, double value) {
    made_.push_back({convention_, name, unit, std::ssize(trace_.requests), value, {}, {}, {}, {}});
  }
  std::vector<LoadFigure> take() { return std::move(made_); }

 private:
  LoadFigure& with_mean(const std::string& name, const Values& values, const Values& weights) {
    double total = 0, sum = 0, squares = 0;
    const auto weight = [&](size_t i) { return weights.empty() ? 1 : weights[i]; };
    for (size_t i = 0; i < values.size(); ++i) {
      total += weight(i);
      sum += weight(i) * values[i];
    }
    const double mean = sum / total;
    for (size_t i = 0; i < values.size(); ++i) {
      squares += weight(i) * (values[i] - mean) * (values[i] - mean);
    }
    made_.push_back(
        {convention_, name, "s", std::ssize(values), mean, std::sqrt(squares / total), {}, {}, {}});
    return made_.back();
  }

  const LoadTrace& trace_;
  std::string convention_;
  std::vector<LoadFigure> made_;
};

// Answered requests that something came of.
std::vector<const LoadRequest*> answered(const LoadTrace& trace) {
  std::vector<const LoadRequest*> out;
  for (const LoadRequest& request : trace.requests) {
    if (request.ok && !request.events.empty()) out.push_back(&request);
  }
  return out;
}

template <typename F>
Values values_of(const std::vector<const LoadRequest*>& requests, F value) {
  Values out;
  for (const LoadRequest* request : requests) out.push_back(value(*request));
  return out;
}

double first_event(const LoadRequest& r) {
  return r.events.front().time_s;
}
double last_event(const LoadRequest& r) {
  return r.events.back().time_s;
}

// (last - first) / (out - 1), for answers of more than a token.
double gap_a_token(const LoadRequest& r) {
  return (last_event(r) - first_event(r)) / static_cast<double>(r.completion_tokens - 1);
}
Values gaps_a_token(const std::vector<const LoadRequest*>& requests) {
  Values out;
  for (const LoadRequest* r : requests) {
    if (r->completion_tokens > 1) out.push_back(gap_a_token(*r));
  }
  return out;
}

Values gaps_between_pieces(const std::vector<const LoadRequest*>& requests) {
  Values out;
  for (const LoadRequest* r : requests) {
    for (size_t i = 1; i < r->events.size(); ++i) {
      out.push_back(r->events[i].time_s - r->events[i - 1].time_s);
    }
  }
  return out;
}

double sum_of(const Values& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

double out_tokens(const LoadRequest& r) {
  return static_cast<double>(r.completion_tokens);
}
double in_tokens(const LoadRequest& r) {
  return static_cast<double>(r.prompt_tokens);
}

// Requests that keep every bound, as vLLM counts: from when they were sent, TPOT 0 below 2 tokens.
double good_from_sent(const std::vector<const LoadRequest*>& requests, const Slo& slo) {
  return static_cast<double>(std::count_if(requests.begin(), requests.end(), [&](const auto* r) {
    const double tpot = r->completion_tokens > 1 ? gap_a_token(*r) : 0;
    return slo.kept(first_event(*r), tpot, last_event(*r));
  }));
}

// The most pieces in one second, counted from the first request on.
double peak_event_rate(const std::vector<const LoadRequest*>& requests) {
  double begin = requests.empty() ? 0 : requests.front()->sent_s;
  for (const LoadRequest* r : requests) begin = std::min(begin, r->sent_s);
  std::map<int64_t, int64_t> bins;
  int64_t most = 0;
  for (const LoadRequest* r : requests) {
    for (const EventRow& event : r->events) {
      const double at = r->sent_s + event.time_s - begin;
      most = std::max(most, ++bins[static_cast<int64_t>(std::floor(at))]);
    }
  }
  return static_cast<double>(most);
}

// The most requests between sending and last piece; one that ends as another begins makes room.
double peak_concurrency(const std::vector<const LoadRequest*>& requests) {
  std::vector<std::pair<double, int>> changes;  // -1 sorts before +1
  for (const LoadRequest* r : requests) {
    changes.emplace_back(r->sent_s, 1);
    changes.emplace_back(r->sent_s + last_event(*r), -1);
  }
  std::sort(changes.begin(), changes.end());
  int now = 0, most = 0;
  for (const auto& [time, change] : changes) most = std::max(most, now += change);
  return most;
}

}  // namespace

std::vector<LoadFigure> vllm_figures(const LoadTrace& trace, const Slo& slo) {
  const auto requests = answered(trace);
  const double duration = trace.duration_s();
  const double out = sum_of(values_of(requests, out_tokens));
  Figures figures(trace, "vllm");
  figures.linear("ttft", values_of(requests, first_event));
  figures.linear("tpot", gaps_a_token(requests));
  figures.linear("itl", gaps_between_pieces(requests));
  figures.linear("e2el", values_of(requests, last_event));
  figures.rate("request_throughput", "1/s", static_cast<double>(requests.size()), duration);
  figures.rate("output_throughput", "tok/s", out, duration);
  figures.rate("total_throughput", "tok/s", out + sum_of(values_of(requests, in_tokens)), duration);
  if (slo.any()) figures.rate("goodput", "1/s", good_from_sent(requests, slo), duration);
  figures.plain("peak_output_throughput", "1/s", peak_event_rate(requests));
  figures.plain("peak_concurrency", "1", peak_concurrency(requests));
  return figures.take();
}

std::vector<LoadFigure> guidellm_figures(const LoadTrace& trace) {
  std::vector<const LoadRequest*> requests, several;
  double begin = HUGE_VAL, end = 0;
  for (const LoadRequest& r : trace.requests) {
    if (!r.timed() || r.completion_tokens < 1) continue;
    requests.push_back(&r);
    if (r.completion_tokens > 1) several.push_back(&r);
    begin = std::min(begin, r.sent_s);
    end = std::max(end, r.sent_s + r.end_s);
  }
  const auto first = [](const LoadRequest& r) { return r.first_token_s(); };
  const auto token_time = [](const LoadRequest& r) { return last_event(r) / out_tokens(r); };
  const auto gap = [&](const LoadRequest& r) {
    return (last_event(r) - first(r)) / (out_tokens(r) - 1);
  };
  Figures figures(trace, "guidellm");
  figures.inverse("ttft", values_of(requests, first), {});
  figures.inverse("tpot", values_of(requests, token_time), values_of(requests, out_tokens));
  figures.inverse("itl", values_of(several, gap),
                  values_of(several, [](const LoadRequest& r) { return out_tokens(r) - 1; }));
  figures.inverse("request_latency",
                  values_of(requests, [](const LoadRequest& r) { return r.end_s; }), {});
  const double out = sum_of(values_of(requests, out_tokens));
  figures.rate("request_throughput", "1/s", static_cast<double>(requests.size()), end - begin);
  figures.rate("output_throughput", "tok/s", out, end - begin);
  return figures.take();
}

std::vector<LoadFigure> aiperf_figures(const LoadTrace& trace, const Slo& slo) {
  const auto requests = answered(trace);
  double begin = HUGE_VAL, end = 0;
  Values seconds, per_user;
  for (const LoadRequest* r : requests) {
    begin = std::min(begin, r->sent_s);
    end = std::max(end, r->sent_s + last_event(*r));
    if (r->events.size() > 1) seconds.push_back(r->events[1].time_s - first_event(*r));
    if (r->completion_tokens > 1 && gap_a_token(*r) > 0) per_user.push_back(1 / gap_a_token(*r));
  }
  Figures figures(trace, "aiperf");
  figures.linear("ttft", values_of(requests, first_event));
  figures.linear("ttst", seconds);
  figures.linear("itl", gaps_a_token(requests));
  figures.linear("icl", gaps_between_pieces(requests));
  figures.linear("request_latency", values_of(requests, last_event));
  figures.rate("request_throughput", "1/s", static_cast<double>(requests.size()), end - begin);
  figures.rate("output_throughput", "tok/s", sum_of(values_of(requests, out_tokens)), end - begin);
  if (!per_user.empty()) {
    figures.plain("output_throughput_per_user", "tok/s",
                  sum_of(per_user) / static_cast<double>(per_user.size()));
  }
  if (slo.any()) figures.rate("goodput", "1/s", good_from_sent(requests, slo), end - begin);
  return figures.take();
}

std::vector<LoadFigure> own_figures(const LoadTrace& trace, const Slo& slo) {
  std::vector<const LoadRequest*> requests;
  double out = 0, good = 0;
  Values ttft, wait, e2el, gaps, lags;
  for (const LoadRequest& r : trace.requests) {
    lags.push_back(r.dispatch_lag_s);
    if (!r.timed()) continue;
    const double waited = r.sent_s - r.scheduled_s;
    const double tokens = out_tokens(r);
    const double gap = tokens > 1 ? (last_event(r) - r.first_token_s()) / (tokens - 1) : 0;
    requests.push_back(&r);
    wait.push_back(waited);
    ttft.push_back(waited + r.first_token_s());
    e2el.push_back(waited + last_event(r));
    if (tokens > 1) gaps.push_back(gap);
    out += tokens;
    good += slo.kept(ttft.back(), gap, e2el.back());
  }
  const double duration = trace.duration_s();
  Figures figures(trace, "ds4");
  figures.linear("queue_time", wait, true);
  figures.linear("ttft", ttft, true);
  figures.linear("tpot", gaps, true);
  figures.linear("e2el", e2el, true);
  figures.linear("dispatch_lag", lags);
  figures.rate("request_throughput", "1/s", static_cast<double>(requests.size()), duration);
  figures.rate("output_throughput", "tok/s", out, duration);
  if (const auto window = steady_window(trace)) {
    figures.plain("steady_output_throughput", "tok/s", window->output_rate);
  }
  if (slo.any()) {
    figures.rate("goodput", "1/s", good, duration);
    figures.plain("goodput_share", "1", good / static_cast<double>(trace.requests.size()));
  }
  return figures.take();
}

std::vector<LoadFigure> all_load_figures(const LoadTrace& trace, const Slo& slo) {
  std::vector<LoadFigure> all = vllm_figures(trace, slo);
  for (auto& some :
       {guidellm_figures(trace), aiperf_figures(trace, slo), own_figures(trace, slo)}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

const LoadFigure* find_figure(const std::vector<LoadFigure>& figures, std::string_view convention,
                              std::string_view name) {
  const auto found = std::find_if(figures.begin(), figures.end(), [&](const LoadFigure& figure) {
    return figure.convention == convention && figure.name == name;
  });
  return found == figures.end() ? nullptr : &*found;
}

}  // namespace ds4::reports
