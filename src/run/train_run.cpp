// SPDX-License-Identifier: Apache-2.0
// The story of `mvrm train`: resolved configuration, data, plan (with baseline and profile where they are missing), model, training,
// evaluation. Each step is left alone when its inputs have not changed.
#include "leftovers.h"
#include "online_run.h"
#include "stamp.h"

#include <ATen/ATen.h>
#include <cmath>
#include <mvrm/config/yaml_reader.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/eval/predictions.h>
#include <mvrm/model/reward_model.h>
#include <mvrm/refine/strategy.h>
#include <mvrm/report/table.h>
#include <mvrm/run/devices.h>
#include <mvrm/run/profile_run.h>
#include <mvrm/run/refine_run.h>
#include <mvrm/run/run_lock.h>
#include <mvrm/run/train_run.h>
#include <mvrm/train/loop.h>
#include <set>
#include <sstream>

namespace mvrm::run {

namespace fs = std::filesystem;

namespace {

at::ScalarType dtype_from_name(const std::string& name) { return name == "bf16" ? at::kBFloat16 : at::kFloat; }

model::RewardModel initial_model(const RunConfig& config, at::Device device) {
  const at::ScalarType dtype = dtype_from_name(config.model.dtype);
  if (config.model.init != "random") return model::load_reward_model(config.model.path, dtype, config.run.seed, device);
  model::RewardModel model = model::random_reward_model(model::load_model_config(config.model.path), dtype, config.run.seed);
  model::move_to(model, device);
  return model;
}

// What a trained model depends on: every setting but its place and what can't change it, and the contents of model, data and plan.
std::string input_key(const RunConfig& config, const refine::RefinementPlan& plan, const std::string& data_hash) {
  RunConfig placeless = config;
  placeless.run.dir = "-";
  placeless.refine = {};
  placeless.training.train.collect_influence = false;   // looks on only
  placeless.data = {.train = config.data.train, .sampling = config.data.sampling, .max_frames = config.data.max_frames};
  placeless.eval = {};
  placeless.log = {};
  placeless.training.checkpoint = {};
  placeless.training.dist.timeout_s = train::DistConfig{}.timeout_s;
  const std::string start = config.model.init == "random" ? core::sha256_file(config.model.path / "config.json") : model::model_hash(config.model.path);
  std::string text = config::to_yaml(placeless) + start + data_hash + plan.header.dump();
  const at::Tensor weight_NK = plan.weight_NK.contiguous();
  text.append(static_cast<const char*>(weight_NK.data_ptr()), weight_NK.nbytes());
  text.append(reinterpret_cast<const char*>(plan.keep_N.data()), plan.keep_N.size());
  if (plan.label_NK.defined()) {
    const at::Tensor label_NK = plan.label_NK.contiguous();
    text.append(static_cast<const char*>(label_NK.data_ptr()), label_NK.nbytes());
  }
  return core::sha256_hex(text);
}

// By line, so that ranks with different configurations can say where.
std::map<std::string, std::string> lines_of(const RunConfig& config) {
  std::map<std::string, std::string> lines;
  std::istringstream text(config::to_yaml(config));
  int number = 0;
  for (std::string line; std::getline(text, line);) lines["line " + std::to_string(++number) + " of the configuration"] = line;
  return lines;
}

// The baseline run whose final model is profiled: the same configuration without refinement, below the run directory.
fs::path baseline_model(const RunConfig& config, const std::string& resume, FinishedRun other_inputs, dist::Communicator& comm,
                        const core::Context& context, bool& stopped) {
  RunConfig baseline = config;
  baseline.run.dir = config.run.dir / "baseline";
  baseline.refine = {};
  if (comm.is_main()) context.log.info("refine.profile: auto: training the baseline in " + baseline.run.dir.string());
  stopped = train_run(baseline, resume, comm, context, other_inputs).stopped_by_signal;
  return baseline.run.dir / "model";
}

// Corrected labels need no profile: the labels of the data file are enough.
refine::RefinementPlan plan_of_corrections(const RunConfig& config, const data::Manifest& manifest) {
  std::vector<std::string> ids;
  std::vector<float> labels;
  for (const auto& sample : manifest.samples) {
    ids.push_back(sample.id);
    labels.insert(labels.end(), sample.label_K.begin(), sample.label_K.end());
  }
  const auto rows = static_cast<int64_t>(ids.size()), dimensions = static_cast<int64_t>(manifest.dimensions.size());
  MVRM_CHECK(static_cast<int64_t>(labels.size()) == rows * dimensions, manifest.path, " has samples without labels");
  return refine::correction_plan(ids, manifest.dimensions, at::tensor(at::ArrayRef<float>(labels)).view({rows, dimensions}),
                                 refine::read_corrections(config.refine.corrections));
}

// A plan that `mvrm refine` made knows its data; one that was written by hand need not.
refine::RefinementPlan plan_for(const RunConfig& config, const data::Manifest& manifest) {
  refine::RefinementPlan plan = refine::read_plan(config.refine.plan);
  const std::string made_for = plan.header.value("data_hash", "");
  if (!made_for.empty() && made_for != manifest.hash) {
    throw core::DataError(config.refine.plan.string() + ": was made for another data file than " + config.data.train.string() + " (SHA-256 " +
                          made_for.substr(0, 12) + "…, this one's " + manifest.hash.substr(0, 12) + "…); profile this file and refine again, or take data_hash out of the plan's first line");
  }
  return plan;
}

// `below`: what becomes of a baseline and a profile of other inputs.
std::optional<refine::RefinementPlan> make_plan(const RunConfig& config, const data::Manifest& manifest, const std::string& resume, FinishedRun below,
                                                dist::Communicator& comm, const core::Context& context) {
  if (!config.refine.plan.empty()) return plan_for(config, manifest);
  if (config.refine.strategy == "none") {
    std::vector<std::string> ids;
    for (const auto& sample : manifest.samples) ids.push_back(sample.id);
    return refine::keep_all(ids, manifest.dimensions);
  }
  // A typing error is found before hours of baseline training, not after.
  refine::check(refine_config(config.refine, manifest.dimensions, config.run.seed));
  if (config.refine.strategy == "correction") return plan_of_corrections(config, manifest);
  influence::Profile profile;
  if (config.refine.profile == "auto") {
    bool stopped = false;
    const fs::path model_dir = baseline_model(config, resume, below, comm, context, stopped);
    if (stopped) return std::nullopt;
    const auto needs = refine::profile_needs(refine_config(config.refine, manifest.dimensions, config.run.seed));
    profile = profile_run({.model_dir = model_dir, .data_file = config.data.train, .out_dir = config.run.dir / "profile", .data = config.data,
                           .dtype = config.model.dtype, .features = needs.features ? "f32" : "", .space = needs.matrix ? "head+mlp" : "", .replace = below == FinishedRun::replace},
                          comm, context);
  } else {
    profile = influence::read_profile(config.refine.profile);
    influence::check_data(profile, manifest.hash, config.data.train);
  }
  auto [plan, summary] = refine::refine(profile, refine_config(config.refine, profile.dimensions, config.run.seed));
  if (comm.is_main()) {
    context.log.info("plan " + summary.strategy + ": " + std::to_string(summary.kept) + " samples kept, " +
                     std::to_string(summary.removed) + " removed");
  }
  return std::move(plan);
}

eval::EvalResult evaluate(const model::RewardModel& model, data::Dataset& dataset, const RunConfig& config, dist::Communicator& comm,
                          const core::Context& context) {
  const fs::path& run_dir = config.run.dir;
  const eval::Predictions predictions = eval::predict(model, dataset, config.data.batch, comm, context);
  const eval::EvalResult result = eval::evaluate_spearman(predictions);
  if (comm.is_main()) {
    const std::string json = eval::to_json_text(result);
    eval::write_predictions(run_dir / "predictions.jsonl", predictions);
    core::write_file_atomic(run_dir / "eval.json", json + "\n");
    train::write_last_evaluation(run_dir, json);
  }
  return result;
}

// On one line, x 100 as tables have it.
std::string spearman_words(const eval::EvalResult& result) {
  std::string text = "Spearman";
  for (const auto& dimension : result.dimensions) text += " " + report::fixed(100 * dimension.spearman, 2) + " (" + dimension.name + "),";
  return text + " mean " + report::fixed(100 * result.mean, 2);
}

// A typing error in a key of the rows would train nothing, without a word.
void require_labels(const data::Manifest& manifest) {
  for (const auto& sample : manifest.samples)
    for (const float label : sample.label_K)
      if (!std::isnan(label)) return;
  std::string names;
  for (const auto& name : manifest.dimensions) names += (names.empty() ? "" : ", ") + name;
  throw core::DataError(manifest.path.string() + ": no row has a label of the model's dimensions (" + names + "); look at the rows' keys with 'mvrm data check'");
}

// The rewards that a finished run gave to these test clips, when it has done so.
std::optional<eval::EvalResult> finished_evaluation(const fs::path& run_dir, const std::string& key) {
  if (!stamp_matches(run_dir, key, "evaluated") || !fs::exists(run_dir / "predictions.jsonl")) return std::nullopt;
  return eval::evaluate_spearman(eval::read_predictions(run_dir / "predictions.jsonl"));
}

// What a run reads, and what of it was done before.
struct Inputs {
  std::unique_ptr<data::Dataset> dataset, eval_set;   // eval_set: nullptr where the configuration names none
  refine::RefinementPlan plan;
  std::string key, evaluation_key;                    // what the model and its evaluation depend on
  bool stamped = false;                               // some run has finished here
  bool finished = false;                              // and it was this one
};

// nullopt: a signal stopped the baseline. Throws ConfigError where a finished run of other inputs is to be kept.
std::optional<Inputs> gather_inputs(const RunConfig& config, const std::string& resume, FinishedRun other_inputs, dist::Communicator& comm,
                                    const core::Context& context) {
  const fs::path& dir = config.run.dir;
  Inputs inputs{.dataset = open_dataset(config.data, config.data.train, config.model.path, context), .eval_set = nullptr, .plan = {}, .key = {}, .evaluation_key = {}};
  // Rank 0 looks for all: another machine may see the folder late.
  inputs.stamped = dist::gather_values(comm, has_stamp(dir) ? 1 : 0).front() > 0;
  const bool keep = inputs.stamped && resume == "auto" && other_inputs == FinishedRun::keep;
  auto plan = make_plan(config, inputs.dataset->manifest(), resume, keep ? FinishedRun::keep : FinishedRun::replace, comm, context);
  if (!plan) return std::nullopt;
  inputs.plan = std::move(*plan);
  if (!inputs.plan.label_NK.defined()) require_labels(inputs.dataset->manifest());
  const fs::path eval_file = config.eval.data.empty() ? config.data.test : config.eval.data;
  if (!eval_file.empty()) inputs.eval_set = open_dataset(config.data, eval_file, config.model.path, context);
  inputs.key = input_key(config, inputs.plan, inputs.dataset->manifest().hash);
  if (inputs.eval_set) inputs.evaluation_key = core::sha256_hex(inputs.key + inputs.eval_set->manifest().hash);
  inputs.finished = dist::gather_values(comm, stamp_matches(dir, inputs.key) ? 1 : 0).front() > 0;
  if (keep && !inputs.finished)
    throw core::ConfigError(dir.string() + ": holds a finished run of other inputs (its config.yaml, data or plan); choose another run.dir, or "
                            "--resume never to replace it");
  return inputs;
}

void write_config(const RunConfig& config) { core::write_file_atomic(config.run.dir / "config.yaml", config::to_yaml(config)); }

// Trains `model` in place; on rank 0 the directory is about this run from the first step on, and says so at the end.
TrainOutcome train_model(model::RewardModel& model, const Inputs& inputs, const RunConfig& config, const std::string& resume, dist::Communicator& comm,
                         const core::Context& context) {
  const fs::path& dir = config.run.dir;
  const data::Manifest& manifest = inputs.dataset->manifest();
  std::unique_ptr<influence::OnlineProfile> online;
  std::function<void(int64_t, double, const std::vector<train::SampleView>&)> look_on;
  train::TrainJob job{.config = config.training, .run_dir = dir, .processor_dir = config.model.path,
                      .resume = inputs.stamped && resume == "auto" ? "never" : resume};   // what lies there belongs to the run that is replaced
  job.config.log_every = config.log.every;
  job.config.tensorboard = config.log.tensorboard;
  job.begin = [&] {
    if (!comm.is_main()) return;
    online = collect_online(config, manifest, inputs.plan, inputs.key, context);
    if (online) look_on = observer(*online, manifest, inputs.plan, config.training.checkpoint.every);
    remove_stamps(dir);
    write_config(config);
    if (config.refine.plan.empty() && config.refine.strategy != "none") refine::write_plan(dir / "plan.jsonl", inputs.plan);
  };
  job.evaluate_every = inputs.eval_set ? config.eval.every : 0;
  job.evaluate = [&](const model::RewardModel& current) {
    const auto result = eval::evaluate_spearman(eval::predict(current, *inputs.eval_set, config.data.batch, comm, context));
    if (comm.is_main()) context.log.info("evaluation: " + spearman_words(result));
    return eval::to_json_text(result);
  };
  if (comm.is_main() && config.training.train.collect_influence) {
    job.observe = [&](int64_t step, double lr, const std::vector<train::SampleView>& samples) { look_on(step, lr, samples); };
  }
  const train::TrainResult result = train::train(model, *inputs.dataset, inputs.plan, job, comm, context);
  if (!result.stopped_by_signal) {
    if (online) online->finish();
    comm.barrier();
    if (comm.is_main()) write_stamp(dir, inputs.key);
    comm.barrier();   // no rank ends well beside one that was killed while it wrote the stamp
  }
  return {.stopped_by_signal = result.stopped_by_signal, .steps = result.steps};
}

// In a directory that is locked and has its log.
TrainOutcome train_and_evaluate(const RunConfig& config, const std::string& resume, FinishedRun other_inputs, dist::Communicator& comm,
                                const core::Context& context) {
  const fs::path& dir = config.run.dir;
  const std::optional<Inputs> inputs = gather_inputs(config, resume, other_inputs, comm, context);
  if (!inputs) return {.stopped_by_signal = true};
  TrainOutcome outcome;
  model::RewardModel model;
  if (resume == "auto" && inputs->finished) {
    if (comm.is_main()) {
      write_config(config);   // what is evaluated may be another file
      context.log.info(dir.string() + ": already trained with these inputs");
      if (config.training.train.collect_influence && !fs::exists(dir / "online_profile" / "profile.json")) {
        context.log.warn("train.collect_influence: this run was trained without it; train again with --resume never");
      }
    }
    if (inputs->eval_set) outcome.evaluation = finished_evaluation(dir, inputs->evaluation_key);
    comm.barrier();   // nobody writes before all have read
    if (outcome.evaluation || !inputs->eval_set) return outcome;
    model = model::load_reward_model(dir / "model", dtype_from_name(config.model.dtype), config.run.seed, at::Device(context.device));
  } else {
    model = initial_model(config, at::Device(context.device));
    if (comm.is_main()) log_device(model, context);
    outcome = train_model(model, *inputs, config, resume, comm, context);
    if (outcome.stopped_by_signal || !inputs->eval_set) return outcome;
  }
  outcome.evaluation = evaluate(model, *inputs->eval_set, config, comm, context);
  if (comm.is_main()) write_stamp(dir, inputs->evaluation_key, "evaluated");
  comm.barrier();   // other ranks may read the files next
  return outcome;
}

}  // namespace

std::unique_ptr<data::Dataset> open_dataset(const DataSection& config, const fs::path& file, const fs::path& model_dir,
                                            const core::Context& context) {
  if (!fs::is_directory(model_dir)) throw core::model_error(model_dir.string() + ": no model directory there");
  const video::SampleRule rule{.sampling = video::sampling_from_name(config.sampling), .max_frames = config.max_frames};
  data::Processor processor = data::load_processor(model_dir, rule);
  data::Manifest manifest = data::load_manifest(file, {.dimensions = model::load_model_config(model_dir).dimensions});
  return std::make_unique<data::Dataset>(std::move(manifest), std::move(processor),
                                         data::DatasetConfig{.max_bad_samples = config.max_bad_samples, .frame_cache = config.cache,
                                                             .frame_cache_bytes = static_cast<int64_t>(config.cache_gib * (1 << 30))},
                                         context);
}

TrainOutcome train_run(const RunConfig& config, const std::string& resume, dist::Communicator& comm, const core::Context& context,
                       FinishedRun other_inputs) {
  const fs::path& dir = config.run.dir;
  dist::require_same(comm, lines_of(config));
  if (fs::weakly_canonical(config.model.path) == fs::weakly_canonical(dir / "model"))
    throw core::ConfigError("model.path: " + config.model.path.string() + " is where this run writes its own model; choose another run.dir");
  fs::create_directories(dir);
  const auto lock = lock_directory(dir, "run.dir", comm);
  comm.watch(dir / ".ranks");
  core::Context run_context = context;
  run_context.seed = config.run.seed;
  if (comm.is_main()) {
    for (const auto& folder : {dir, dir / "model"}) remove_leftovers(folder);
    if (!fs::exists(dir / "config.yaml")) write_config(config);   // else when it is sure that nothing refuses the run
    run_context.log = context.log.with_file(dir / "log.txt");
  }
  try {
    return train_and_evaluate(config, resume, other_inputs, comm, run_context);
  } catch (const std::exception& error) {
    run_context.log.error_to_file(error.what());   // a log that only stops says nothing to who looks at it in the morning
    throw;
  }
}

}  // namespace mvrm::run
