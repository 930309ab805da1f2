#include "runners/serve/report_server.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "reports/pages/escape.h"
#include "reports/pages/live.h"
#include "reports/pages/render.h"
#include "reports/store/changes.h"
#include "runners/serve/listener.h"

namespace ds4::runners::serve {
namespace {

constexpr size_t kThreads = 8;
constexpr time_t kTimeout_s = 10;  // for a client that does not speak or read
// Making a page costs the machine that measures. It is made anew no sooner than this after the last
// time, and than ten times as long as that took: at most a tenth of one processor.
constexpr double kLeast_s = 2, kRest = 10;
constexpr size_t kMostKept = 8;  // pages

constexpr const char* kHtml = "text/html; charset=utf-8";
constexpr const char* kRuns = "";  // in the place of a run: the list of all

bool is_address(const std::string& host) {
  in6_addr bytes;  // room for either
  return ::inet_pton(AF_INET, host.c_str(), &bytes) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &bytes) == 1;
}

std::string this_host() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

// The pages as they were made last, each with the version of the database it shows.
class Pages {
 public:
  explicit Pages(const std::filesystem::path& database) : database_(database), changes_(database) {}

  /// What `page` would show; another text when that has changed.
  std::string version(const std::string& name) {
    const std::lock_guard lock(mutex_);
    check(name);
    return name_of(due(name));
  }

  /// Throws Error(kUsage) when there is no such run.
  std::string page(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const int64_t version = due(name);
    if (const auto kept = kept_.find(name);
        kept != kept_.end() && kept->second.version == version) {
      return kept->second.html;
    }
    const double begin = monotonic_seconds();
    const std::string html = make(name);
    if (kept_.size() >= kMostKept) kept_.clear();
    kept_[name] = {version, html, monotonic_seconds(), monotonic_seconds() - begin};
    return html;
  }

  void check(const std::string& name) {
    if (name != kRuns) reports::Store::open_read_only(database_)->run(name);
  }

 private:
  struct Kept {
    int64_t version = 0;
    std::string html;
    double made_s = 0, cost_s = 0;
  };

  // The version to show: the newest, or as long as that is too soon the one that was shown.
  int64_t due(const std::string& name) {
    const int64_t newest = changes_.value();
    const auto kept = kept_.find(name);
    if (kept == kept_.end()) return newest;
    const double rest = std::max(kLeast_s, kRest * kept->second.cost_s);
    return monotonic_seconds() - kept->second.made_s < rest ? kept->second.version : newest;
  }

  std::string make(const std::string& name) {
    const auto store = reports::Store::open_read_only(database_);
    if (name == kRuns) {
      return reports::render_runs(database_.filename().string(), store->runs());
    }
    return reports::render_html(reports::build_page(*store, store->run(name).id));
  }

  // A server that is started anew counts anew: its numbers must not look like the old one's.
  std::string name_of(int64_t version) const {
    return std::to_string(began_us_) + "-" + std::to_string(version);
  }

  const std::filesystem::path database_;
  const int64_t began_us_ = static_cast<int64_t>(monotonic_seconds() * 1e6);
  std::mutex mutex_;
  reports::ChangeCounter changes_;
  std::map<std::string, Kept> kept_;
};

void say(httplib::Response& reply, int status, const std::string& what) {
  reply.status = status;
  reply.set_content(reports::clean_text(what) + "\n", "text/plain; charset=utf-8");
}

}  // namespace

class ReportServer::Impl {
 public:
  explicit Impl(const ReportSettings& settings) : settings_(settings), pages_(settings.database) {
    http_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    http_.set_read_timeout(kTimeout_s);
    http_.set_write_timeout(kTimeout_s);
    http_.set_default_headers({{"Cache-Control", "no-store"},
                               {"Content-Security-Policy", "frame-ancestors 'self'"},
                               {"Referrer-Policy", "no-referrer"},
                               {"X-Content-Type-Options", "nosniff"}});
    add_routes();
    listener_.emplace(http_, settings.host, settings.port);
  }

  std::string url() const { return listener_->url(); }

 private:
  void add_routes() {
    http_.set_pre_routing_handler([this](const httplib::Request& request, auto& reply) {
      const bool asks = request.method == "GET" || request.method == "HEAD";
      if (!asks) {
        say(reply, 405, "only GET: nothing here can be changed");
      } else if (!is_own_host(request.get_header_value("Host"), settings_.host)) {
        say(reply, 421, "this server is not asked by that name; use its address in numbers");
      } else {
        return httplib::Server::HandlerResponse::Unhandled;
      }
      return httplib::Server::HandlerResponse::Handled;
    });
    add("/", [](const auto&) { return reports::render_live("Runs", "/list", "/version"); });
    add("/list", [this](const auto&) { return pages_.page(kRuns); });
    add_version("/version", [](const auto&) { return std::string(kRuns); });
    add("/runs/([0-9a-z-]+)", [this](const httplib::Request& request) {
      const std::string run = request.matches[1];
      pages_.check(run);
      return reports::render_live("Run " + run, "/runs/" + run + "/page",
                                  "/runs/" + run + "/version");
    });
    add("/runs/([0-9a-z-]+)/page",
        [this](const httplib::Request& request) { return pages_.page(request.matches[1]); });
    add_version("/runs/([0-9a-z-]+)/version",
                [](const httplib::Request& request) { return std::string(request.matches[1]); });
    http_.set_error_handler([](const httplib::Request&, httplib::Response& reply) {
      if (reply.body.empty()) say(reply, reply.status, "there is nothing here; / lists the runs");
    });
  }

  using Make = std::function<std::string(const httplib::Request&)>;

  // An Error is about what was asked for, or a database that cannot be read now.
  void answer(const char* path, const Make& make, const char* type) {
    http_.Get(path, [make, type](const httplib::Request& request, httplib::Response& reply) {
      try {
        reply.set_content(make(request), type);
      } catch (const Error& e) {
        say(reply, e.code() == ErrorCode::kUsage ? 404 : 500,
            std::string(e.what()) + ". " + e.hint());
      } catch (const std::exception& e) {
        say(reply, 500, e.what());
      }
    });
  }
  void add(const char* path, const Make& make) { answer(path, make, kHtml); }
  void add_version(const char* path, const Make& name) {
    answer(
        path,
        [this, name](const httplib::Request& request) {
          return nlohmann::json{{"version", pages_.version(name(request))}}.dump();
        },
        "application/json");
  }

  const ReportSettings settings_;
  Pages pages_;
  httplib::Server http_;
  std::optional<Listener> listener_;  // the last: it answers from when it is made
};

ReportServer::ReportServer(const ReportSettings& settings)
    : impl_(std::make_unique<Impl>(settings)) {}

ReportServer::~ReportServer() = default;

std::string ReportServer::url() const {
  return impl_->url();
}

bool is_own_host(const std::string& header, const std::string& own_host) {
  std::string host = header;
  if (host.starts_with('[')) {
    host = host.substr(1, host.find(']') - 1);
  } else {
    host = host.substr(0, host.find(':'));
  }
  if (host.empty()) return false;
  return is_address(host) || host == "localhost" || host == own_host || host == this_host();
}

}  // namespace ds4::runners::serve
