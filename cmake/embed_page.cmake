# Writes a C file that takes the files of the chat page into the program.
# cmake -D OUT=file.c -D FILES="a;b" -P embed_page.cmake
set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_svg "image/svg+xml")
set(type_txt "text/plain; charset=utf-8")

set(bytes "")
set(names "")
set(rows "")
foreach(file ${FILES})
    get_filename_component(name ${file} NAME)
    get_filename_component(extension ${file} LAST_EXT)
    string(SUBSTRING "${extension}" 1 -1 extension)
    string(MAKE_C_IDENTIFIER "fal_page_${name}" symbol)
    file(SHA256 ${file} digest)
    string(SUBSTRING ${digest} 0 32 digest)
    string(APPEND bytes "        \"${symbol}:\\n.incbin \\\"${file}\\\"\\n${symbol}_end:\\n.byte 0\\n\"\n")
    string(APPEND names "extern const char ${symbol}[], ${symbol}_end[];\n")
    string(APPEND rows "    {\"${name}\", \"${type_${extension}}\", \"\\\"${digest}\\\"\", ${symbol}, ${symbol}_end},\n")
endforeach()
file(WRITE ${OUT} "/* Made by cmake/embed_page.cmake: the files of the chat page, taken in by the assembler. */
#include \"server/page_files.h\"

__asm__(\".pushsection .rodata\\n\"
${bytes}        \".popsection\\n\");

${names}
const fal_page_file fal_page_files[] = {
${rows}    {0},
};
")
