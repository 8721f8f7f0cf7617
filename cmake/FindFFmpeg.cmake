# SPDX-License-Identifier: Apache-2.0
# Imported targets FFmpeg::avformat, FFmpeg::avcodec, FFmpeg::avutil, FFmpeg::swscale.
find_package(PkgConfig QUIET)
foreach(name avformat avcodec avutil swscale)
  pkg_check_modules(FFmpeg_${name} QUIET IMPORTED_TARGET lib${name})
  if(FFmpeg_${name}_FOUND AND NOT TARGET FFmpeg::${name})
    add_library(FFmpeg::${name} ALIAS PkgConfig::FFmpeg_${name})
  endif()
endforeach()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(FFmpeg
  REQUIRED_VARS FFmpeg_avformat_FOUND FFmpeg_avcodec_FOUND FFmpeg_avutil_FOUND FFmpeg_swscale_FOUND
  VERSION_VAR FFmpeg_avcodec_VERSION)
