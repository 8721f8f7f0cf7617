// SPDX-License-Identifier: Apache-2.0
// The probability that a label is wrong (spec/influence.md 5.2), calibrated by planting known flips: the labels are corrupted in known places,
// the linear head is refitted, and what share of the labels at a held-out residual of that size were planted is read off by isotonic
// regression. Unplanted labels are not all right; they are what the planted ones are compared with (learning from positive and unlabelled
// data), so P(wrong | t) = share of wrong labels * density of planted ones at t / density of the real ones at t.
#pragma once
#include <mvrm/influence/profile.h>
#include <mvrm/refine/noise.h>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace mvrm::refine {

// Isotonic regression by pooling adjacent violators: the non-decreasing step function of x that is closest to y in squares. Blocks by rising x;
// a block holds x from its `start` up to the next one's.
struct IsotonicFit {
  std::vector<double> start, value;
  std::vector<int64_t> count;
  double at(double x) const;   // below the first start: the first value
};
// Points of equal x share a block; blocks of fewer than `least` points are joined with a neighbour.
IsotonicFit fit_isotonic(const std::vector<double>& x, const std::vector<double>& y, int64_t least = 1);

struct CalibrationConfig {
  NoiseKind kind = NoiseKind::uniform_other;
  double share = 0.05;       // of the labels planted in each round
  int64_t rounds = 10;       // even rounds fit, odd ones check; at least 2
  uint64_t seed = 42;
};
// Planted labels by predicted probability, in rounds that took no part in the fit.
struct ReliabilityBin {
  double low = 0, high = 0, predicted = 0, observed = 0;   // bin edges; mean prediction; share that was planted
  int64_t count = 0;
};
struct NoiseCalibration {
  core::Tensor probability_NK;             // float64, that the label is wrong; NaN = no label
  core::Tensor suggestion_NK;              // float64, the level that fits the held-out reward best; NaN = no label
  std::vector<double> wrong_share_K;       // estimated share of wrong labels in each dimension
  std::vector<ReliabilityBin> reliability; // ten bins of width 0.1
  double calibration_error = 0;            // mean over planted rounds of |predicted - observed|, weighted by count
  bool held_out = false;                   // residuals of a refitted head without the label; else the profile's own, which knows the label
};
// Throws ConfigError for bad numbers, DataError where labels are no levels or fewer than two levels are left.
NoiseCalibration calibrate_noise(const influence::Profile& profile, const CalibrationConfig& config = {});

// {"wrong_share": {name: x}, "calibration_error", "held_out", "reliability": [{"low", "high", "predicted", "observed", "count"}]}
nlohmann::ordered_json to_json(const NoiseCalibration& calibration, const std::vector<std::string>& dimensions);

}  // namespace mvrm::refine
