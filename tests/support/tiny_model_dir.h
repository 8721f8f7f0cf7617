// SPDX-License-Identifier: Apache-2.0
// A whole model directory with random weights: what commands take as --model.
#pragma once
#include <filesystem>
#include <fstream>

#include "tests/support/tiny_dataset.h"

namespace mvrm::test {

// tiny_model_for_text() with its tokenizer; the prompt is the text itself, images are two tokens and 8 to 12 pixels a side.
inline void write_tiny_model_dir(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  model::save_reward_model(folder, tiny_model_for_text(), {});
  std::filesystem::copy_file(committed_golden_file("tiny_tokenizer.model"), folder / "tokenizer.model",
                             std::filesystem::copy_options::overwrite_existing);
  std::ofstream(folder / "added_tokens.json") << R"({"<fake_token_around_image>": 700, "<image>": 701, "<end_of_utterance>": 702})";
  std::ofstream(folder / "processor_config.json") << R"({"image_seq_len": 2})";
  std::ofstream(folder / "preprocessor_config.json") << R"({"size": {"shortest_edge": 8, "longest_edge": 12}, "do_image_splitting": false})";
  std::ofstream(folder / "prompt_template.txt") << "{text_prompt}";
}

}  // namespace mvrm::test
