#include "runners/roofline/roofline.h"

#include <algorithm>

#include "probes/tagged.h"

namespace ds4::runners {
namespace {

void add(const PassDemand& demand, const std::string& phase, const std::string& prefix,
         std::vector<probes::Sample>& samples) {
  for (const PassDemand::Part& part : demand.parts) {
    const std::string of = prefix + part.name;
    samples.push_back({probes::tagged_name({"demand_bytes", of, ""}), part.bytes(), 0, phase});
    samples.push_back({probes::tagged_name({"demand_flops", of, ""}), part.flops, 0, phase});
  }
}

}  // namespace

double least_seconds(const PassDemand::Part& work, const MachineCeilings& ceilings) {
  return reports::least_seconds(work.bytes(), work.flops, ceilings);
}

std::vector<probes::Sample> demand_samples(const std::filesystem::path& checkpoint,
                                           const reports::AttemptRow& attempt, int64_t drafts) {
  std::vector<probes::Sample> samples;
  const int64_t middle = attempt.prompt_tokens + attempt.completion_tokens / 2;
  const int64_t computed = attempt.prompt_tokens - attempt.cached_tokens;
  add(pass_demand(checkpoint, middle, 1, 1), "decode", "", samples);
  if (computed > 0) {
    add(pass_demand(checkpoint, attempt.cached_tokens, computed, 1), "prefill", "", samples);
  }
  if (drafts > 0) {
    add(draft_demand(checkpoint, drafts), "round", "drafting: ", samples);
    add(pass_demand(checkpoint, middle, drafts + 1, drafts + 1), "round", "", samples);
  }
  return samples;
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
