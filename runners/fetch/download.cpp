#include "runners/fetch/download.h"

#include <cerrno>
#include <optional>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/units.h"
#include "runners/fetch/half_file.h"

namespace ds4::runners::fetch {
namespace {

constexpr int kMostFruitless = 3;  // tries in a row that brought no byte
constexpr int kMostTries = 100;    // a server that breaks off again and again after a few bytes
constexpr const char* kElsewhere =
    "--from URL takes a mirror; or fetch it on another machine and copy the folder.";

bool is_redirection(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// "749738" of "bytes 100-749737/749738"; "" where it is not told.
std::string total_of(const std::string& content_range) {
  const size_t slash = content_range.find('/');
  return slash == std::string::npos || content_range.ends_with("/*")
             ? ""
             : content_range.substr(slash + 1);
}

void check_space(const Wanted& wanted, int64_t there) {
  std::error_code error;
  const auto space = std::filesystem::space(wanted.path.parent_path(), error);
  const int64_t missing = wanted.bytes - there;
  if (error || missing <= 0 || space.available >= static_cast<uintmax_t>(missing)) return;
  throw Error(ErrorCode::kIo,
              wanted.path.string() + ": " + format_bytes(missing) + " are to come and " +
                  format_bytes(static_cast<int64_t>(space.available)) + " are free",
              "Free space on that disk, or take another folder with --data.");
}

}  // namespace

// One file on its way: what is asked, and what the answers mean.
class Downloader::Transfer {
 public:
  Transfer(Downloader& owner, const Wanted& wanted, const OnProgress& on_progress)
      : owner_(owner), wanted_(wanted), on_progress_(on_progress), half_(wanted.path) {}

  Download run() {
    if (half_.size() > wanted_.bytes) half_.restart();
    check_space(wanted_, half_.size());
    download_.resumed_at = half_.size();
    receive();
    if (half_.size() == wanted_.bytes && !right() && download_.resumed_at > 0) {
      half_.restart();  // what lay there was no half of this file
      download_.resumed_at = 0;
      receive();
    }
    if (half_.size() < wanted_.bytes) return download_;
    if (!right()) {
      const std::string sha256 = half_.sha256();
      half_.restart();
      fail("not the published file: its SHA-256 is " + sha256 + ", not " + wanted_.sha256,
           "Nothing of it was kept. It was changed there; take it from another place with --from "
           "URL.");
    }
    half_.commit();
    download_.whole = true;
    return download_;
  }

 private:
  bool right() const { return half_.sha256() == wanted_.sha256; }

  [[noreturn]] void fail(const std::string& what, const std::string& hint) const {
    throw Error(ErrorCode::kIo, address_.text() + ": " + what, hint);
  }

  // What stays of the half, as the beginning of a hint.
  std::string kept() const {
    if (half_.size() == 0) return "Give the same command again later. ";
    return format_bytes(half_.size()) + " of " + format_bytes(wanted_.bytes) +
           " are kept: the same command goes on from there. ";
  }

  void receive() {
    int fruitless = 0;
    go_to_start();
    while (half_.size() < wanted_.bytes && !owner_.stopped()) {
      const int64_t before = half_.size();
      const http::Reply reply = ask();
      if (write_error_ != 0) {
        errno = write_error_;
        throw_errno(wanted_.path, "write");
      }
      if (reply.trouble == http::Trouble::kCancelled) return;
      if (reply.status == 0) fail(reply.what, kept() + kElsewhere);
      if (is_redirection(reply.status)) {
        follow(reply);
        continue;
      }
      if (!refused_.empty()) refuse_bytes();
      if (reply.status == 416 && before > 0) {
        half_.restart();  // the half is as long as the file there, or longer
        download_.resumed_at = 0;
      } else if (reply.status != 200 && reply.status != 206) {
        refuse(reply.status);
      } else if (reply.status == 200 && reply.trouble == http::Trouble::kNone &&
                 half_.size() < wanted_.bytes) {
        refused_ = format_count(half_.size()) + " bytes";
        refuse_bytes();
      }
      fruitless = half_.size() > before ? 0 : fruitless + 1;
      if (fruitless == kMostFruitless || download_.tries == kMostTries) {
        fail(reply.what.empty() ? "no byte of it came" : reply.what, kept() + kElsewhere);
      }
      // Where a hub sent us may be gone by now: its addresses are made for one download.
      if (reply.trouble != http::Trouble::kNone) go_to_start();
    }
  }

  void go_to_start() {
    const auto address = http::parse_web_address(wanted_.url);
    if (!address) {
      throw Error(ErrorCode::kUsage, "`" + wanted_.url + "` is no http or https address",
                  "Write it as https://HOST/FOLDER/.");
    }
    address_ = *address;
    download_.redirects = 0;
  }

  http::Reply ask() {
    ++download_.tries;
    first_byte_ = true;
    refused_.clear();
    http::Call call{address_.path, "", {}};
    if (half_.size() > 0) {
      call.headers.emplace_back("Range", "bytes=" + std::to_string(half_.size()) + "-");
    }
    return owner_.client(address_.origin)
        .send(call, [&](const http::Reply& head, std::string_view bytes, double) {
          return take(head, bytes);
        });
  }

  // False when what comes is not what was asked for, or cannot be written.
  bool take(const http::Reply& head, std::string_view bytes) {
    if (std::exchange(first_byte_, false) && !begins_well(head)) return false;
    if (static_cast<int64_t>(bytes.size()) > wanted_.bytes - half_.size()) {
      refused_ = "more than " + format_count(wanted_.bytes) + " bytes";
    } else if (!half_.append(bytes)) {
      write_error_ = errno;
    }
    if (!refused_.empty() || write_error_ != 0) return false;
    if (on_progress_) on_progress_(half_.size());
    return true;
  }

  bool begins_well(const http::Reply& head) {
    if (head.status == 200) {
      if (half_.size() > 0) half_.restart();  // it knows no ranges: all of it comes again
      download_.resumed_at = 0;
    } else if (!head.content_range.starts_with("bytes " + std::to_string(half_.size()) + "-")) {
      refused_ = "another part (`" + head.content_range.substr(0, 60) + "`) than was asked for";
    } else if (const std::string total = total_of(head.content_range);
               !total.empty() && total != std::to_string(wanted_.bytes)) {
      refused_ = total.substr(0, 20) + " bytes";
    }
    if (refused_.empty() && head.content_type == "text/html") refused_ = "a web page";
    return refused_.empty();
  }

  void follow(const http::Reply& reply) {
    if (++download_.redirects > kMostRedirects) {
      fail("the " + std::to_string(download_.redirects) + "th redirection in a row", kElsewhere);
    }
    const auto to = http::redirected(address_, reply.location);
    if (!to) {
      fail("redirects to `" + reply.location.substr(0, 200) + "`, which is no place to go to",
           kElsewhere);
    }
    address_ = *to;
  }

  [[noreturn]] void refuse_bytes() {
    half_.restart();
    fail("sends " + refused_ + " where the published file has " + format_count(wanted_.bytes) +
             " bytes",
         "Nothing of it was kept: the same command begins anew. --from URL takes another place.");
  }

  [[noreturn]] void refuse(int status) const {
    const std::string answered = "answered with status " + std::to_string(status);
    if (status == 404 || status == 410) fail(answered + ": it is not there", kElsewhere);
    fail(answered, kept() + kElsewhere);
  }

  Downloader& owner_;
  const Wanted& wanted_;
  const OnProgress& on_progress_;
  HalfFile half_;
  Download download_;
  http::WebAddress address_;
  bool first_byte_ = true;
  std::string refused_;  // why the bytes of this reply are not taken
  int write_error_ = 0;  // errno
};

Downloader::Downloader(double patience_s) : patience_s_(patience_s) {}

Downloader::~Downloader() = default;

Download Downloader::get(const Wanted& wanted, const OnProgress& on_progress) {
  return Transfer(*this, wanted, on_progress).run();
}

void Downloader::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  for (const auto& [origin, client] : clients_) client->cancel();
}

bool Downloader::stopped() {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

http::Client& Downloader::client(const std::string& origin) {
  const std::lock_guard lock(mutex_);
  auto& client = clients_[origin];
  if (!client) {
    http::Limits limits;
    limits.first_byte_s = limits.stall_s = patience_s_;
    client = std::make_unique<http::Client>(origin, "", limits);
    if (stopped_) client->cancel();
  }
  return *client;
}

}  // namespace ds4::runners::fetch
