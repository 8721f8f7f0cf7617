// SPDX-License-Identifier: Apache-2.0
// spec/influence.md 2.8. x = u + Down a, a = silu(G z) * (U z), z = gamma2 * u / rms(u), n = x / rms(x), h = gamma * n, s = W h.
#include <mvrm/influence/leverage.h>
#include <mvrm/influence/matrix.h>

#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <algorithm>
#include <cmath>
#include <limits>

namespace mvrm::influence {

namespace {

// Per sample: what the gradients of its K rewards are made of. Per-dimension vectors are [N,K,.].
struct Factors {
  at::Tensor feature_ND, normed_ND;         // h, n
  at::Tensor to_output_NKD, mlp_NI;         // v_k = d s_k / d x, a: Down's gradient is v_k a^T
  at::Tensor to_gate_NKI, to_up_NKI, in_ND; // alpha_k, beta_k, z: Gate's is alpha_k z^T, Up's beta_k z^T
  at::Tensor post_norm_NKD;                 // gamma2's: (Gate^T alpha_k + Up^T beta_k) * n2
};

at::Tensor inverse_rms(const at::Tensor& x_ND, double eps) { return (x_ND.square().mean(-1, true) + eps).rsqrt(); }

bool uses_norm(Space space) { return space == Space::head_norm || space == Space::last_layer; }
bool uses_mlp(Space space) { return space == Space::head_mlp || space == Space::last_layer; }
bool uses_down(Space space) { return space == Space::head_down || uses_mlp(space); }

Factors factors(Space space, const LastLayer& layer, const at::Tensor& skip_ND) {
  Factors f;
  const at::Tensor u_ND = skip_ND.to(layer.score_KD.scalar_type());
  const at::Tensor normed_u_ND = u_ND * inverse_rms(u_ND, layer.eps);
  f.in_ND = layer.post_norm_D * normed_u_ND;
  const at::Tensor gate_NI = f.in_ND.mm(layer.gate_ID.t()), up_NI = f.in_ND.mm(layer.up_ID.t());
  const at::Tensor silu_NI = at::silu(gate_NI);
  f.mlp_NI = silu_NI * up_NI;
  const at::Tensor x_ND = u_ND + f.mlp_NI.mm(layer.down_DI.t()), scale_N1 = inverse_rms(x_ND, layer.eps);
  f.normed_ND = x_ND * scale_N1;
  f.feature_ND = layer.norm_D * f.normed_ND;
  if (!uses_down(space)) return f;
  const at::Tensor scaled_KD = layer.norm_D * layer.score_KD;
  const at::Tensor share_NK1 = (f.feature_ND.mm(layer.score_KD.t()) / static_cast<double>(x_ND.size(1))).unsqueeze(2);
  f.to_output_NKD = (scaled_KD - share_NK1 * f.normed_ND.unsqueeze(1)) * scale_N1.unsqueeze(2);
  if (!uses_mlp(space)) return f;
  // q_k = Down^T v_k with one product for all dimensions: Down^T (gamma * w_k) is the same for every sample.
  const at::Tensor constant_KI = scaled_KD.mm(layer.down_DI), turned_NI = f.normed_ND.mm(layer.down_DI);
  const at::Tensor back_NKI = (constant_KI - share_NK1 * turned_NI.unsqueeze(1)) * scale_N1.unsqueeze(2);
  const at::Tensor sigmoid_NI = at::sigmoid(gate_NI);
  const at::Tensor slope_NI = sigmoid_NI + silu_NI * (1 - sigmoid_NI);
  f.to_up_NKI = back_NKI * silu_NI.unsqueeze(1);
  f.to_gate_NKI = back_NKI * (up_NI * slope_NI).unsqueeze(1);
  if (space == Space::last_layer) {
    const at::Tensor turned_NKD = at::matmul(f.to_gate_NKI, layer.gate_ID) + at::matmul(f.to_up_NKI, layer.up_ID);
    f.post_norm_NKD = turned_NKD * normed_u_ND.unsqueeze(1);
  }
  return f;
}

// The products of both sides summed over their last axis, [N,T,K,K] from [N,K,X] and [T,K,X].
at::Tensor pair_products(const at::Tensor& a_NKX, const at::Tensor& b_TKX) {
  const int64_t n = a_NKX.size(0), t = b_TKX.size(0), k = a_NKX.size(1), width = a_NKX.size(2);
  const at::Tensor flat = a_NKX.reshape({n * k, width}).mm(b_TKX.reshape({t * k, width}).t());
  return flat.view({n, k, t, k}).permute({0, 2, 1, 3}).to(at::kDouble);
}
at::Tensor self_products(const at::Tensor& a_NKX) { return at::bmm(a_NKX, a_NKX.transpose(1, 2)).to(at::kDouble); }

at::Tensor times(const at::Tensor& matrix, const at::Tensor& factor) { return matrix * factor.to(at::kDouble).unsqueeze(-1).unsqueeze(-1); }

// Residuals turn gradients of rewards into gradients of losses. The head's block is added behind them: a zero stays a zero beside NaN.
at::Tensor finish(const at::Tensor& shared, const at::Tensor& left_K, const at::Tensor& right_K, const at::Tensor& head) {
  const at::Tensor diagonal = at::diag_embed(left_K * right_K * head.to(at::kDouble).unsqueeze(-1));
  return shared.defined() ? shared * left_K.unsqueeze(-1) * right_K.unsqueeze(-2) + diagonal : diagonal;
}

at::Tensor norm_factors(const LastLayer& layer, const Factors& f) { return layer.score_KD * f.normed_ND.unsqueeze(1); }

}  // namespace

const std::vector<SpaceEntry>& spaces() {
  static const std::vector<SpaceEntry> entries = {
      {Space::head, "head", "weights of the score head"},
      {Space::head_norm, "head+norm", "score head and final norm"},
      {Space::head_down, "head+down", "score head and the last layer's down_proj"},
      {Space::head_mlp, "head+mlp", "score head and the last layer's MLP: gate_proj, up_proj, down_proj"},
      {Space::last_layer, "last_layer", "score head, final norm, and of the last layer the MLP and the norm before it: all but attention"},
  };
  return entries;
}

Space space_from_name(const std::string& name) {
  std::string known;
  for (const auto& entry : spaces()) {
    if (name == entry.name) return entry.space;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw core::ConfigError("unknown parameter space '" + name + "'; known: " + known);
}

std::string name_of(Space space) {
  return std::find_if(spaces().begin(), spaces().end(), [&](const SpaceEntry& entry) { return entry.space == space; })->name;
}

LastLayer last_layer(const model::RewardModel& model) {
  const at::ScalarType dtype = model.dtype == at::kDouble ? at::kDouble : at::kFloat;
  const auto find = [&](size_t unit, const std::string& ending) {
    const auto& specs = model.units[unit].parameters;
    const auto spec = std::find_if(specs.begin(), specs.end(), [&](const auto& s) { return s.name.ends_with(ending); });
    MVRM_CHECK(spec != specs.end(), "the model has no parameter ", ending);
    return model.parameters[unit][static_cast<size_t>(spec - specs.begin())].to(at::kCPU, dtype);
  };
  const size_t head = model.units.size() - 1, layer = head - 1;
  return {.post_norm_D = find(layer, "post_attention_layernorm.weight"), .gate_ID = find(layer, "gate_proj.weight"),
          .up_ID = find(layer, "up_proj.weight"), .down_DI = find(layer, "down_proj.weight"),
          .norm_D = find(head, "text_model.norm.weight"), .score_KD = find(head, "score.weight"), .eps = model.config.text.rms_norm_eps};
}

at::Tensor head_influence(const at::Tensor& residual_NK, const at::Tensor& feature_ND, const at::Tensor& residual_TK,
                          const at::Tensor& feature_TD, bool with_bias) {
  // Streams the rows of `feature_ND`: there may be far more of them than of the others.
  const at::Tensor product_NT = linear_rewards(feature_ND, feature_TD.to(at::kDouble).t(), at::full({feature_TD.size(0)}, with_bias ? 1.0 : 0.0, at::kDouble));
  return residual_NK.to(at::kDouble).unsqueeze(1) * residual_TK.to(at::kDouble).unsqueeze(0) * product_NT.unsqueeze(2);
}

at::Tensor influence_matrix(Space space, const LastLayer& layer, const SamplePoints& train, const SamplePoints& test) {
  const Factors i = factors(space, layer, train.skip_ND), t = factors(space, layer, test.skip_ND);
  at::Tensor shared;
  const auto add = [&shared](const at::Tensor& block) { shared = shared.defined() ? shared + block : block; };
  if (uses_norm(space)) add(pair_products(norm_factors(layer, i), norm_factors(layer, t)));
  if (uses_down(space)) add(times(pair_products(i.to_output_NKD, t.to_output_NKD), i.mlp_NI.mm(t.mlp_NI.t())));
  if (uses_mlp(space)) add(times(pair_products(i.to_gate_NKI, t.to_gate_NKI) + pair_products(i.to_up_NKI, t.to_up_NKI), i.in_ND.mm(t.in_ND.t())));
  if (space == Space::last_layer) add(pair_products(i.post_norm_NKD, t.post_norm_NKD));
  return finish(shared, train.residual_NK.to(at::kDouble).unsqueeze(1), test.residual_NK.to(at::kDouble).unsqueeze(0), i.feature_ND.mm(t.feature_ND.t()));
}

at::Tensor self_matrix(Space space, const LastLayer& layer, const SamplePoints& points) {
  const Factors f = factors(space, layer, points.skip_ND);
  const auto squares = [](const at::Tensor& x_NX) { return x_NX.square().sum(1); };
  at::Tensor shared;
  const auto add = [&shared](const at::Tensor& block) { shared = shared.defined() ? shared + block : block; };
  if (uses_norm(space)) add(self_products(norm_factors(layer, f)));
  if (uses_down(space)) add(times(self_products(f.to_output_NKD), squares(f.mlp_NI)));
  if (uses_mlp(space)) add(times(self_products(f.to_gate_NKI) + self_products(f.to_up_NKI), squares(f.in_ND)));
  if (space == Space::last_layer) add(self_products(f.post_norm_NKD));
  const at::Tensor residual_NK = points.residual_NK.to(at::kDouble);
  return finish(shared, residual_NK, residual_NK, squares(f.feature_ND));
}

at::Tensor row_sum(const at::Tensor& matrix) {
  const at::Tensor own = matrix.diagonal(0, -2, -1);
  return matrix.nansum(-1).masked_fill(own.isnan(), std::numeric_limits<double>::quiet_NaN());
}

Ranking rank_effects(const at::Tensor& effect_N, int64_t count) {
  const at::Tensor wide_N = effect_N.to(at::kDouble).contiguous();
  const double* effect = wide_N.const_data_ptr<double>();
  std::vector<int64_t> order;
  for (int64_t n = 0; n < wide_N.numel(); ++n) {
    if (std::isfinite(effect[n])) order.push_back(n);
  }
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return effect[a] > effect[b]; });
  Ranking ranking;
  for (const int64_t n : order) {
    if (effect[n] > 0 && static_cast<int64_t>(ranking.proponents.size()) < count) ranking.proponents.push_back(n);
  }
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return effect[a] < effect[b]; });
  for (const int64_t n : order) {
    if (effect[n] < 0 && static_cast<int64_t>(ranking.opponents.size()) < count) ranking.opponents.push_back(n);
  }
  return ranking;
}

}  // namespace mvrm::influence
