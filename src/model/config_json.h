// SPDX-License-Identifier: Apache-2.0
// config.json as a tree, for the writer that adds a dtype to it.
#pragma once
#include <mvrm/model/model_config.h>
#include <nlohmann/json.hpp>

namespace mvrm::model {

nlohmann::ordered_json config_tree(const ModelConfig& config);

}  // namespace mvrm::model
