// SPDX-License-Identifier: Apache-2.0
#include "tests/support/golden.h"
#include "tests/support/program.h"

#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/text/prompt.h>
#include <nlohmann/json.hpp>

namespace {

using mvrm::text::PrefixMode;
using mvrm::text::Tokenizer;
using Json = nlohmann::json;

Json golden_of(const std::string& vocabulary) { return Json::parse(mvrm::core::read_file(mvrm::test::golden_file("tokenizer.json"))).at(vocabulary); }

std::map<std::string, int64_t> added_of(const Json& golden) { return golden.at("added").get<std::map<std::string, int64_t>>(); }

// Every string and every processor expansion of the golden file in both prefix modes.
void expect_golden(const std::filesystem::path& model, const std::string& vocabulary) {
  const Json golden = golden_of(vocabulary);
  for (const auto& [name, cases] : golden.at("modes").items()) {
    const Tokenizer tokenizer(model, added_of(golden), name == "first_only" ? PrefixMode::first_only : PrefixMode::per_segment);
    for (const auto& entry : cases.at("encode")) {
      EXPECT_EQ(tokenizer.encode(entry.at("text").get<std::string>()), entry.at("ids").get<std::vector<int64_t>>()) << name << ": " << entry.at("text");
    }
    for (const auto& entry : cases.at("processor")) {
      const mvrm::text::ProcessorConfig config{.image_seq_len = entry.at("image_seq_len"), .do_image_splitting = entry.at("do_image_splitting")};
      const std::string expanded = mvrm::text::expand_images(entry.at("text"), config);
      EXPECT_EQ(tokenizer.encode(expanded), entry.at("ids").get<std::vector<int64_t>>()) << name << ": " << entry.at("text");
    }
  }
}

TEST(Tokenizer, TinyVocabularyGivesTheGoldenIds) { expect_golden(mvrm::test::golden_file("tiny_tokenizer.model"), "tiny"); }

std::filesystem::path mistral_model() {
  const char* path = std::getenv("MVRM_MISTRAL_TOKENIZER");
  return path != nullptr ? path : "";
}

TEST(Tokenizer, MistralVocabularyGivesTheGoldenIds) {
  if (mistral_model().empty()) GTEST_SKIP() << "MVRM_MISTRAL_TOKENIZER does not name mistral-common's tokenizer.model.v1";
  expect_golden(mistral_model(), "mistral_v1");
}

TEST(Prompt, VideoScoreTemplateIsThePublishedOne) {
  EXPECT_EQ(mvrm::core::sha256_hex(mvrm::text::videoscore_template().text), "49b386d9ea3003760c983cc258cf4211faf858d58191f95fcfacdf68a8fed2c0");
}

TEST(Prompt, SixteenFramesGiveTheGoldenIds) {
  if (mistral_model().empty()) GTEST_SKIP() << "MVRM_MISTRAL_TOKENIZER does not name mistral-common's tokenizer.model.v1";
  const Tokenizer tokenizer(mistral_model(), added_of(golden_of("mistral_v1")), PrefixMode::per_segment);
  const std::string text = mvrm::text::add_image_placeholders(mvrm::text::fill(mvrm::text::videoscore_template(), "a cute dog is playing a ball"), 16);
  const auto ids = tokenizer.encode(mvrm::text::expand_images(text, {}));
  std::string joined;
  for (const int64_t id : ids) joined += (joined.empty() ? "" : ",") + std::to_string(id);
  EXPECT_EQ(ids.size(), 1384U);
  EXPECT_EQ(ids.back(), 259) << "the pooled token is the space behind the last image";
  EXPECT_EQ(mvrm::core::sha256_hex(joined), "074a210d442f2315d76ce199e00697da05a75c3372c2add551b2a01f7e8d8d4e");
}

TEST(Prompt, PlaceholdersAreAddedUpToTheNumberOfFrames) {
  EXPECT_EQ(mvrm::text::add_image_placeholders("a<image>b", 3), "a<image>b<image> <image> ");
  EXPECT_THROW(mvrm::text::add_image_placeholders("<image><image>", 1), mvrm::core::DataError);
}

TEST(Prompt, AdjacentImagesShareAFakeToken) {
  const std::string fake = "<fake_token_around_image>";
  EXPECT_EQ(mvrm::text::expand_images("<image><image>", {.image_seq_len = 2}), fake + "<image><image>" + fake + "<image><image>" + fake);
}

TEST(Tokenizer, BadFilesAreModelErrors) {
  const mvrm::test::Scratch scratch("tokenizer");
  EXPECT_THROW(Tokenizer::load(scratch.path), mvrm::core::Error);
  std::ofstream(scratch.path / "tokenizer.model") << "this is not a model";
  EXPECT_THROW(Tokenizer::load(scratch.path), mvrm::core::Error);
  std::filesystem::copy_file(mvrm::test::golden_file("tiny_tokenizer.model"), scratch.path / "tokenizer.model", std::filesystem::copy_options::overwrite_existing);
  EXPECT_NO_THROW(Tokenizer::load(scratch.path));
  std::ofstream(scratch.path / "added_tokens.json") << R"({"<image>": 5})";
  EXPECT_THROW(Tokenizer::load(scratch.path), mvrm::core::Error) << "an added id inside the vocabulary";
  std::ofstream(scratch.path / "added_tokens.json") << "[1, 2";
  EXPECT_THROW(Tokenizer::load(scratch.path), mvrm::core::Error);
}

}  // namespace
