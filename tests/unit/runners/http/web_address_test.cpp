#include "runners/http/web_address.h"

#include <gtest/gtest.h>

namespace ds4::runners::http {
namespace {

TEST(WebAddress, IsTakenApart) {
  EXPECT_EQ(parse_web_address("https://h:8443/a/b?c=d#e"),
            (WebAddress{"https://h:8443", "/a/b?c=d"}));
  EXPECT_EQ(parse_web_address("http://h"), (WebAddress{"http://h", "/"}));
  EXPECT_EQ(parse_web_address("http://h?q"), (WebAddress{"http://h", "/?q"}));
  for (const char* bad :
       {"", "h/x", "ftp://h/x", "file:///x", "http://", "http:///x", "http://:80", "http://u:p@h/x",
        "http://h/ x", "http://h/\r\nX: y", "http://h/\xC3\xA4", "javascript:alert(1)"}) {
    EXPECT_EQ(parse_web_address(bad), std::nullopt) << bad;
  }
}

TEST(WebAddress, RedirectionsLeadOn) {
  const WebAddress at{"https://h", "/a/b?c=d/e"};
  EXPECT_EQ(redirected(at, "https://o/x")->text(), "https://o/x");
  EXPECT_EQ(redirected(at, "//o/x")->text(), "https://o/x");
  EXPECT_EQ(redirected(at, "/x?y=http://z")->text(), "https://h/x?y=http://z");
  EXPECT_EQ(redirected(at, "x?y")->text(), "https://h/a/x?y");
  EXPECT_EQ(redirected(at, "?y")->text(), "https://h/a/b?y");
  EXPECT_EQ(redirected({"http://h", "/"}, "x")->text(), "http://h/x");
  EXPECT_EQ(redirected({"http://h", "/"}, "https://h/x")->text(), "https://h/x");
  for (const char* bad : {"", "http://h/x", "ftp://h/x", "https://u@h/x", "mailto:x"}) {
    EXPECT_EQ(redirected(at, bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace ds4::runners::http
