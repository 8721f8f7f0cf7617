// SPDX-License-Identifier: Apache-2.0
// `mvrm score` on a clip, a folder of frames and a data file; every form of output; one process and two.
#include "tests/support/program_suite.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>

namespace {

namespace fs = std::filesystem;
using mvrm::test::Outcome;
using mvrm::test::slurp;

class Score : public mvrm::test::ProgramSuite<Score> {
 protected:
  static void SetUpTestSuite() {
    open("score");
    const Outcome synth = run("synth --out '" + at("clips") + "' --videos 6 --test-videos 6 --seed 5");
    ASSERT_EQ(synth.status, 0) << synth.err;
    std::ofstream(at("run.yaml")) << "run: {dir: '" << at("run") << "'}\nmodel: {path: '" MVRM_SOURCE_DIR "/configs/demo/init', init: random, dtype: f32}\n"
                                  << "data: {train: '" << at("clips/train.jsonl") << "'}\ntrain: {batch: 4, max_steps: 1}\n";
    const Outcome train = run("train --quiet --config '" + at("run.yaml") + "'");
    ASSERT_EQ(train.status, 0) << train.err;
    fs::create_directories(at("frames"));
    for (const char* name : {"b.jpg", "a.jpg", "c.JPG"})
      fs::copy_file(fs::path(MVRM_SOURCE_DIR) / "tests/preprocess/pillow/video_frame.jpg", fs::path(at("frames")) / name);
  }
  static Outcome score(const std::string& arguments) { return run("score --model '" + at("run/model") + "' " + arguments); }
  static std::string clip() { return fs::directory_iterator(at("clips/videos"))->path().string(); }
};

TEST_F(Score, PrintsATableOrJson) {
  const Outcome table = score("--prompt 'a red ball' --video '" + clip() + "' --frames '" + at("frames") + "'");
  ASSERT_EQ(table.status, 0) << table.err;
  EXPECT_NE(table.out.find("visual quality"), std::string::npos) << table.out;
  EXPECT_NE(table.out.find(at("frames")), std::string::npos) << table.out;
  const Outcome json = score("--json --prompt 'a red ball' --video '" + clip() + "' --frames '" + at("frames") + "' --sampling linspace --max-frames 4");
  ASSERT_EQ(json.status, 0) << json.err;
  const auto results = nlohmann::json::parse(json.out)["results"];
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[1]["frame_indices"], (std::vector<int>{0, 0, 1, 2})) << "three frames, four picks";
}

TEST_F(Score, WritesFilesByTheirEnding) {
  const std::string data = "--data '" + at("clips/test.jsonl") + "' ";
  ASSERT_EQ(score(data + "--out '" + at("p.jsonl") + "' --dump-features '" + at("f.safetensors") + "'").status, 0);
  std::istringstream lines(slurp(at("p.jsonl")));
  int64_t rows = 0;
  for (std::string line; std::getline(lines, line); ++rows) EXPECT_EQ(nlohmann::json::parse(line)["scores"].size(), 5U);
  EXPECT_EQ(rows, 6);
  const std::string features = slurp(at("f.safetensors"));
  for (const char* name : {"\"feature\"", "\"prediction\"", "\"input_ids\"", "\"length\""}) EXPECT_NE(features.find(name), std::string::npos) << name;
  ASSERT_EQ(score(data + "--out '" + at("p.json") + "'").status, 0);
  EXPECT_EQ(nlohmann::json::parse(slurp(at("p.json")))["results"].size(), 6U);
}

TEST_F(Score, SaysOfEachClipWhyItHasNoScore) {
  std::ofstream(at("clips/gone.jsonl")) << slurp(at("clips/test.jsonl")) << R"({"id": "gone", "video": "videos/gone.mp4", "prompt": "a red ball"})" << "\n";
  const Outcome outcome = score("--json --max-bad-samples 1 --data '" + at("clips/gone.jsonl") + "'");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto results = nlohmann::json::parse(outcome.out)["results"];
  ASSERT_EQ(results.size(), 7U);
  EXPECT_TRUE(results[0]["error"].is_null());
  const std::string why = results[6]["error"];
  EXPECT_NE(why.find("sample 'gone': "), std::string::npos) << why;
  EXPECT_NE(why.find("gone.mp4"), std::string::npos) << why;
}

TEST_F(Score, TwoProcessesGiveTheScoresOfOne) {
  const std::string data = "--json --data '" + at("clips/test.jsonl") + "' ";
  const Outcome one = score(data), two = score(data + "--nproc-per-node 2");
  ASSERT_EQ(one.status, 0) << one.err;
  ASSERT_EQ(two.status, 0) << two.err;
  const auto a = nlohmann::json::parse(one.out)["results"], b = nlohmann::json::parse(two.out)["results"];
  ASSERT_EQ(a.size(), b.size());
  for (size_t n = 0; n < a.size(); ++n)
    for (const auto& [name, value] : a[n]["scores"].items()) EXPECT_NEAR(value.get<double>(), b[n]["scores"][name].get<double>(), 1e-5) << n << name;
}

// The whole corpus is in tests/model/broken_model_test.cpp; here is what a person sees of it.
TEST_F(Score, BrokenModelFilesEndInStatus4AndOneLine) {
  const std::map<std::string, std::string> broken = {{"config.json", "{\"model_type\": null}"}, {"model.safetensors", "\x08"},
                                                     {"tokenizer.model", "no model"},           {"preprocessor_config.json", "[[[["},
                                                     {"tokenizer_config.json", "{\"a\": 1, \"a\": 2}"}};
  for (const auto& [name, text] : broken) {
    const fs::path dir = fs::path(at("broken")) / "model";
    fs::remove_all(dir);
    fs::create_directories(dir.parent_path());
    fs::copy(at("run/model"), dir, fs::copy_options::recursive);
    std::ofstream(dir / name) << text;
    const Outcome outcome = run("score --model '" + dir.string() + "' --prompt x --video '" + clip() + "'");
    EXPECT_EQ(outcome.status, 4) << outcome.err;
    EXPECT_EQ(outcome.err.rfind("mvrm: error: " + (dir / name).string(), 0), 0U) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
}

}  // namespace
