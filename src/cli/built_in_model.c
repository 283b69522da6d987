/* The model itself: the bytes of the file FAL_BUILT_IN_FILE, taken in by the assembler. */
#include "cli/built_in.h"

__asm__(".pushsection .rodata\n"
        ".balign 64\n"
        "fal_built_in_begin:\n"
        ".incbin \"" FAL_BUILT_IN_FILE "\"\n"
        "fal_built_in_end:\n"
        ".byte 0\n"
        ".popsection\n");

extern const char fal_built_in_begin[], fal_built_in_end[];

fal_slice fal_built_in_model(void) {
    return (fal_slice){fal_built_in_begin, (size_t)(fal_built_in_end - fal_built_in_begin)};
}
