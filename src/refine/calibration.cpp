// SPDX-License-Identifier: Apache-2.0
// N samples, K dimensions, n labels of a dimension.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/random.h>
#include <mvrm/refine/automatic_alpha.h>
#include <mvrm/refine/calibration.h>
#include <mvrm/refine/held_out.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace mvrm::refine {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kLeastInBlock = 20, kBins = 10;

// Sizes of robust residuals of one dimension over some planted rounds; `planted` is 1 for labels that were made wrong.
struct Points {
  std::vector<double> size, planted;
};

struct Round {
  at::Tensor size_NK, planted_NK;   // float64, NaN = no label; uint8
};

// Each dimension has its own levels, so noise is planted column by column. Residuals are scaled as the real ones are: planted errors widen them.
Round plant_round(const HeldOutHead& head, const at::Tensor& label_NK, const RobustScale& scale, const CalibrationConfig& config, int64_t round) {
  std::vector<at::Tensor> labels, planted;
  for (int64_t k = 0; k < label_NK.size(1); ++k) {
    const at::Tensor column_N1 = label_NK.narrow(1, k, 1);
    const auto levels = levels_of(column_N1);
    const auto seed = core::combine64(config.seed, static_cast<uint64_t>(round * label_NK.size(1) + k));
    PlantedNoise noise{.label_NK = column_N1.to(at::kFloat), .corrupted_NK = at::zeros_like(column_N1, at::kByte)};
    if (levels.size() > 1) noise = plant_noise(column_N1, {.kind = config.kind, .share = config.share, .seed = seed, .levels = levels});
    labels.push_back(noise.label_NK);
    planted.push_back(noise.corrupted_NK);
  }
  return {.size_NK = robust_residual(head.residual(at::cat(labels, 1)), scale).abs().contiguous(), .planted_NK = at::cat(planted, 1).contiguous()};
}

void add_points(Points& points, const Round& round, int64_t k) {
  for (int64_t n = 0; n < round.size_NK.size(0); ++n) {
    const int64_t cell = n * round.size_NK.size(1) + k;
    if (std::isnan(round.size_NK.const_data_ptr<double>()[cell])) continue;
    points.size.push_back(round.size_NK.const_data_ptr<double>()[cell]);
    points.planted.push_back(round.planted_NK.const_data_ptr<uint8_t>()[cell]);
  }
}

// The share of wrong labels: real labels beyond a threshold over the part of planted ones beyond it. Right labels beyond the threshold make
// that too large, so the smallest over thresholds is taken; a standard deviation of the count keeps chance from making it too small.
double wrong_share(const std::vector<double>& real, const Points& points) {
  std::vector<double> planted, sorted = real;
  for (size_t i = 0; i < points.size.size(); ++i) {
    if (points.planted[i] > 0) planted.push_back(points.size[i]);
  }
  if (real.empty()) return 0;
  std::sort(planted.begin(), planted.end());
  std::sort(sorted.begin(), sorted.end());
  double share = 1;
  for (size_t i = 0; i + kLeastInBlock < planted.size(); ++i) {
    const auto above = static_cast<double>(sorted.end() - std::lower_bound(sorted.begin(), sorted.end(), planted[i]));
    const double tail = static_cast<double>(planted.size() - i) / static_cast<double>(planted.size());
    share = std::min(share, (above + std::sqrt(above)) / static_cast<double>(sorted.size()) / tail);
  }
  return planted.size() > kLeastInBlock ? share : 0;
}

// Odds of planted to unplanted, freed of the share that was planted: how much denser planted labels are here than real ones.
double density_ratio(double planted_share_here, double planted_share) {
  const double prior = planted_share / (1 - planted_share);
  return planted_share_here < 1 ? planted_share_here / (1 - planted_share_here) / prior : std::numeric_limits<double>::infinity();
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

void fill_probability(NoiseCalibration& result, const at::Tensor& size_NK, const IsotonicFit& fit, const Points& points, int64_t k) {
  std::vector<double> real;
  const int64_t rows = size_NK.size(0), dimensions = size_NK.size(1);
  const auto* size = size_NK.const_data_ptr<double>();
  for (int64_t n = 0; n < rows; ++n) {
    if (!std::isnan(size[n * dimensions + k])) real.push_back(size[n * dimensions + k]);
  }
  const double share = wrong_share(real, points), planted = mean_of(points.planted);
  result.wrong_share_K.push_back(share);
  for (int64_t n = 0; n < rows; ++n) {
    const double here = size[n * dimensions + k];
    if (std::isnan(here)) continue;
    const double ratio = planted > 0 && planted < 1 ? density_ratio(fit.at(here), planted) : 0;
    result.probability_NK[n][k] = share > 0 ? std::min(1.0, share * ratio) : 0.0;
  }
}

// The level with the largest prior times a normal around the held-out reward.
void fill_suggestions(NoiseCalibration& result, const at::Tensor& label_NK, const at::Tensor& residual_NK) {
  const at::Tensor label = label_NK.to(at::kDouble).contiguous(), residual = residual_NK.contiguous();
  for (int64_t k = 0; k < label.size(1); ++k) {
    const auto levels = levels_of(label.narrow(1, k, 1));
    std::map<double, double> count;
    for (int64_t n = 0; n < label.size(0); ++n) {
      if (const double value = label[n][k].item<double>(); !std::isnan(value)) ++count[value];
    }
    const at::Tensor column_N = residual.select(1, k), known = column_N.masked_select(column_N.isnan().logical_not());
    if (known.numel() == 0) continue;
    const double scale = std::max(1e-6, 1.4826 * (known - known.median()).abs().median().item<double>());
    for (int64_t n = 0; n < label.size(0); ++n) {
      const double reward = label[n][k].item<double>() + column_N[n].item<double>();
      double best = -std::numeric_limits<double>::infinity();
      for (const double level : levels) {
        const double distance = (reward - level) / scale, fitness = std::log(count[level]) - 0.5 * distance * distance;
        if (!(fitness > best)) continue;
        best = fitness;
        result.suggestion_NK[n][k] = level;
      }
    }
  }
}

void check_reliability(NoiseCalibration& result, const std::vector<IsotonicFit>& fits, const std::vector<Round>& held_rounds) {
  for (int64_t b = 0; b < kBins; ++b) {
    result.reliability.push_back({.low = static_cast<double>(b) / kBins, .high = static_cast<double>(b + 1) / kBins});
  }
  int64_t total = 0;
  for (const auto& round : held_rounds) {
    for (size_t k = 0; k < fits.size(); ++k) {
      Points points;
      add_points(points, round, static_cast<int64_t>(k));
      for (size_t i = 0; i < points.size.size(); ++i) {
        const double predicted = fits[k].at(points.size[i]);
        auto& bin = result.reliability[static_cast<size_t>(std::min<int64_t>(kBins - 1, static_cast<int64_t>(predicted * kBins)))];
        bin.predicted += predicted;
        bin.observed += points.planted[i];
        ++bin.count;
        ++total;
      }
    }
  }
  for (auto& bin : result.reliability) {
    if (bin.count == 0) {
      bin.predicted = bin.observed = kNan;
      continue;
    }
    bin.predicted /= static_cast<double>(bin.count);
    bin.observed /= static_cast<double>(bin.count);
    result.calibration_error += std::abs(bin.predicted - bin.observed) * static_cast<double>(bin.count) / static_cast<double>(total);
  }
}

}  // namespace

NoiseCalibration calibrate_noise(const influence::Profile& profile, const CalibrationConfig& config) {
  if (config.rounds < 2) throw core::ConfigError("calibration: needs at least 2 rounds, one to fit and one to check");
  if (!(config.share > 0 && config.share < 1)) throw core::ConfigError("calibration: the planted share must be between 0 and 1");
  const HeldOutHead head(profile);
  const at::Tensor residual_NK = head.residual(profile.label_NK);
  const RobustScale scale = robust_scale(residual_NK);
  const at::Tensor size_NK = robust_residual(residual_NK, scale).abs().contiguous();
  NoiseCalibration result{.probability_NK = at::full(size_NK.sizes(), kNan, at::kDouble), .suggestion_NK = at::full(size_NK.sizes(), kNan, at::kDouble),
                          .held_out = head.refits()};
  std::vector<Points> points(profile.dimensions.size());
  std::vector<Round> held_rounds;
  for (int64_t round = 0; round < config.rounds; ++round) {
    Round planted = plant_round(head, profile.label_NK, scale, config, round);
    if (round % 2 == 1) held_rounds.push_back(std::move(planted));
    else for (size_t k = 0; k < points.size(); ++k) add_points(points[k], planted, static_cast<int64_t>(k));
  }
  std::vector<IsotonicFit> fits;
  for (size_t k = 0; k < points.size(); ++k) {
    fits.push_back(points[k].size.empty() ? IsotonicFit{{0}, {0}, {0}} : fit_isotonic(points[k].size, points[k].planted, kLeastInBlock));
    fill_probability(result, size_NK, fits.back(), points[k], static_cast<int64_t>(k));
  }
  fill_suggestions(result, profile.label_NK, residual_NK);
  check_reliability(result, fits, held_rounds);
  return result;
}

nlohmann::ordered_json to_json(const NoiseCalibration& calibration, const std::vector<std::string>& dimensions) {
  const auto number = [](double x) { return std::isfinite(x) ? nlohmann::ordered_json(x) : nlohmann::ordered_json(); };
  nlohmann::ordered_json document{{"wrong_share", nlohmann::ordered_json::object()}, {"calibration_error", calibration.calibration_error},
                                  {"held_out", calibration.held_out}, {"reliability", nlohmann::ordered_json::array()}};
  for (size_t k = 0; k < dimensions.size(); ++k) document["wrong_share"][dimensions[k]] = calibration.wrong_share_K[k];
  for (const auto& bin : calibration.reliability) {
    document["reliability"].push_back({{"low", bin.low}, {"high", bin.high}, {"predicted", number(bin.predicted)}, {"observed", number(bin.observed)},
                                       {"count", bin.count}});
  }
  return document;
}

}  // namespace mvrm::refine
