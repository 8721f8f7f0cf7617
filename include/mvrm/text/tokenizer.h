// SPDX-License-Identifier: Apache-2.0
// SentencePiece BPE with added special tokens, as Llama's tokenizer does it (spec/idefics2.md section 6). Truncation is the caller's.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mvrm::text {

// per_segment: every segment between added tokens gets the dummy prefix "▁" (VideoScore's checkpoint).
// first_only: only a segment at offset 0 that doesn't start with a space or "▁".
enum class PrefixMode { per_segment, first_only };

// Immutable after load, thread-safe.
class Tokenizer {
 public:
  // Reads tokenizer.model, added_tokens.json / tokenizer_config.json, and tokenizer.json for the prefix rule when there.
  // Throws Error (model) naming the file and the cause (missing, not SentencePiece, an added id inside the vocabulary with another piece …).
  static Tokenizer load(const std::filesystem::path& model_dir);
  Tokenizer(const std::filesystem::path& sentencepiece_model, std::map<std::string, int64_t> added, PrefixMode mode);
  // Ids with bos in front, no eos. `text` is UTF-8; invalid bytes become byte tokens or <unk> as SentencePiece does.
  std::vector<int64_t> encode(std::string_view text) const;
  int64_t vocabulary_size() const;                      // pieces + added tokens
  int64_t id_of(const std::string& added_token) const;  // throws Error (model) when it isn't an added token
  PrefixMode prefix_mode() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace mvrm::text
