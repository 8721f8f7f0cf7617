// SPDX-License-Identifier: Apache-2.0
// K evaluation dimensions, M numbers of a sketch, E elements of a unit's flat buffer.
#include <ATen/ATen.h>
#include <algorithm>
#include <mvrm/core/error.h>
#include <mvrm/core/random.h>
#include <mvrm/train/pcgrad.h>
#include <numeric>

namespace mvrm::train {

std::vector<int64_t> pcgrad_order(int64_t tasks, int64_t task, uint64_t seed, int64_t step) {
  std::vector<int64_t> order;
  for (int64_t j = 0; j < tasks; ++j)
    if (j != task) order.push_back(j);
  core::CounterRng random(core::combine64(core::mix64(seed), static_cast<uint64_t>(step)), static_cast<uint64_t>(task));
  for (auto i = static_cast<int64_t>(order.size()) - 1; i > 0; --i) std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(random.below(i + 1))]);
  return order;
}

std::vector<double> pcgrad_coefficients(const core::Tensor& gram_KK, uint64_t seed, int64_t step) {
  const int64_t tasks = gram_KK.size(0);
  core::check_shape(gram_KK, {tasks, tasks}, "Gram matrix");
  const at::Tensor table = gram_KK.to(at::kDouble).contiguous();
  const double* gram = table.const_data_ptr<double>();
  std::vector<double> total(static_cast<size_t>(tasks), 0.0);
  for (int64_t i = 0; i < tasks; ++i) {
    std::vector<double> c(static_cast<size_t>(tasks), 0.0);
    c[static_cast<size_t>(i)] = 1;
    for (const int64_t j : pcgrad_order(tasks, i, seed, step)) {
      const double square = gram[j * tasks + j];
      double product = 0;
      for (int64_t l = 0; l < tasks; ++l) product += gram[j * tasks + l] * c[static_cast<size_t>(l)];
      if (square > 0 && product < 0) c[static_cast<size_t>(j)] -= product / square;
    }
    for (size_t j = 0; j < c.size(); ++j) total[j] += c[j];
  }
  return total;
}

std::vector<HeadRows> head_rows(const model::Unit& head, const FlatLayout& layout) {
  std::vector<HeadRows> rows;
  for (size_t i = 0; i < head.parameters.size(); ++i) {
    const auto& parameter = head.parameters[i];
    if (parameter.name.rfind("score.", 0) == 0) rows.push_back({layout.offset[i], parameter.shape[0], layout.length[i] / parameter.shape[0]});
  }
  return rows;
}

namespace {

// Calls `f(k, view)` for the piece of row k that lies in this rank's part of the unit.
template <class F> void for_rows(const core::Tensor& part, const std::vector<HeadRows>& rows, const dist::Communicator& comm, F f) {
  const int64_t begin = comm.rank() * part.numel(), end = begin + part.numel();
  for (const auto& parameter : rows) {
    for (int64_t k = 0; k < parameter.rows; ++k) {
      const int64_t from = std::max(begin, parameter.offset + k * parameter.row_length), to = std::min(end, parameter.offset + (k + 1) * parameter.row_length);
      if (from < to) f(static_cast<size_t>(k), part.slice(0, from - begin, to - begin));
    }
  }
}

// Of each chunk of two parts, float64. A piece at a time: whole parts in float64 would take more memory than the gradients of a unit.
at::Tensor chunk_products(const at::Tensor& left, const at::Tensor& right) {
  constexpr int64_t kPiece = 2048;   // chunks
  const at::Tensor left_CE = left.view({-1, kChunk}), right_CE = right.view({-1, kChunk});
  at::Tensor sums_C = at::empty({left_CE.size(0)}, left.options().dtype(at::kDouble));
  for (int64_t begin = 0; begin < sums_C.numel(); begin += kPiece) {
    const int64_t count = std::min(kPiece, sums_C.numel() - begin);
    const auto piece = [&](const at::Tensor& part_CE) { return part_CE.narrow(0, begin, count).to(at::kDouble); };
    sums_C.narrow(0, begin, count).copy_((piece(left_CE) * piece(right_CE)).sum(1));
  }
  return sums_C;
}

// The sum over all ranks of this rank's chunk sums, added in the order of the whole flat buffers.
double ordered_sum(const std::vector<at::Tensor>& sums_of_unit, dist::Communicator& comm) {
  const at::Tensor mine = at::cat(sums_of_unit).cpu();
  at::Tensor all = at::empty({comm.size() * mine.numel()}, at::kDouble);
  comm.all_gather(all, mine);
  double sum = 0;
  int64_t begin = 0;
  for (const auto& unit : sums_of_unit) {
    for (int64_t r = 0; r < comm.size(); ++r) {
      const double* chunk = all.const_data_ptr<double>() + r * mine.numel() + begin;
      for (int64_t i = 0; i < unit.numel(); ++i) sum += chunk[i];
    }
    begin += unit.numel();
  }
  return sum;
}

}  // namespace

core::Tensor gram_of_parts(const Gradients& parts, int64_t dimensions, const std::vector<HeadRows>& without, dist::Communicator& comm) {
  const size_t units = parts.size() / static_cast<size_t>(dimensions);
  const auto part_of = [&](int64_t k, size_t u) {
    const at::Tensor& part = parts[static_cast<size_t>(k) * units + u];
    if (u + 1 < units || without.empty()) return part;
    at::Tensor rest = part.clone();
    for_rows(rest, without, comm, [](size_t, at::Tensor row) { row.zero_(); });
    return rest;
  };
  at::Tensor gram_KK = at::empty({dimensions, dimensions}, at::kDouble);
  double* gram = gram_KK.mutable_data_ptr<double>();
  for (int64_t j = 0; j < dimensions; ++j) {
    for (int64_t k = j; k < dimensions; ++k) {
      std::vector<at::Tensor> sums;
      for (size_t u = 0; u < units; ++u) sums.push_back(chunk_products(part_of(j, u), part_of(k, u)));
      gram[j * dimensions + k] = gram[k * dimensions + j] = ordered_sum(sums, comm);
    }
  }
  return gram_KK;
}

void combine_parts(Gradients& parts, const std::vector<double>& w_K, const std::vector<HeadRows>& plain, const dist::Communicator& comm) {
  const size_t units = parts.size() / w_K.size();
  for (size_t u = 0; u < units; ++u) {
    for (size_t k = 0; k < w_K.size(); ++k) {
      at::Tensor& part = parts[k * units + u];
      std::vector<at::Tensor> kept;
      if (u + 1 == units) for_rows(part, plain, comm, [&](size_t, const at::Tensor& row) { kept.push_back(row.clone()); });
      part.mul_(w_K[k]);
      size_t next = 0;
      if (u + 1 == units) for_rows(part, plain, comm, [&](size_t, at::Tensor row) { row.copy_(kept[next++]); });
      if (k > 0) parts[u].add_(part);
    }
  }
  parts.resize(units);
}

void unscale_rows(Gradients& parts, const std::vector<double>& w_K, const std::vector<HeadRows>& plain, const dist::Communicator& comm) {
  for_rows(parts.back(), plain, comm, [&](size_t k, at::Tensor row) { row.div_(w_K[k]); });
}

SketchAccess::SketchAccess(UnitAccess& inner, const std::vector<FlatLayout>& layouts, at::TensorOptions options, std::vector<HeadRows> without,
                           core::Tensor sketch_KM)
    : inner_(inner), layouts_(layouts), options_(options), without_(std::move(without)), sketch_KM_(std::move(sketch_KM)),
      scratch_(static_cast<size_t>(sketch_KM_.size(0))) {}

core::Tensor SketchAccess::gradient(size_t objective, size_t unit) {
  if (!scratch_[objective].defined()) scratch_[objective] = at::zeros({layouts_[unit].total}, options_);
  return scratch_[objective];
}

// Bucket and sign of element e are bits of a hash of (unit, e): multiply, fold, multiply; int64 arithmetic wraps.
void SketchAccess::add_piece(size_t unit, int64_t begin, int64_t end) {
  at::Tensor hash_E = at::arange(begin, end, options_.dtype(at::kLong)).add_(static_cast<int64_t>(core::mix64(unit + 1) >> 1));
  for (const int64_t factor : {int64_t{0x3f58476d1ce4e5b9}, int64_t{0x14d049bb133111eb}}) {
    hash_E.mul_(factor);
    hash_E.bitwise_xor_(hash_E.bitwise_right_shift(31).bitwise_and_(0x1ffffffff));
  }
  const at::Tensor bucket_E = hash_E.bitwise_right_shift(20).bitwise_and_(0x7ffffffffff).remainder_(sketch_KM_.size(1));
  const at::Tensor sign_E = hash_E.bitwise_and(1).mul_(2).sub_(1).to(at::kDouble);
  for (size_t k = 0; k < scratch_.size(); ++k)
    sketch_KM_[static_cast<int64_t>(k)].index_add_(0, bucket_E, scratch_[k].slice(0, begin, end).to(at::kDouble).mul_(sign_E));
}

void SketchAccess::finished(size_t unit) {
  constexpr int64_t kPiece = int64_t{1} << 21;   // a whole unit's hashes and float64 copies would take more memory than its gradients
  if (scratch_.front().defined()) {
    if (unit + 1 == layouts_.size()) {
      for (const auto& rows : without_)
        for (auto& flat : scratch_) flat.slice(0, rows.offset, rows.offset + rows.rows * rows.row_length).zero_();
    }
    for (int64_t begin = 0; begin < layouts_[unit].total; begin += kPiece) add_piece(unit, begin, std::min(begin + kPiece, layouts_[unit].total));
  }
  for (auto& flat : scratch_) flat.reset();
  inner_.finished(unit);
}

}  // namespace mvrm::train
