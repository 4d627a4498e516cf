# Every library that Retort links, as an imported target. `./dev setup` installs them.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
if(RT_FUZZ)
  # Only readers are fuzzed, and clang brings no OpenMP of its own: loops stay serial, and the few
  # calls of its library find gcc's, which OpenBLAS needs anyway.
  add_library(OpenMP::OpenMP_C INTERFACE IMPORTED)
  set_target_properties(OpenMP::OpenMP_C PROPERTIES INTERFACE_LINK_LIBRARIES "-l:libgomp.so.1")
else()
  find_package(OpenMP REQUIRED COMPONENTS C)
endif()
find_program(PROTOC_C protoc-c REQUIRED)

pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
# Its headers are <hiredis/...> here; pkg-config may name the folder within.
find_path(HIREDIS_PARENT hiredis/hiredis.h REQUIRED HINTS ${HIREDIS_INCLUDE_DIRS} PATH_SUFFIXES ..)
target_include_directories(PkgConfig::HIREDIS INTERFACE "${HIREDIS_PARENT}")
# TLS to Redis, where this system's hiredis has it (from version 1.0 on, as a library of its own).
pkg_check_modules(HIREDIS_SSL IMPORTED_TARGET hiredis_ssl)
pkg_check_modules(OPENSSL IMPORTED_TARGET openssl)
if(NOT HIREDIS_SSL_FOUND OR NOT OPENSSL_FOUND)
  message(STATUS "No hiredis_ssl: rediss:// will be refused")
endif()
pkg_check_modules(CYAML REQUIRED IMPORTED_TARGET libcyaml)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)

# Chart.js draws the curves of the dashboard; it is one file, which the build embeds.
find_file(CHART_JS NAMES chart.min.js chart.umd.js PATHS /usr/share/javascript/chart.js
  NO_DEFAULT_PATH REQUIRED DOC "Chart.js as one script, of Debian's libjs-chart.js")

# The OpenMP build of OpenBLAS shares one thread pool with our own loops; Debian keeps it in a
# folder of its own, beside other builds of the same library.
find_library(OPENBLAS_LIBRARY openblas
  PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp NO_DEFAULT_PATH)
find_library(OPENBLAS_LIBRARY openblas REQUIRED)
find_path(OPENBLAS_INCLUDE cblas.h REQUIRED
  PATHS /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp
        /usr/include/${CMAKE_LIBRARY_ARCHITECTURE} NO_DEFAULT_PATH)
get_filename_component(openblas_dir "${OPENBLAS_LIBRARY}" DIRECTORY)
add_library(OpenBLAS::OpenBLAS INTERFACE IMPORTED)
set_target_properties(OpenBLAS::OpenBLAS PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES "${OPENBLAS_INCLUDE}"
  INTERFACE_LINK_LIBRARIES "${OPENBLAS_LIBRARY};OpenMP::OpenMP_C"
  INTERFACE_LINK_OPTIONS "-Wl,-rpath,${openblas_dir}")

find_path(DNNL_INCLUDE dnnl.h REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(oneDNN::oneDNN INTERFACE IMPORTED)
set_target_properties(oneDNN::oneDNN PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES "${DNNL_INCLUDE}"
  INTERFACE_LINK_LIBRARIES "${DNNL_LIBRARY}")
