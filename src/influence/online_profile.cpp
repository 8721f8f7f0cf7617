// SPDX-License-Identifier: Apache-2.0
// N samples, K dimensions.
#include <mvrm/influence/online_profile.h>

#include <ATen/ATen.h>
#include <fcntl.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "profile_store.h"

namespace mvrm::influence {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr double kDecay = 0.99;

void write_all(int descriptor, const std::string& text, const fs::path& path) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(descriptor, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw core::io_error(path.string() + ": can't be written: " + std::strerror(errno));
    done += static_cast<size_t>(written);
  }
}

// The mean of r^2 of a dimension over the last hundred steps or so, without the pull of its start at 0.
class RunningLoss {
 public:
  void add(double loss) {
    sum_ = kDecay * sum_ + (1 - kDecay) * loss;
    left_ *= kDecay;
  }
  double value() const { return sum_ / (1 - left_); }

 private:
  double sum_ = 0, left_ = 1;
};

// Mean of r^2 over the labelled visits of a step, NaN without one.
double step_loss(const Json& rows, const Json& rewards, const at::TensorAccessor<float, 2>& label, size_t k) {
  double sum = 0;
  int64_t count = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const double r = rewards[i][k].get<double>() - static_cast<double>(label[rows[i].get<int64_t>()][static_cast<int64_t>(k)]);
    if (std::isnan(r)) continue;
    sum += r * r;
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : std::nan("");
}

// What all visits come to, float64.
struct Totals {
  at::Tensor influence_NK, reward_NK, running_NK, norm_N, seen_N;
};
void add_step(Totals& totals, std::vector<RunningLoss>& running_K, const Json& line, const at::Tensor& label_NK) {
  const auto label = label_NK.accessor<float, 2>();
  auto influence = totals.influence_NK.accessor<double, 2>(), reward = totals.reward_NK.accessor<double, 2>(), running = totals.running_NK.accessor<double, 2>();
  auto norm = totals.norm_N.accessor<double, 1>();
  const Json &rows = line.at("rows"), &rewards = line.at("rewards"), &norms = line.at("feature_sq_norms");
  const double learning_rate = line.at("lr").get<double>();
  for (size_t k = 0; k < running_K.size(); ++k) {
    const auto place = static_cast<int64_t>(k);
    const double loss = step_loss(rows, rewards, label, k);
    if (!std::isnan(loss)) running_K[k].add(loss);
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto n = rows[i].get<int64_t>();
      const double r = rewards[i][k].get<double>() - static_cast<double>(label[n][place]);
      influence[n][place] += learning_rate * r * r * norms[i].get<double>();
      reward[n][place] = rewards[i][k].get<double>();
      norm[n] = norms[i].get<double>();
      running[n][place] = std::isnan(r) ? r : running_K[k].value();
      totals.seen_N[n] = 1;
    }
  }
}

}  // namespace

OnlineProfile::OnlineProfile(fs::path directory, Profile rows, const std::string& identity, core::Log log)
    : directory_(std::move(directory)), path_(directory_ / "visits.jsonl"), rows_(std::move(rows)), log_(std::move(log)) {
  fs::create_directories(directory_);
  rows_.label_NK = rows_.label_NK.to(at::kFloat).contiguous();
  read_log(identity);
  const std::string header = Json{{"identity", identity}}.dump() + "\n";
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor_ < 0 || ::ftruncate(descriptor_, static_cast<off_t>(end_)) != 0) {
    throw core::io_error(path_.string() + ": can't be opened for writing: " + std::strerror(errno));
  }
  if (end_ == 0) {
    write_all(descriptor_, header, path_);
    end_ = header.size();
  }
}

OnlineProfile::~OnlineProfile() { ::close(descriptor_); }

void OnlineProfile::read_log(const std::string& identity) {
  if (!fs::is_regular_file(path_)) return;
  const std::string text = core::read_file(path_);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    const auto line = Json::parse(text.substr(begin, end - begin), nullptr, false);
    if (end == std::string::npos || !line.is_object()) break;
    if (begin == 0) {
      if (line.value("identity", "") != identity) return;
    } else {
      if (!line.contains("step") || !line["step"].is_number_integer()) break;
      steps_.push_back({.step = line["step"].get<int64_t>(), .begin = begin});
    }
    begin = end + 1;
    end_ = begin;
  }
}

void OnlineProfile::add(int64_t step, double learning_rate, const std::vector<OnlineVisit>& visits) {
  const auto again = std::find_if(steps_.begin(), steps_.end(), [&](const Place& place) { return place.step >= step; });
  if (again != steps_.end()) {
    end_ = again->begin;
    steps_.erase(again, steps_.end());
    if (::ftruncate(descriptor_, static_cast<off_t>(end_)) != 0) throw core::io_error(path_.string() + ": can't be cut: " + std::strerror(errno));
  }
  if (last_step() + 1 < step && !warned_) {
    log_.warn("online profile: steps " + std::to_string(last_step() + 1) + " to " + std::to_string(step - 1) +
              " were trained without being collected; their samples are missing from it");
    warned_ = true;
  }
  Json line{{"step", step}, {"lr", learning_rate}, {"rows", Json::array()}, {"rewards", Json::array()}, {"feature_sq_norms", Json::array()}};
  for (const auto& visit : visits) {
    const bool finite = std::isfinite(visit.feature_sq_norm) && std::all_of(visit.reward_K.begin(), visit.reward_K.end(), [](double x) { return std::isfinite(x); });
    if (!finite) continue;
    line["rows"].push_back(visit.row);
    line["rewards"].push_back(visit.reward_K);
    line["feature_sq_norms"].push_back(visit.feature_sq_norm);
  }
  const std::string text = line.dump() + "\n";
  write_all(descriptor_, text, path_);
  steps_.push_back({.step = step, .begin = end_});
  end_ += text.size();
}

void OnlineProfile::sync() const {
  if (::fdatasync(descriptor_) != 0) throw core::io_error(path_.string() + ": can't be synchronised: " + std::strerror(errno));
}

Profile OnlineProfile::finish() const {
  sync();
  const int64_t rows = static_cast<int64_t>(rows_.ids.size()), dimensions = static_cast<int64_t>(rows_.dimensions.size());
  Totals totals{.influence_NK = at::zeros({rows, dimensions}, at::kDouble), .reward_NK = at::zeros({rows, dimensions}, at::kDouble),
                .running_NK = at::full({rows, dimensions}, std::nan(""), at::kDouble), .norm_N = at::full({rows}, std::nan(""), at::kDouble),
                .seen_N = at::zeros({rows}, at::kByte)};
  std::vector<RunningLoss> running_K(rows_.dimensions.size());
  const std::string text = core::read_file(path_);
  for (const auto& place : steps_) add_step(totals, running_K, Json::parse(text.substr(place.begin, text.find('\n', place.begin) - place.begin)), rows_.label_NK);

  Profile profile = rows_;
  allocate(profile, {.rows = rows, .dimensions = dimensions, .running_loss = true});
  const at::Tensor unseen_N1 = totals.seen_N.eq(0).unsqueeze(1);
  const float nan = std::nanf("");
  profile.label_NK = rows_.label_NK.masked_fill(unseen_N1, nan);
  profile.prediction_NK = totals.reward_NK.to(at::kFloat).masked_fill(unseen_N1, nan);
  profile.residual_NK = (totals.reward_NK - profile.label_NK.to(at::kDouble)).to(at::kFloat);
  profile.feature_sq_norm_N = totals.norm_N.to(at::kFloat);
  profile.self_influence_NK = totals.influence_NK.masked_fill(profile.label_NK.isnan(), nan).to(at::kFloat);
  profile.running_loss_NK = totals.running_NK.to(at::kFloat);
  profile.done_N = totals.seen_N;
  profile.estimator = "online";
  write_profile(directory_, profile);
  return profile;
}

}  // namespace mvrm::influence
