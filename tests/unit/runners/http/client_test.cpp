// The connection to a server: its limits, its retries, its end from another thread, and the key.
#include "runners/http/client.h"

#include <gmock/gmock.h>

#include <atomic>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "profiles/schema/server_address.h"
#include "tests/support/http_server.h"

namespace ds4::runners::http {
namespace {

using test_support::HttpConnection;
using test_support::HttpRequest;
using test_support::HttpServer;
using ::testing::HasSubstr;

const Call kPost{"/v1/x", "{}"};

TEST(HttpClient, PostsAndReads) {
  HttpServer server([](const HttpRequest&, HttpConnection& c) {
    c.reply(200, "Application/JSON; charset=utf-8", "{\"a\":1}");
  });
  Client client(server.origin(), "", {});
  const Reply reply = client.send(kPost);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.trouble, Trouble::kNone);
  EXPECT_EQ(reply.body, "{\"a\":1}");
  EXPECT_EQ(reply.content_type, "application/json");
  EXPECT_EQ(reply.retries, 0);
  EXPECT_GE(reply.head_s, reply.begun_s);
  EXPECT_GE(reply.end_s, reply.head_s);
  client.send({"/v1/models", ""});
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].method, "POST");
  EXPECT_EQ(requests[0].body, "{}");
  EXPECT_EQ(requests[0].headers.at("content-type"), "application/json");
  EXPECT_EQ(requests[0].headers.at("accept-encoding"), "identity");
  EXPECT_FALSE(requests[0].headers.contains("authorization"));
  EXPECT_EQ(requests[1].method, "GET");
}

TEST(HttpClient, BytesComeAsTheyAreSent) {
  HttpServer server([](const HttpRequest&, HttpConnection& c) {
    c.begin("text/event-stream");
    for (int i = 0; i < 3; ++i) {
      c.chunk("piece");
      c.wait(0.1);
    }
    c.end();
  });
  Client client(server.origin(), "", {});
  std::vector<double> times;
  const Reply reply =
      client.send(kPost, [&](const Reply& head, std::string_view bytes, double time_s) {
        EXPECT_EQ(head.content_type, "text/event-stream");
        EXPECT_EQ(bytes, "piece");
        times.push_back(time_s);
        return true;
      });
  EXPECT_EQ(reply.trouble, Trouble::kNone);
  ASSERT_EQ(times.size(), 3u);
  EXPECT_GT(times[2] - times[0], 0.15);
  EXPECT_EQ(reply.body, "");
}

TEST(HttpClient, FailedRequestsAreNotRepeated) {
  HttpServer server(
      [](const HttpRequest&, HttpConnection& c) { c.reply(503, "text/plain", "full"); });
  Client client(server.origin(), "", {});
  const Reply reply = client.send(kPost, [](const Reply&, std::string_view, double) {
    ADD_FAILURE() << "only replies with 200 are received";
    return false;
  });
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body, "full");
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST(HttpClient, TransportErrorsBeforeAReplyAreRepeatedAndCounted) {
  std::atomic<int> tries = 0;
  HttpServer server([&](const HttpRequest&, HttpConnection& c) {
    if (++tries < 3) return c.reset();
    c.reply(200, "text/plain", "at last");
  });
  Client client(server.origin(), "", {});
  const Reply reply = client.send(kPost);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.retries, 2);
  EXPECT_EQ(reply.body, "at last");
}

TEST(HttpClient, AReplyThatBreaksOffIsNotRepeated) {
  HttpServer server([](const HttpRequest&, HttpConnection& c) {
    c.begin("text/event-stream");
    c.chunk("half");
    c.write("20\r\nof a chu");
    c.reset();
  });
  Client client(server.origin(), "", {});
  std::string got;
  const Reply reply = client.send(kPost, [&](const Reply&, std::string_view bytes, double) {
    got += bytes;
    return true;
  });
  EXPECT_EQ(reply.trouble, Trouble::kLost);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.retries, 0);
  EXPECT_TRUE(got.starts_with("half"));
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST(HttpClient, NobodyListens) {
  int port = 0;
  {
    port = HttpServer([](const HttpRequest&, HttpConnection&) {}).port();
  }
  Client client("http://127.0.0.1:" + std::to_string(port), "", {});
  const Reply reply = client.send(kPost);
  EXPECT_EQ(reply.trouble, Trouble::kUnreachable);
  EXPECT_EQ(reply.status, 0);
  EXPECT_EQ(reply.retries, 2);
  EXPECT_THAT(reply.what, HasSubstr("nobody listens"));
}

// How long a request took under these limits, and how it ended.
std::pair<double, Reply> timed(HttpServer& server, const Limits& limits) {
  Client client(server.origin(), "", limits);
  const double begin = monotonic_seconds();
  Reply reply = client.send(kPost, [](const Reply&, std::string_view, double) { return true; });
  return {monotonic_seconds() - begin, std::move(reply)};
}

TEST(HttpClient, EachPhaseHasItsLimit) {
  HttpServer mute([](const HttpRequest&, HttpConnection& c) { c.wait(20); });
  const auto [first_s, first] =
      timed(mute, {.first_byte_s = 0.3, .first_byte_setting = "server.first_byte_timeout"});
  EXPECT_EQ(first.trouble, Trouble::kLate);
  EXPECT_THAT(first.what, HasSubstr("server.first_byte_timeout"));
  EXPECT_GT(first_s, 0.25);
  EXPECT_LT(first_s, 5);

  HttpServer stalls([](const HttpRequest&, HttpConnection& c) {
    c.wait(0.2);  // the watch has gone to sleep without a limit meanwhile
    c.begin("text/event-stream");
    c.chunk("x");
    c.wait(20);
  });
  const auto [stall_s, stall] =
      timed(stalls, {.stall_s = 0.3, .stall_setting = "server.stall_timeout"});
  EXPECT_EQ(stall.trouble, Trouble::kLate);
  EXPECT_THAT(stall.what, HasSubstr("server.stall_timeout"));
  EXPECT_LT(stall_s, 5);

  HttpServer drips([](const HttpRequest&, HttpConnection& c) {
    c.begin("text/event-stream");
    while (c.chunk("x") && c.wait(0.05)) {
    }
  });
  const auto [whole_s, whole] = timed(drips, {.stall_s = 5, .whole_s = 0.5});
  EXPECT_EQ(whole.trouble, Trouble::kLate);
  EXPECT_THAT(whole.what, HasSubstr("not done after"));
  EXPECT_LT(whole_s, 5);
}

TEST(HttpClient, EndsWhenToldToFromAnotherThread) {
  HttpServer server([](const HttpRequest&, HttpConnection& c) { c.wait(20); });
  Client client(server.origin(), "", {});
  std::thread teller([&] {
    while (server.requests().empty()) std::this_thread::yield();
    client.cancel();
  });
  const double begin = monotonic_seconds();
  EXPECT_EQ(client.send(kPost).trouble, Trouble::kCancelled);
  EXPECT_LT(monotonic_seconds() - begin, 5);
  teller.join();
  EXPECT_EQ(client.send(kPost).trouble, Trouble::kCancelled) << "until it is renewed";
  EXPECT_EQ(server.requests().size(), 1u);
  server.set_handler([](const HttpRequest&, HttpConnection& c) { c.reply(200, "a/b", "fine"); });
  client.renew();
  EXPECT_EQ(client.send(kPost).body, "fine");
}

TEST(HttpClient, TheReceiverMayHaveEnough) {
  HttpServer server([](const HttpRequest&, HttpConnection& c) {
    c.begin("text/event-stream");
    while (c.chunk("x") && c.wait(0.01)) {
    }
  });
  Client client(server.origin(), "", {});
  int pieces = 0;
  const Reply reply =
      client.send(kPost, [&](const Reply&, std::string_view, double) { return ++pieces < 3; });
  EXPECT_EQ(reply.trouble, Trouble::kNone);
  EXPECT_EQ(pieces, 3);
}

TEST(HttpClient, BodiesAreBounded) {
  HttpServer server([](const HttpRequest&, HttpConnection& c) {
    c.begin("text/plain");
    const std::string chunk(1 << 20, 'x');
    while (c.chunk(chunk)) {
    }
  });
  Client client(server.origin(), "", {});
  const Reply reply = client.send({"/v1/models", ""});
  EXPECT_TRUE(reply.body_cut);
  EXPECT_EQ(reply.body.size(), Client::kMostBody);
}

TEST(HttpClient, TheKeyGoesToThisServerAlone) {
  HttpServer other([](const HttpRequest&, HttpConnection& c) { c.reply(200, "a/b", "caught"); });
  HttpServer server([&](const HttpRequest&, HttpConnection& c) {
    c.write("HTTP/1.1 307 X\r\nLocation: " + other.url() +
            "/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  Client client(server.origin(), "secret", {});
  const Reply reply = client.send(kPost);
  EXPECT_EQ(server.requests().at(0).headers.at("authorization"), "Bearer secret");
  EXPECT_EQ(reply.status, 307);
  EXPECT_EQ(reply.location, other.url() + "/x");
  EXPECT_TRUE(other.requests().empty());
}

TEST(HttpClient, WhatIsNoHttpIsNoReply) {
  HttpServer server(
      [](const HttpRequest&, HttpConnection& c) { c.write("SSH-2.0-hello\r\n\r\n"); });
  Client client(server.origin(), "", {});
  const Reply reply = client.send(kPost);
  EXPECT_EQ(reply.trouble, Trouble::kLost);
  EXPECT_EQ(reply.status, 0);
}

TEST(HttpClient, APlainPortIsNoTls) {
  HttpServer plain([](const HttpRequest&, HttpConnection& c) { c.reply(200, "a/b", "x"); });
  Client client("https://127.0.0.1:" + std::to_string(plain.port()), "", {.connect_s = 2});
  const Reply reply = client.send(kPost);
  EXPECT_EQ(reply.trouble, Trouble::kUnreachable);
  EXPECT_EQ(reply.status, 0);
}

TEST(ServerAddress, IsTakenApart) {
  const auto parsed = profiles::parse_server_address("https://h.example:8443/p/v1/");
  EXPECT_EQ(parsed.origin, "https://h.example:8443");
  EXPECT_EQ(parsed.base, "/p/v1");
  EXPECT_EQ(parsed.root, "/p");
  EXPECT_EQ(profiles::parse_server_address("http://[::1]:80").base, "/v1");
  EXPECT_EQ(profiles::parse_server_address("http://h/api").root, "/api");
  for (const char* bad : {"", "h:80", "ftp://h", "http://", "http://:80", "http://h/v1?key=x",
                          "http://h /v1", "http://h/\"", "http://u:p@h/v1"}) {
    try {
      profiles::parse_server_address(bad);
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("server.url")) << bad;
      EXPECT_THAT(error.what(), testing::Not(HasSubstr("u:p"))) << bad;
    }
  }
}

}  // namespace
}  // namespace ds4::runners::http
