// SPDX-License-Identifier: Apache-2.0
// What a person's data gets wrong: every command that reads it ends with status 3 and one line that names the file, the sample and the cause.
#include "tests/support/program_suite.h"

#include <functional>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using mvrm::test::Outcome;
using mvrm::test::slurp;

// Every occurrence of `from` in the bytes of an mp4 file.
std::string replaced(std::string bytes, const std::string& from, const std::string& to) {
  for (size_t at = bytes.find(from); at != std::string::npos; at = bytes.find(from, at + to.size())) bytes.replace(at, from.size(), to);
  return bytes;
}

// The box that lists the frames (stsz) and the run lengths (stts) say that there are none.
std::string without_frames(std::string bytes) {
  const size_t sizes = bytes.find("stsz") + 4 + 4 + 4, times = bytes.find("stts") + 4 + 4;
  bytes.replace(sizes, 4, 4, '\0');
  bytes.replace(times, 4, 4, '\0');
  return bytes;
}

class BadInput : public mvrm::test::ProgramSuite<BadInput> {
 protected:
  static void SetUpTestSuite() {
    open("bad_input");
    const Outcome synth = run("synth --out '" + at("clips") + "' --videos 4 --test-videos 1 --seed 11");
    ASSERT_EQ(synth.status, 0) << synth.err;
    std::istringstream lines(slurp(at("clips/train.jsonl")));
    for (std::string line; std::getline(lines, line);) rows_.push_back(Json::parse(line));
  }
  static std::string last_line(const std::string& text) {
    std::string line, last;
    for (std::istringstream lines(text); std::getline(lines, line);) last = line;
    return last;
  }
  // Three good rows and, as the third of four, the first one changed by `spoil`; the text of that row when `spoil` returns one.
  static std::string data_file(const std::string& name, const std::function<std::string(Json&)>& spoil) {
    std::string text;
    for (size_t i = 0; i < rows_.size(); ++i) {
      Json row = rows_[i];
      if (i != 2) text += row.dump() + "\n";
      else if (const std::string own = spoil(row); !own.empty()) text += own + "\n";
      else text += row.dump() + "\n";
    }
    std::ofstream(at("clips/" + name), std::ios::binary) << text;
    return at("clips/" + name);
  }
  static std::string train(const std::string& data, const std::string& more = "") {
    return "train --config '" MVRM_SOURCE_DIR "/configs/demo/pretrain_two_frames.yaml' --set 'model.path=" MVRM_SOURCE_DIR "/configs/demo/init' --set 'data.test=' --set 'run.dir=" +
           at("run") + "' --resume never --set train.epochs=1 --set 'data.train=" + data + "' " + more;
  }
  static void expect_refused(const std::string& data, const std::vector<std::string>& parts) {
    const Outcome outcome = run(train(data));
    EXPECT_EQ(outcome.status, 3) << outcome.err;
    const std::string line = last_line(outcome.err);
    EXPECT_EQ(line.rfind("mvrm: error: ", 0), 0U) << outcome.err;
    for (const auto& part : parts) EXPECT_NE(line.find(part), std::string::npos) << "no '" << part << "' in: " << line;
  }
  // The clip of the third row replaced by `bytes`.
  static void expect_clip_refused(const std::string& name, const std::string& bytes, const std::string& cause) {
    std::ofstream(at("clips/videos/" + name), std::ios::binary) << bytes;
    const std::string data = data_file(name + ".jsonl", [&](Json& row) { row["video"] = "videos/" + name; return std::string(); });
    expect_refused(data, {name, "'" + rows_[2]["id"].get<std::string>() + "'", cause});
    const Outcome skipped = run(train(data, "--set data.max_bad_samples=1"));
    EXPECT_EQ(skipped.status, 0) << skipped.err;
    EXPECT_NE(skipped.err.find("skipped"), std::string::npos) << skipped.err;
  }
  static std::string a_clip() { return slurp(at("clips/" + rows_[2]["video"].get<std::string>())); }
  static std::vector<Json> rows_;
};
std::vector<Json> BadInput::rows_;

TEST_F(BadInput, MissingDataFile) { expect_refused(at("clips/nowhere.jsonl"), {"nowhere.jsonl", "not found"}); }

TEST_F(BadInput, MissingClip) {
  expect_refused(data_file("missing.jsonl", [](Json& row) { row["video"] = "videos/gone.mp4"; return std::string(); }), {"gone.mp4", rows_[2]["id"]});
}

TEST_F(BadInput, TruncatedClip) { expect_clip_refused("cut.mp4", a_clip().substr(0, a_clip().size() / 2), ""); }

TEST_F(BadInput, TextInsteadOfAClip) { expect_clip_refused("text.mp4", "this is no video\n", "is not a video"); }

TEST_F(BadInput, NoVideoStream) { expect_clip_refused("sound.mp4", replaced(a_clip(), "vide", "soun"), "no video stream"); }

TEST_F(BadInput, ZeroFrames) { expect_clip_refused("empty.mp4", without_frames(a_clip()), "frames"); }

TEST_F(BadInput, LabelOutOfRange) {
  expect_refused(data_file("seven.jsonl", [](Json& row) { row["labels"]["visual quality"] = 7; return std::string(); }),
                 {"seven.jsonl:3", rows_[2]["id"], "visual quality", "7", "1.0..4.0"});
}

TEST_F(BadInput, LabelNaN) {
  expect_refused(data_file("nan.jsonl", [](Json& row) { row["labels"]["visual quality"] = "@"; return replaced(row.dump(), "\"@\"", "NaN"); }), {"nan.jsonl:3"});
}

TEST_F(BadInput, DuplicateId) {
  expect_refused(data_file("twice.jsonl", [](Json& row) { row["id"] = rows_[0]["id"]; return std::string(); }), {"twice.jsonl:3", rows_[0]["id"], "duplicate"});
}

TEST_F(BadInput, UnknownDimension) {
  expect_refused(data_file("unknown.jsonl", [](Json& row) { row["labels"]["sharpness"] = 3; return std::string(); }),
                 {"unknown.jsonl:3", rows_[2]["id"], "sharpness", "visual quality"});
}

TEST_F(BadInput, LabelsInAnotherOrderAreMatchedByName) {
  const std::string reversed = data_file("reversed.jsonl", [](Json&) { return std::string(); });
  std::string text;
  for (const auto& row : rows_) {
    Json turned = row;
    turned["labels"] = Json::object();
    for (auto label = row["labels"].rbegin(); label != row["labels"].rend(); ++label) turned["labels"][label.key()] = label.value();
    text += turned.dump() + "\n";
  }
  std::ofstream(at("clips/turned.jsonl"), std::ios::binary) << text;
  ASSERT_EQ(run(train(reversed)).status, 0);
  const std::string straight = slurp(at("run/model/model.safetensors"));
  const Outcome outcome = run(train(at("clips/turned.jsonl")));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(straight, slurp(at("run/model/model.safetensors"))) << "labels went to other dimensions";
}

}  // namespace
