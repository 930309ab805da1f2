// A safetensors file of any bytes: opened or refused, and no tensor reaches outside the file.
#include "engine/weights/containers/safetensors.h"
#include "tests/fuzz/fuzz.h"

using namespace ds4;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::Scratch scratch;
  const auto path = scratch.write("model.safetensors", fuzz::as_text(data, size));
  fuzz::refuses([&] {
    const weights::SafetensorsFile file(path);
    for (const weights::TensorHeader& tensor : file.tensors()) {
      int64_t elements = 1;
      for (const int64_t extent : tensor.shape) elements *= extent;
      const auto bytes = file.data(tensor);
      fuzz::require(std::ssize(bytes) == elements * weights::dtype_bytes(tensor.dtype),
                    "a tensor has the bytes of its shape");
      fuzz::require(bytes.empty() ||
                        (bytes.data() >= file.bytes().data() &&
                         bytes.data() + bytes.size() <= file.bytes().data() + file.bytes().size()),
                    "a tensor lies in its file");
    }
  });
  return 0;
}
