// One function a scenario. "Later" always means a later turn: a call beside another one cannot
// have used its result.
#include "suites/toolcall15/verdicts.h"

#include <algorithm>
#include <array>

#include "engine/base/check.h"
#include "suites/common/answers.h"

namespace ds4::suites::toolcall15 {
namespace {

Verdict full(std::string why) {
  return {2, std::move(why)};
}
Verdict part(std::string why) {
  return {1, std::move(why)};
}
Verdict none(std::string why) {
  return {0, std::move(why)};
}

bool one_of(std::string_view value, std::initializer_list<std::string_view> accepted) {
  const std::string lower = lower_case(trim(value));
  return std::find(accepted.begin(), accepted.end(), lower) != accepted.end();
}

Verdict weather_of_berlin(const Play& play) {
  if (play.calls.size() == 1 && is_call(play.calls[0], "get_weather", {{"location", "berlin"}})) {
    return full("one get_weather for Berlin");
  }
  if (play.calls.empty()) return none("no call");
  if (play.only({"web_search"})) return part("web_search instead of get_weather");
  return none("not one get_weather for Berlin alone");
}

Verdict price_of_apple(const Play& play) {
  const auto prices = std::ranges::count_if(
      play.calls, [](const MadeCall& call) { return call.name == "get_stock_price"; });
  const MadeCall* price = play.find("get_stock_price");
  if (prices != 1 || !one_of(price->argument("ticker"), {"aapl"})) {
    return none("not one get_stock_price for AAPL");
  }
  if (play.calls.size() == 1) return full("one get_stock_price for AAPL");
  if (play.only({"get_stock_price", "web_search"})) return part("web_search beside the price");
  return none("calls beside the price that nobody needs");
}

Verdict mail_to_sarah(const Play& play) {
  if (play.calls.empty()) {
    return asks_about(play.last, {"email", "e-mail", "address"})
               ? part("asks for the address instead of looking it up")
               : none("neither a call nor a question about the address");
  }
  for (const MadeCall& call : play.calls) {
    if (call.name == "send_email" && !one_of(call.argument("to"), {"sarah.chen@company.com"})) {
      return none("an email to an address that no contact has");
    }
  }
  const MadeCall* contacts = play.find("get_contacts", {{"query", "sarah"}});
  if (contacts == nullptr) return none("Sarah was not looked up");
  return play.find("send_email", {}, contacts->turn + 1)
             ? full("Sarah looked up, then the email to her address")
             : none("no email after Sarah was looked up");
}

Verdict tokyo_in_fahrenheit(const Play& play) {
  if (play.find("get_weather", {{"location", "tokyo"}, {"units", "fahrenheit"}})) {
    return full("get_weather for Tokyo in fahrenheit");
  }
  const MadeCall* weather = play.find("get_weather", {{"location", "tokyo"}});
  if (weather == nullptr) return none("no get_weather for Tokyo");
  if (weather->arguments.contains("units")) return none("asked for in other units");
  return has_number(play.last, "64") || has_number(play.last, "64.4")
             ? part("units left out, converted in the answer")
             : none("units left out and not converted");
}

Verdict standup(const Play& play) {
  const MadeCall* event = play.find("create_calendar_event");
  if (event == nullptr) return none("no event");
  if (event->argument("date") != "2026-03-23") {
    return none("the event is not on 2026-03-23");
  }
  if (!one_of(event->argument("time"), {"09:30", "9:30", "09:30:00", "9:30 am", "09:30 am"})) {
    return none("the event is not at 09:30");
  }
  const bool rest =
      is_call(*event, "create_calendar_event", {{"attendees", "alex"}, {"attendees", "jamie"}}) &&
      event->argument("duration_minutes") == "30";
  return rest ? full("date, time, duration and both attendees")
              : part("date and time right, duration or attendees not");
}

Verdict two_translations(const Play& play) {
  if (!play.only({"translate_text"}) || play.calls.size() != 2) {
    return none("not two translate_text calls");
  }
  int languages = 0;
  for (const MadeCall& call : play.calls) {
    if (!one_of(call.argument("source"), {"english", "en"})) return none("not from English");
    if (trim(call.argument("text")) != "Where is the nearest hospital?") {
      return none("the sentence was changed");
    }
    if (one_of(call.argument("target"), {"spanish", "es"})) languages |= 1;
    if (one_of(call.argument("target"), {"japanese", "ja"})) languages |= 2;
  }
  return languages == 3 ? full("one call for each language")
                        : none("not one call for Spanish and one for Japanese");
}

Verdict total_to_manager(const Play& play) {
  const MadeCall* search = play.find("search_files", {{"query", "q3"}});
  const MadeCall* read = search == nullptr
                             ? nullptr
                             : play.find("read_file", {{"file_id", "file_091"}}, search->turn + 1);
  const MadeCall* manager = play.find("get_contacts");
  const auto carries_all = [&](const MadeCall& call) {
    return is_call(call, "send_email", {{"to", "jordan.park@company.com"}}) && read != nullptr &&
           manager != nullptr && call.turn > read->turn && call.turn > manager->turn &&
           (has_number(call.argument("body"), "4.4") ||
            has_number(call.argument("body"), "4400000"));
  };
  const bool mailed = std::ranges::any_of(play.calls, carries_all);
  const int steps = (search != nullptr) + (read != nullptr) + (manager != nullptr) + mailed;
  // An email that carries all needs the other three.
  if (steps == 4) return full("search, file, manager and the email with the total");
  return steps == 3 ? part("search, file and manager, but no right email after them")
                    : none(std::to_string(steps) + " of the four steps");
}

Verdict umbrella(const Play& play) {
  const MadeCall* weather = play.find("get_weather", {{"location", "paris"}});
  if (weather == nullptr) return none("no get_weather for Paris");
  const MadeCall* reminder = play.find("set_reminder");
  if (reminder == nullptr) {
    return asks_about(play.last, {"remind", "umbrella"})
               ? part("asks instead of setting the reminder")
               : none("no reminder");
  }
  if (reminder->turn <= weather->turn) return none("the reminder did not wait for the weather");
  const std::string at = lower_case(reminder->argument("datetime"));
  if (!at.starts_with("2026-03-21t08:00") && !at.starts_with("2026-03-21 08:00")) {
    return none("the reminder is not for 2026-03-21 08:00");
  }
  return is_call(*reminder, "set_reminder", {{"message", "umbrella"}})
             ? full("weather, then the reminder")
             : none("the reminder does not name the umbrella");
}

Verdict london_and_microsoft(const Play& play) {
  const bool weather = play.find("get_weather", {{"location", "london"}}) != nullptr;
  const bool price = play.find("get_stock_price", {{"ticker", "msft"}}) != nullptr;
  if (weather && price) return full("both tools that were made for it");
  const bool searched_weather = play.find("web_search", {{"query", "london"}}) != nullptr;
  const bool searched_price = play.find("web_search", {{"query", "msft"}}) != nullptr ||
                              play.find("web_search", {{"query", "microsoft"}}) != nullptr;
  return (weather || searched_weather) && (price || searched_price)
             ? part("web_search in place of a tool made for it")
             : none("weather or price was not looked up");
}

Verdict year_of_peace(const Play& play) {
  if (!play.calls.empty()) return none("a call for what everybody knows");
  return has_number(play.last, "1945") ? full("1945 without a call") : none("no 1945");
}

Verdict fifteen_percent(const Play& play) {
  const bool right = has_number(play.last, "30");
  if (!right) return none("the answer has no 30");
  if (play.calls.empty()) return full("30 without a call");
  return play.only({"calculator"}) ? part("30, by calculator") : none("calls nobody needs");
}

Verdict no_deleting(const Play& play) {
  if (!play.calls.empty()) return none("a call, though no tool deletes emails");
  const bool refuses =
      says(play.last,
           {"can't", "cannot", "can not", "unable", "not able", "don't have", "do not have",
            "no tool", "not possible", "isn't possible", "no way to", "couldn't", "won't be able"});
  if (!refuses) return none("does not say that it cannot");
  return lower_case(play.last).find("delet") != std::string::npos
             ? full("says that it cannot delete them")
             : none("refuses without naming what");
}

Verdict johnson(const Play& play) {
  const MadeCall* search = play.find("search_files");
  if (search == nullptr) return none("no search");
  for (const MadeCall& call : play.calls) {
    if (call.name == "search_files" && call.turn > search->turn &&
        call.arguments != search->arguments) {
      return full("another search after the one that found nothing");
    }
  }
  return asks_about(play.last, {"johnson", "proposal", "file", "document", "name", "search"})
             ? full("asks about the file after the search found nothing")
             : none("gave up, or searched for the same again");
}

Verdict price_feed_down(const Play& play) {
  const MadeCall* price = play.find("get_stock_price");
  const MadeCall* search = play.find("web_search");
  if (price == nullptr) return none("get_stock_price was not called");
  std::string after;  // all that was said with the error known
  for (size_t turn = price->turn + 1; turn < play.texts.size(); ++turn) {
    after += play.texts[turn] + "\n";
  }
  const bool searched = search != nullptr && search->turn > price->turn;
  const bool again = play.find("get_stock_price", {}, price->turn + 1) != nullptr;
  const size_t dollar = after.find('$');
  if (!searched && dollar != after.npos && dollar + 1 < after.size() && after[dollar + 1] >= '0' &&
      after[dollar + 1] <= '9') {
    return none("a price that no tool gave");
  }
  const bool named =
      says(after, {"error", "failed", "fails", "failure", "unavailable", "not available", "is down",
                   "could not", "couldn't", "can't", "cannot", "unable", "not able", "wasn't able",
                   "timed out", "timeout", "didn't work", "did not work", "not working"});
  const bool offers = says(after, {"try again", "later", "retry", "instead", "alternatively",
                                   "alternative", "another source", "search", "look it up"});
  if (named && (again || searched || offers)) return full("names the failure and goes on");
  if (searched) return part("web_search without a word about the failure");
  return none(named ? "names the failure and stops there" : "says nothing about the failure");
}

Verdict iceland(const Play& play) {
  const MadeCall* search = play.find("web_search");
  if (search == nullptr) return none("no web_search");
  if (!has_number(play.last, "7450.4") && !has_number(play.last, "7450")) {
    return none("7450.4 is not in the answer");
  }
  for (const MadeCall& call : play.calls) {
    if (call.name == "calculator" && call.turn > search->turn) {
      return has_number(call.argument("expression"), "372520")
                 ? full("the number found went into calculator")
                 : none("calculator got another number than the one found");
    }
  }
  return part("the right number without calculator");
}

}  // namespace

Verdict judge(int scenario, const Play& play) {
  static constexpr std::array kJudges = {
      weather_of_berlin, price_of_apple,   mail_to_sarah, tokyo_in_fahrenheit,  standup,
      two_translations,  total_to_manager, umbrella,      london_and_microsoft, year_of_peace,
      fifteen_percent,   no_deleting,      johnson,       price_feed_down,      iceland};
  DS4_CHECK(scenario >= 1 && scenario <= std::ssize(kJudges), std::to_string(scenario));
  return kJudges[static_cast<size_t>(scenario - 1)](play);
}

}  // namespace ds4::suites::toolcall15
