// SPDX-License-Identifier: Apache-2.0
// The string is cut at added tokens; each segment between them is one SentencePiece encoding. Two processors over the same vocabulary:
// with the dummy prefix, and without it for segments that follow an added token in first_only mode.
#include <algorithm>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/text/tokenizer.h>
#include <nlohmann/json.hpp>
#include <sentencepiece_processor.h>

namespace mvrm::text {

namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

constexpr const char* kSpace = "\xE2\x96\x81";   // "▁", U+2581
constexpr uint64_t kMaxFileBytes = 64 << 20;

Json read_json(const fs::path& path) {
  const Json object = Json::parse(core::read_file(path, kMaxFileBytes), nullptr, false);
  if (!object.is_object()) throw core::model_error(path.string() + ": is not a JSON object");
  return object;
}

void add_token(std::map<std::string, int64_t>& added, const std::string& text, const Json& id, const fs::path& path) {
  if (text.empty() || !id.is_number_integer() || id.get<int64_t>() < 0) throw core::model_error(path.string() + ": bad added token '" + text + "'");
  const auto [entry, fresh] = added.emplace(text, id.get<int64_t>());
  if (!fresh && entry->second != id.get<int64_t>()) throw core::model_error(path.string() + ": added token '" + text + "' has two ids");
}

std::map<std::string, int64_t> read_added_tokens(const fs::path& model_dir) {
  std::map<std::string, int64_t> added;
  if (const auto path = model_dir / "added_tokens.json"; fs::exists(path)) {
    const Json tokens = read_json(path);
    for (const auto& [text, id] : tokens.items()) add_token(added, text, id, path);
  }
  const auto path = model_dir / "tokenizer_config.json";
  if (!fs::exists(path)) return added;
  const Json config = read_json(path);
  if (!config.contains("added_tokens_decoder") || !config["added_tokens_decoder"].is_object()) return added;
  for (const auto& [id, token] : config["added_tokens_decoder"].items()) {
    const bool number = !id.empty() && id.size() < 10 && std::all_of(id.begin(), id.end(), [](unsigned char c) { return c >= '0' && c <= '9'; });
    if (!number || !token.is_object() || !token.contains("content") || !token["content"].is_string()) {
      throw core::model_error(path.string() + ": added_tokens_decoder has a bad entry '" + id + "'");
    }
    add_token(added, token["content"].get<std::string>(), std::stoll(id), path);
  }
  return added;
}

// The rule of spec/idefics2.md 6: Metaspace with prepend_scheme "first" is first_only, everything else per_segment.
PrefixMode read_prefix_mode(const fs::path& model_dir) {
  const auto path = model_dir / "tokenizer.json";
  if (!fs::exists(path)) return PrefixMode::per_segment;
  const Json document = read_json(path);
  const Json pre = document.value("pre_tokenizer", Json());
  const bool first = pre.is_object() && pre.value("type", "") == "Metaspace" && pre.value("prepend_scheme", "") == "first";
  return first ? PrefixMode::first_only : PrefixMode::per_segment;
}

}  // namespace

struct Tokenizer::Impl {
  sentencepiece::SentencePieceProcessor processor;
  std::map<std::string, int64_t> added;                       // incl. <unk>, <s>, </s>
  std::vector<std::pair<std::string, int64_t>> by_length;     // longest first
  PrefixMode mode = PrefixMode::per_segment;
  int64_t vocabulary_size = 0;

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
    if (prefix) {
      processor.Encode(segment, &pieces).IgnoreError();
      ids.insert(ids.end(), pieces.begin(), pieces.end());
      return;
    }
    // The processor always puts its dummy prefix in front. A line feed before the segment takes the prefix instead: "▁" and "\n" never
    // merge with what follows, so exactly the pieces up to and including the line feed are dropped.
    const std::string guarded = "\n" + std::string(segment);
    processor.Encode(guarded, &pieces).IgnoreError();
    std::vector<int> guard;
    processor.Encode("\n", &guard).IgnoreError();
    ids.insert(ids.end(), pieces.begin() + static_cast<std::ptrdiff_t>(std::min(guard.size(), pieces.size())), pieces.end());
  }
};

Tokenizer::Tokenizer(const fs::path& sentencepiece_model, std::map<std::string, int64_t> added, PrefixMode mode) {
  auto impl = std::make_shared<Impl>();
  if (!fs::is_regular_file(sentencepiece_model)) throw core::model_error(sentencepiece_model.string() + ": not found; the model needs its SentencePiece file");
  const std::string bytes = core::read_file(sentencepiece_model, kMaxFileBytes);
  const auto status = impl->processor.LoadFromSerializedProto(bytes);
  if (!status.ok() || impl->processor.GetPieceSize() < 1) throw core::model_error(sentencepiece_model.string() + ": is not a SentencePiece model");
  const int64_t pieces = impl->processor.GetPieceSize();
  for (const int id : {impl->processor.unk_id(), impl->processor.bos_id(), impl->processor.eos_id()}) {
    if (id >= 0) added.emplace(impl->processor.IdToPiece(id), id);
  }
  impl->vocabulary_size = pieces;
  for (const auto& [text, id] : added) {
    if (id < pieces && impl->processor.IdToPiece(static_cast<int>(id)) != text) {
      throw core::model_error(sentencepiece_model.string() + ": added token '" + text + "' has id " + std::to_string(id) + ", which is the piece '" +
                              impl->processor.IdToPiece(static_cast<int>(id)) + "'");
    }
    impl->vocabulary_size = std::max(impl->vocabulary_size, id + 1);
    impl->by_length.emplace_back(text, id);
  }
  std::stable_sort(impl->by_length.begin(), impl->by_length.end(), [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
  impl->added = std::move(added);
  impl->mode = mode;
  impl_ = std::move(impl);
}

Tokenizer Tokenizer::load(const fs::path& model_dir) {
  return Tokenizer(model_dir / "tokenizer.model", read_added_tokens(model_dir), read_prefix_mode(model_dir));
}

std::vector<int64_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int64_t> ids;
  if (impl_->processor.bos_id() >= 0) ids.push_back(impl_->processor.bos_id());
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
