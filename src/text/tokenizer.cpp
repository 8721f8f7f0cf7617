// SPDX-License-Identifier: Apache-2.0
// The string is cut at added tokens; each segment between them is one SentencePiece encoding. Two processors over the same vocabulary:
// with the dummy prefix, and in first_only mode a second one without it.
#include <algorithm>
#include <mvrm/core/error.h>
#include <mvrm/core/model_files.h>
#include <mvrm/text/tokenizer.h>
#include <nlohmann/json.hpp>
#include <sentencepiece_processor.h>

#include "sentencepiece_guard.h"

namespace mvrm::text {

namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

constexpr const char* kSpace = "\xE2\x96\x81";   // "▁", U+2581
constexpr uint64_t kMaxModelBytes = 8 << 20;                                       // Mistral's has 0.5 MB
constexpr core::JsonLimits kJsonLimits{.bytes = 12 << 20, .values = 400'000};      // tokenizer.json of 3.5 MB has 240,000 values
constexpr int64_t kMaxId = 1 << 24;
// ModelProto { normalizer_spec (3) { add_dummy_prefix (3): false } } on the wire. Put behind a model, it merges into its normaliser.
constexpr std::string_view kNoDummyPrefix("\x1A\x02\x18\x00", 4);

void add_token(std::map<std::string, int64_t>& added, const std::string& text, const Json& id, const fs::path& path) {
  if (text.empty() || !id.is_number_integer()) throw core::model_error(path.string() + ": bad added token '" + text + "'");
  const auto [entry, fresh] = added.emplace(text, id.get<int64_t>());
  if (!fresh && entry->second != id.get<int64_t>()) throw core::model_error(path.string() + ": added token '" + text + "' has two ids");
}

// A token that eats the spaces around it, or matches whole words only, would be cut out of the text by another rule.
void check_plain(const Json& token, const fs::path& path) {
  for (const char* flag : {"lstrip", "rstrip", "single_word"}) {
    if (!token.contains(flag) || token[flag] == false) continue;
    throw core::model_error(path.string() + ": added token " + token["content"].dump() + " sets " + flag + ", which is not supported");
  }
}

std::map<std::string, int64_t> read_added_tokens(const fs::path& model_dir) {
  std::map<std::string, int64_t> added;
  if (const auto path = model_dir / "added_tokens.json"; core::is_there(path)) {
    const Json tokens = core::read_model_json(path, kJsonLimits);
    for (const auto& [text, id] : tokens.items()) add_token(added, text, id, path);
  }
  const auto path = model_dir / "tokenizer_config.json";
  if (!core::is_there(path)) return added;
  const Json config = core::read_model_json(path, kJsonLimits);
  if (!config.contains("added_tokens_decoder") || !config["added_tokens_decoder"].is_object()) return added;
  for (const auto& [id, token] : config["added_tokens_decoder"].items()) {
    const bool number = !id.empty() && id.size() < 10 && std::all_of(id.begin(), id.end(), [](unsigned char c) { return c >= '0' && c <= '9'; });
    if (!number || !token.is_object() || !token.contains("content") || !token["content"].is_string()) {
      throw core::model_error(path.string() + ": added_tokens_decoder has a bad entry '" + id + "'");
    }
    check_plain(token, path);
    add_token(added, token["content"].get<std::string>(), std::stoll(id), path);
  }
  return added;
}

// `stage` itself, and the members of a Sequence, when it is one.
std::vector<Json> members_of(const Json& stage) {
  std::vector<Json> members;
  if (!stage.is_object()) return members;
  members.push_back(stage);
  for (const char* key : {"normalizers", "pretokenizers"}) {
    if (!stage.contains(key) || !stage[key].is_array()) continue;
    for (const auto& member : stage[key]) {
      if (member.is_object()) members.push_back(member);
    }
  }
  return members;
}

bool holds(const Json& object, const char* key, const char* value) { return object.contains(key) && object[key] == value; }

// The rule of spec/idefics2.md 6: a normalizer that prepends does so to every segment, whatever Metaspace adds behind it;
// Metaspace alone with prepend_scheme "first" looks at the start of the text only.
PrefixMode read_prefix_mode(const fs::path& model_dir) {
  const auto path = model_dir / "tokenizer.json";
  if (!core::is_there(path)) return PrefixMode::per_segment;
  const Json document = core::read_model_json(path, kJsonLimits);
  for (const auto& stage : members_of(document.value("normalizer", Json()))) {
    if (holds(stage, "type", "Prepend") && holds(stage, "prepend", kSpace)) return PrefixMode::per_segment;
  }
  for (const auto& stage : members_of(document.value("pre_tokenizer", Json()))) {
    if (!holds(stage, "type", "Metaspace")) continue;
    if (holds(stage, "prepend_scheme", "never")) throw core::model_error(path.string() + ": prepend_scheme 'never' is not supported");
    if (holds(stage, "prepend_scheme", "first")) return PrefixMode::first_only;
  }
  return PrefixMode::per_segment;
}

}  // namespace

struct Tokenizer::Impl {
  sentencepiece::SentencePieceProcessor processor;
  sentencepiece::SentencePieceProcessor without_prefix;       // loaded in first_only mode
  std::map<std::string, int64_t> added;                       // incl. <unk>, <s>, </s>
  std::vector<std::pair<std::string, int64_t>> by_length;     // longest first
  PrefixMode mode = PrefixMode::per_segment;
  int64_t vocabulary_size = 0;

  void load(const fs::path& path) {
    if (!core::is_there(path)) throw core::model_error(path.string() + ": not found; the model needs its SentencePiece file");
    const std::string bytes = core::read_model_file(path, kMaxModelBytes);
    check_sentencepiece(bytes, path);
    if (!processor.LoadFromSerializedProto(bytes).ok() || processor.GetPieceSize() < 1) {
      throw core::model_error(path.string() + ": is not a SentencePiece model");
    }
    if (processor.bos_id() < 0) throw core::model_error(path.string() + ": has no begin-of-text piece");
    if (mode == PrefixMode::first_only && !without_prefix.LoadFromSerializedProto(bytes + std::string(kNoDummyPrefix)).ok()) {
      throw core::model_error(path.string() + ": can't be loaded without its dummy prefix, which tokenizer.json asks for");
    }
  }

  void add(std::map<std::string, int64_t> tokens, const fs::path& path) {
    const int64_t pieces = processor.GetPieceSize();
    for (const int id : {processor.unk_id(), processor.bos_id(), processor.eos_id()}) {
      if (id >= 0) tokens.emplace(processor.IdToPiece(id), id);
    }
    vocabulary_size = pieces;
    for (const auto& [text, id] : tokens) {
      const std::string what = path.string() + ": added token '" + text + "' has id " + std::to_string(id);
      if (text.empty() || id < 0 || id > kMaxId) throw core::model_error(what + ", or no text");
      if (id < pieces && processor.IdToPiece(static_cast<int>(id)) != text) {
        throw core::model_error(what + ", which is the piece '" + processor.IdToPiece(static_cast<int>(id)) + "'");
      }
      vocabulary_size = std::max(vocabulary_size, id + 1);
      by_length.emplace_back(text, id);
    }
    std::stable_sort(by_length.begin(), by_length.end(), [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
    added = std::move(tokens);
  }

  // Bytes of the added token that starts at `position`, 0 when none does.
  size_t match(std::string_view text, size_t position, int64_t& id) const {
    for (const auto& [token, token_id] : by_length) {
      if (text.compare(position, token.size(), token) == 0) {
        id = token_id;
        return token.size();
      }
    }
    return 0;
  }

  void encode_segment(std::string_view segment, bool prefix, std::vector<int64_t>& ids) const {
    std::vector<int> pieces;
    const auto status = (prefix ? processor : without_prefix).Encode(segment, &pieces);
    MVRM_CHECK(status.ok(), "SentencePiece: ", status.ToString());
    ids.insert(ids.end(), pieces.begin(), pieces.end());
  }
};

Tokenizer::Tokenizer(const fs::path& sentencepiece_model, std::map<std::string, int64_t> added, PrefixMode mode) {
  auto impl = std::make_shared<Impl>();
  impl->mode = mode;
  impl->load(sentencepiece_model);
  impl->add(std::move(added), sentencepiece_model);
  impl_ = std::move(impl);
}

Tokenizer Tokenizer::load(const fs::path& model_dir) {
  return Tokenizer(model_dir / "tokenizer.model", read_added_tokens(model_dir), read_prefix_mode(model_dir));
}

std::vector<int64_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int64_t> ids{impl_->processor.bos_id()};
  size_t begin = 0;
  const auto flush = [&](size_t end) {
    if (end == begin) return;
    const std::string_view segment = text.substr(begin, end - begin);
    const bool spaced = segment.front() == ' ' || segment.rfind(kSpace, 0) == 0;
    impl_->encode_segment(segment, impl_->mode == PrefixMode::per_segment || (begin == 0 && !spaced), ids);
  };
  for (size_t position = 0; position < text.size();) {
    int64_t id = 0;
    const size_t length = impl_->match(text, position, id);
    if (length == 0) {
      ++position;
      continue;
    }
    flush(position);
    ids.push_back(id);
    position += length;
    begin = position;
  }
  flush(text.size());
  return ids;
}

int64_t Tokenizer::vocabulary_size() const { return impl_->vocabulary_size; }

int64_t Tokenizer::id_of(const std::string& added_token) const {
  const auto found = impl_->added.find(added_token);
  if (found == impl_->added.end()) throw core::model_error("the tokenizer has no added token '" + added_token + "'");
  return found->second;
}

PrefixMode Tokenizer::prefix_mode() const { return impl_->mode; }

}  // namespace mvrm::text
