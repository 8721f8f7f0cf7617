// SPDX-License-Identifier: Apache-2.0
// ridge.safetensors: the groups of a refitted head, tensors named by the group's number.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/safetensors.h>
#include <mvrm/influence/leverage.h>

namespace mvrm::influence {

void save_ridge(const std::filesystem::path& path, const RidgeHead& head, const std::string& key) {
  core::NamedTensors tensors;
  for (size_t g = 0; g < head.groups.size(); ++g) {
    const RidgeGroup& group = head.groups[g];
    const std::string prefix = std::to_string(g) + ".";
    tensors.insert(tensors.end(), {{prefix + "dimensions", at::tensor(at::ArrayRef<int64_t>(group.dimensions), at::kLong)}, {prefix + "rows", group.rows},
                                   {prefix + "mean", group.mean_D}, {prefix + "factor", group.factor_DD}, {prefix + "weight", group.weight_DG},
                                   {prefix + "label_mean", group.label_mean_G}, {prefix + "lambda", at::full({1}, group.lambda, at::kDouble)}});
  }
  core::write_safetensors(path, tensors, {{"key", key}, {"dimensions", std::to_string(head.dimensions)}, {"groups", std::to_string(head.groups.size())}});
}

std::optional<RidgeHead> load_ridge(const std::filesystem::path& path, const std::string& key) {
  if (!std::filesystem::is_regular_file(path)) return std::nullopt;
  try {
    const auto file = core::SafetensorsFile::open(path);
    const auto& metadata = file.metadata();
    if (!metadata.contains("key") || metadata.at("key") != key) return std::nullopt;
    RidgeHead head{.dimensions = std::stoll(metadata.at("dimensions")), .groups = {}};
    for (int64_t g = 0; g < std::stoll(metadata.at("groups")); ++g) {
      const auto read = [&](const char* name) { return file.tensor(std::to_string(g) + "." + name); };
      const at::Tensor dimensions = read("dimensions").contiguous();
      head.groups.push_back({.dimensions = {dimensions.const_data_ptr<int64_t>(), dimensions.const_data_ptr<int64_t>() + dimensions.numel()},
                             .rows = read("rows"), .mean_D = read("mean"), .factor_DD = read("factor"), .weight_DG = read("weight"),
                             .label_mean_G = read("label_mean"), .lambda = read("lambda").item<double>()});
    }
    return head;
  } catch (const std::exception&) {
    return std::nullopt;   // a cache that can't be read is made anew
  }
}

}  // namespace mvrm::influence
