// SPDX-License-Identifier: Apache-2.0
#include "study_steps.h"

#include <mvrm/core/error.h>
#include <mvrm/model/model_config.h>
#include <mvrm/run/eval_run.h>
#include <mvrm/run/train_run.h>

#include "pairs.h"
#include "truth.h"

namespace mvrm::experiment {

namespace fs = std::filesystem;

namespace {

// Files that one rank writes and all read.
void on_main(const Study& study, const std::function<void()>& work) {
  if (study.comm() == nullptr || study.comm()->is_main()) work();
  if (study.comm() != nullptr) study.comm()->barrier();
}

// Calls `work` with the ranks of the study, or with a world of one.
template <class Work> auto with_ranks(const Study& study, Work work) {
  if (study.comm() != nullptr) return work(*study.comm());
  const auto alone = dist::make_single();
  return work(*alone);
}

void render_data(const Study& study, Group group, int64_t seed, const core::Context& context) {
  const auto& config = study.config();
  const SeedRuns& runs = study.runs(group, seed);
  const uint64_t data_seed = group == Group::same_data ? config.experiment.seed : runs.seed();
  render(runs.data().test.parent_path(), {.videos = config.render.videos, .test_videos = config.render.test_videos, .noise = config.render.noise,
                                          .noise_kind = refine::noise_kind_from_name(config.experiment.noise_kind), .seed = data_seed}, context);
}

void plant_labels(const Study& study, int64_t seed) {
  const auto& config = study.config();
  const SeedRuns& runs = study.runs(Group::planted, seed);
  write_planted(study.runs(Group::main, seed).data().train, model::load_model_config(config.training.model.path).dimensions,
                {.kind = refine::noise_kind_from_name(config.experiment.noise_kind), .share = config.experiment.noise, .seed = runs.seed()},
                runs.data().train, runs.data().truth);
}

// A model trained from random weights on clean clips of its own.
void train_backbone(const Study& study, const core::Context& context) {
  const auto& config = study.config();
  const fs::path directory = study.directory() / "backbone";
  constexpr uint64_t kSeed = 1000003;   // clips that no experiment sees
  const fs::path data = directory / "data";
  on_main(study, [&] { render(data, {.videos = config.backbone.videos, .test_videos = 0, .seed = kSeed}, context); });
  run::RunConfig training = config.training;
  training.run.dir = directory / "pretraining";
  training.run.seed = kSeed;
  training.model.path = config.backbone.init;
  training.model.init = "random";
  training.data = config.data.reading;
  training.data.train = data / "train.jsonl";
  training.data.test.clear();
  training.training.balance.strategy = "equal";
  training.training.optimizer.lr = config.backbone.lr;
  training.training.train.max_steps = config.backbone.steps;
  training.training.train.epochs = 1 + config.backbone.steps * training.training.train.batch / config.backbone.videos;
  const auto outcome = with_ranks(study, [&](dist::Communicator& comm) { return run::train_run(training, "auto", comm, context, run::FinishedRun::replace); });
  if (outcome.stopped_by_signal) {
    throw core::Error("stopped; a checkpoint was written, start the same command again to continue", core::ExitStatus::stopped);
  }
}

}  // namespace

size_t StudySteps::once(const Place& place, const std::string& name, std::vector<size_t> after, Steps::Work work) {
  if (const auto known = numbers_.find(place); known != numbers_.end()) return known->second;
  const size_t number = steps_.add(name, std::move(after), std::move(work));
  numbers_.emplace(place, number);
  return number;
}

std::string StudySteps::title(Group group, int64_t seed, const std::string& what) {
  return (group == Group::main ? "" : name_of(group) + ", ") + "seed " + std::to_string(study_.runs(group, seed).seed()) + ": " + what;
}

size_t StudySteps::data(Group group, int64_t seed) {
  const auto nothing = [](const core::Context&) {};
  if (group == Group::planted) {
    return once({group, seed, "data"}, title(group, seed, "plant wrong labels"), {data(Group::main, seed)},
                [&study = study_, seed](const core::Context&) { on_main(study, [&] { plant_labels(study, seed); }); });
  }
  if (group == Group::same_data) return data(Group::main, 0);
  if (group == Group::backbone) return data(Group::main, seed);
  if (!study_.config().renders()) return once({Group::main, 0, "data"}, "data files", {}, nothing);
  return once({group, seed, "data"}, title(group, seed, "render"), {},
              [&study = study_, group, seed](const core::Context& context) {
                on_main(study, [&] { render_data(study, group, seed, context); });
              });
}

size_t StudySteps::baseline(Group group, int64_t seed) {
  std::vector<size_t> after{data(group, seed)};
  if (group == Group::backbone && study_.config().backbone.model.empty()) {
    after.push_back(once({group, 0, "pretraining"}, "train a second backbone", {},
                         [&study = study_](const core::Context& context) { train_backbone(study, context); }));
  }
  return once({group, seed, kBaseline.name}, title(group, seed, kBaseline.name), std::move(after),
              [&runs = study_.runs(group, seed)](const core::Context& context) { runs.train(kBaseline, context); });
}

size_t StudySteps::profile(Group group, int64_t seed) {
  return once({group, seed, "profile"}, title(group, seed, "profile"), {baseline(group, seed)},
              [&runs = study_.runs(group, seed)](const core::Context& context) { runs.profile(context); });
}

size_t StudySteps::trained(const Run& run, int64_t seed, const std::vector<size_t>& earlier) {
  const Group group = study_.resolved(run.group, seed);
  if (run.arm.name == kBaseline.name) return baseline(group, seed);
  std::vector<size_t> after{data(group, seed)};
  if (run.decide || run.arm.refine.strategy != "none") after.push_back(profile(group, seed));
  if (run.decide) after.insert(after.end(), earlier.begin(), earlier.end());
  return once({group, seed, run.arm.name}, title(group, seed, run.arm.name), std::move(after),
              [&study = study_, run, group, seed](const core::Context& context) {
                study.runs(group, seed).train(run.decide ? run.decide(study, seed) : run.arm, context);
              });
}

void StudySteps::ask_about_pairs(const Run& run, int64_t seed, size_t after) {
  const auto& config = study_.config();
  std::vector<size_t> waits{after};
  fs::path clips = config.data.pairs;
  if (clips.empty()) {
    clips = study_.pairs_directory(seed) / "pairs.jsonl";
    waits.push_back(once({Group::main, seed, "pairs"}, title(Group::main, seed, "render pairs"), {}, [&study = study_, seed](const core::Context& context) {
      on_main(study, [&] { render_pairs(study.pairs_directory(seed), study.config().render.pairs, study.runs(Group::main, seed).seed(), context); });
    }));
  }
  once({Group::main, seed, "pairs " + run.arm.name}, title(Group::main, seed, run.arm.name + " on pairs"), std::move(waits),
       [&study = study_, run, seed, clips](const core::Context& context) {
         const run::EvalRunOptions options{.model_dir = study.runs(Group::main, seed).directory_of(run.arm) / "model", .data_file = clips,
                                           .data = study.config().data.reading, .dtype = study.config().training.model.dtype,
                                           .out = study.pair_rewards_file(seed, run.arm)};
         with_ranks(study, [&](dist::Communicator& comm) { run::eval_run(options, comm, context); });
       });
}

void StudySteps::add(const Needs& needs) {
  for (int64_t s = 0; s < study_.seeds(); ++s) {
    for (const Group group : needs.profiles) profile(study_.resolved(group, s), s);
    std::vector<size_t> earlier;
    for (const Run& run : needs.runs) {
      earlier.push_back(trained(run, s, earlier));
      if (needs.pairs) ask_about_pairs(run, s, earlier.back());
    }
  }
}

}  // namespace mvrm::experiment
