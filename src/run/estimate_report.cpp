// SPDX-License-Identifier: Apache-2.0
// How the result of `mvrm estimate` is shown.
#include <cmath>
#include <cstdio>
#include <mvrm/report/table.h>
#include <mvrm/run/estimate_run.h>
#include <nlohmann/json.hpp>

namespace mvrm::run {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kGib = 1024.0 * 1024.0 * 1024.0;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }
std::string gib(double bytes) { return report::fixed(bytes / kGib, 2); }
std::string text(const char* format, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}
std::string duration(double seconds) {
  if (!std::isfinite(seconds)) return "n/a";
  if (seconds < 120) return text("%.1f s", seconds);
  return seconds < 7200 ? text("%.0f min", seconds / 60) : text("%.1f h", seconds / 3600);
}

const char* reshard_of(const train::Scheme& scheme) { return scheme.keep_weights ? "keep" : "free"; }
const char* reduce_of(const train::Scheme& scheme) { return scheme.reduce_each ? "micro" : "step"; }
const char* recompute_of(const train::Scheme& scheme) { return scheme.recompute ? "always" : "never"; }
const char* order_of(const train::Scheme& scheme) { return scheme.ordered ? "ordered" : "fast"; }

std::string knobs_of(const train::Scheme& scheme) {
  return std::string("dist.reshard=") + reshard_of(scheme) + " dist.reduce=" + reduce_of(scheme) + " dist.order=" + order_of(scheme) +
         " train.recompute=" + recompute_of(scheme);
}

std::string memory_table(const SchemeEstimate& asked, double reserved_gib) {
  const auto& m = asked.memory;
  report::Table table{.header = {"memory of one GPU", "GiB"}, .rows = {}};
  table.rows = {{"weights", gib(m.weights)}, {"master weights and AdamW moments", gib(m.optimizer)}, {"gradients", gib(m.gradients)},
                {"weights and sums on their way", gib(m.gathers)}, {"activations", gib(m.activations)}, {"peak of forward and backward", gib(m.step())},
                {"peak of the optimiser step", gib(m.update)}, {"peak while loading", gib(m.loading)}, {"peak while the model is put together", gib(m.saving)},
                {"CUDA, NCCL, fragments (assumed)", report::fixed(reserved_gib, 2)}, {"needed", report::fixed(asked.need_gib, 2)}};
  return report::to_text(table);
}

std::string work_table(const EstimateResult& result) {
  const auto& f = result.flops;
  const double step = f.training() * static_cast<double>(result.options.batch);
  report::Table table{.header = {"10^12 operations", "forward, a sample", "training step"}, .rows = {}};
  const auto row = [&](const char* name, double flops) {
    table.rows.push_back({name, text("%.4g", 1e-12 * flops), text("%.4g", 3e-12 * flops * static_cast<double>(result.options.batch))});
  };
  row("vision tower", f.vision);
  row("connector", f.connector);
  row("decoder", f.decoder);
  row("head", f.head);
  table.rows.push_back({"all", text("%.4g", 1e-12 * f.forward()), text("%.4g", 1e-12 * step)});
  return report::to_text(table);
}

std::string scheme_table(const EstimateResult& result) {
  report::Table table{.header = {"order", "reshard", "reduce", "recompute", "GiB", "fits", "GB moved", "s a step"}, .rows = {}};
  for (size_t i = 0; i < result.schemes.size(); ++i) {
    const auto& s = result.schemes[i];
    table.rows.push_back({order_of(s.scheme), reshard_of(s.scheme), reduce_of(s.scheme), recompute_of(s.scheme), report::fixed(s.need_gib, 1),
                          static_cast<int64_t>(i) == result.best ? "best" : s.fits ? "yes" : "no", report::fixed(1e-9 * s.traffic_bytes, 1),
                          report::fixed(s.step_seconds(), 2)});
  }
  return report::to_text(table);
}

std::string verdict(const EstimateResult& result) {
  const auto& o = result.options;
  std::string line = knobs_of(result.asked.scheme) + " needs " + report::fixed(result.asked.need_gib, 1) + " of " + report::fixed(o.gpu_memory_gib, 1) + " GiB: " +
                     (result.asked.fits ? "fits." : "does not fit.") + "\n";
  if (result.best >= 0) {
    const auto& best = result.schemes[static_cast<size_t>(result.best)];
    return line + (result.asked.fits ? "The fastest that fits: " : "What fits: ") + knobs_of(best.scheme) + " (" + report::fixed(best.need_gib, 1) + " GiB).\n";
  }
  double least = result.schemes.front().need_gib;
  for (const auto& scheme : result.schemes) least = std::min(least, scheme.need_gib);
  return line + "Nothing fits: the least is " + report::fixed(least, 1) + " GiB. More GPUs, fewer or smaller frames" +
         (o.micro_batch > 1 ? ", or train.micro_batch=1" : "") + " need less.\n";
}

std::string time_lines(const EstimateResult& result) {
  const auto& o = result.options;
  const auto& asked = result.asked;
  const double steps = static_cast<double>(result.steps), seconds = steps * asked.step_seconds();
  std::string lines = std::to_string(result.steps) + " steps of " + std::to_string(o.batch) + " samples";
  if (!std::isfinite(seconds)) return lines + "; give --gpu or --peak-tflops for the time they take\n";
  const auto at = [&](double utilisation) { return duration(steps * (asked.compute_seconds * o.utilisation / utilisation + asked.exchange_seconds + asked.update_seconds)); };
  lines += ", " + duration(seconds) + " at " + report::fixed(100 * o.utilisation, 0) + " % of the peak";
  if (o.utilisation > 0.15) lines += " (" + at(o.utilisation - 0.1) + " at 10 points less, " + at(o.utilisation + 0.1) + " at 10 more)";
  lines += ", " + report::fixed(seconds * static_cast<double>(o.gpus) / 3600, 1) + " GPU hours\n";
  lines += "a step: " + duration(asked.compute_seconds) + " computing, " + duration(asked.exchange_seconds) + " between GPUs at " + text("%.0f", o.bandwidth_gb) +
           " GB/s, " + duration(asked.update_seconds) + " AdamW; decoding needs " + text("%.1f", result.decode_cores) + " cores\n";
  return lines;
}

Json json_of(const SchemeEstimate& s) {
  const auto& m = s.memory;
  return {{"reshard", reshard_of(s.scheme)}, {"reduce", reduce_of(s.scheme)}, {"recompute", recompute_of(s.scheme)}, {"order", order_of(s.scheme)},
          {"micro_batches", s.scheme.micro_batches}, {"fits", s.fits}, {"need_gib", s.need_gib},
          {"memory_bytes", {{"weights", m.weights}, {"optimizer", m.optimizer}, {"gradients", m.gradients}, {"gathers", m.gathers}, {"activations", m.activations},
                            {"step", m.step()}, {"update", m.update}, {"loading", m.loading}, {"saving", m.saving}}},
          {"traffic_bytes_per_step", s.traffic_bytes}, {"compute_seconds", number(s.compute_seconds)}, {"exchange_seconds", number(s.exchange_seconds)},
          {"update_seconds", number(s.update_seconds)}, {"step_seconds", number(s.step_seconds())}};
}

}  // namespace

std::string estimate_table(const EstimateResult& result) {
  const auto& o = result.options;
  std::string out = o.model + ": " + text("%.4g", 1e-9 * static_cast<double>(result.parameters)) + "e9 parameters, " + o.dtype + "; clips of " + std::to_string(o.frames) +
                    " frames of " + std::to_string(o.width) + " x " + std::to_string(o.height) + " (" + std::to_string(result.patches) + " patches), " +
                    std::to_string(result.tokens) + " tokens; " + std::to_string(o.gpus) + (o.gpus == 1 ? " GPU\n\n" : " GPUs\n\n");
  out += verdict(result) + "\n" + memory_table(result.asked, o.reserved_gib) + "\n" + work_table(result) + "\n" + scheme_table(result) + "\n" + time_lines(result);
  out += "disk: " + gib(result.disk_bytes) + " GiB (" + std::to_string(o.kept_checkpoints) + " checkpoints of " + gib(result.checkpoint_bytes) + " kept and one being written, model " +
         gib(result.model_bytes) + "); host memory: " + gib(result.host_bytes) + " GiB a GPU while a checkpoint is written\n";
  return out;
}

std::string estimate_json(const EstimateResult& result) {
  const auto& o = result.options;
  const auto& f = result.flops;
  const double seconds = static_cast<double>(result.steps) * result.asked.step_seconds();
  Json document{{"model", o.model}, {"parameters", result.parameters}, {"dtype", o.dtype}, {"gpus", o.gpus}, {"gpu_memory_gib", o.gpu_memory_gib}, {"batch", o.batch},
                {"micro_batch", o.micro_batch}, {"frames", o.frames}, {"patches", result.patches}, {"tokens", result.tokens}, {"fits", result.asked.fits},
                {"flops_per_sample", {{"vision", f.vision}, {"connector", f.connector}, {"decoder", f.decoder}, {"head", f.head}, {"forward", f.forward()}, {"training", f.training()}}},
                {"flops_per_step", f.training() * static_cast<double>(o.batch)}, {"asked", json_of(result.asked)}, {"best", nullptr}, {"schemes", Json::array()},
                {"steps", result.steps}, {"utilisation", o.utilisation}, {"seconds", number(seconds)}, {"gpu_hours", number(seconds * static_cast<double>(o.gpus) / 3600)},
                {"decode_cores", number(result.decode_cores)}, {"checkpoint_bytes", result.checkpoint_bytes}, {"model_bytes", result.model_bytes},
                {"disk_bytes", result.disk_bytes}, {"host_bytes", result.host_bytes}};
  if (result.best >= 0) document["best"] = json_of(result.schemes[static_cast<size_t>(result.best)]);
  for (const auto& scheme : result.schemes) document["schemes"].push_back(json_of(scheme));
  return document.dump(2);
}

}  // namespace mvrm::run
