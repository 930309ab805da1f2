#pragma once
namespace ds4::ops::cuda {
inline int proto_stage = 0, proto_depth = 9, proto_early = 0, proto_carve = -1, proto_config = 0;
}
