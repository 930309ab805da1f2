// A page with every kind of chart, table, tone and item, for the tests in a browser.
#pragma once

#include "reports/pages/page.h"

namespace ds4::reports {

/// Invented figures of three cells, as a sweep over K144, K160 and K180 could give them.
Page example_page();

}  // namespace ds4::reports
