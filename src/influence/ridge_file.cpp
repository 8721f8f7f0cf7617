// SPDX-License-Identifier: Apache-2.0
// ridge.safetensors: the groups of a refitted head, tensors named by the group's number, and a hash of all of them.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/safetensors.h>
#include <mvrm/influence/leverage.h>
#include <charconv>

#include "content_hash.h"

namespace mvrm::influence {

namespace fs = std::filesystem;

namespace {

std::string contents_of(const core::NamedTensors& tensors) {
  std::string text;
  for (const auto& [name, tensor] : tensors) text += name + content_hash(tensor);
  return core::sha256_hex(text);
}

core::NamedTensors tensors_of(const RidgeHead& head) {
  core::NamedTensors tensors;
  for (size_t g = 0; g < head.groups.size(); ++g) {
    const RidgeGroup& group = head.groups[g];
    const std::string prefix = std::to_string(g) + ".";
    tensors.insert(tensors.end(), {{prefix + "dimensions", at::tensor(at::ArrayRef<int64_t>(group.dimensions), at::kLong)}, {prefix + "rows", group.rows},
                                   {prefix + "mean", group.mean_D}, {prefix + "factor", group.factor_DD}, {prefix + "weight", group.weight_DG},
                                   {prefix + "label_mean", group.label_mean_G}, {prefix + "lambda", at::full({1}, group.lambda, at::kDouble)}});
    if (group.leverage_n.defined()) tensors.emplace_back(prefix + "leverage", group.leverage_n);
  }
  return tensors;
}

// The head, or why there is none.
struct Found {
  std::optional<RidgeHead> head;
  std::string why;
};
Found find_ridge(const fs::path& path, const std::string& key) {
  if (!fs::is_regular_file(path)) return {};
  try {
    const auto file = core::SafetensorsFile::open(path);
    const auto& metadata = file.metadata();
    if (!metadata.contains("key") || metadata.at("key") != key) return {.head = {}, .why = "belongs to other features, labels or penalty"};
    RidgeHead head{.dimensions = std::stoll(metadata.at("dimensions")), .groups = {}};
    for (int64_t g = 0; g < std::stoll(metadata.at("groups")); ++g) {
      const auto read = [&](const char* name) { return file.tensor(std::to_string(g) + "." + name); };
      const at::Tensor dimensions = read("dimensions").contiguous();
      head.groups.push_back({.dimensions = {dimensions.const_data_ptr<int64_t>(), dimensions.const_data_ptr<int64_t>() + dimensions.numel()},
                             .rows = read("rows"), .mean_D = read("mean"), .factor_DD = read("factor"), .weight_DG = read("weight"),
                             .label_mean_G = read("label_mean"), .leverage_n = {}, .lambda = read("lambda").item<double>()});
      if (file.find(std::to_string(g) + ".leverage") != nullptr) head.groups.back().leverage_n = read("leverage");
    }
    if (metadata.at("contents") != contents_of(tensors_of(head))) return {.head = {}, .why = "is damaged"};
    return {.head = std::move(head), .why = {}};
  } catch (const std::exception&) {
    return {.head = {}, .why = "is damaged"};   // a cache that can't be read is made anew
  }
}

}  // namespace

void save_ridge(const fs::path& path, const RidgeHead& head, const std::string& key) {
  const core::NamedTensors tensors = tensors_of(head);
  core::write_safetensors(path, tensors, {{"key", key}, {"contents", contents_of(tensors)}, {"dimensions", std::to_string(head.dimensions)},
                                          {"groups", std::to_string(head.groups.size())}});
}

std::optional<RidgeHead> load_ridge(const fs::path& path, const std::string& key) { return find_ridge(path, key).head; }

std::string ridge_key(const at::Tensor& feature_ND, const at::Tensor& label_NK, const RidgeOptions& options) {
  char lambda[32] = "auto";
  if (options.lambda) *std::to_chars(lambda, lambda + sizeof lambda - 1, *options.lambda).ptr = '\0';   // the shortest text that reads back equal
  return core::sha256_hex(content_hash(feature_ND) + content_hash(label_NK) + lambda);
}

RidgeHead kept_ridge(const fs::path& directory, const at::Tensor& feature_ND, const at::Tensor& label_NK, const RidgeOptions& options,
                     const core::Context& context) {
  const auto path = directory / "ridge.safetensors";
  const std::string key = ridge_key(feature_ND, label_NK, options);
  auto [found, why] = find_ridge(path, key);
  if (found) return std::move(*found);
  context.log.info((why.empty() ? "" : path.string() + ": " + why + "; ") + "fitting the head to " + std::to_string(feature_ND.size(0)) + " samples of " +
                   std::to_string(feature_ND.size(1)) + " features");
  RidgeHead head = fit_ridge(feature_ND, label_NK, {.lambda = options.lambda, .leverage = true});
  try {
    save_ridge(path, head, key);
  } catch (const core::Error& error) {
    context.log.warn(std::string("the fit is not kept: ") + error.what());
  }
  return head;
}

}  // namespace mvrm::influence
