#include "engine/base/units.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace ds4 {
namespace {

TEST(Units, ParsesBytes) {
  EXPECT_EQ(parse_bytes("4096"), 4096);
  EXPECT_EQ(parse_bytes("90GiB"), int64_t{90} << 30);
  EXPECT_EQ(parse_bytes("1.5 KiB"), 1536);
  EXPECT_EQ(parse_bytes("2GB"), 2'000'000'000);
}

TEST(Units, ParsesDurations) {
  EXPECT_EQ(parse_duration("250ms").count(), 250);
  EXPECT_EQ(parse_duration("90").count(), 90'000);
  EXPECT_EQ(parse_duration("1.5h").count(), 5'400'000);
}

TEST(Units, RefusesWhatIsNoQuantity) {
  for (const char* text : {"", "GiB", "-1GiB", "1 furlong", "nan", "inf", "1e300GiB"}) {
    EXPECT_THROW(parse_bytes(text), Error) << text;
    EXPECT_THROW(parse_duration(text), Error) << text;
  }
}

TEST(Units, Formats) {
  EXPECT_EQ(format_bytes(584), "584 B");
  EXPECT_EQ(format_bytes(3514), "3.43 KiB");
  EXPECT_EQ(format_bytes(107803320952), "100 GiB");
  EXPECT_EQ(format_seconds(0.812), "812 ms");
  EXPECT_EQ(format_seconds(247), "4m 07s");
  EXPECT_EQ(format_number(2113.4), "2,113");
  EXPECT_EQ(format_number(0.012345), "0.0123");
  EXPECT_EQ(format_number(-1234567), "-1,234,567");
  EXPECT_EQ(format_count(8), "8");
  EXPECT_EQ(format_count(-130000), "-130,000");
}

}  // namespace
}  // namespace ds4
