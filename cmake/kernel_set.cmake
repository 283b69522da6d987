# falconer_kernel_set(name flags... SOURCES files...): compiles one folder of inner kernels for one level of processor.
# Nothing outside the folder is compiled with its flags.
function(falconer_kernel_set name)
    cmake_parse_arguments(SET "" "" "FLAGS;SOURCES" ${ARGN})
    add_library(falconer_${name} OBJECT ${SET_SOURCES})
    target_include_directories(falconer_${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
    target_compile_definitions(falconer_${name} PRIVATE _POSIX_C_SOURCE=200809L)
    target_compile_options(falconer_${name} PRIVATE $<IF:$<CONFIG:Release>,-O3,-O1> ${SET_FLAGS})
    target_link_libraries(falconer_${name} PRIVATE falconer_warnings)
    set_property(GLOBAL APPEND PROPERTY FALCONER_KERNEL_OBJECTS $<TARGET_OBJECTS:falconer_${name}>)
endfunction()
