# SPDX-License-Identifier: Apache-2.0
# Imported target mvrm::torch: libtorch_cpu and libc10 out of the pinned PyPI wheel, and nothing of CUDA.
# find_package(Torch) is not used: with a CUDA wheel it insists on a CUDA toolkit and adds libtorch_cuda.
set(MVRM_TORCH_DIR "" CACHE PATH "the wheel's torch folder (default: the one in .venv)")
if(NOT MVRM_TORCH_DIR)
  file(GLOB MVRM_TORCH_DIR_FOUND ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
  if(NOT MVRM_TORCH_DIR_FOUND)
    message(FATAL_ERROR "no torch wheel in .venv: run ./scripts/setup.sh, or pass -DMVRM_TORCH_DIR=<…/site-packages/torch>")
  endif()
  list(GET MVRM_TORCH_DIR_FOUND 0 MVRM_TORCH_DIR)
endif()
set(MVRM_TORCH_LIB ${MVRM_TORCH_DIR}/lib)
get_filename_component(MVRM_SITE_PACKAGES ${MVRM_TORCH_DIR} DIRECTORY)
file(GLOB MVRM_NVIDIA_LIBS ${MVRM_SITE_PACKAGES}/nvidia/*/lib)

foreach(name c10 torch_cpu)
  add_library(mvrm::${name} SHARED IMPORTED)
  set_target_properties(mvrm::${name} PROPERTIES IMPORTED_LOCATION ${MVRM_TORCH_LIB}/lib${name}.so)
endforeach()
add_library(mvrm_torch INTERFACE)
add_library(mvrm::torch ALIAS mvrm_torch)
target_include_directories(mvrm_torch SYSTEM INTERFACE
  ${MVRM_TORCH_DIR}/include ${MVRM_TORCH_DIR}/include/torch/csrc/api/include)
target_compile_definitions(mvrm_torch INTERFACE
  _GLIBCXX_USE_CXX11_ABI=1 USE_DISTRIBUTED USE_C10D_GLOO)
target_link_libraries(mvrm_torch INTERFACE mvrm::torch_cpu mvrm::c10)
# libtorch_cpu names CUDA symbols that are never called without the plug-in.
target_link_options(mvrm_torch INTERFACE -Wl,--allow-shlib-undefined)
list(APPEND CMAKE_BUILD_RPATH ${MVRM_TORCH_LIB} ${MVRM_NVIDIA_LIBS})
list(APPEND CMAKE_INSTALL_RPATH ${MVRM_TORCH_LIB} ${MVRM_NVIDIA_LIBS})

# ATen and autograd headers cost 12 s a file; this precompiled header, made once, halves that for every stage.
add_library(mvrm_torch_pch OBJECT ${CMAKE_SOURCE_DIR}/cmake/torch_pch.cpp)
target_link_libraries(mvrm_torch_pch PRIVATE mvrm::torch)
mvrm_warnings(mvrm_torch_pch)   # -Wpedantic changes predefined macros: the header and its users must agree
target_precompile_headers(mvrm_torch_pch PRIVATE
  <ATen/ATen.h> <torch/csrc/autograd/autograd.h> <string> <vector> <memory> <optional> <map>)

# For programs: a precompiled header fits only objects with the same -fPIC or -fPIE, so they take the libraries' -fPIC.
function(mvrm_use_torch_pch program)
  set_target_properties(${program} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${program} PRIVATE -fPIC)
  target_precompile_headers(${program} REUSE_FROM mvrm_torch_pch)
endfunction()
