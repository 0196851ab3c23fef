import Glibc
import Kernels
import Testing

struct AttentionCase: Sendable, CustomStringConvertible {
  var heads = 4
  var kvHeads = 2
  var keyDim = 64
  var valueDim = 64
  var tokens = 37
  var causal = true
  var window: Int?
  var softcap: Float?
  /// Something added to each score, by distance alone.
  var biased = false
  var description: String {
    "\(heads)/\(kvHeads) heads of \(keyDim)/\(valueDim), \(tokens) tokens, causal \(causal), window \(window ?? 0), "
      + "softcap \(softcap ?? 0), biased \(biased)"
  }
}

private let cases: [AttentionCase] = [
  AttentionCase(keyDim: 16, valueDim: 16),
  AttentionCase(keyDim: 24, valueDim: 24),
  AttentionCase(keyDim: 32, valueDim: 32, causal: false),
  AttentionCase(heads: 9, kvHeads: 3),
  AttentionCase(keyDim: 80, valueDim: 80),
  AttentionCase(heads: 2, keyDim: 128, valueDim: 128, softcap: 20),
  AttentionCase(heads: 2, kvHeads: 1, keyDim: 256, valueDim: 256),
  AttentionCase(keyDim: 48, valueDim: 32),
  AttentionCase(window: 5),
  AttentionCase(heads: 3, kvHeads: 1, keyDim: 32, valueDim: 32, tokens: 300, window: 100),
  AttentionCase(heads: 1, kvHeads: 1, keyDim: 16, valueDim: 16, tokens: 530),
  AttentionCase(heads: 16, kvHeads: 1, keyDim: 16, valueDim: 16, tokens: 20),
  AttentionCase(heads: 2, kvHeads: 1, keyDim: 576, valueDim: 512, tokens: 18),
  AttentionCase(keyDim: 40, valueDim: 17, tokens: 290, window: 33),
  AttentionCase(keyDim: 32, valueDim: 32, tokens: 270, causal: false, biased: true),
  AttentionCase(keyDim: 32, valueDim: 32, tokens: 41, window: 7, biased: true),
]

@Suite struct AttentionTests {
  private func run(
    _ c: AttentionCase, _ processor: Processor, q: Matrix, k: Matrix, v: Matrix, element: KeyValueCache.Element,
    batches: [Int]
  ) -> Matrix {
    let cache = KeyValueCache(
      kvHeads: c.kvHeads, capacity: c.tokens, keyDim: c.keyDim, valueDim: c.valueDim, element: element)
    let out = Matrix(rows: c.tokens, columns: c.heads * c.valueDim)
    // Without causality every query needs all keys.
    if !c.causal { processor.append(k, v, to: cache, at: 0) }
    var position = 0
    for batch in batches {
      let range = position..<position + batch
      if c.causal { processor.append(k.rows(range), v.rows(range), to: cache, at: position) }
      let bias = AttentionBias(
        Floats(distances(c)), offset: c.tokens - 1 - position, headStride: 2 * c.tokens - 1, tokenStride: -1)
      processor.attention(
        AttentionCall(
          q.rows(range), heads: c.heads, cache: cache, position: position, length: c.causal ? nil : c.tokens,
          scale: 0.2, mask: AttentionMask(causal: c.causal, slidingWindow: c.window), softcap: c.softcap,
          bias: c.biased ? bias : nil, into: out.rows(range)))
      position += batch
    }
    return out
  }

  /// [head, key − query + tokens − 1]
  private func distances(_ c: AttentionCase) -> [Float] {
    var random = Random(5)
    return random.floats(c.heads * (2 * c.tokens - 1), scale: 2)
  }

  @Test(arguments: cases)
  func equalInAnyBatchAndNearTheTruth(_ c: AttentionCase) {
    var random = Random(11)
    let q = matrix(random.floats(c.tokens * c.heads * c.keyDim, scale: 3), rows: c.tokens, columns: c.heads * c.keyDim)
    let k = matrix(random.floats(c.tokens * c.kvHeads * c.keyDim), rows: c.tokens, columns: c.kvHeads * c.keyDim)
    let v = matrix(random.floats(c.tokens * c.kvHeads * c.valueDim), rows: c.tokens, columns: c.kvHeads * c.valueDim)
    for element in KeyValueCache.Element.allCases {
      let whole = run(c, generic, q: q, k: k, v: v, element: element, batches: [c.tokens])
      // The truth is attention over what the cache makes of keys and values; F16 is near enough to go without.
      let (seenKeys, seenValues) = (kept(k, heads: c.kvHeads, element), kept(v, heads: c.kvHeads, element))
      check(whole, c, q, seenKeys, seenValues, budget: element == .f16 ? 2e-3 : 3e-5)
      for processor in processors {
        let ones = [Int](repeating: 1, count: c.tokens)
        for batches in [[c.tokens], [1, 7, c.tokens - 8], ones] {
          let out = run(c, processor, q: q, k: k, v: v, element: element, batches: batches)
          #expect(bits(out) == bits(whole), "\(c), \(element), \(processor.kernels.name), first batch \(batches[0])")
        }
      }
    }
  }

  /// Each head's row in blocks of 32, as ggml's quantize_row_q8_0 and quantize_row_q4_0 round them.
  private func kept(_ m: Matrix, heads: Int, _ element: KeyValueCache.Element) -> Matrix {
    guard element == .q8_0 || element == .q4_0 else { return m }
    let dim = m.columns / heads
    var values = m.floats.array()
    for head in stride(from: 0, to: values.count, by: dim) {
      for start in stride(from: head, to: head + dim, by: 32) {
        let range = start..<min(start + 32, head + dim)
        let extreme = values[range].max { abs($0) < abs($1) } ?? 0
        let scale = element == .q8_0 ? abs(extreme) / 127 : extreme / -8
        for i in range {
          let x = scale == 0 ? 0 : values[i] * (1 / scale)
          let code = element == .q8_0 ? x.rounded(.toNearestOrEven) : min(15, (x + 8.5).rounded(.down)) - 8
          values[i] = code * Float(Float16(scale))
        }
      }
    }
    return matrix(values, rows: m.rows, columns: m.columns)
  }

  @Test(
    "what a packed cache takes: blocks of 32 of each position and head",
    arguments: [
      (KeyValueCache.Element.f32, 2 * 48 * 4 * (40 + 48)), (.f16, 2 * 48 * 2 * (40 + 48)),
      (.q8_0, 2 * 48 * 34 * (2 + 2)), (.q4_0, 2 * 48 * 18 * (2 + 2)),
    ])
  func bytes(element: KeyValueCache.Element, count: Int) {
    let cache = KeyValueCache(kvHeads: 2, capacity: 33, keyDim: 40, valueDim: 35, element: element)
    #expect(cache.byteCount == count)
  }

  @Test("a number that is none stays one, and touches its own block only", arguments: KeyValueCache.Element.allCases)
  func damage(element: KeyValueCache.Element) {
    var values = [Float](repeating: 1, count: 64)
    values[3] = .nan
    let q = matrix([Float](repeating: 0, count: 64), rows: 1, columns: 64)
    for processor in processors {
      let cache = KeyValueCache(kvHeads: 1, capacity: 1, keyDim: 64, valueDim: 64, element: element)
      let out = Matrix(rows: 1, columns: 64)
      processor.append(
        matrix([Float](repeating: 1, count: 64), rows: 1, columns: 64), matrix(values, rows: 1, columns: 64), to: cache,
        at: 0)
      processor.attention(q, heads: 1, cache: cache, position: 0, scale: 1, into: out)
      let isPacked = element == .q8_0 || element == .q4_0
      for (i, x) in out[0].array().enumerated() {
        #expect(x.isNaN == (isPacked ? i < 32 : i == 3), "\(element), \(processor.kernels.name), \(i)")
      }
    }
  }

  private func check(_ out: Matrix, _ c: AttentionCase, _ q: Matrix, _ k: Matrix, _ v: Matrix, budget: Double) {
    let group = c.heads / c.kvHeads
    let (q, k, v) = (q.floats.array().map(Double.init), k.floats.array().map(Double.init), v.floats.array())
    for t in stride(from: 0, to: c.tokens, by: 7) {
      for h in 0..<c.heads {
        let lo = c.window.map { max(0, t + 1 - $0) } ?? 0
        let hi = c.causal ? t + 1 : c.tokens
        var scores = (lo..<hi).map { j in
          (0..<c.keyDim).reduce(0.0) {
            $0 + q[(t * c.heads + h) * c.keyDim + $1] * k[(j * c.kvHeads + h / group) * c.keyDim + $1]
          } * 0.2
        }
        if c.biased {
          let added = distances(c)
          for (place, j) in (lo..<hi).enumerated() {
            scores[place] += Double(added[h * (2 * c.tokens - 1) + j - t + c.tokens - 1])
          }
        }
        if let cap = c.softcap { scores = scores.map { tanh($0 / Double(cap)) * Double(cap) } }
        let most = scores.max() ?? 0
        let e = scores.map { exp($0 - most) }
        let sum = e.reduce(0, +)
        let row = out[t].array()
        for d in stride(from: 0, to: c.valueDim, by: 5) {
          let want =
            zip(lo..<hi, e).reduce(0.0) {
              $0 + $1.1 * Double(v[($1.0 * c.kvHeads + h / group) * c.valueDim + d])
            } / sum
          #expect(abs(Double(row[h * c.valueDim + d]) - want) < budget, "\(c): token \(t), head \(h), \(d)")
        }
      }
    }
  }
}
