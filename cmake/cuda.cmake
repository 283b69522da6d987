# The CUDA toolkit, when asked for (FALCONER_CUDA): nvcc compiles the kernels, the runtime and cuBLAS are linked.
set(FALCONER_CUDA_ARCHITECTURES 90a-real CACHE STRING "GPUs that kernels are compiled for, as in CMAKE_CUDA_ARCHITECTURES")
set(CMAKE_CUDA_ARCHITECTURES ${FALCONER_CUDA_ARCHITECTURES})
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
    message(FATAL_ERROR "FALCONER_CUDA needs nvcc, which is not found: install nvidia-cuda-toolkit (Debian) or "
        "cuda-nvcc (NVIDIA), or name the compiler with -D CMAKE_CUDA_COMPILER=...")
endif()
enable_language(CUDA)
find_package(CUDAToolkit)
if(NOT TARGET CUDA::cudart OR NOT TARGET CUDA::cublas)
    message(FATAL_ERROR "FALCONER_CUDA needs the CUDA runtime and cuBLAS, which are not found: install "
        "nvidia-cuda-toolkit (Debian) or cuda-cudart-dev and libcublas-dev (NVIDIA)")
endif()
target_link_libraries(falconer_dependencies INTERFACE CUDA::cudart CUDA::cublas)

# falconer_cuda_kernels(SOURCES files...): C++17 to nvcc, written as C; no contraction that the source does not name.
function(falconer_cuda_kernels)
    cmake_parse_arguments(KERNELS "" "" "SOURCES" ${ARGN})
    add_library(falconer_cuda_kernels OBJECT ${KERNELS_SOURCES})
    target_include_directories(falconer_cuda_kernels PRIVATE ${PROJECT_SOURCE_DIR}/src)
    target_compile_features(falconer_cuda_kernels PRIVATE cuda_std_17)
    target_compile_options(falconer_cuda_kernels PRIVATE
        -O3 -fmad=false $<$<BOOL:${FALCONER_WERROR}>:-Werror=all-warnings>
        -Xcompiler=-Wall,-Wextra,-fno-exceptions,-fno-rtti,-fno-threadsafe-statics,-fvisibility=hidden)
    set_property(GLOBAL APPEND PROPERTY FALCONER_KERNEL_OBJECTS $<TARGET_OBJECTS:falconer_cuda_kernels>)
endfunction()
