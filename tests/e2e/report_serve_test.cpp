// `report --serve`: what it answers, to whom, and that it follows what is written.
#include <gmock/gmock.h>
#include <signal.h>

#include <regex>

#include "runners/serve/report_server.h"
#include "tests/e2e/sweep.h"

namespace ds4::test_support {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kSmoke = "[[suite]]\nname = \"smoke\"\n";

class ServedReports {
 public:
  explicit ServedReports(const Sweep& sweep, const std::string& more = "")
      : out_(sweep.folder() / "served.out") {
    pid_ = start_command({"/bin/sh", "-c",
                          std::string("exec ") + DS4_SWEEP_BINARY + " report " + more +
                              " --serve --port 0 --db " + sweep.db().string() + " >" + out_ +
                              " 2>" + out_ + ".err"});
    for (int i = 0; i < 1200 && url_.find('\n') == std::string::npos; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      if (std::filesystem::exists(out_)) url_ = read_file(out_);
    }
    url_ = url_.substr(0, url_.find('\n'));
    root_ = url_.substr(0, url_.find('/', 8));
    EXPECT_THAT(url_, HasSubstr("http://127.0.0.1:"));
  }
  ~ServedReports() {
    if (pid_ > 0) stop(SIGKILL);
  }

  int stop(int signal) {
    ::kill(pid_, signal);
    const int code = wait_command(pid_);
    pid_ = -1;
    return code;
  }
  const std::string& url() const { return url_; }    // as it was printed
  const std::string& root() const { return root_; }  // without a path
  /// Head and body.
  std::string get(const std::string& path, std::vector<std::string> flags = {}) const {
    flags.insert(flags.begin(), {"/usr/bin/curl", "-sS", "-i", root_ + path});
    return run_command(flags).out;
  }
  std::string version(const std::string& path) const {
    const std::string reply = get(path);
    std::smatch found;
    return std::regex_search(reply, found, std::regex("\"version\":\"([0-9-]+)\"")) ? found[1].str()
                                                                                    : reply;
  }

 private:
  std::string out_, url_, root_;
  int pid_ = -1;
};

TEST(ReportServe, ShowsARunAsItsFileAndFollowsWhatIsWritten) {
  const Sweep sweep(R"({"rules": [{"text": "Tokyo"}]})", kSmoke);
  sweep.run();
  const std::string run = sweep.store()->run("latest").id;
  ServedReports served(sweep, "latest");
  EXPECT_EQ(served.url(), served.root() + "/runs/" + run);
  const std::string shell = served.get("/runs/" + run);
  EXPECT_THAT(shell, AllOf(HasSubstr("200 OK"), HasSubstr("connect-src 'self'"),
                           HasSubstr("data-page=\"/runs/" + run + "/page\"")));
  const std::string page = served.get("/runs/" + run + "/page?v=1");
  const std::string file =
      run_command(sweep.command({"report", run, "--format", "html", "-o", "-"})).out;
  EXPECT_EQ(page.substr(page.find("\r\n\r\n") + 4), file) << "the same page, to the byte";
  EXPECT_THAT(file, Not(HasSubstr("connect-src")));
  EXPECT_THAT(served.get("/list"), HasSubstr("/runs/" + run));

  const std::string before = served.version("/runs/" + run + "/version");
  EXPECT_EQ(served.version("/runs/" + run + "/version"), before) << "nothing was written";
  sweep.run();  // a second run
  std::string after = before;
  for (int i = 0; i < 600 && after == before; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    after = served.version("/version");
  }
  EXPECT_NE(after, before);
  EXPECT_THAT(served.get("/list"), HasSubstr("/runs/" + sweep.store()->run("latest").id));
  EXPECT_EQ(served.stop(SIGINT), 0);
}

TEST(ReportServe, AnswersNothingElseAndNobodyElse) {
  const Sweep sweep(R"({"rules": [{"text": "Tokyo"}]})", kSmoke);
  sweep.run();
  const ServedReports served(sweep);
  for (const char* path : {"/etc/passwd", "/runs/", "/runs/../results.db", "/results.db",
                           "/runs/zzzz", "/runs/zzzz/page", "/runs/zzzz/version", "/list/x"}) {
    EXPECT_THAT(served.get(path, {"--path-as-is"}), HasSubstr(" 404 ")) << path;
  }
  for (const char* method : {"POST", "PUT", "DELETE"}) {
    EXPECT_THAT(served.get("/", {"-X", method}), HasSubstr(" 405 ")) << method;
  }
  EXPECT_THAT(served.get("/", {"-H", "Host: evil.example"}), HasSubstr(" 421 "));
  EXPECT_THAT(served.get("/list", {"-H", "Host: evil.example:8484"}), HasSubstr(" 421 "));
  EXPECT_THAT(served.get("/", {"-H", "Host: localhost:1"}), HasSubstr(" 200 "));
  EXPECT_THAT(served.get("/list"), HasSubstr("frame-ancestors 'self'"));
}

TEST(ReportServe, SaysWhenThePortIsTakenAndWhenThereIsNoDatabase) {
  const Sweep sweep(R"({"rules": [{"text": "Tokyo"}]})", kSmoke);
  const CommandResult none = run_command(sweep.command({"report", "--serve", "--port", "0"}));
  EXPECT_EQ(none.exit_code, 3) << none.err;
  EXPECT_THAT(none.err, HasSubstr("results.db"));
  sweep.run();
  const ServedReports served(sweep);
  const std::string port = served.root().substr(served.root().rfind(':') + 1);
  const CommandResult second = run_command(sweep.command({"report", "--serve", "--port", port}));
  EXPECT_EQ(second.exit_code, 3);
  EXPECT_THAT(second.err, AllOf(HasSubstr("port " + port), HasSubstr("--port")));
  EXPECT_EQ(run_command(sweep.command({"report", "--serve", "-o", "x"})).exit_code, 2);
  EXPECT_EQ(run_command(sweep.command({"report", "nosuch", "--serve"})).exit_code, 2);
}

TEST(ReportServe, AHostIsItsOwnInNumbersOrByItsName) {
  using runners::serve::is_own_host;
  for (const char* own :
       {"127.0.0.1", "127.0.0.1:8484", "[::1]:8484", "localhost", "10.0.0.7:80", "box.lan:8484"}) {
    EXPECT_TRUE(is_own_host(own, "box.lan")) << own;
  }
  for (const char* strange : {"", "evil.example", "evil.example:8484", "127.0.0.1.evil.example",
                              "localhost.evil", "[", "[]", "[evil]:80", ":8484", "box.lan"}) {
    EXPECT_FALSE(is_own_host(strange, "127.0.0.1")) << strange;
  }
}

}  // namespace
}  // namespace ds4::test_support
