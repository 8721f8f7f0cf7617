// SPDX-License-Identifier: Apache-2.0
// The catalogue of malformed rows and files: each is one line that names the file, the row and the cause.
#include <mvrm/core/random.h>
#include <mvrm/data/manifest.h>

#include <functional>

#include "tests/data/data_files.h"
#include "tests/support/program.h"

namespace {

namespace fs = std::filesystem;
using mvrm::test::message_of;
using mvrm::test::put;
using mvrm::test::Scratch;

const std::string kGood = R"({"id":"good","video":"good.mp4","prompt":"p","labels":{"quality":3,"motion":2}})";

// A file with a good row before the bad one, so the row to be named is 2.
struct Malformed {
  const char* name;
  std::string row;
  const char* cause;  // after "file:2: "
  const char* file = "a.jsonl";
};

std::string labelled(const std::string& labels) { return R"({"id":"x","video":"x.mp4","prompt":"p","labels":)" + labels + "}"; }
std::string with(const std::string& fields) { return R"({"id":"x",)" + fields + "}"; }
std::string deep(size_t levels) {
  return with("\"video\":\"x.mp4\",\"prompt\":\"p\",\"more\":" + std::string(levels, '[') + std::string(levels, ']'));
}
std::string big(const char* key, size_t bytes) {
  return R"({"id":"x","video":"x.mp4",)" + std::string("\"") + key + "\":\"" + std::string(bytes, 'a') + "\"}";
}
std::string pair(const std::string& fields) { return R"({"prompt":"p",)" + fields + "}"; }

const Malformed kRows[] = {
    {"not_json", "good morning", "is not valid JSON"},
    {"truncated_last_line", R"({"id":"x","video":"x.mp4","pro)", "is not valid JSON"},
    {"number", "17", "a row must be a JSON object"},
    {"list", "[]", "a row must be a JSON object"},
    {"null", "null", "a row must be a JSON object"},
    {"two_objects", R"({"id":"x"}{"id":"y"})", "is not valid JSON"},
    {"trailing_comma", R"({"id":"x",})", "is not valid JSON"},
    {"single_quotes", "{'id':'x'}", "is not valid JSON"},
    {"comment", R"({"id":"x"} // note)", "is not valid JSON"},
    {"byte_order_mark_inside", "{\"id\":\"x\",\xEF\xBB\xBF\"video\":\"x.mp4\"}", "is not valid JSON"},
    {"carriage_return_only", "{\"id\":\"x\",\"video\":\"x.mp4\",\"prompt\":\"p\"}\r{\"id\":\"y\"}", "is not valid JSON"},
    {"raw_line_break_in_text", "{\"id\":\"x\",\"prompt\":\"a\rb\"}", "is not valid JSON"},
    {"nul_byte", std::string("{\"id\":\"x\0y\"}", 12), "holds a NUL byte"},
    {"invalid_utf8", "{\"id\":\"x\",\"video\":\"x.mp4\",\"prompt\":\"\xC3\x28\"}", "is not valid JSON"},
    {"overlong_utf8", "{\"id\":\"x\",\"video\":\"x.mp4\",\"prompt\":\"\xC0\xAF\"}", "is not valid JSON"},
    {"lone_surrogate", R"({"id":"x","video":"x.mp4","prompt":"\ud800"})", "is not valid JSON"},
    {"nested_5000_deep", deep(5000), "is nested more than 64 levels deep"},
    {"nested_65_deep", deep(65), "is nested more than 64 levels deep"},
    {"row_of_17_mb", big("prompt", 17 << 20), "the row is longer than 16777216 bytes"},
    {"prompt_of_10_mb", big("prompt", 10 << 20), "sample 'x': 'prompt' is longer than 1048576 bytes"},
    {"duplicate_key", R"({"id":"x","id":"y","video":"x.mp4","prompt":"p"})", "key 'id' is there twice"},
    {"duplicate_dimension", labelled(R"({"quality":3,"quality":2})"), "key 'quality' is there twice"},
    {"no_id", R"({"video":"x.mp4","prompt":"p"})", "has no 'id'"},
    {"null_id", R"({"id":null,"video":"x.mp4","prompt":"p"})", "has no 'id'"},
    {"empty_id", R"({"id":"","video":"x.mp4","prompt":"p"})", "'id' is empty"},
    {"number_id", R"({"id":9007199254740993,"video":"x.mp4","prompt":"p"})", "'id' is not a text"},
    {"control_character_in_id", R"({"id":"a\u0007b","video":"x.mp4","prompt":"p"})", "holds a control character"},
    {"long_id", R"({"id":")" + std::string(5000, 'i') + R"(","video":"x.mp4","prompt":"p"})", "'id' is too long"},
    {"duplicate_id", kGood, "sample 'good': duplicate id; first on line 1"},
    {"no_prompt", with(R"("video":"x.mp4")"), "sample 'x': has no 'prompt'"},
    {"number_prompt", with(R"("video":"x.mp4","prompt":3)"), "sample 'x': 'prompt' is not a text"},
    {"nul_in_prompt", with(R"("video":"x.mp4","prompt":"a\u0000b")"), "sample 'x': 'prompt' holds a NUL character"},
    {"no_turns", with(R"("video":"x.mp4","conversations":[])"), "'conversations' must be a list"},
    {"turn_without_value", with(R"("video":"x.mp4","conversations":[{"from":"human"}])"), "'conversations' must be a list"},
    {"nested_null_turn", with(R"("video":"x.mp4","conversations":[null])"), "'conversations' must be a list"},
    {"no_media", with(R"("prompt":"p")"), "sample 'x': has neither 'video' nor 'images'"},
    {"both_media", with(R"("prompt":"p","video":"x.mp4","images":["a.jpg"])"), "has both 'video' and 'images'"},
    {"empty_video", with(R"("prompt":"p","video":"")"), "names an empty media path"},
    {"empty_images", with(R"("prompt":"p","images":[])"), "'images' must be a list of at least one path"},
    {"images_object", with(R"("prompt":"p","images":{"0":"a.jpg"})"), "'images' must be a list of at least one path"},
    {"images_of_numbers", with(R"("prompt":"p","images":["a.jpg",1])"), "'images' holds something that is not a text"},
    {"images_with_null", with(R"("prompt":"p","images":["a.jpg",null])"), "'images' holds something that is not a text"},
    {"path_leaves_the_folder", with(R"("prompt":"p","video":"../../etc/passwd")"),
     "path '../../etc/passwd' leaves the folder of the data file"},
    {"path_leaves_in_the_middle", with(R"("prompt":"p","images":["a/../../b.jpg"])"), "leaves the folder of the data file"},
    {"nul_in_path", with(R"("prompt":"p","video":"a\u0000.mp4")"), "holds a NUL character"},
    {"long_path", with(R"("prompt":"p","video":")" + std::string(5000, 'v') + "\""), "a media path is too long"},
    {"url", with(R"("prompt":"p","video":"https://example.org/a.mp4")"), "is a URL; only local files are read"},
    {"more_placeholders_than_frames", with(R"("prompt":"<image><image>","images":["a.jpg"])"), "the prompt holds 2 <image> for 1 frames"},
    {"label_0", labelled(R"({"quality":0})"), "sample 'x': label of 'quality' is 0, outside 1.0..4.0"},
    {"label_5", labelled(R"({"quality":5})"), "label of 'quality' is 5, outside 1.0..4.0"},
    {"label_minus_1", labelled(R"({"quality":-1})"), "label of 'quality' is -1, outside"},
    {"label_1e9", labelled(R"({"quality":1e9})"), "outside 1.0..4.0"},
    {"label_text", labelled(R"({"quality":"3"})"), "label of 'quality' is not a number: \"3\""},
    {"label_bool", labelled(R"({"quality":true})"), "label of 'quality' is not a number: true"},
    {"label_list", labelled(R"({"quality":[3]})"), "label of 'quality' is not a number: [3]"},
    {"label_nan", labelled(R"({"quality":NaN})"), "is not valid JSON"},
    {"label_infinity", labelled(R"({"quality":-Infinity})"), "is not valid JSON"},
    {"label_1e999", labelled(R"({"quality":1e999})"), "is not valid JSON"},
    {"unknown_dimension", labelled(R"({"quality":3,"colour":2})"), "unknown dimension 'colour'; known: quality, motion"},
    {"renamed_dimension", labelled(R"({"Quality":3,"motion":2})"), "unknown dimension 'Quality'; known: quality, motion"},
    {"labels_list", labelled("[3,2]"), "'labels' must be an object"},
    {"labels_text", labelled("\"3\""), "'labels' must be an object"},
    {"score_list_short", with(R"("video":"x.mp4","prompt":"p","score_list":[1,2])"), "'score_list' must hold 5 numbers"},
    {"score_list_text", with(R"("video":"x.mp4","prompt":"p","score_list":"[1,2,3,4,5]")"), "'score_list' must hold 5 numbers"},
    {"column_text", with(R"("video":"x.mp4","prompt":"p","visual quality":"3")"), "label of 'visual quality' is not a number", "vf.jsonl"},
    {"answer_without_number", with(R"("video":"x.mp4","conversations":[{"value":"p"},{"value":"visual quality: good"}])"),
     "no single number for 'visual quality'"},
    {"answer_with_two_numbers", with(R"("video":"x.mp4","conversations":[{"value":"p"},{"value":"visual quality: 3 4"}])"),
     "no single number for 'visual quality'"},
    {"preference_2", with(R"("video":"x.mp4","prompt":"p","preference":{"lavie":2})"), "'preference' must be 0, 0.5 or 1, not 2"},
    {"preference_text", with(R"("video":"x.mp4","prompt":"p","preference":"left")"), "'preference' must be 0, 0.5 or 1, not \"left\""},
    {"vote_not_available", pair(R"("left_video":"l.mp4","right_video":"r.mp4","vote_type":"n/a")"),
     "unknown vote \"n/a\"; known: leftvote, rightvote"},
    {"vote_missing", pair(R"("left_video":"l.mp4","right_video":"r.mp4")"), "has no 'vote_type'"},
    {"unpaired_side", pair(R"("left_video":"l.mp4","vote_type":"leftvote")"), "has no 'right_video'"},
    {"pair_number_text", pair(R"("idx":"7","left_video":"l.mp4","right_video":"r.mp4","vote_type":"tievote")"), "'idx' is not a number"},
};

class MalformedRow : public testing::TestWithParam<Malformed> {};
TEST_P(MalformedRow, IsOneLineWithFileRowAndCause) {
  const Scratch scratch(std::string("malformed_") + GetParam().name);
  const std::string first =
      std::string(GetParam().file) == "vf.jsonl" ? R"({"id":"good","video":"g.mp4","prompt":"p","visual quality":3})" : kGood;
  const fs::path path = put(scratch.path / GetParam().file, first + "\n" + GetParam().row + "\n");
  const std::string message = message_of([&] { mvrm::data::load_manifest(path); });
  EXPECT_EQ(message.rfind(path.string() + ":2: ", 0), 0U) << message;
  EXPECT_NE(message.find(GetParam().cause), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  EXPECT_LT(message.size(), 600U);
  // The collecting way of reading finds it too, and keeps the good row.
  const auto problems = mvrm::test::problems_of(path);
  ASSERT_FALSE(problems.empty());
  EXPECT_EQ(problems[0].line, 2);
}
INSTANTIATE_TEST_SUITE_P(Data, MalformedRow, testing::ValuesIn(kRows), [](const auto& kind) { return kind.param.name; });

struct BadFile {
  const char* name;
  const char* file;
  std::string bytes;
  const char* cause;  // after the path
};
const BadFile kFiles[] = {
    {"empty_lines", "a.jsonl", "", ":1: holds no rows"},
    {"only_blank", "a.jsonl", "\n \n", ":1: holds no rows"},
    {"byte_order_mark", "a.jsonl", "\xEF\xBB\xBF" + kGood + "\n", ":1: starts with a byte order mark"},
    {"carriage_returns", "a.jsonl", kGood + "\r\n", ":1: the line ends in CR LF"},
    {"carriage_returns_json", "a.json", "[\n" + kGood + "\r\n]", ":2: the line ends in CR LF"},
    {"empty_array", "a.json", "[]", ":1: holds no rows"},
    {"empty_json", "a.json", "", ":1: must be a JSON array of rows"},
    {"object_json", "a.json", R"({"rows":[]})", ":1: must be a JSON array of rows"},
    {"lines_named_json", "a.json", kGood + "\n" + kGood, ":1: must be a JSON array of rows"},
    {"array_without_end", "a.json", "[\n" + kGood + ",\n", ":3: "},
    {"array_cut_in_a_row", "a.json", "[\n" + kGood + ",\n{\"id\":", ":3: is not valid JSON"},
    {"array_with_a_tail", "a.json", "[\n" + kGood + "\n]\nmore", ":4: is not valid JSON: something follows the end of the array"},
    {"array_trailing_comma", "a.json", "[\n" + kGood + ",\n]", ":3: is not valid JSON"},
    {"utf16", "a.jsonl", std::string("\xFF\xFE{\0\"\0", 6), ":1: is UTF-16; save it as UTF-8"},
    {"extension", "a.csv", "id,video\n", ":1: has an unknown extension '.csv'; known: .json, .jsonl, .parquet"},
    {"no_parquet", "a.parquet", kGood, ""},
};
class MalformedFile : public testing::TestWithParam<BadFile> {};
TEST_P(MalformedFile, IsOneLineWithFileAndCause) {
  const Scratch scratch(std::string("badfile_") + GetParam().name);
  const fs::path path = put(scratch.path / GetParam().file, GetParam().bytes);
  const std::string message = message_of([&] { mvrm::data::load_manifest(path); });
  EXPECT_EQ(message.rfind(path.string() + ":", 0), 0U) << message;
  EXPECT_NE(message.find(GetParam().cause), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}
INSTANTIATE_TEST_SUITE_P(Data, MalformedFile, testing::ValuesIn(kFiles), [](const auto& kind) { return kind.param.name; });

// Whatever a changed byte does to a file, it gives rows or problems with lines, and neither a crash nor another kind of error.
TEST(MalformedFiles, ChangedBytesAreRowsOrProblems) {
  const Scratch scratch("badfile_bytes");
  const std::string pair_row = R"({"prompt":"p","left_video":"l.mp4","right_video":"r.mp4","vote_type":"tievote"})";
  const std::string whole = "[" + kGood + ",\n" + labelled(R"({"quality":1,"motion":null})") + ",\n" + pair_row + "]";
  mvrm::core::CounterRng random(3, 0);
  size_t unharmed = 0;
  for (int attempt = 0; attempt < 600; ++attempt) {
    std::string bytes = whole;
    for (int64_t change = 0; change <= random.below(3); ++change) {
      const auto at = static_cast<size_t>(random.below(static_cast<int64_t>(bytes.size())));
      if (random.below(4) == 0)
        bytes.erase(at, 1);
      else
        bytes[at] = static_cast<char>(random.below(3) == 0 ? random.below(256) : "{}[]\",:0\\"[random.below(9)]);
    }
    const fs::path path = put(scratch.path / "a.json", bytes);
    const std::string message = message_of([&] { mvrm::data::load_manifest(path); });
    unharmed += message.empty() ? 1 : 0;
    EXPECT_TRUE(message.empty() || message.rfind(path.string() + ":", 0) == 0) << message;
    const std::string collected = message_of([&] {
      for (const auto& problem : mvrm::test::problems_of(path)) EXPECT_GE(problem.line, 1);
    });
    EXPECT_TRUE(collected.empty() || collected.rfind(path.string() + ":", 0) == 0) << collected;
  }
  EXPECT_GT(unharmed, 4U);
  EXPECT_LT(unharmed, 400U);
}

TEST(MalformedFiles, AMissingFileAndAFolderAreNamed) {
  const Scratch scratch("badfile_missing");
  EXPECT_EQ(message_of([&] { mvrm::data::load_manifest(scratch.path / "a.jsonl"); }),
            (scratch.path / "a.jsonl").string() + ": data file not found");
  EXPECT_EQ(message_of([&] { mvrm::data::load_manifest(scratch.path); }), scratch.path.string() + ": is a folder; give the data file in it");
}

TEST(MalformedFiles, RowsWithoutLabelsAreAnErrorWhereLabelsAreNeeded) {
  const Scratch scratch("badfile_labels");
  const auto path = put(scratch.path / "a.jsonl", kGood + "\n" + labelled(R"({"quality":null})") + "\n");
  EXPECT_EQ(message_of([&] { mvrm::data::load_manifest(path, {.require_labels = true}); }),
            path.string() + ":2: sample 'x': has no labels");
}

}  // namespace
