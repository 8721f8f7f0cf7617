// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fidelity.h"
#include "tests/support/golden.h"
#include "tests/support/mistral.h"
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

std::map<std::string, int64_t> added_of(const Json& golden) { return golden.at("added").get<std::map<std::string, int64_t>>(); }

// Every string and every processor expansion of the golden file in both prefix modes.
void expect_golden(const std::filesystem::path& model, const Json& golden, const std::string& title) {
  mvrm::test::Fidelity fidelity("tokenizer, " + title, 0);
  const auto ids_of = [](const Json& entry) { return entry.at("ids").get<std::vector<int64_t>>(); };
  for (const auto& [name, cases] : golden.at("modes").items()) {
    const Tokenizer tokenizer(model, added_of(golden), name == "first_only" ? PrefixMode::first_only : PrefixMode::per_segment);
    for (const auto& entry : cases.at("encode")) {
      const auto ids = tokenizer.encode(entry.at("text").get<std::string>());
      fidelity.add(name + ", strings with other ids", ids == ids_of(entry) ? 0 : 1, entry.at("text").dump());
    }
    for (const auto& entry : cases.at("processor")) {
      const mvrm::text::ProcessorConfig config{.image_seq_len = entry.at("image_seq_len"), .do_image_splitting = entry.at("do_image_splitting")};
      const auto ids = tokenizer.encode(mvrm::text::expand_images(entry.at("text"), config));
      fidelity.add(name + ", expanded prompts with other ids", ids == ids_of(entry) ? 0 : 1, entry.at("text").dump());
    }
  }
  EXPECT_GE(fidelity.count(), 2 * (22 + 15));
  const Tokenizer plain(model, {}, PrefixMode::per_segment);   // SentencePiece alone, and the begin-of-text id
  for (const auto& entry : golden.at("sp_plain")) {
    const std::string text = entry.at("text");
    if (text.find("<unk>") != std::string::npos || text.find("<s>") != std::string::npos || text.find("</s>") != std::string::npos) continue;
    auto ids = ids_of(entry);
    ids.insert(ids.begin(), 1);
    EXPECT_EQ(plain.encode(text), ids) << text;
  }
}

TEST(Tokenizer, TinyVocabularyGivesTheGoldenIds) {
  MVRM_NEEDS_GOLDEN("tokenizer.json");
  expect_golden(mvrm::test::golden_file("tiny_tokenizer.model"), mvrm::test::golden_json("tokenizer.json").at("tiny"), "small vocabulary");
}

#define MVRM_NEEDS_MISTRAL()             \
  if (mvrm::test::mistral_model().empty()) \
  GTEST_SKIP() << "mistral-common's tokenizer.model.v1 is not there: scripts/setup.sh installs it, MVRM_MISTRAL_TOKENIZER names another copy"

TEST(Tokenizer, MistralVocabularyGivesTheGoldenIds) {
  MVRM_NEEDS_GOLDEN("tokenizer.json");
  MVRM_NEEDS_MISTRAL();
  const Json golden = mvrm::test::golden_json("tokenizer.json");
  if (!golden.contains("mistral_v1")) GTEST_SKIP() << "this set of reference data was made without Mistral's vocabulary";
  expect_golden(mvrm::test::mistral_model(), golden.at("mistral_v1"), "Mistral's vocabulary");
}

TEST(Prompt, VideoScoreTemplateIsThePublishedOne) {
  EXPECT_EQ(mvrm::core::sha256_hex(mvrm::text::videoscore_template().text), "49b386d9ea3003760c983cc258cf4211faf858d58191f95fcfacdf68a8fed2c0");
}

TEST(Prompt, SixteenFramesGiveTheGoldenIds) {
  MVRM_NEEDS_MISTRAL();
  const Tokenizer tokenizer(mvrm::test::mistral_model(), {{"<fake_token_around_image>", 32000}, {"<image>", 32001}, {"<end_of_utterance>", 32002}},
                            PrefixMode::per_segment);
  const std::string text = mvrm::text::add_image_placeholders(mvrm::text::fill(mvrm::text::videoscore_template(), "a cute dog is playing a ball"), 16);
  const auto ids = tokenizer.encode(mvrm::text::expand_images(text, {}));
  std::string joined;
  for (const int64_t id : ids) joined += (joined.empty() ? "" : ",") + std::to_string(id);
  mvrm::test::Fidelity fidelity("prompt of 16 frames, 1,384 ids by SHA-256", 0);
  fidelity.add("hash differs", mvrm::core::sha256_hex(joined) == "074a210d442f2315d76ce199e00697da05a75c3372c2add551b2a01f7e8d8d4e" ? 0 : 1, joined);
  EXPECT_EQ(ids.size(), 1384U);
  EXPECT_EQ(ids.back(), 259) << "the pooled token is the space behind the last image";
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
  std::filesystem::copy_file(mvrm::test::committed_golden_file("tiny_tokenizer.model"), scratch.path / "tokenizer.model", std::filesystem::copy_options::overwrite_existing);
  EXPECT_NO_THROW(Tokenizer::load(scratch.path));
  std::ofstream(scratch.path / "added_tokens.json") << R"({"<image>": 5})";
  EXPECT_THROW(Tokenizer::load(scratch.path), mvrm::core::Error) << "an added id inside the vocabulary";
  std::ofstream(scratch.path / "added_tokens.json") << "[1, 2";
  EXPECT_THROW(Tokenizer::load(scratch.path), mvrm::core::Error);
}

}  // namespace
