#include "runners/roofline/roofline.h"

#include <algorithm>

#include "engine/base/check.h"
#include "reports/published/published.h"

namespace ds4::runners {
namespace {

constexpr const char* kPublishedSpark = "spark-bandwidth";

}  // namespace

MachineCeilings published_spark() {
  const reports::Published& base = reports::find_published(kPublishedSpark);
  const auto read = std::find_if(base.figures.begin(), base.figures.end(),
                                 [](const auto& figure) { return figure.figure == "read_rate"; });
  DS4_CHECK(read != base.figures.end());
  return {base.hardware, base.source, read->value, 0, "", true};
}

double least_seconds(const PassDemand::Part& work, const MachineCeilings& ceilings) {
  const double by_bytes = work.bytes() / ceilings.read_rate;
  if (ceilings.product_rate <= 0) return by_bytes;
  return std::max(by_bytes, work.flops / ceilings.product_rate);
}

Roofline make_roofline(const RooflineQuestion& question, const MachineCeilings& ceilings) {
  Roofline roofline{ceilings, {}};
  std::optional<double> draft_s;
  if (question.drafts > 0) {
    draft_s = least_seconds(draft_demand(question.checkpoint, question.drafts).total(), ceilings);
  }
  for (const int64_t context : question.contexts) {
    RooflineRow row;
    row.context = context;
    row.token = pass_demand(question.checkpoint, context, 1, 1);
    row.decode = 1 / least_seconds(row.token.total(), ceilings);
    if (draft_s) {
      const int64_t checked = question.drafts + 1;
      const double round_s =
          *draft_s +
          least_seconds(pass_demand(question.checkpoint, context, checked, checked).total(),
                        ceilings);
      const double tokens =
          question.tokens_per_round > 0 ? question.tokens_per_round : static_cast<double>(checked);
      row.drafted = tokens / round_s;
    }
    if (ceilings.product_rate > 0) {
      const int64_t rows = std::min(question.chunk, context);
      const PassDemand chunk = pass_demand(question.checkpoint, context - rows, rows, 1);
      row.prefill = static_cast<double>(rows) / least_seconds(chunk.total(), ceilings);
    }
    roofline.rows.push_back(std::move(row));
  }
  return roofline;
}

}  // namespace ds4::runners
