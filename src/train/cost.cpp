// SPDX-License-Identifier: Apache-2.0
// F frames, S patches of one, L tokens, Q latents of a frame.
#include "balanced_step.h"

#include <algorithm>
#include <c10/util/accumulate.h>
#include <mvrm/model/unit.h>
#include <mvrm/train/cost.h>

namespace mvrm::train {

namespace {

constexpr int64_t kLargeModel = 200'000'000;   // parameters: beyond, kept graphs and sums of gradients need more memory than most machines have

constexpr int64_t kComputedTogether = 8;       // ranks of a machine, most often

}  // namespace

int64_t patches_of(const model::ModelConfig& config, const ClipShape& clip) {
  const int64_t patch = config.vision.patch_size;
  return (clip.height / patch) * (clip.width / patch);
}

Flops flops_of(const model::ModelConfig& config, const ClipShape& clip) {
  const auto d = [](int64_t x) { return static_cast<double>(x); };
  const auto& v = config.vision;
  const auto& p = config.perceiver;
  const auto& t = config.text;
  const double F = d(clip.frames), S = d(patches_of(config, clip)), L = d(clip.tokens), Q = d(p.resampler_n_latents);
  const double vision_width = d(v.hidden_size), width = d(t.hidden_size), inner = d(t.intermediate_size);

  Flops flops;
  const double vision_linear = 4 * vision_width * vision_width + 2 * vision_width * d(v.intermediate_size);
  flops.vision = F * (d(v.num_hidden_layers) * (2 * vision_linear * S + 4 * vision_width * S * S) +
                      2 * d(v.num_channels * v.patch_size * v.patch_size) * vision_width * S);
  const double projection = F * 2 * (2 * vision_width * inner + inner * width) * S;
  const double query = d(p.resampler_n_heads * p.resampler_head_dim), key = d(p.num_key_value_heads * p.resampler_head_dim);
  const double of_latents = 2 * Q * (2 * width * query + 3 * width * 4 * width);
  const double of_keys = 2 * 2 * width * key + 4 * query * Q;   // the attention itself included
  flops.connector = projection + d(p.resampler_depth) * F * (of_latents + of_keys * (S + Q));
  const double heads = d(t.num_attention_heads * t.head_dim), groups = d(t.num_key_value_heads * t.head_dim);
  const double text_linear = 2 * width * heads + 2 * width * groups + 3 * width * inner;
  flops.decoder = d(t.num_hidden_layers) * (2 * text_linear * L + 2 * heads * L * L);
  flops.head = 2 * width * d(config.num_labels);
  return flops;
}

int64_t parameter_count(const model::ModelConfig& config) {
  int64_t parameters = 0;
  for (const auto& unit : model::make_units(config))
    for (const auto& parameter : unit.parameters) parameters += c10::multiply_integers(parameter.shape);
  return parameters;
}

Scheme scheme_of(const TrainConfig& config, const SchemeRequest& request) {
  const bool large = request.parameters >= kLargeModel, alone = request.ranks == 1;
  const int64_t slots = (config.train.batch + config.train.micro_batch - 1) / config.train.micro_batch;
  Scheme scheme{.ranks = request.ranks, .micro_batches = (slots + request.ranks - 1) / request.ranks, .micro_batch = config.train.micro_batch,
                .threads = request.threads, .weight_bytes = request.weight_bytes, .gradient_bytes = std::max<int64_t>(4, request.weight_bytes),
                .keep_weights = alone || config.dist.reshard != "free", .ordered = config.dist.order == "auto" ? !request.gpu : config.dist.order == "ordered"};
  // In order, a rank that sums once a step holds a whole gradient for each level of the tree.
  const bool each = config.dist.reduce == "micro" || (config.dist.reduce == "auto" && (config.dist.reshard == "free" || (large && scheme.ordered)));
  scheme.reduce_each = each && !alone;
  scheme.recompute = config.train.recompute == "auto" ? large || !scheme.keep_weights : config.train.recompute == "always";
  // Not of the ranks: the order of sums is that of one alone.
  if (config.dist.balance == "auto" ? large : config.dist.balance == "always") scheme.balance_group = each ? kComputedTogether : 1;
  if (config.balance.strategy == "pcgrad" && !uses_sketch(config.balance, request.parameters, request.ranks)) scheme.objectives = request.dimensions;
  return scheme;
}

double traffic_bytes(int64_t parameters, const Scheme& scheme) {
  const auto d = [](int64_t x) { return static_cast<double>(x); };
  const double micro_batches = d(scheme.micro_batches);
  const double sums = d(scheme.objectives * scheme.gradient_bytes) * (scheme.reduce_each ? micro_batches : 1.0);
  const double fetches = scheme.keep_weights ? 1.0 : micro_batches * (scheme.recompute ? 2.0 : 1.0);
  return (sums + d(scheme.weight_bytes) * fetches) * d(parameters) * d(scheme.ranks - 1) / d(scheme.ranks);
}

}  // namespace mvrm::train
