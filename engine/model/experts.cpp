// Mixture of experts (model.md 3.7): routing by token id or by score, then the chosen experts and
// the shared one.
#include "engine/model/mechanisms.h"

namespace ds4::model {

void mixture_of_experts(const Pass& pass, const weights::Moe& moe) {
  const Workspace& at = pass.at;
  const weights::ModelConfig& config = pass.config;
  const ops::Floats logits{at.router.data, moe.n_experts()};
  const ops::RouteSettings settings{config.num_experts_per_tok, config.norm_topk_prob,
                                    static_cast<float>(config.routed_scaling_factor)};
  pass.ops.project_wide(moe.gate, pass.n(), at.x, logits);
  pass.ops.route(moe, settings, pass.n(), at.tokens, logits, at.expert_ids, at.route_weights);
  pass.ops.experts(moe, static_cast<float>(config.swiglu_limit), config.num_experts_per_tok,
                   pass.n(), at.x, at.expert_ids, at.route_weights, at.y);
}

void feed_forward(const Pass& pass, const weights::Layer& layer) {
  enter_sublayer(pass, layer.hc_ffn, layer.ffn_norm);
  mixture_of_experts(pass, layer.ffn);
  leave_sublayer(pass);
}

}  // namespace ds4::model
