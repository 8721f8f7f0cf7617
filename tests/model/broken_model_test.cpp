// SPDX-License-Identifier: Apache-2.0
// A model directory in which one file is broken, in many ways: always an Error (model) of one line that names the file and the cause, and
// never more than 64 MiB of memory. scripts/test_asan.sh runs this under the sanitizers.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <nlohmann/json.hpp>
#include <ostream>

#include "tests/support/memory.h"
#include "tests/support/program.h"
#include "tests/support/tiny_model_dir.h"

namespace mvrm::model {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Broken {
  const char* name;
  const char* file;                             // the broken file, which the message names
  std::function<void(const fs::path&)> spoil;   // gets the model directory
  std::string cause;                            // a part of the message
};
void PrintTo(const Broken& broken, std::ostream* out) { *out << broken.name; }

using Spoil = std::function<void(const fs::path&)>;

Spoil content(const std::string& file, const std::string& text) {
  return [=](const fs::path& dir) { std::ofstream(dir / file, std::ios::binary) << text; };
}
std::string repeated(const std::string& text, size_t count) {
  std::string result;
  for (size_t i = 0; i < count; ++i) result += text;
  return result;
}
std::string with_length(uint64_t length, const std::string& rest) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(length >> (8 * i)));
  return bytes + rest;
}
Spoil weights(const std::string& header, size_t body_bytes) {
  return content("model.safetensors", with_length(header.size(), header + std::string(body_bytes, '\0')));
}
// One tensor "x" with these fields and 4 bytes of data.
Spoil tensor(const std::string& fields) { return weights("{\"x\":{" + fields + "}}", 4); }
// Bytes [from, from + text) of a file replaced, or the file cut.
Spoil overwrite(const std::string& file, size_t from, const std::string& text) {
  return [=](const fs::path& dir) {
    std::string bytes = test::slurp(dir / file);
    bytes.replace(from, text.size(), text);
    std::ofstream(dir / file, std::ios::binary) << bytes;
  };
}
Spoil cut(const std::string& file, double share) {
  return [=](const fs::path& dir) { fs::resize_file(dir / file, static_cast<uintmax_t>(static_cast<double>(fs::file_size(dir / file)) * share)); };
}
// The value at a JSON pointer of config.json replaced.
Spoil config(const std::string& pointer, const json& value) {
  return [=](const fs::path& dir) {
    json tree = json::parse(test::slurp(dir / "config.json"));
    tree[json::json_pointer(pointer)] = value;
    std::ofstream(dir / "config.json") << tree.dump();
  };
}
// The weights in three shards; `edit` may spoil the index.
Spoil shards(const std::function<void(json&)>& edit) {
  return [=](const fs::path& dir) {
    const RewardModel model = test::tiny_model_for_text();
    uint64_t total = 0;
    for (const auto& unit : model.parameters)
      for (const auto& parameter : unit) total += static_cast<uint64_t>(parameter.numel()) * 4;
    save_reward_model(dir, model, {}, total * 2 / 3);
    json index = json::parse(test::slurp(dir / "model.safetensors.index.json"));
    edit(index);
    std::ofstream(dir / "model.safetensors.index.json") << index.dump();
  };
}
Spoil without(const std::string& file) {
  return [=](const fs::path& dir) { fs::remove(dir / file); };
}
Spoil link_to_itself(const std::string& file) {
  return [=](const fs::path& dir) {
    fs::remove(dir / file);
    fs::create_symlink(file, dir / file);
  };
}
Spoil folder_instead(const std::string& file) {
  return [=](const fs::path& dir) {
    fs::remove(dir / file);
    fs::create_directory(dir / file);
  };
}
// `count` keys, each with `value`.
std::string keys(size_t count, const std::string& value) {
  std::string text = "{";
  for (size_t i = 0; i < count; ++i) text += (i ? ",\"model.layers." : "\"model.layers.") + std::to_string(1'000'000 + i) + ".weight\":" + value;
  return text + "}";
}
// A SentencePiece model of `count` pieces of one byte each.
std::string pieces(size_t count) { return repeated(std::string("\x0a\x03\x0a\x01" "a", 5), count); }

const std::string kWeights = "model.safetensors", kIndexFile = "model.safetensors.index.json", kGood = R"("dtype":"F32","shape":[1],"data_offsets":[0,4])";

const Broken kBroken[] = {
    {"WeightsEmpty", "model.safetensors", content(kWeights, ""), "too few"},
    {"WeightsCutInTheLength", "model.safetensors", content(kWeights, "\x10\0\0"), "too few"},
    {"WeightsCutInTheHeader", "model.safetensors", cut(kWeights, 0.02), "beyond the end of the file"},
    {"WeightsCutInTheData", "model.safetensors", cut(kWeights, 0.7), "truncated"},
    {"WeightsCutByAByte", "model.safetensors", cut(kWeights, 0.99999), "truncated"},
    {"HeaderLengthTwoTo63", "model.safetensors", overwrite(kWeights, 0, std::string("\0\0\0\0\0\0\0\x80", 8)), "is above"},
    {"HeaderLengthAllOnes", "model.safetensors", overwrite(kWeights, 0, std::string(8, '\xff')), "is above"},
    {"HeaderLengthZero", "model.safetensors", overwrite(kWeights, 0, std::string(8, '\0')), "not a JSON object"},
    {"HeaderNotJson", "model.safetensors", overwrite(kWeights, 9, "@@@@"), "not JSON"},
    {"HeaderNotUtf8", "model.safetensors", weights("{\"\xff\":{" + kGood + "}}", 4), "not JSON"},
    {"HeaderManyOpenBrackets", "model.safetensors", weights("{\"x\":" + repeated("[", 1'000'000), 0), "nests deeper"},
    {"HeaderOfSpaces", "model.safetensors", weights(std::string(15'000'000, ' '), 0), "not a JSON object"},
    {"HeaderManyValues", "model.safetensors", weights("{\"__metadata__\":{\"a\":[" + repeated("0,", 4'000'000) + "0]}}", 0), "more than 3200000 values"},
    {"OverlappingTensors", "model.safetensors",
     weights("{\"x\":{" + kGood + R"(},"y":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})", 6), "overlaps"},
    {"GapBetweenTensors", "model.safetensors",
     weights("{\"x\":{" + kGood + R"(},"y":{"dtype":"F32","shape":[1],"data_offsets":[6,10]}})", 10), "a gap of 2 bytes"},
    {"BytesBehindTheLastTensor", "model.safetensors", weights("{\"x\":{" + kGood + "}}", 9), "trailing bytes"},
    {"WrongDtypeSize", "model.safetensors", tensor(R"("dtype":"F64","shape":[1],"data_offsets":[0,4])"), "need 8 bytes"},
    {"UnknownDtype", "model.safetensors", tensor(R"("dtype":"F8_E4M3X","shape":[4],"data_offsets":[0,4])"), "unsupported dtype"},
    {"DuplicateTensor", "model.safetensors", weights("{\"x\":{" + kGood + "},\"x\":{" + kGood + "}}", 4), "duplicate key 'x'"},
    {"NanInShape", "model.safetensors", tensor(R"("dtype":"F32","shape":[NaN],"data_offsets":[0,4])"), "not JSON"},
    {"NullInShape", "model.safetensors", tensor(R"("dtype":"F32","shape":[null],"data_offsets":[0,4])"), "non-negative integer"},
    {"NegativeShape", "model.safetensors", tensor(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), "non-negative integer"},
    {"ShapeOverflows", "model.safetensors", tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4])"), "overflows"},
    {"OffsetsBackwards", "model.safetensors", tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), "begin after their end"},
    {"NoOffsets", "model.safetensors", tensor(R"("dtype":"F32","shape":[1])"), "has no 'data_offsets'"},
    {"AnotherModelsWeights", "", weights("{\"x\":{" + kGood + "}}", 4), "missing: model.vision_model.embeddings"},
    {"WeightsOfAHundredThousandTensors", "", weights(keys(100'000, R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})"), 0), "100000 unexpected"},
    {"WeightsOfTooManyTensors", "model.safetensors", weights(keys(100'001, R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})"), 0), "more than 100000"},
    {"WeightsAreAFolder", "model.safetensors", folder_instead(kWeights), "not a regular file"},
    {"WeightsLinkToThemselves", "model.safetensors", link_to_itself(kWeights), "can't open"},
    {"NoWeights", "", without(kWeights), "no weights"},

    {"IndexNamesAMissingShard", "model.safetensors.index.json", shards([](json& i) { i["weight_map"]["score.bias"] = "model-00007-of-00003.safetensors"; }),
     "is missing"},
    {"IndexNamesAnAbsolutePath", "model.safetensors.index.json", shards([](json& i) { i["weight_map"]["score.bias"] = "/etc/passwd"; }), "same folder"},
    {"IndexNamesAParentPath", "model.safetensors.index.json", shards([](json& i) { i["weight_map"]["score.bias"] = "../model.safetensors"; }), "same folder"},
    {"IndexNamesDots", "model.safetensors.index.json", shards([](json& i) { i["weight_map"]["score.bias"] = ".."; }), "same folder"},
    {"IndexNamesItself", "model-00003-of-00003.safetensors", shards([](json& i) { i["weight_map"]["score.bias"] = kIndexFile; }),
     "belongs to model.safetensors.index.json"},
    {"IndexNamesNothing", "model.safetensors.index.json", shards([](json& i) { i["weight_map"]["score.bias"] = ""; }), "same folder"},
    {"IndexNamesANumber", "model.safetensors.index.json", shards([](json& i) { i["weight_map"]["score.bias"] = 7; }), "same folder"},
    {"IndexNamesNull", "model.safetensors.index.json", shards([](json& i) { i["weight_map"]["score.bias"] = nullptr; }), "same folder"},
    {"IndexWithAnExtraTensor", "model.safetensors.index.json",
     shards([](json& i) { i["weight_map"]["extra"] = i["weight_map"]["score.bias"]; }), "extra isn't in"},
    {"IndexWithoutATensor", "model-00003-of-00003.safetensors", shards([](json& i) { i["weight_map"].erase("score.bias"); }), "isn't listed"},
    {"IndexWithoutAMap", "model.safetensors.index.json", shards([](json& i) { i.erase("weight_map"); }), "must map tensor names"},
    {"IndexMapIsAList", "model.safetensors.index.json", shards([](json& i) { i["weight_map"] = json::array({1, 2}); }), "must map tensor names"},
    {"IndexMapIsEmpty", "model.safetensors.index.json", shards([](json& i) { i["weight_map"] = json::object(); }), "must map tensor names"},
    {"IndexNotJson", "model.safetensors.index.json",
     [](const fs::path& dir) { shards([](json&) {})(dir), content(kIndexFile, "{\"weight_map\":")(dir); }, "not JSON"},
    {"IndexOfABillionBrackets", "model.safetensors.index.json",
     [](const fs::path& dir) { shards([](json&) {})(dir), content(kIndexFile, repeated("[", 10'000'000))(dir); }, "nests deeper"},
    {"IndexOfAHundredThousandTensors", "model.safetensors.index.json",
     [](const fs::path& dir) { fs::remove(dir / kWeights), content(kIndexFile, "{\"weight_map\":" + keys(100'000, "\"a.safetensors\"") + "}")(dir); },
     "a.safetensors is missing"},
    {"IndexTooLarge", "model.safetensors.index.json",
     [](const fs::path& dir) { shards([](json&) {})(dir), content(kIndexFile, "{")(dir), fs::resize_file(dir / kIndexFile, uint64_t{1} << 33); }, "larger than"},
    {"ShardCut", "model-00001-of-00003.safetensors",
     [](const fs::path& dir) { shards([](json&) {})(dir), cut("model-00001-of-00003.safetensors", 0.9)(dir); }, "truncated"},

    {"NoConfig", "config.json", without("config.json"), "no such file"},
    {"ConfigEmpty", "config.json", content("config.json", ""), "not JSON"},
    {"ConfigCut", "config.json", cut("config.json", 0.5), "not JSON"},
    {"ConfigIsAList", "config.json", content("config.json", "[]"), "must be a JSON object"},
    {"ConfigOfNul", "config.json", content("config.json", std::string(1000, '\0')), "NUL"},
    {"ConfigDeep", "config.json", content("config.json", "{\"a\":" + repeated("[", 200'000) + repeated("]", 200'000) + "}"), "nests deeper"},
    {"ConfigWide", "config.json", content("config.json", "{\"a\":[" + repeated("{},", 300'000) + "{}]}"), "more than 100000 values"},
    {"ConfigDuplicateKey", "config.json", content("config.json", R"({"model_type":"idefics2","model_type":"llama"})"), "duplicate key 'model_type'"},
    {"ConfigLinksToItself", "config.json", link_to_itself("config.json"), "can't"},
    {"ConfigIsAFolder", "config.json", folder_instead("config.json"), "not a regular file"},
    {"ConfigAnotherModel", "config.json", config("/model_type", "llama"), "model_type"},
    {"ConfigNullSize", "config.json", config("/text_config/hidden_size", nullptr), "text_config.hidden_size: must be an integer, got null"},
    {"ConfigTextForANumber", "config.json", config("/text_config/hidden_size", "4096"), "must be an integer"},
    {"ConfigRefersToItself", "config.json", config("/text_config", "#/text_config"), "text_config: must be an object"},
    {"ConfigSectionIsNullInside", "config.json", config("/vision_config", {{"hidden_size", nullptr}}), "vision_config.hidden_size"},
    {"ConfigHugeVocabulary", "config.json", config("/text_config/vocab_size", 1e300), "vocab_size"},
    {"ConfigSixteenMillionLayers", "config.json", config("/text_config/num_hidden_layers", 16'000'000), "must lie in 1..1024"},
    {"ConfigOtherSizes", "", config("/text_config/vocab_size", 16'000'000), "model.text_model.embed_tokens.weight is [704, 16]"},
    {"ConfigZeroHeads", "config.json", config("/text_config/num_attention_heads", 0), "num_attention_heads"},
    {"ConfigInfiniteEps", "config.json", config("/text_config/rms_norm_eps", -1.0), "rms_norm_eps"},
    {"ConfigImageTokenOutside", "config.json", config("/image_token_id", 704), "image_token_id"},
    {"ConfigLabelsOutOfOrder", "config.json", config("/id2label", {{"0", "a"}, {"2", "b"}}), "id2label"},
    {"ConfigNullLabel", "config.json", config("/id2label", {{"0", nullptr}}), "id2label.0"},

    {"NoTokenizer", "tokenizer.model", without("tokenizer.model"), "not found"},
    {"TokenizerEmpty", "tokenizer.model", content("tokenizer.model", ""), "no pieces"},
    {"TokenizerIsText", "tokenizer.model", content("tokenizer.model", "this is not a model"), "is not a SentencePiece model"},
    {"TokenizerCut", "tokenizer.model", cut("tokenizer.model", 0.5), "cut or malformed"},
    {"TokenizerOfZeros", "tokenizer.model", content("tokenizer.model", std::string(100'000, '\0')), "is not a SentencePiece model"},
    {"TokenizerTooManyPieces", "tokenizer.model", content("tokenizer.model", pieces(140'000)), "more than 131072 pieces"},
    {"TokenizerSamePieceTwice", "tokenizer.model", content("tokenizer.model", pieces(3)), "is not a SentencePiece model"},
    {"TokenizerLengthBeyondTheEnd", "tokenizer.model", content("tokenizer.model", std::string("\x0a\xff\xff\xff\xff\x0f", 6)), "cut or malformed"},
    {"TokenizerEndlessVarint", "tokenizer.model", content("tokenizer.model", std::string(20, '\xff')), "cut or malformed"},
    {"TokenizerTooLarge", "tokenizer.model", [](const fs::path& dir) { fs::resize_file(dir / "tokenizer.model", uint64_t{1} << 33); }, "larger than"},
    {"TokenizerWithACharacterTable", "tokenizer.model",
     [](const fs::path& dir) {
       std::ofstream(dir / "tokenizer.model", std::ios::binary | std::ios::app) << std::string("\x1a\x06\x12\x04\xff\xff\xff\x7f", 8);
     },
     "normalises text by a table"},
    {"AddedTokenInsideTheVocabulary", "tokenizer.model", content("added_tokens.json", R"({"<image>": 5})"), "which is the piece"},
    {"AddedTokenNegative", "tokenizer.model", content("added_tokens.json", R"({"<image>": -3})"), "has id -3"},
    {"AddedTokenWithoutAnId", "added_tokens.json", content("added_tokens.json", R"({"<image>": null})"), "bad added token"},
    {"AddedTokenWithTwoIds", "tokenizer_config.json",
     content("tokenizer_config.json", R"({"added_tokens_decoder": {"800": {"content": "<image>"}}})"), "has two ids"},
    {"AddedTokensNotJson", "added_tokens.json", content("added_tokens.json", "[1, 2"), "not JSON"},
    {"TokenizerConfigBadId", "tokenizer_config.json",
     content("tokenizer_config.json", R"({"added_tokens_decoder": {"-1": {"content": "<image>"}}})"), "bad entry '-1'"},
    {"TokenizerConfigNullContent", "tokenizer_config.json",
     content("tokenizer_config.json", R"({"added_tokens_decoder": {"701": {"content": null}}})"), "bad entry '701'"},
    {"TokenizerJsonDeep", "tokenizer.json", content("tokenizer.json", repeated("{\"a\":", 500'000)), "nests deeper"},
    {"TokenizerJsonWide", "tokenizer.json", content("tokenizer.json", "{\"a\":[" + repeated("[],", 3'000'000) + "[]]}"), "more than 400000 values"},
    {"TokenizerJsonTooLarge", "tokenizer.json", content("tokenizer.json", std::string(20'000'000, ' ')), "larger than"},

    {"PreprocessorMissing", "preprocessor_config.json", without("preprocessor_config.json"), "not there"},
    {"PreprocessorNotJson", "preprocessor_config.json", content("preprocessor_config.json", "{]"), "not JSON"},
    {"PreprocessorNullEdge", "preprocessor_config.json", content("preprocessor_config.json", R"({"size": {"shortest_edge": null}})"), "shortest_edge"},
    {"PreprocessorHugeEdge", "preprocessor_config.json",
     content("preprocessor_config.json", R"({"size": {"shortest_edge": 8, "longest_edge": 1000000}})"), "longest_edge"},
    {"PreprocessorZeroStd", "preprocessor_config.json", content("preprocessor_config.json", R"({"image_std": [0, 0, 0]})"), "image_std"},
    {"ProcessorNullLength", "processor_config.json", content("processor_config.json", R"({"image_seq_len": null})"), "image_seq_len"},
    {"ProcessorHugeLength", "processor_config.json", content("processor_config.json", R"({"image_seq_len": 1000000000})"), "image_seq_len"},
    {"TemplateWithoutAPlaceholder", "prompt_template.txt", content("prompt_template.txt", "score this"), "no placeholder"},
    {"TemplateTooLarge", "prompt_template.txt", content("prompt_template.txt", std::string(3'000'000, 'a')), "larger than"},
};

class BrokenModel : public testing::TestWithParam<Broken> {};

TEST_P(BrokenModel, IsRefusedInOneLine) {
  const test::Scratch scratch("broken_model");
  const fs::path dir = scratch.path / "model";
  test::write_tiny_model_dir(dir);
  GetParam().spoil(dir);
  std::string message;
  const int64_t extra = test::extra_bytes([&] {
    try {
      data::load_processor(dir, {});
      load_reward_model(dir, at::kFloat);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.status(), core::ExitStatus::model) << error.what();
      message = error.what();
    }
  });
  ASSERT_FALSE(message.empty()) << "accepted";
  const std::string file = GetParam().file;   // empty: the folder as a whole is at fault
  EXPECT_NE(message.find(file.empty() ? dir.string() + ": " : (dir / file).string()), std::string::npos) << message;
  EXPECT_NE(message.find(GetParam().cause), std::string::npos) << message;
  EXPECT_EQ(message.find_first_of(std::string("\n\r\0", 3)), std::string::npos) << message;
  EXPECT_LT(message.size(), 8000U) << message;
#ifndef __SANITIZE_ADDRESS__
  EXPECT_LT(extra, int64_t{64} << 20) << extra;
#else
  (void)extra;   // the sanitizer keeps freed memory
#endif
}

INSTANTIATE_TEST_SUITE_P(Model, BrokenModel, testing::ValuesIn(kBroken), [](const auto& broken) { return broken.param.name; });

TEST(BrokenModelCorpus, HoldsSixtyKindsAndMore) { EXPECT_GE(std::size(kBroken), 60U); }

TEST(BrokenModelCorpus, TheWholeDirectoryLoads) {
  const test::Scratch scratch("whole_model");
  test::write_tiny_model_dir(scratch.path);
  EXPECT_NO_THROW(data::load_processor(scratch.path, {}));
  EXPECT_NO_THROW(load_reward_model(scratch.path, at::kFloat));
}

// Any byte of the SentencePiece file may be wrong: an error, or a model that encodes without a crash.
TEST(BrokenModelCorpus, NoChangedTokenizerByteCrashes) {
  const test::Scratch scratch("tokenizer_bytes");
  const std::string whole = test::slurp(test::committed_golden_file("tiny_tokenizer.model"));
  for (size_t i = 0; i < whole.size(); i += i < 400 || i + 400 > whole.size() ? 3 : 61) {
    for (const char c : {'\0', '\x7f', '\xff'}) {
      std::string changed = whole;
      changed[i] = c;
      std::ofstream(scratch.path / "tokenizer.model", std::ios::binary) << changed;
      try {
        text::Tokenizer::load(scratch.path).encode("a red fox \xf0\x9f\x98\x80 runs");
      } catch (const core::Error&) {
      }
    }
  }
}

}  // namespace
}  // namespace mvrm::model
