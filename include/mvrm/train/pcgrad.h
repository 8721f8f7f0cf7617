// SPDX-License-Identifier: Apache-2.0
// PCGrad without K gradients in memory for its arithmetic (spec/influence.md 2.4): the projected update is a combination of the K
// gradients whose coefficients follow from their K x K Gram matrix alone. The Gram matrix is exact from gradients in parts over the ranks
// (`shards`), or near-exact from count-sketches (`sketch`).
#pragma once
#include <cstdint>
#include <mvrm/dist/communicator.h>
#include <mvrm/train/engine.h>
#include <vector>

namespace mvrm::train {

// w with sum_j w_j g_j = sum_i PCGrad(g_i): for each i the others are visited in a random order, a function of (seed, step, i), and a
// negative product is projected away. Every w_j >= 1. float64.
std::vector<double> pcgrad_coefficients(const core::Tensor& gram_KK, uint64_t seed, int64_t step);
// The order in which task i visits the others.
std::vector<int64_t> pcgrad_order(int64_t tasks, int64_t task, uint64_t seed, int64_t step);

// The score head's parameters inside its unit (the last): row k of each belongs to dimension k alone. As its rows never conflict, the
// method leaves them out.
struct HeadRows { int64_t offset = 0, rows = 0, row_length = 0; };
std::vector<HeadRows> head_rows(const model::Unit& head, const FlatLayout& layout);

// `parts`: K x U parts of gradients (objectives first), of which this rank holds the comm.rank()-th of equal parts. float64 [K, K], the
// same on every rank and for any number of ranks: chunk sums in float64, added in index order. Empty `without`: nothing is left out.
core::Tensor gram_of_parts(const Gradients& parts, int64_t dimensions, const std::vector<HeadRows>& without, dist::Communicator& comm);
// Sum over j of w_j times gradient j into the first of the K, and back to U parts; rows of `plain` keep a factor of 1.
void combine_parts(Gradients& parts, const std::vector<double>& w_K, const std::vector<HeadRows>& plain, const dist::Communicator& comm);
// Takes w_k out of row k of `plain` again, where a gradient was computed with the loss weighted by w.
void unscale_rows(Gradients& parts, const std::vector<double>& w_K, const std::vector<HeadRows>& plain, const dist::Communicator& comm);

// Count-sketch of K gradients, made unit by unit: linear, so sketches of micro-batches and ranks add up.
class SketchAccess : public UnitAccess {
 public:
  // `inner` gives the parameters; `sketch_KM` float64, added to. Nothing of a unit's gradient outlives finished().
  SketchAccess(UnitAccess& inner, const std::vector<FlatLayout>& layouts, at::TensorOptions options, std::vector<HeadRows> without, core::Tensor sketch_KM);
  std::vector<core::Tensor> parameters(size_t unit) override { return inner_.parameters(unit); }
  void announce(size_t unit) override { inner_.announce(unit); }
  void release(size_t unit) override { inner_.release(unit); }
  core::Tensor gradient(size_t objective, size_t unit) override;
  void finished(size_t unit) override;

 private:
  void add_piece(size_t unit, int64_t begin, int64_t end);
  UnitAccess& inner_;
  const std::vector<FlatLayout>& layouts_;
  at::TensorOptions options_;
  std::vector<HeadRows> without_;
  core::Tensor sketch_KM_;
  std::vector<core::Tensor> scratch_;
};

}  // namespace mvrm::train
