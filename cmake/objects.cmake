# What the folders of src add their files to.
add_library(falconer_objects OBJECT)
target_include_directories(falconer_objects PUBLIC include src)
target_compile_definitions(falconer_objects PUBLIC _POSIX_C_SOURCE=200809L)
target_link_libraries(falconer_objects PUBLIC falconer_warnings falconer_dependencies)
