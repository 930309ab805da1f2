// The queue between connections and a target: order, bounds, leaving, ending.
#include "runners/serve/queue.h"

#include <gtest/gtest.h>

#include <thread>

namespace ds4::runners::serve {
namespace {

using namespace std::chrono_literals;

Request request(const std::string& text) {
  Request r;
  r.raw = suites::RawPrompt{text};
  return r;
}

Response answered(const std::string& text) {
  Response r;
  r.answer.text = text;
  r.answer.finish_reason = "stop";
  return r;
}

TEST(RequestQueue, FirstComeFirstServedAndBounded) {
  Metrics metrics("m");
  RequestQueue queue(2, metrics);
  EXPECT_FALSE(queue.next(/*wait=*/false));
  const auto a = queue.post(request("a")), b = queue.post(request("b"));
  ASSERT_TRUE(a && b);
  EXPECT_FALSE(queue.post(request("c"))) << "two may wait";
  const auto first = queue.next(false);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->request.raw->text, "a");
  const auto c = queue.post(request("c"));
  EXPECT_TRUE(c) << "one of them has its turn";
  EXPECT_EQ(queue.next(true)->request.raw->text, "b");
  EXPECT_EQ(queue.next(true)->request.raw->text, "c");
  EXPECT_FALSE(queue.next(false));
}

TEST(RequestQueue, PiecesAndTheResponseArriveInOrder) {
  Metrics metrics("m");
  RequestQueue queue(2, metrics);
  const auto exchange = queue.post(request("a"));
  const int64_t id = queue.next(true)->id;
  EXPECT_TRUE(exchange->wait(0ms).pieces.empty());
  EXPECT_TRUE(queue.progress(id, 7, 0));
  std::thread target([&] {
    queue.text(id, {"", "x", 1});
    queue.text(id, {"", "y", 2});
    queue.done(id, answered("xy"));
  });
  std::string text;
  while (true) {
    Exchange::News news = exchange->wait(10s);
    EXPECT_EQ(news.prompt_tokens, 7);
    for (const Pieces& pieces : news.pieces) text += pieces.content;
    if (!news.response) continue;
    EXPECT_EQ(news.response->answer.text, text);
    break;
  }
  target.join();
  EXPECT_EQ(text, "xy");
}

TEST(RequestQueue, WhoLeftIsNotAnswered) {
  Metrics metrics("m");
  RequestQueue queue(2, metrics);
  const auto a = queue.post(request("a")), b = queue.post(request("b"));
  a->cancel();
  EXPECT_TRUE(queue.post(request("c"))) << "its place is free";
  const auto item = queue.next(true);
  EXPECT_EQ(item->request.raw->text, "b");
  EXPECT_EQ(a->wait(0ms).response->answer.finish_reason, "cancelled");
  EXPECT_TRUE(queue.progress(item->id, 1, 0));
  b->cancel();
  EXPECT_FALSE(queue.progress(item->id, 1, 1)) << "the target is told at its next step";
}

TEST(RequestQueue, ClosingEndsEverything) {
  Metrics metrics("m");
  RequestQueue queue(4, metrics);
  const auto a = queue.post(request("a")), b = queue.post(request("b"));
  const auto item = queue.next(true);
  queue.close();
  EXPECT_FALSE(queue.next(true)) << "b has ended, and there will be no more";
  EXPECT_FALSE(queue.progress(item->id, 1, 0));
  EXPECT_FALSE(a->wait(0ms).response);
  EXPECT_EQ(b->wait(0ms).response->answer.finish_reason, "cancelled");
  EXPECT_FALSE(queue.post(request("c")));
}

TEST(RequestQueue, AWaitingTargetWakesUp) {
  Metrics metrics("m");
  RequestQueue queue(4, metrics);
  std::thread target([&] {
    const auto item = queue.next(true);
    ASSERT_TRUE(item);
    queue.done(item->id, answered(item->request.raw->text));
    EXPECT_FALSE(queue.next(true));
  });
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(queue.post(request("late"))->wait(10s).response->answer.text, "late");
  queue.close();
  target.join();
}

TEST(RequestQueue, AFailedTargetIsAnErrorForAll) {
  Metrics metrics("m");
  RequestQueue queue(4, metrics);
  const auto a = queue.post(request("a")), b = queue.post(request("b"));
  ASSERT_TRUE(queue.next(true));
  queue.fail("out of memory");
  EXPECT_EQ(a->wait(0ms).response->error, "out of memory");
  EXPECT_EQ(b->wait(0ms).response->error, "out of memory");
  EXPECT_TRUE(queue.closed());
}

// Many connections and a target, at once.
TEST(RequestQueue, EveryPostIsAnsweredWithItsOwn) {
  Metrics metrics("m");
  RequestQueue queue(1000, metrics);
  std::thread target([&] {
    while (auto item = queue.next(true)) {
      queue.text(item->id, {"", item->request.raw->text, 1});
      queue.done(item->id, answered(item->request.raw->text));
    }
  });
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      for (int k = 0; k < 100; ++k) {
        const std::string text = std::to_string(i) + "/" + std::to_string(k);
        const auto exchange = queue.post(request(text));
        ASSERT_TRUE(exchange);
        std::string got;
        for (bool over = false; !over;) {
          Exchange::News news = exchange->wait(10s);
          for (const Pieces& pieces : news.pieces) got += pieces.content;
          over = news.response.has_value();
        }
        EXPECT_EQ(got, text);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  queue.close();
  target.join();
}

}  // namespace
}  // namespace ds4::runners::serve
