// SPDX-License-Identifier: Apache-2.0
// A row of a table while it is gathered: numbers by column, one from each seed.
#pragma once
#include <mvrm/experiment/paired.h>
#include <vector>

namespace mvrm::experiment {

class SeedColumns {
 public:
  // One number a column; every seed has as many.
  void add(const std::vector<double>& values) {
    columns_.resize(values.size());
    for (size_t c = 0; c < values.size(); ++c) columns_[c].push_back(values[c]);
  }
  const std::vector<double>& back() const { return columns_.back(); }
  std::vector<Summary> summaries() const {
    std::vector<Summary> cells;
    for (const auto& column : columns_) cells.push_back(summarise(column));
    return cells;
  }

 private:
  std::vector<std::vector<double>> columns_;
};

}  // namespace mvrm::experiment
