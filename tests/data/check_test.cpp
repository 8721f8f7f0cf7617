// SPDX-License-Identifier: Apache-2.0
// A data file looked at as a whole.
#include <mvrm/data/check.h>

#include "tests/data/data_files.h"
#include "tests/data/tiny_samples.h"
#include "tests/support/program.h"

namespace {

namespace fs = std::filesystem;
using mvrm::data::check_data;
using mvrm::data::CheckReport;
using mvrm::test::put;
using mvrm::test::Scratch;

std::string row(const std::string& id, const std::string& media, const std::string& labels) {
  return R"({"id":")" + id + R"(",)" + media + R"(,"prompt":"p","labels":)" + labels + "}\n";
}

std::vector<std::string> lines_of(const CheckReport& report) {
  std::vector<std::string> lines;
  for (const auto& problem : report.problems) lines.push_back(words_of(report, problem));
  return lines;
}

TEST(Check, AGoodFileHasHistogramsAndNoProblems) {
  const Scratch scratch("check1");
  for (const char* name : {"a", "b", "c"})
    mvrm::test::write_grey(scratch.path / (std::string(name) + ".png"), 8, name[0] == 'c' ? 12 : 10, 50);
  const auto path = put(scratch.path / "a.jsonl", row("x", R"("images":["a.png","b.png"])", R"({"q":3,"m":1})") +
                                                      row("y", R"("images":["c.png"])", R"({"q":3,"m":null})") +
                                                      row("z", R"("images":["a.png"])", R"({"q":2.5})"));
  const CheckReport report = check_data(path, {}, {.threads = 2});
  EXPECT_TRUE(report.problems.empty());
  EXPECT_EQ(report.samples, 3);
  EXPECT_EQ(report.frame_lists, 3);
  EXPECT_EQ(report.clips, 0);
  EXPECT_EQ(report.dimensions, (std::vector<std::string>{"q", "m"}));
  EXPECT_EQ(report.label_counts_K[0], (std::map<double, int64_t>{{2.5, 1}, {3, 2}}));
  EXPECT_EQ(report.label_counts_K[1], (std::map<double, int64_t>{{1, 1}}));
  EXPECT_EQ(report.unlabelled_K, (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(report.frame_counts, (std::map<int64_t, int64_t>{{1, 2}, {2, 1}}));
  EXPECT_EQ(report.sizes, (std::map<std::pair<int64_t, int64_t>, int64_t>{{{8, 10}, 2}, {{8, 12}, 1}}));
}

TEST(Check, EveryProblemOfRowsAndMediaIsListedByLine) {
  const Scratch scratch("check2");
  mvrm::test::write_grey(scratch.path / "a.png", 8, 8, 50);
  put(scratch.path / "text.png", "not a picture");
  put(scratch.path / "short.mp4", "x");
  const auto path = put(scratch.path / "a.jsonl",
                        row("one", R"("images":["a.png","absent.png"])", R"({"q":3})") + row("two", R"("images":["a.png"])", R"({"q":7})") +
                            row("three", R"("images":["text.png"])", R"({"q":3})") + row("four", R"("images":["a.png"])", R"({"q":1})") +
                            row("five", R"("video":"short.mp4")", R"({"q":3})") + "{\n");
  const CheckReport report = check_data(path, {}, {});
  const std::string file = path.string();
  const auto lines = lines_of(report);
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines[0],
            file + ":1: sample 'one': " + (scratch.path / "absent.png").string() + ": can't be opened: No such file or directory");
  EXPECT_EQ(lines[1], file + ":2: sample 'two': label of 'q' is 7, outside 1.0..4.0");
  EXPECT_EQ(lines[2], file + ":3: sample 'three': " + (scratch.path / "text.png").string() + ": is neither JPEG nor PNG");
  EXPECT_EQ(lines[3].rfind(file + ":5: sample 'five': " + (scratch.path / "short.mp4").string() + ": is not a video that can be read", 0),
            0U)
      << lines[3];
  EXPECT_EQ(lines[4].rfind(file + ":6: is not valid JSON", 0), 0U) << lines[4];
  EXPECT_EQ(report.bad_rows(), 5);
  EXPECT_EQ(report.samples, 4);
  EXPECT_EQ(report.frame_counts, (std::map<int64_t, int64_t>{{1, 1}}));
}

TEST(Check, WithoutMediaOnlyTheRowsCount) {
  const Scratch scratch("check3");
  const auto path = put(scratch.path / "a.jsonl", row("x", R"("video":"absent.mp4")", R"({"q":3})"));
  const CheckReport report = check_data(path, {.media = false}, {});
  EXPECT_TRUE(report.problems.empty());
  EXPECT_FALSE(report.media_checked);
  EXPECT_TRUE(report.frame_counts.empty());
}

TEST(Check, ThreadsDoNotChangeTheReport) {
  const Scratch scratch("check4");
  std::string text;
  for (int n = 0; n < 40; ++n) {
    const std::string name = std::to_string(n) + ".png";
    if (n % 7 != 0) mvrm::test::write_grey(scratch.path / name, 8, static_cast<uint32_t>(8 + n % 3), 50);
    text += row(std::to_string(n), R"("images":[")" + name + R"("])", R"({"q":2})");
  }
  const auto path = put(scratch.path / "a.jsonl", text);
  const CheckReport one = check_data(path, {}, {.threads = 1}), four = check_data(path, {}, {.threads = 4});
  EXPECT_EQ(lines_of(one).size(), 6U);
  EXPECT_EQ(lines_of(one), lines_of(four));
  EXPECT_EQ(one.sizes, four.sizes);
}

TEST(Check, AFileThatIsNoDataFileIsOneProblem) {
  const Scratch scratch("check5");
  EXPECT_EQ(lines_of(check_data(scratch.path / "absent.jsonl", {}, {})),
            (std::vector<std::string>{(scratch.path / "absent.jsonl").string() + ": data file not found"}));
  const auto path = put(scratch.path / "a.json", "{}");
  EXPECT_EQ(lines_of(check_data(path, {}, {})),
            (std::vector<std::string>{path.string() + ":1: must be a JSON array of rows (or be named .jsonl)"}));
}

TEST(Check, ASideWithoutItsPairIsAProblem) {
  const Scratch scratch("check6");
  const std::string rest = R"(","video":"x.mp4","prompt":"p","preference":1})";
  const auto path = put(scratch.path / "a.jsonl",
                        R"({"id":"0000_left)" + rest + "\n" + R"({"id":"0000_right)" + rest + "\n" + R"({"id":"0001_right)" + rest + "\n");
  const CheckReport report = check_data(path, {.media = false}, {});
  EXPECT_EQ(
      lines_of(report),
      (std::vector<std::string>{path.string() + ":3: sample '0001_right': has a preference but no other side: there is no '0001_left'"}));
  EXPECT_EQ(report.preferences, 3);
}

TEST(Check, RowsWithoutLabelsAreProblemsWhereAskedFor) {
  const Scratch scratch("check7");
  const auto path = put(scratch.path / "a.jsonl", row("x", R"("video":"x.mp4")", R"({"q":3})") + row("y", R"("video":"x.mp4")", "null"));
  EXPECT_EQ(check_data(path, {.media = false, .manifest = {.require_labels = true}}, {}).problems.at(0).cause, "has no labels");
  EXPECT_TRUE(check_data(path, {.media = false}, {}).problems.empty());
}

}  // namespace
