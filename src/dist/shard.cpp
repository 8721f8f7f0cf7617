// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/dist/shard.h>

namespace mvrm::dist {

std::vector<int64_t> interleaved_rows(int64_t rows, const Communicator& comm) {
  std::vector<int64_t> mine;
  for (int64_t row = comm.rank(); row < rows; row += comm.size()) mine.push_back(row);
  return mine;
}

void share_interleaved_rows(Tensor& table, Communicator& comm) {
  const int64_t rows = table.size(0);
  if (comm.size() == 1 || rows == 0) return;
  const int64_t each = (rows + comm.size() - 1) / comm.size();  // the last rows of some ranks are padding
  const at::Tensor flat = table.reshape({rows, -1});
  at::Tensor mine = at::zeros({each, flat.size(1)}, table.options());
  const at::Tensor own = flat.slice(0, comm.rank(), rows, comm.size());
  mine.slice(0, 0, own.size(0)).copy_(own);
  at::Tensor all = at::empty({comm.size() * each, flat.size(1)}, table.options());
  comm.all_gather(all, mine);
  table.copy_(all.view({comm.size(), each, -1}).transpose(0, 1).reshape({comm.size() * each, -1}).slice(0, 0, rows).view(table.sizes()));
}

}  // namespace mvrm::dist
