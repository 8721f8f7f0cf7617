// SPDX-License-Identifier: Apache-2.0
// Parquet as people publish it, and Parquet that lies. The files are those of scripts/make_parquet_fixtures.py.
#include <mvrm/data/manifest.h>

#include <cmath>

#include "tests/data/data_files.h"
#include "tests/support/program.h"

namespace {

namespace fs = std::filesystem;
using mvrm::data::load_manifest;
using mvrm::data::Manifest;
using mvrm::test::message_of;
using mvrm::test::Scratch;

#define MVRM_NEEDS_PARQUET() \
  if (!mvrm::data::reads_parquet()) GTEST_SKIP() << "this build has no Parquet (MVRM_PARQUET)"

fs::path fixture(const std::string& name) { return fs::path(MVRM_SOURCE_DIR) / "tests" / "data" / "parquet" / (name + ".parquet"); }

TEST(Parquet, ReadsVideoFeedbackOverSeveralRowGroups) {
  MVRM_NEEDS_PARQUET();
  const Manifest manifest = load_manifest(fixture("annotated_train"));
  EXPECT_EQ(manifest.dimensions, mvrm::data::videofeedback_dimensions());
  ASSERT_EQ(manifest.samples.size(), 5U);
  EXPECT_EQ(manifest.samples[1].id, "1000231");
  EXPECT_EQ(manifest.samples[1].label_K, (std::vector<float>{1, 2, 3, 4, 1}));
  EXPECT_EQ(manifest.samples[4].line, 5);
  EXPECT_EQ(manifest.samples[0].images[1], fixture("").parent_path() / "7001917_01.jpg");
  EXPECT_TRUE(manifest.samples[0].prompt_is_complete);
  EXPECT_EQ(manifest.samples[0].prompt.substr(0, 8), "\nSuppose");
  EXPECT_EQ(manifest.hash.size(), 64U);
  EXPECT_EQ(load_manifest(fixture("real_test")).samples[0].label_K, std::vector<float>(5, 4.0F));
}

TEST(Parquet, ReadsTheBenchmarks) {
  MVRM_NEEDS_PARQUET();
  const Manifest crafter = load_manifest(fixture("bench_eval_crafter"));
  EXPECT_FLOAT_EQ(crafter.samples[0].label_K[0], 0.533F);
  EXPECT_TRUE(std::isnan(crafter.samples[0].label_K[2]));
  const Manifest genai = load_manifest(fixture("bench_genaibench"));
  EXPECT_EQ(genai.samples[0].id, "0000_left");
  EXPECT_EQ(genai.samples[0].preferences.at(0).value, 1.0);
  EXPECT_EQ(genai.samples[1].preferences.at(0).value, 0.0);
  const Manifest vbench = load_manifest(fixture("bench_vbench"));
  ASSERT_EQ(vbench.samples[0].preferences.size(), 3U);
  EXPECT_EQ(vbench.samples[0].preferences[1].over, "modelscope");
  EXPECT_EQ(vbench.samples[0].preferences[1].value, 1.0);
  EXPECT_EQ(vbench.samples[1].preferences.size(), 1U);  // null = not compared
  const Manifest pairs = load_manifest(fixture("genai_bench"));
  ASSERT_EQ(pairs.samples.size(), 4U);
  EXPECT_EQ(pairs.samples[3].id, "0001_right");
  EXPECT_EQ(pairs.samples[3].preferences[0].value, 0.5);
}

TEST(Parquet, ReadsMvrmsOwnRowsAndLeavesOutColumnsItCanNotHold) {
  MVRM_NEEDS_PARQUET();
  const Manifest manifest = load_manifest(fixture("own_rows"));
  EXPECT_EQ(manifest.dimensions, (std::vector<std::string>{"quality", "motion"}));
  EXPECT_EQ(manifest.samples[0].label_K[0], 3.5F);
  EXPECT_TRUE(std::isnan(manifest.samples[0].label_K[1]));
  EXPECT_EQ(manifest.samples[1].label_K[1], 2);
}

struct Bad {
  const char* name;
  const char* where;  // behind the path
  const char* cause;
};
const Bad kBad[] = {
    {"id_int64", ":1: ", "'id' is not a text"},
    {"images_of_ints", ":1: sample 'x0': ", "'images' holds something that is not a text"},
    {"images_binary", ": ", "column 'images' has type list<"},
    {"prompt_binary", ": ", "column 'prompt' has type binary, which a data file can't hold"},
    {"label_text", ":1: sample 'x0': ", "label of 'visual quality' is not a number: \"3\""},
    {"label_bool", ":1: sample 'x0': ", "label of 'visual quality' is not a number: true"},
    {"label_nan", ":2: sample 'x1': ", "label of 'visual quality' is not finite"},
    {"label_5", ":2: sample 'x1': ", "label of 'visual quality' is 5, outside 1.0..4.0"},
    {"labels_date", ": ", "column 'visual quality' has type date32"},
    {"score_list_of_texts", ":1: sample 'x0': ", "label of 'visual quality' is not a number"},
    {"duplicate_id", ":2: sample 'x': ", "duplicate id; first on line 1"},
    {"null_id", ":2: ", "has no 'id'"},
    {"null_turn", ":1: sample 'x0': ", "'conversations' must be a list"},
    {"invalid_utf8", ":1: ", "holds text that is not UTF-8"},
    {"zero_rows", ":1: ", "holds no rows"},
    {"escapes", ":1: sample 'x0': ", "leaves the folder of the data file"},
    {"dictionary_bomb", ": ", "rows take more than 256 MiB: far more than the file holds"},
    {"wide_bomb", ": ", "needs more than 512 MiB to decode 64 rows"},
    {"file_claims_more_rows", ": ", "claims 60 rows, its row groups claim 3"},
    {"group_claims_more_rows", ": ", "claims 3 rows, its row groups claim 60"},
    {"both_claim_more_rows", ": ", ""},
    {"negative_rows", ": ", "row group 0 claims -3 rows"},
};
class BadParquet : public testing::TestWithParam<Bad> {};
TEST_P(BadParquet, IsOneLineWithFileAndCause) {
  MVRM_NEEDS_PARQUET();
  const fs::path path = fixture(GetParam().name);
  ASSERT_TRUE(fs::exists(path));
  const std::string message = message_of([&] { load_manifest(path); });
  EXPECT_EQ(message.rfind(path.string() + GetParam().where, 0), 0U) << message;
  EXPECT_NE(message.find(GetParam().cause), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}
INSTANTIATE_TEST_SUITE_P(Data, BadParquet, testing::ValuesIn(kBad), [](const auto& kind) { return kind.param.name; });

// Wherever a file is cut, its footer is gone or wrong.
TEST(Parquet, AFileThatWasCutIsOneErrorAtEveryLength) {
  MVRM_NEEDS_PARQUET();
  const Scratch scratch("parquet_cut");
  const std::string whole = mvrm::test::slurp(fixture("bench_vbench"));
  for (size_t size = 0; size < whole.size(); size += 1 + whole.size() / 150) {
    const auto path = mvrm::test::put(scratch.path / "a.parquet", whole.substr(0, size));
    const std::string message = message_of([&] { load_manifest(path); });
    EXPECT_EQ(message.rfind(path.string() + ": is not Parquet that can be read: ", 0), 0U) << size << ": " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

// Flipped bits give the same rows, other rows or one error; nothing else.
TEST(Parquet, FlippedBitsAreRowsOrOneError) {
  MVRM_NEEDS_PARQUET();
  const Scratch scratch("parquet_flips");
  const std::string whole = mvrm::test::slurp(fixture("own_rows"));
  size_t errors = 0;
  for (size_t at = 0; at < whole.size(); at += 3) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << at % 8));
    const auto path = mvrm::test::put(scratch.path / "a.parquet", bytes);
    const std::string message = message_of([&] { load_manifest(path); });
    errors += message.empty() ? 0 : 1;
    if (!message.empty()) {
      EXPECT_EQ(message.rfind(path.string() + ":", 0), 0U) << message;
    }
  }
  EXPECT_GT(errors, whole.size() / 30);
}

}  // namespace
