# Script behind ds4_embed_text: writes OUT, a C++ file that defines NS::NAME as the bytes of IN.
# A byte array rather than a string literal: compilers limit the length of literals.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUT} "#include <string_view>\nnamespace ${NS} {\n"
  "static const unsigned char k_bytes[] = {\n${bytes}0};\n"
  "extern const std::string_view ${NAME};\n"
  "const std::string_view ${NAME}(reinterpret_cast<const char*>(k_bytes), sizeof(k_bytes) - 1);\n}\n")
