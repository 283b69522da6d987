# The library, static and shared, from the same objects. The shared one exports what is marked FAL_API and nothing else.
add_library(falconer_static STATIC $<TARGET_OBJECTS:falconer_objects> ${FALCONER_KERNEL_OBJECTS})
set_target_properties(falconer_static PROPERTIES
    OUTPUT_NAME falconer ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
target_include_directories(falconer_static PUBLIC include PRIVATE src)
target_link_libraries(falconer_static PUBLIC falconer_dependencies)

add_library(falconer_shared SHARED $<TARGET_OBJECTS:falconer_objects> ${FALCONER_KERNEL_OBJECTS})
set_target_properties(falconer_shared PROPERTIES
    OUTPUT_NAME falconer EXPORT_NAME falconer LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
target_include_directories(falconer_shared INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
target_link_libraries(falconer_shared PRIVATE falconer_dependencies)
add_library(falconer::falconer ALIAS falconer_shared)
