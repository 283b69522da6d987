# kernelcheck and what it links, for processors whose libraries are not there: a cross compiler is enough.
find_package(Threads REQUIRED)
add_library(falconer_dependencies INTERFACE)
target_link_libraries(falconer_dependencies INTERFACE Threads::Threads m)

include(cmake/objects.cmake)
foreach(folder base quant compute)
    add_subdirectory(src/${folder})
endforeach()
get_property(FALCONER_KERNEL_OBJECTS GLOBAL PROPERTY FALCONER_KERNEL_OBJECTS)
add_library(falconer_static STATIC $<TARGET_OBJECTS:falconer_objects> ${FALCONER_KERNEL_OBJECTS})
target_link_libraries(falconer_static PUBLIC falconer_dependencies)

enable_testing()
add_subdirectory(tests/kernels)
