// SPDX-License-Identifier: Apache-2.0
// N samples, K dimensions.
#include "truth.h"

#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/data/convert.h>
#include <mvrm/data/manifest.h>
#include <mvrm/eval/predictions.h>
#include <sstream>

namespace mvrm::experiment {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

TrueLabels read_true_labels(const fs::path& truth_file) {
  TrueLabels labels;
  std::istringstream lines(core::read_file(truth_file));
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    try {
      const Json row = Json::parse(line);
      labels.emplace(row.at("id").get<std::string>(), row.at("labels"));
    } catch (const Json::exception& cause) {
      throw core::DataError(truth_file.string() + ":" + std::to_string(number) + ": not a row with \"id\" and \"labels\": " + cause.what());
    }
  }
  return labels;
}

double true_label(const TrueLabels& labels, const std::string& id, const std::string& dimension) {
  const auto row = labels.find(id);
  if (row == labels.end() || !row->second.contains(dimension) || !row->second.at(dimension).is_number()) {
    throw core::DataError("truth file: sample '" + id + "' has no right label of '" + dimension + "'", id);
  }
  return row->second.at(dimension).get<double>();
}

void write_planted(const fs::path& source, const std::vector<std::string>& dimensions, refine::NoiseConfig noise, const fs::path& train_file,
                   const fs::path& truth_file) {
  fs::create_directories(train_file.parent_path());
  data::convert_data({source}, "mvrm", train_file);
  const at::Tensor label_NK = eval::labels_of(data::load_manifest(source, {.dimensions = dimensions}), dimensions);
  noise.levels = refine::levels_of(label_NK);
  const auto planted = refine::plant_noise(label_NK, noise);
  std::istringstream lines(core::read_file(train_file));
  std::string train, truth;
  int64_t n = 0;
  for (std::string line; std::getline(lines, line); ++n) {
    Json row = Json::parse(line), right = Json::object(), observed = Json::object(), corrupted = Json::object();
    for (size_t k = 0; k < dimensions.size(); ++k) {
      const auto at_k = static_cast<int64_t>(k);
      if (label_NK[n][at_k].isnan().item<bool>()) continue;
      right[dimensions[k]] = label_NK[n][at_k].item<double>();
      observed[dimensions[k]] = planted.label_NK[n][at_k].item<double>();
      corrupted[dimensions[k]] = planted.corrupted_NK[n][at_k].item<uint8_t>() != 0;
    }
    row["labels"] = observed;
    truth += Json{{"id", row.at("id")}, {"labels", right}, {"observed", observed}, {"corrupted", corrupted}}.dump() + "\n";
    train += row.dump() + "\n";
  }
  MVRM_CHECK(n == label_NK.size(0), source.string(), " has ", label_NK.size(0), " samples, its conversion ", n);
  core::write_file_atomic(truth_file, truth);
  core::write_file_atomic(train_file, train);
}

}  // namespace mvrm::experiment
