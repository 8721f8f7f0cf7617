// SPDX-License-Identifier: Apache-2.0
// P pairs, K dimensions; K + 1 outcomes a pair, the last that of the mean.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/eval/pairwise_accuracy.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_map>

#include "outcome_bootstrap.h"
#include "python_random.h"
#include "python_text.h"
#include "votes.h"

namespace mvrm::eval {

namespace {

struct Side {
  int64_t key = 0;
  bool left = false;
};

std::optional<Side> side_of(std::string_view id) {
  Side side;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), side.key);
  const std::string_view rest = id.substr(static_cast<size_t>(end - id.data()));
  if (error != std::errc{} || side.key < 0 || (rest != "_left" && rest != "_right")) return std::nullopt;
  side.left = rest == "_left";
  return side;
}

struct Sides {
  size_t left = SIZE_MAX, right = SIZE_MAX;  // rows
  size_t& operator[](bool is_left) { return is_left ? left : right; }
};

Preference preference_of(double left, double right) { return left > right ? Preference::left : left < right ? Preference::right : Preference::tie; }

// Rows of a VideoScore-Bench file: a number for each side of a pair.
class SidedPreferences {
 public:
  void add(const Row& row, const std::string& where) {
    const std::string& id = text_field(row, "id", where);
    const auto& value = row.at("preference");
    if (!value.is_number()) fail_row(where, id, "'preference' is not a number");
    add(id, value.get<double>(), where);
  }
  void add(const std::string& id, double preference, const std::string& where) {
    const auto side = side_of(id);
    if (!side) fail_row(where, id, "an id of a pair ends in _left or _right behind a number");
    auto [entry, fresh] = pairs_.try_emplace(side->key);
    if (fresh) order_.push_back(side->key);
    double& slot = side->left ? entry->second.left : entry->second.right;
    if (!std::isnan(slot)) fail_row(where, id, "duplicate id");
    slot = preference;
    entry->second.where = where;
  }
  Votes finish() const {
    Votes votes;
    for (const int64_t key : order_) {
      const auto& pair = pairs_.at(key);
      if (std::isnan(pair.left) || std::isnan(pair.right)) {
        fail_row(pair.where, std::to_string(key), std::isnan(pair.left) ? "pair without its left side" : "pair without its right side");
      }
      votes.keys.push_back(key);
      votes.preferences.push_back(preference_of(pair.left, pair.right));
    }
    return votes;
  }

 private:
  struct Pair {
    double left = std::nan(""), right = std::nan("");
    std::string where;
  };
  std::unordered_map<int64_t, Pair> pairs_;
  std::vector<int64_t> order_;
};

Votes votes_of(const data::Manifest& manifest) {
  SidedPreferences sided;
  for (const auto& sample : manifest.samples) {
    const std::string where = manifest.path.string() + ": row " + std::to_string(sample.line);
    if (sample.preferences.empty()) fail_row(where, sample.id, "has no 'preference'");
    sided.add(sample.id, sample.preferences.front().value, where);
  }
  return sided.finish();
}

}  // namespace

bool agrees(double left, double right, Preference preference) {
  switch (preference) {
    case Preference::left: return left > right;
    case Preference::right: return left < right;
    default: return std::abs(left - right) < 0.5;
  }
}

Votes read_votes(const std::filesystem::path& path) {
  if (path.extension() == ".parquet") return votes_of(data::load_manifest(path));
  Votes votes;
  SidedPreferences sided;
  int64_t place = -1;
  std::unordered_map<int64_t, std::string> first_place;
  for_each_row(path, [&](const Row& row, const std::string& where) {
    if (row.contains("preference")) return sided.add(row, where);
    ++place;
    const int64_t key = !row.contains("idx") && row.contains("left_video") ? place : index_field(row, where);
    const auto [first, fresh] = first_place.emplace(key, where);
    if (!fresh) fail_row(where, std::to_string(key), "duplicate idx; first in " + first->second);
    const HumanVote vote = vote_field(row, where, std::to_string(key));
    votes.keys.push_back(key);
    votes.preferences.push_back(vote == HumanVote::left ? Preference::left : vote == HumanVote::right ? Preference::right : Preference::tie);
  });
  const Votes of_sides = sided.finish();
  if (votes.keys.empty()) return of_sides;
  if (!of_sides.keys.empty()) fail_row(path.string(), "", "mixes rows with 'human_vote' and rows with 'preference'");
  return votes;
}

PairTable match_pairs(const Predictions& predictions, const Votes& votes, const std::string& name, bool drop_unpaired) {
  const at::Tensor reward_NK = predictions.reward_NK.to(at::kDouble).contiguous();
  const auto* reward = reward_NK.const_data_ptr<double>();
  const size_t dimensions = predictions.dimensions.size();
  std::unordered_map<int64_t, Sides> rows;
  for (const int64_t key : votes.keys) rows[key];
  for (size_t n = 0; n < predictions.ids.size(); ++n) {
    const std::string& id = predictions.ids[n];
    const auto side = side_of(id);
    if (!side) fail_row(name, id, "an id of a pair ends in _left or _right behind a number");
    const auto entry = rows.find(side->key);
    if (entry == rows.end()) fail_row(name, id, "there is no vote for this pair");
    const double* row = reward + n * dimensions;
    if (std::all_of(row, row + dimensions, [](double x) { return std::isfinite(x); })) entry->second[side->left] = n;
  }
  PairTable pairs{.keys = {}, .preferences = {}, .dimensions = predictions.dimensions, .left = {}, .right = {}};
  for (size_t p = 0; p < votes.keys.size(); ++p) {
    const Sides& sides = rows.at(votes.keys[p]);
    if (sides.left == SIZE_MAX && sides.right == SIZE_MAX) continue;
    if (sides.left == SIZE_MAX || sides.right == SIZE_MAX) {
      if (drop_unpaired) continue;
      const size_t there = std::min(sides.left, sides.right);
      fail_row(name, predictions.ids[there], "the other side of this pair has no prediction; --drop-unpaired leaves such pairs out");
    }
    pairs.keys.push_back(votes.keys[p]);
    pairs.preferences.push_back(votes.preferences[p]);
    for (size_t k = 0; k < dimensions; ++k) {
      pairs.left.push_back(round_to_3(reward[sides.left * dimensions + k]));
      pairs.right.push_back(round_to_3(reward[sides.right * dimensions + k]));
    }
  }
  return pairs;
}

PairTable random_pairs(const Votes& votes, uint32_t seed) {
  PairTable pairs{.keys = votes.keys, .preferences = votes.preferences, .dimensions = {"random"}, .left = {}, .right = {}};
  PythonRandom random(seed);
  for (size_t p = 0; p < votes.keys.size(); ++p) {
    pairs.left.push_back(random.random() * 4);
    pairs.right.push_back(random.random() * 4);
  }
  return pairs;
}

std::vector<uint64_t> outcomes_of(const PairTable& pairs) {
  const size_t dimensions = pairs.dimensions.size();
  MVRM_CHECK(dimensions <= kMaxOutcomeDimensions, "pairwise accuracy of ", dimensions, " dimensions");
  std::vector<uint64_t> outcomes;
  for (size_t p = 0; p < pairs.preferences.size(); ++p) {
    uint64_t outcome = pairs.preferences[p] == Preference::tie ? kTieBit : 0;
    double left = 0, right = 0;
    for (size_t k = 0; k < dimensions; ++k) {
      const double x = pairs.left[p * dimensions + k], y = pairs.right[p * dimensions + k];
      left += x;
      right += y;
      if (agrees(x, y, pairs.preferences[p])) outcome |= uint64_t{1} << k;
    }
    const auto count = static_cast<double>(dimensions);
    if (agrees(left / count, right / count, pairs.preferences[p])) outcome |= uint64_t{1} << dimensions;
    outcomes.push_back(outcome);
  }
  return outcomes;
}

PairwiseResult evaluate_pairs(const PairTable& pairs, int64_t resamples, uint64_t seed, int64_t threads) {
  const size_t dimensions = pairs.dimensions.size();
  const OutcomeAccuracies accuracies = bootstrap_outcomes(outcomes_of(pairs), dimensions + 1, {resamples, seed, threads});
  PairwiseResult result{.pairs = accuracies.pairs, .pairs_without_ties = accuracies.pairs_without_ties, .all = accuracies.all.back(),
                        .without_ties = accuracies.without_ties.back(), .dimensions = {}};
  for (size_t k = 0; k < dimensions; ++k) result.dimensions.push_back({pairs.dimensions[k], accuracies.all[k], accuracies.without_ties[k]});
  return result;
}

std::string to_json_text(const PairwiseResult& result) {
  const auto number = [](double x) { return std::isfinite(x) ? Row(x) : Row(); };
  const auto with_interval = [&](const AccuracyInterval& x) {
    return Row{{"accuracy", number(x.accuracy)}, {"low", number(x.low)}, {"high", number(x.high)}};
  };
  const auto put = [&](Row& into, const auto& of, auto member) {
    for (const auto& d : of.dimensions) into[d.name] = number((d.*member).accuracy);
  };
  Row document{{"pairs", result.pairs}, {"accuracy", number(result.all.accuracy)}, {"low", number(result.all.low)},
               {"high", number(result.all.high)}, {"dimensions", Row::object()}, {"intervals", Row::object()}};
  put(document["dimensions"], result, &DimensionAccuracy::all);
  for (const auto& d : result.dimensions) document["intervals"][d.name] = {number(d.all.low), number(d.all.high)};
  Row without = with_interval(result.without_ties);
  without["pairs"] = result.pairs_without_ties;
  without["dimensions"] = Row::object();
  put(without["dimensions"], result, &DimensionAccuracy::without_ties);
  document["without_ties"] = std::move(without);
  return document.dump();
}

}  // namespace mvrm::eval
