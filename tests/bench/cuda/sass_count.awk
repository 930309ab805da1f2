# Reads `cuobjdump -sass` of the GEMV bench; prints, per kernel, the instructions of its largest loop,
# what kinds they are, and instructions per byte of weights that one lane loads in that loop.
# A static count: branches inside the loop count in full.
function hex(s,   i, v) {
  v = 0
  s = tolower(s)
  for (i = 1; i <= length(s); ++i) v = v * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
  return v
}
function bytes_per_lane(name,   cols) {
  if (name !~ /fma_gemv/) {                      # groups x kUnits x 16 bytes, by policy
    if (name !~ /10Bf16Policy/) return 128
    return name ~ /Lb1EEEv/ ? 256 : 128          # pipelined: two steps of one group
  }
  match(name, /Li[0-9]+ELi[0-9]+E/)              # cols, then rows of the warp
  split(substr(name, RSTART, RLENGTH), cols, /Li|E/)
  return 2 * 16 * cols[4]                        # the loop is unrolled twice
}
function kinds(lo, hi,   i, op, out) {
  split("", seen)
  for (i = lo; i <= hi; i += 16) {
    op = code[i]
    sub(/[. ].*/, "", op)
    if (op == "LDG" && code[i] ~ /128/) op = "LDG128"
    seen[op]++
  }
  out = ""
  n_top = split("LDG128 LDG HMMA QMMA OMMA F2FP HADD2 HMUL2 HFMA2 LOP3 SHF PRMT IMAD IMAD2 LEA IADD3 FFMA FMUL FADD", top, " ")
  for (i = 1; i <= n_top; ++i) if (seen[top[i]] > 0) out = out " " top[i] ":" seen[top[i]]
  return out
}
function multiplies(lo, hi,   i) {
  for (i = lo; i <= hi; i += 16) if (code[i] ~ /MMA|^FFMA/) return 1
  return 0
}
function report(   i, best, lo, hi) {
  if (kernel == "" || kernel !~ /_gemv_kernel/) return
  best = -1
  for (i = 1; i <= n_jumps; ++i) {
    if (from[i] - to[i] > best && multiplies(to[i], from[i])) { best = from[i] - to[i]; lo = to[i]; hi = from[i] }
  }
  if (best <= 16) { printf "%s\t%s\tno loop\n", arch, kernel; return }
  count = best / 16 + 1
  printf "%s\t%s\t%d\t%d\t%.2f\t%s\n", arch, kernel, count, bytes_per_lane(kernel), count / bytes_per_lane(kernel), kinds(lo, hi)
}
/Function :/ { report(); kernel = $NF; n_jumps = 0; split("", code) }
/^[ \t]*\/\*[0-9a-f]+\*\// {
  line = $0
  match(line, /\/\*[0-9a-f]+\*\//)
  at = hex(substr(line, RSTART + 2, RLENGTH - 4))
  text = substr(line, RSTART + RLENGTH)
  sub(/;.*/, "", text)
  sub(/^[ \t{]+/, "", text)
  sub(/^@!?U?P[0-9T]+[ \t]+/, "", text)
  code[at] = text
  if (text ~ /^BRA/ && match(text, /0x[0-9a-f]+[ \t]*$/)) {
    target = substr(text, RSTART + 2)
    gsub(/[ \t]/, "", target)
    if (hex(target) < at) { ++n_jumps; from[n_jumps] = at; to[n_jumps] = hex(target) }
  }
}
END { report() }
