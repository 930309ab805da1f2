// Downloads against servers that behave as servers do: what is whole, what goes on, what is
// refused.
#include "runners/fetch/download.h"

#include <gmock/gmock.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/hash.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/http_server.h"
#include "tests/support/tls_server.h"

namespace ds4::runners::fetch {
namespace {

using test_support::HttpConnection;
using test_support::HttpRequest;
using test_support::HttpServer;
using ::testing::HasSubstr;

// 300,000 bytes in which no two places look alike.
std::string published() {
  std::string text;
  for (int i = 0; text.size() < 300'000; ++i) text += std::to_string(i) + ",";
  text.resize(300'000);
  return text;
}

int64_t range_begin(const HttpRequest& request) {
  const auto range = request.headers.find("range");
  return range == request.headers.end() ? -1 : std::stoll(range->second.substr(6));
}

// The head of the rest of `text` that was asked for.
std::string head_of(const HttpRequest& request, const std::string& text) {
  const int64_t begin = range_begin(request), size = static_cast<int64_t>(text.size());
  const std::string rest = std::to_string(size - std::max<int64_t>(begin, 0));
  return (begin < 0 ? std::string("HTTP/1.1 200 OK\r\n")
                    : "HTTP/1.1 206 Partial\r\nContent-Range: bytes " + std::to_string(begin) +
                          "-" + std::to_string(size - 1) + "/" + std::to_string(size) + "\r\n") +
         "Content-Length: " + rest + "\r\nConnection: close\r\n\r\n";
}

void serve_file(const HttpRequest& request, HttpConnection& c, const std::string& text) {
  const auto begin = static_cast<size_t>(std::max<int64_t>(range_begin(request), 0));
  c.write(head_of(request, text) + text.substr(begin));
}

class DownloadTest : public ::testing::Test {
 protected:
  DownloadTest() : folder_(::testing::TempDir() + "ds4-download-" + std::to_string(::getpid())) {
    std::filesystem::remove_all(folder_);
  }
  ~DownloadTest() override { std::filesystem::remove_all(folder_); }

  Wanted wanted(const std::string& url) const {
    return {url, folder_ / "set/file.jsonl", static_cast<int64_t>(text_.size()), sha256_hex(text_)};
  }
  std::filesystem::path place() const { return folder_ / "set/file.jsonl"; }
  std::filesystem::path half() const { return place().string() + ".part"; }
  void lay_half(const std::string& bytes) const {
    make_folders(half().parent_path());
    write_file_atomic(half(), bytes);
  }
  Download get(const std::string& url) {
    Downloader downloader(patience_s_);
    return downloader.get(wanted(url), nullptr);
  }
  // What the user is told; the file is not there.
  std::string refused(const std::string& url) {
    try {
      get(url);
      ADD_FAILURE() << "was downloaded";
    } catch (const Error& error) {
      EXPECT_FALSE(error.hint().empty()) << error.what();
      EXPECT_FALSE(std::filesystem::exists(place()));
      return std::string(error.what()) + " | " + error.hint();
    }
    return "";
  }
  void expect_there() const {
    EXPECT_EQ(read_file(place()), text_);
    EXPECT_FALSE(std::filesystem::exists(half()));
  }

  const std::string text_ = published();
  const std::filesystem::path folder_;
  double patience_s_ = 10;
};

TEST_F(DownloadTest, BringsAFile) {
  HttpServer server([&](const HttpRequest& r, HttpConnection& c) { serve_file(r, c, text_); });
  std::vector<int64_t> seen;
  Downloader downloader;
  const Download download = downloader.get(wanted(server.origin() + "/a,b+c;d?e=%2F&f=:"),
                                           [&](int64_t bytes) { seen.push_back(bytes); });
  expect_there();
  EXPECT_TRUE(download.whole);
  EXPECT_EQ(download.tries, 1);
  EXPECT_EQ(download.resumed_at, 0);
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back(), 300'000);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(server.requests().at(0).path, "/a,b+c;d?e=%2F&f=:") << "as it was given";
  EXPECT_FALSE(server.requests().at(0).headers.contains("range"));
}

TEST_F(DownloadTest, GoesOnWhereAHalfEnds) {
  HttpServer server([&](const HttpRequest& r, HttpConnection& c) { serve_file(r, c, text_); });
  for (const size_t there : {size_t{1}, size_t{4096}, text_.size() - 1, text_.size()}) {
    std::filesystem::remove_all(folder_);
    lay_half(text_.substr(0, there));
    const size_t before = server.requests().size();
    const Download download = get(server.origin() + "/f");
    expect_there();
    EXPECT_EQ(download.resumed_at, static_cast<int64_t>(there));
    if (there == text_.size()) {
      EXPECT_EQ(server.requests().size(), before) << "nothing is missing";
    } else {
      EXPECT_EQ(server.requests().back().headers.at("range"),
                "bytes=" + std::to_string(there) + "-");
    }
  }
}

TEST_F(DownloadTest, AHalfOfSomethingElseBeginsAnew) {
  HttpServer server([&](const HttpRequest& r, HttpConnection& c) { serve_file(r, c, text_); });
  for (const std::string& other :
       {std::string(5000, 'x'), std::string(text_.size(), 'x'), std::string(400'000, 'x')}) {
    std::filesystem::remove_all(folder_);
    lay_half(other);
    EXPECT_EQ(get(server.origin() + "/f").resumed_at, 0);
    expect_there();
  }
}

TEST_F(DownloadTest, AServerThatKnowsNoRangesSendsItAll) {
  HttpServer server([&](const HttpRequest&, HttpConnection& c) { c.reply(200, "a/b", text_); });
  lay_half(text_.substr(0, 1000));
  EXPECT_EQ(get(server.origin() + "/f").resumed_at, 0);
  expect_there();
}

TEST_F(DownloadTest, ARangeThatCannotBeSentBeginsAnew) {
  HttpServer server([&](const HttpRequest& r, HttpConnection& c) {
    if (range_begin(r) >= 0) return c.reply(416, "text/plain", "");
    serve_file(r, c, text_);
  });
  lay_half(text_.substr(0, 1000));
  EXPECT_EQ(get(server.origin() + "/f").tries, 2);
  expect_there();
}

TEST_F(DownloadTest, AnotherPartThanAskedForIsNotTaken) {
  HttpServer server([&](const HttpRequest&, HttpConnection& c) {
    c.write("HTTP/1.1 206 X\r\nContent-Range: bytes 10-19/300000\r\nContent-Length: 10\r\n\r\n" +
            text_.substr(10, 10));
  });
  lay_half(text_.substr(0, 1000));
  EXPECT_THAT(refused(server.origin() + "/f"), HasSubstr("another part (`bytes 10-19/300000`)"));
}

TEST_F(DownloadTest, ConnectionsThatBreakOffAreTakenUpAgain) {
  HttpServer server([&](const HttpRequest& r, HttpConnection& c) {
    const auto begin = static_cast<size_t>(std::max<int64_t>(range_begin(r), 0));
    c.write(head_of(r, text_) + text_.substr(begin, 60'000));
  });
  const Download download = get(server.origin() + "/f");
  EXPECT_EQ(download.tries, 5);
  expect_there();
}

TEST_F(DownloadTest, AServerThatBringsNothingMoreIsGivenUpAndTheHalfStays) {
  HttpServer server([&](const HttpRequest& r, HttpConnection& c) {
    const auto begin = static_cast<size_t>(std::max<int64_t>(range_begin(r), 0));
    c.write(head_of(r, text_) + text_.substr(begin, begin == 0 ? 60'000 : 0));
  });
  EXPECT_THAT(refused(server.origin() + "/f"), HasSubstr("the same command goes on from there"));
  EXPECT_EQ(read_file(half()), text_.substr(0, 60'000));
  EXPECT_EQ(server.requests().size(), 4u);
}

TEST_F(DownloadTest, SilenceHasAnEnd) {
  HttpServer server([&](const HttpRequest& r, HttpConnection& c) {
    c.write(head_of(r, text_));
    c.wait(20);
  });
  patience_s_ = 0.2;
  const double begin = monotonic_seconds();
  const std::string told = refused(server.origin() + "/f");
  EXPECT_THAT(told, HasSubstr("nothing came for 200 ms"));
  EXPECT_THAT(told, testing::Not(HasSubstr("server.stall")));
  EXPECT_LT(monotonic_seconds() - begin, 10);
}

TEST_F(DownloadTest, OtherBytesThanThePublishedAreNotKept) {
  std::string other = text_;
  other[150'000] ^= 1;
  HttpServer server([&](const HttpRequest& r, HttpConnection& c) { serve_file(r, c, other); });
  const std::string told = refused(server.origin() + "/f");
  EXPECT_THAT(told, HasSubstr("SHA-256 is " + sha256_hex(other)));
  EXPECT_THAT(told, HasSubstr("--from"));
  EXPECT_FALSE(std::filesystem::exists(half()));
}

TEST_F(DownloadTest, OtherLengthsAreNotKept) {
  const std::string short_file = text_.substr(0, 1000), long_file = text_ + "more";
  HttpServer server([&](const HttpRequest& r, HttpConnection& c) {
    if (r.path == "/short") return serve_file(r, c, short_file);
    if (r.path == "/long") return serve_file(r, c, long_file);
    if (r.path == "/page") return c.reply(200, "text/html", "<html>log in");
    c.begin("a/b");  // endless, without a length
    while (c.chunk(std::string(65536, 'x'))) {
    }
  });
  EXPECT_THAT(refused(server.origin() + "/short"), HasSubstr("sends 1,000 bytes where the"));
  EXPECT_THAT(refused(server.origin() + "/long"), HasSubstr("more than 300,000 bytes"));
  EXPECT_THAT(refused(server.origin() + "/endless"), HasSubstr("more than 300,000 bytes"));
  EXPECT_THAT(refused(server.origin() + "/page"), HasSubstr("sends a web page"));
  lay_half(text_.substr(0, 500));
  EXPECT_THAT(refused(server.origin() + "/long"), HasSubstr("sends 300004 bytes"));
  EXPECT_FALSE(std::filesystem::exists(half()));
}

TEST_F(DownloadTest, RefusalsSayWhatToDo) {
  HttpServer server([&](const HttpRequest& r, HttpConnection& c) {
    c.reply(std::stoi(r.path.substr(1)), "text/plain", "no");
  });
  EXPECT_THAT(refused(server.origin() + "/404"), HasSubstr("it is not there"));
  lay_half(text_.substr(0, 3000));
  EXPECT_THAT(refused(server.origin() + "/503"), HasSubstr("2.93 KiB of 293 KiB are kept"));
  EXPECT_EQ(server.requests().size(), 2u) << "a no is not asked for again";
  EXPECT_EQ(read_file(half()).size(), 3000u);
  EXPECT_THAT(refused("ftp://h/x"), HasSubstr("no http or https address"));
}

TEST_F(DownloadTest, NobodyListens) {
  int port = 0;
  {
    port = HttpServer([](const HttpRequest&, HttpConnection&) {}).port();
  }
  EXPECT_THAT(refused("http://127.0.0.1:" + std::to_string(port) + "/f"), HasSubstr("--from"));
  EXPECT_FALSE(std::filesystem::exists(half())) << "nothing is no half";
}

TEST_F(DownloadTest, FollowsRedirectionsButNotForEver) {
  HttpServer other([&](const HttpRequest& r, HttpConnection& c) { serve_file(r, c, text_); });
  HttpServer server([&](const HttpRequest& r, HttpConnection& c) {
    const std::string to = r.path == "/a/f"     ? "g?signed=1"
                           : r.path[1] == 'a'   ? "/b"
                           : r.path == "/b"     ? other.origin() + "/cdn"
                           : r.path == "/local" ? "file:///etc/passwd"
                                                : r.path + "x";
    c.write("HTTP/1.1 302 X\r\nLocation: " + to +
            "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  lay_half(text_.substr(0, 3000));
  const Download download = get(server.origin() + "/a/f");
  EXPECT_EQ(download.redirects, 3);
  EXPECT_EQ(other.requests().at(0).headers.at("range"), "bytes=3000-");
  EXPECT_EQ(server.requests().at(1).path, "/a/g?signed=1");
  expect_there();
  std::filesystem::remove(place());
  const size_t before = server.requests().size();
  EXPECT_THAT(refused(server.origin() + "/x"), HasSubstr("6th redirection"));
  EXPECT_EQ(server.requests().size() - before, 6u);
  EXPECT_THAT(refused(server.origin() + "/local"), HasSubstr("file:///etc/passwd"));
}

TEST_F(DownloadTest, StoppedItLeavesAHalfThatGoesOn) {
  std::atomic<bool> slow = true;
  HttpServer server([&](const HttpRequest& r, HttpConnection& c) {
    if (!slow) return serve_file(r, c, text_);
    c.write(head_of(r, text_) + text_.substr(0, 100'000));
    c.wait(20);
  });
  Downloader downloader;
  std::thread stopper;
  std::atomic<bool> begun = false;
  stopper = std::thread([&] {
    while (!begun) std::this_thread::yield();
    downloader.stop();
  });
  const double begin = monotonic_seconds();
  const Download download =
      downloader.get(wanted(server.origin() + "/f"), [&](int64_t n) { begun = n == 100'000; });
  stopper.join();
  EXPECT_LT(monotonic_seconds() - begin, 5);
  EXPECT_FALSE(download.whole);
  EXPECT_FALSE(std::filesystem::exists(place()));
  EXPECT_EQ(read_file(half()), text_.substr(0, 100'000));
  slow = false;
  EXPECT_EQ(get(server.origin() + "/f").resumed_at, 100'000);
  expect_there();
}

TEST_F(DownloadTest, AFullDiskIsToldAndTheHalfGoesOn) {
  HttpServer server([&](const HttpRequest& r, HttpConnection& c) { serve_file(r, c, text_); });
  {
    const test_support::FileSizeLimit full(100'000);
    EXPECT_THAT(refused(server.origin() + "/f"), HasSubstr("Free space on that disk"));
  }
  EXPECT_EQ(std::filesystem::file_size(half()), 100'000u);
  EXPECT_EQ(get(server.origin() + "/f").resumed_at, 100'000);
  expect_there();
}

TEST_F(DownloadTest, ADiskWithoutRoomIsToldFirst) {
  HttpServer server([&](const HttpRequest& r, HttpConnection& c) { serve_file(r, c, text_); });
  Wanted huge = wanted(server.origin() + "/f");
  huge.bytes = int64_t{1} << 60;
  Downloader downloader;
  EXPECT_THROW(downloader.get(huge, nullptr), Error);
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(DownloadTest, TwoAtATimeDoNotMix) {
  HttpServer server([&](const HttpRequest& r, HttpConnection& c) {
    c.write(head_of(r, text_) + text_.substr(0, 1000));
    c.wait(20);
  });
  Downloader first;
  std::atomic<bool> begun = false;
  std::thread other(
      [&] { first.get(wanted(server.origin() + "/f"), [&](int64_t) { begun = true; }); });
  while (!begun) std::this_thread::yield();
  EXPECT_THAT(refused(server.origin() + "/f"), HasSubstr("another download writes it"));
  first.stop();
  other.join();
}

TEST_F(DownloadTest, AHalfThatLeadsElsewhereIsNotFollowed) {
  make_folders(half().parent_path());
  const auto victim = folder_ / "victim";
  write_file_atomic(victim, "precious");
  std::filesystem::create_symlink(victim, half());
  EXPECT_THROW(get("http://127.0.0.1:1/f"), Error);
  EXPECT_EQ(read_file(victim), "precious");
}

TEST_F(DownloadTest, OverTlsWithACertificateThatIsTrusted) {
  make_folders(folder_);
  test_support::TlsServer server(folder_ / "authority.pem", "/f", text_);
  ::unsetenv("SSL_CERT_FILE");
  EXPECT_THAT(refused(server.origin() + "/f"), HasSubstr("certificate is not trusted"));
  ::setenv("SSL_CERT_FILE", (folder_ / "authority.pem").c_str(), 1);
  lay_half(text_.substr(0, 4321));
  EXPECT_EQ(get(server.origin() + "/f").resumed_at, 4321);
  expect_there();
  std::filesystem::remove(place());
  server.redirect("/moved", "/f");
  EXPECT_EQ(get(server.origin() + "/moved").redirects, 1);
  expect_there();
  std::filesystem::remove(place());
  HttpServer plain([&](const HttpRequest& r, HttpConnection& c) { serve_file(r, c, text_); });
  server.redirect("/down", plain.origin() + "/f");
  EXPECT_THAT(refused(server.origin() + "/down"), HasSubstr("no place to go to"));
  EXPECT_TRUE(plain.requests().empty());
  ::unsetenv("SSL_CERT_FILE");
}

}  // namespace
}  // namespace ds4::runners::fetch
