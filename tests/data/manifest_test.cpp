// SPDX-License-Identifier: Apache-2.0
// The layouts in which people publish data, as they come (spec/videoscore.md section 3).
#include <mvrm/data/manifest.h>

#include <cmath>

#include "tests/data/data_files.h"
#include "tests/support/program.h"

namespace {

namespace fs = std::filesystem;
using mvrm::data::load_manifest;
using mvrm::data::Manifest;
using mvrm::test::put;
using mvrm::test::Scratch;

// A row of VideoFeedback as its JSON export writes it; names and texts are of the published shape.
const char* const kVideoFeedback =
    R"({"id":"7001917","images":["7001917_00.jpg","7001917_01.jpg"],"text prompt":"A robot that throws a stack of paper from a desk  ",)"
    R"("video link":"https://example.org/7001917.mp4","visual quality":3,"temporal consistency":1,"dynamic degree":3,)"
    R"("text-to-video alignment":3,"factual consistency":1,"conversations":[{"from":"human","value":"\nSuppose you are an expert.\n)"
    R"(For this video, the text prompt is \"A robot\",\nall the frames of video are as follows: \n<image> <image> "},)"
    R"({"from":"gpt","value":"visual quality: 3\ntemporal consistency: 1\ndynamic degree: 3\ntext-to-video alignment: 3\nfactual consistency: 1"}]})";

TEST(Manifest, ReadsMvrmsOwnRows) {
  const Scratch scratch("manifest1");
  const auto path =
      put(scratch.path / "a.jsonl", R"({"id":"a","video":"videos/a.mp4","prompt":"a dog","labels":{"quality":3,"motion":2.5}})"
                                    "\n"
                                    R"({"id":"b","images":["b/1.png","b/2.png"],"prompt":"a cat","labels":{"motion":1,"quality":null}})"
                                    "\n"
                                    R"({"id":"c","video":"/data/c.mp4","prompt":""})");
  const Manifest manifest = load_manifest(path);
  EXPECT_EQ(manifest.dimensions, (std::vector<std::string>{"quality", "motion"}));
  ASSERT_EQ(manifest.samples.size(), 3U);
  EXPECT_EQ(manifest.samples[0].video, scratch.path / "videos/a.mp4");
  EXPECT_EQ(manifest.samples[0].label_K, (std::vector<float>{3, 2.5F}));
  EXPECT_EQ(manifest.samples[1].images, (std::vector<fs::path>{scratch.path / "b/1.png", scratch.path / "b/2.png"}));
  EXPECT_TRUE(std::isnan(manifest.samples[1].label_K[0]));
  EXPECT_EQ(manifest.samples[1].label_K[1], 1);
  EXPECT_EQ(manifest.samples[1].line, 2);
  EXPECT_EQ(manifest.samples[2].video, "/data/c.mp4");
  EXPECT_FALSE(manifest.samples[0].prompt_is_complete);
  EXPECT_EQ(manifest.hash.size(), 64U);
}

TEST(Manifest, LabelsAreMatchedByNameInAnyOrder) {
  const Scratch scratch("manifest2");
  const auto path =
      put(scratch.path / "a.jsonl",
          R"({"id":"a","video":"a.mp4","prompt":"p","labels":{"factual consistency":1,"dynamic degree":2,"visual quality":4}})"
          "\n");
  const Manifest manifest = load_manifest(path, {.dimensions = mvrm::data::videofeedback_dimensions()});
  const auto& label_K = manifest.samples[0].label_K;
  EXPECT_EQ(label_K[0], 4);
  EXPECT_TRUE(std::isnan(label_K[1]));
  EXPECT_EQ(label_K[2], 2);
  EXPECT_TRUE(std::isnan(label_K[3]));
  EXPECT_EQ(label_K[4], 1);
}

TEST(Manifest, ReadsVideoFeedbackRowsWithUnpackedFrames) {
  const Scratch scratch("manifest3");
  put(scratch.path / "images/7001917/7001917_00.jpg", "x");
  for (const char* name : {"a.json", "a.jsonl"}) {
    const bool array = std::string(name) == "a.json";
    const Manifest manifest =
        load_manifest(put(scratch.path / name, (array ? "[\n " : "") + std::string(kVideoFeedback) + (array ? "\n]\n" : "\n")));
    EXPECT_EQ(manifest.dimensions, mvrm::data::videofeedback_dimensions());
    ASSERT_EQ(manifest.samples.size(), 1U);
    const auto& sample = manifest.samples[0];
    EXPECT_EQ(sample.label_K, (std::vector<float>{3, 1, 3, 3, 1}));
    EXPECT_EQ(sample.images[1], scratch.path / "images/7001917/7001917_01.jpg");
    EXPECT_TRUE(sample.prompt_is_complete);
    EXPECT_EQ(sample.prompt.substr(0, 8), "\nSuppose");
  }
}

TEST(Manifest, ReadsVideoFeedbackRowsWithClipsInsteadOfFrames) {
  const Scratch scratch("manifest4");
  put(scratch.path / "videos_annotated_train/7001917.mp4", "x");
  const Manifest manifest = load_manifest(put(scratch.path / "a.jsonl", kVideoFeedback));
  EXPECT_EQ(manifest.samples[0].video, scratch.path / "videos_annotated_train/7001917.mp4");
  EXPECT_TRUE(manifest.samples[0].images.empty());
}

TEST(Manifest, AFolderOfFramesIsAVideo) {
  const Scratch scratch("manifest5");
  for (const char* name : {"clip/02.jpg", "clip/01.PNG", "clip/notes.txt"}) put(scratch.path / name, "x");
  const Manifest manifest = load_manifest(put(scratch.path / "a.jsonl", R"({"id":"a","video":"clip","prompt":"p"})"));
  EXPECT_EQ(manifest.samples[0].images, (std::vector<fs::path>{scratch.path / "clip/01.PNG", scratch.path / "clip/02.jpg"}));
}

TEST(Manifest, LabelsComeFromTheAnswerWhereThereAreNoColumns) {
  const Scratch scratch("manifest6");
  const auto path = put(
      scratch.path / "a.jsonl",
      R"({"id":"1","images":["x/1_00.jpg"],"conversations":[{"from":"human","value":"p <image>"},)"
      R"({"from":"gpt","value":"visual quality: 2\ntemporal consistency: 3\ndynamic degree: 4\ntext-to-video alignment: 1\nfactual consistency: 2\n"}]})");
  EXPECT_EQ(load_manifest(path).samples[0].label_K, (std::vector<float>{2, 3, 4, 1, 2}));
}

TEST(Manifest, ReadsVideoScoresTrainingFile) {
  const Scratch scratch("manifest7");
  const auto path =
      put(scratch.path / "train_regression.json",
          "[\n    {\n        \"id\": \"7001917\",\n        \"images\": [\n            \"images/7001917/7001917_00.jpg\"\n        ],\n"
          "        \"prompt\": \"Suppose you are an expert\\nall the frames of video are as follows:\\n\",\n        \"labels\": {\n"
          "            \"visual quality\": 3.0,\n            \"temporal consistency\": 1.0,\n            \"dynamic degree\": 3.0,\n"
          "            \"text-to-video alignment\": 3.0,\n            \"factual consistency\": 1.0\n        }\n    }\n]\n");
  const Manifest manifest = load_manifest(path);
  EXPECT_EQ(manifest.dimensions, mvrm::data::videofeedback_dimensions());
  EXPECT_EQ(manifest.samples[0].label_K, (std::vector<float>{3, 1, 3, 3, 1}));
  EXPECT_TRUE(manifest.samples[0].prompt_is_complete);
  EXPECT_EQ(manifest.samples[0].line, 2);
}

// eval_crafter: own scale, -1 = no label. genaibench: a number a row. vbench: one a model. video_feedback: VideoFeedback's own rows.
TEST(Manifest, ReadsTheFourBenchmarksOfVideoScoreBench) {
  const Scratch scratch("manifest8");
  const std::string turns =
      R"("conversations":[{"from":"human","value":"the text prompt is \"x\",\nall the frames of video are as follows: \n"}])";
  const auto path = put(
      scratch.path / "test.jsonl",
      R"({"id":"pika_0000","images":["pika_0000_00.jpg"],"score_list":[0.533,0.8,-1.0,0.267,-1.0],)" + turns + "}\n" +
          R"({"id":"0000_left","images":["0000_left_00.jpg"],"score_list":[-1,-1,-1,-1,-1],"preference":1.0,)" + turns + "}\n" +
          R"({"id":"technical_quality_0_cogvideo","images":["f_00.jpg"],"preference":{"videocraft":0.5,"modelscope":1,"lavie":0,"cogvideo":null},)" +
          turns + "}\n" + kVideoFeedback + "\n");
  put(scratch.path / "frames_eval_crafter/pika_0000/pika_0000_00.jpg", "x");
  const Manifest manifest = load_manifest(path);
  ASSERT_EQ(manifest.samples.size(), 4U);
  EXPECT_EQ(manifest.samples[0].images[0], scratch.path / "frames_eval_crafter/pika_0000/pika_0000_00.jpg");
  EXPECT_FLOAT_EQ(manifest.samples[0].label_K[3], 0.267F);
  EXPECT_TRUE(std::isnan(manifest.samples[0].label_K[2]));
  EXPECT_TRUE(std::isnan(manifest.samples[1].label_K[0]));
  ASSERT_EQ(manifest.samples[1].preferences.size(), 1U);
  EXPECT_EQ(manifest.samples[1].preferences[0].value, 1.0);
  ASSERT_EQ(manifest.samples[2].preferences.size(), 3U);
  EXPECT_EQ(manifest.samples[2].preferences[0].over, "videocraft");
  EXPECT_EQ(manifest.samples[2].preferences[0].value, 0.5);
  EXPECT_EQ(manifest.samples[3].label_K[0], 3);
}

TEST(Manifest, ARowOfGenAiBenchIsTwoSamples) {
  const Scratch scratch("manifest9");
  const auto path = put(scratch.path / "test_v1.jsonl",
                        R"({"prompt":"a cute dog","left_video":"l/0.mp4","right_video":"r/0.mp4","vote_type":"leftvote"})"
                        "\n"
                        R"({"prompt":"a cat","left_video":"l/1.mp4","right_video":"r/1.mp4","vote_type":"bothbad_vote"})"
                        "\n"
                        R"({"idx":17,"prompt":"a cat","left_video":"l/1.mp4","right_video":"r/1.mp4","vote_type":"rightvote"})"
                        "\n");
  const Manifest manifest = load_manifest(path);
  ASSERT_EQ(manifest.samples.size(), 6U);
  EXPECT_EQ(manifest.samples[0].id, "0000_left");
  EXPECT_EQ(manifest.samples[1].id, "0000_right");
  EXPECT_EQ(manifest.samples[1].video, scratch.path / "r/0.mp4");
  EXPECT_EQ(manifest.samples[0].preferences[0].value, 1);
  EXPECT_EQ(manifest.samples[1].preferences[0].value, 0);
  EXPECT_EQ(manifest.samples[2].preferences[0].value, 0.5);
  EXPECT_EQ(manifest.samples[3].id, "0001_right");
  EXPECT_EQ(manifest.samples[4].id, "0017_left");
  EXPECT_EQ(manifest.samples[4].preferences[0].value, 0);
  EXPECT_EQ(manifest.samples[5].line, 3);
}

TEST(Manifest, BlankLinesAreReadOver) {
  const Scratch scratch("manifest10");
  const auto path = put(scratch.path / "a.jsonl", R"({"id":"a","video":"a.mp4","prompt":"p"})"
                                                  "\n\n  \n"
                                                  R"({"id":"b","video":"b.mp4","prompt":"p"})");
  const Manifest manifest = load_manifest(path);
  ASSERT_EQ(manifest.samples.size(), 2U);
  EXPECT_EQ(manifest.samples[1].line, 4);
}

TEST(Manifest, ReportsEveryProblemOfEveryRowWhereAskedTo) {
  const Scratch scratch("manifest11");
  const auto path = put(scratch.path / "a.jsonl", R"({"id":"a","video":"a.mp4","prompt":"p","labels":{"q":3,"m":2}})"
                                                  "\n"
                                                  R"({"id":"b","video":"../b.mp4","labels":{"q":0,"m":5}})"
                                                  "\n"
                                                  "not json\n"
                                                  R"({"id":"a","video":"a.mp4","prompt":"p","labels":{"q":3,"m":2}})"
                                                  "\n"
                                                  R"({"id":"c","video":"c.mp4","prompt":"p","labels":{"q":1,"m":1}})"
                                                  "\n");
  const auto problems = mvrm::test::problems_of(path);
  ASSERT_EQ(problems.size(), 6U);
  EXPECT_EQ(problems[0].line, 3);  // text first
  EXPECT_EQ(problems[1].cause, "has no 'prompt'");
  EXPECT_EQ(problems[1].id, "b");
  EXPECT_EQ(problems[2].cause, "path '../b.mp4' leaves the folder of the data file");
  EXPECT_EQ(problems[3].cause, "label of 'q' is 0, outside 1.0..4.0");
  EXPECT_EQ(problems[4].cause, "label of 'm' is 5, outside 1.0..4.0");
  EXPECT_EQ(problems[5].cause, "duplicate id; first on line 1");
  EXPECT_EQ(problems[5].line, 4);
}

}  // namespace
