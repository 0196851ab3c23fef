import Codecs
import IR
import Testing

@Suite struct EncodeTests {
  static let formats = BlockFormat.all.filter { codecs(of: $0).first?.codec.canEncode == true }
  static let packed = formats.filter { $0.kind == .packed }
  /// Those whose twin encodes as ggml does.
  static let withBaseline = packed.filter { reference($0)?.encode != nil }

  /// Rows that scale searches trip over.
  static let awkward: [(name: String, values: [Float])] = [
    ("zero", [Float](repeating: 0, count: 512)),
    ("minus zero", [Float](repeating: -0.0, count: 512)),
    ("constant", [Float](repeating: 0.7, count: 512)),
    ("one spike", (0..<512).map { $0 % 32 == 9 ? -4 : 0.001 }),
    ("two levels", (0..<512).map { $0 % 2 == 0 ? 1 : -1 }),
    ("subnormal halves", (0..<512).map { Float($0 - 256) * 1e-9 }),
    ("subnormal floats", (0..<512).map { Float($0 - 256) * .leastNonzeroMagnitude }),
    ("beyond halves", (0..<512).map { Float($0 - 256) * 1e6 }),
    ("near the end", (0..<512).map { Float($0 - 256) * 1e36 }),
    ("large offset", (0..<512).map { 1000 + Float($0 % 32) * 0.01 }),
    ("grid", (0..<512).map { Float(($0 * 7) % 15 - 7) * 0.25 }),
  ]

  static func noisy(_ count: Int, seed: UInt64) -> [Float] {
    var noise = Noise(seed)
    return (0..<count).map { i in
      let scale: Float = [1, 0.02, 30, 1e-3][(i / 64) % 4]
      return noise.normal() * scale * (i % 97 == 0 ? 3 : 1)
    }
  }

  @Test(arguments: withBaseline)
  func twinEncodesAsGgml(format: BlockFormat) throws {
    let vectors = try fixture("vectors/codecs/\(format.name).encode")
    let twin = try #require(reference(format))
    let record = format.bytesPerBlock + 4 * format.elementsPerBlock
    #expect(vectors.count > 0 && vectors.count % record == 0)
    for start in stride(from: 0, to: vectors.count, by: record) {
      let values = floats(vectors[start..<start + 4 * format.elementsPerBlock])
      let expected = Array(vectors[start + 4 * format.elementsPerBlock..<start + record])
      #expect(twin.encode?(values) == expected, "record \(start / record)")
    }
  }

  @Test(arguments: formats)
  func everyTableWritesTheSameBytes(format: BlockFormat) throws {
    var inputs = Self.awkward.map(\.values)
    inputs += [1, 15, 16, 17, 40].map { Self.noisy($0 * max(format.elementsPerBlock, 32), seed: UInt64($0)) }
    inputs.append([Float.nan, .infinity, -.infinity, 1, -2] + [Float](repeating: 0.5, count: 507))
    if format.elementsPerBlock == 1 { inputs += [1, 7, 17, 33, 255].map { Self.noisy($0, seed: 5) } }
    for values in inputs {
      let weights = (0..<format.elementsPerBlock).map { Float($0 % 5) }
      let all = codecs(of: format).map {
        (
          $0.table, $0.codec.encode(values), $0.codec.encode(values, importance: weights),
          $0.codec.encode(values, importance: weights, isUnbiased: true)
        )
      }
      let generic = try #require(all.last)
      for (table, plain, weighted, unbiased) in all {
        #expect(plain.bytes == generic.1.bytes && weighted.bytes == generic.2.bytes, "\(table)")
        #expect(plain.statistics == generic.1.statistics && weighted.statistics == generic.2.statistics, "\(table)")
        #expect(unbiased.bytes == generic.3.bytes && unbiased.statistics == generic.3.statistics, "\(table)")
      }
    }
  }

  @Test(arguments: [BlockFormat.f16, .bf16])
  func plainNumbersAreRoundedAsTheTwinDoes(format: BlockFormat) throws {
    let twin = try #require(reference(format))
    var noise = Noise(21)
    // Every exponent and sign; mantissas around the ties, and random ones.
    let values = (0..<512).flatMap { upper -> [Float] in
      (0..<64).map { i in
        let mantissa = i < 32 ? (i - 16) / 4 + (i % 4) << 12 : Int(noise.next() >> 32)
        return Float(bitPattern: UInt32(upper) << 23 | UInt32(truncatingIfNeeded: mantissa & 0x7f_ffff))
      }
    }
    let expected = twin.encodeAll(values)
    for (table, codec) in codecs(of: format) { #expect(codec.encode(values).bytes == expected, "\(table)") }
  }

  /// A block's bytes do not depend on its neighbours, so files do not depend on how the work was split.
  @Test(arguments: packed)
  func blocksAreIndependent(format: BlockFormat) throws {
    let values = Self.noisy(35 * format.elementsPerBlock, seed: 3)
    for (table, codec) in codecs(of: format) {
      let whole = codec.encode(values).bytes
      let pieces = stride(from: 0, to: values.count, by: format.elementsPerBlock).flatMap {
        codec.encode(Array(values[$0..<$0 + format.elementsPerBlock])).bytes
      }
      #expect(whole == pieces, "\(table)")
    }
  }

  /// No block is further from its values than ggml's, but for the rounding of the sums that the search compares.
  @Test(arguments: withBaseline)
  func noBlockIsWorseThanGgmls(format: BlockFormat) throws {
    let twin = try #require(reference(format))
    let codec = try #require(codecs(of: format).first).codec
    let inputs = Self.awkward + [("noise", Self.noisy(512 * 64, seed: 11))]
    for (name, values) in inputs {
      let baseline = twin.decodeAll(try #require(twin.encodeAll(values)))
      for isUnbiased in [false, true] {
        let decoded = twin.decodeAll(codec.encode(values, isUnbiased: isUnbiased).bytes)
        for start in stride(from: 0, to: values.count, by: format.elementsPerBlock) {
          let block = start..<start + format.elementsPerBlock
          let ours = squaredError(values[block], decoded[block]), theirs = squaredError(values[block], baseline[block])
          // ggml's scale overflows to infinity beyond halves, ours does not.
          #expect(ours.isFinite && !(ours > theirs * (1 + 2e-6)), "\(name) block \(start / format.elementsPerBlock)")
        }
      }
    }
  }

  @Test(arguments: packed)
  func theErrorIsTheError(format: BlockFormat) throws {
    for (name, values) in Self.awkward + [("noise", Self.noisy(512 * 16, seed: 16))] {
      for (table, codec) in codecs(of: format) {
        for isUnbiased in [false, true] {
          let (bytes, statistics) = codec.encode(values, isUnbiased: isUnbiased)
          let error = squaredError(values[...], codec.decode(bytes, count: values.count)[...])
          #expect(error.isFinite && abs(error - statistics.squaredError) <= 1e-5 * error, "\(table) \(name)")
          #expect(statistics.nonFiniteCount == 0)
        }
      }
    }
  }

  static let unbiasable: [BlockFormat] = [
    .q2_0, .q4_0, .q5_0, .q2_K, .q3_K, .q4_K, .q5_K, .q6_K, .iq4_NL, .iq4_XS, .iq3_S, .iq3_XXS, .iq2_S, .iq2_XS,
    .iq2_XXS,
  ]

  /// Σ w x x̂ ÷ Σ w x²: least squares leaves it short by the error, unbiased scales do not.
  @Test(arguments: unbiasable)
  func unbiasedSumsKeepTheirSize(format: BlockFormat) throws {
    let codec = try #require(codecs(of: format).first).codec
    let columns = 2 * format.elementsPerBlock
    var noise = Noise(17)
    let values = (0..<64 * columns).map { _ in 0.03 * noise.normal() }
    for weights in [[1], (0..<columns).map { $0 % 5 == 0 ? Float(4) : 1 }] as [[Float]] {
      func kept(isUnbiased: Bool) -> Double {
        let importance = weights.count == columns ? weights : nil
        let bytes = codec.encode(values, importance: importance, isUnbiased: isUnbiased).bytes
        let weighted = values.indices.map { Double(values[$0] * weights[$0 % weights.count]) }
        let decoded = codec.decode(bytes, count: values.count)
        let sum = zip(weighted, decoded).reduce(0) { $0 + $1.0 * Double($1.1) }
        return sum / zip(weighted, values).reduce(0) { $0 + $1.0 * Double($1.1) }
      }
      let (short, whole) = (kept(isUnbiased: false), kept(isUnbiased: true))
      // Halves are 0.05 % apart. Where a block of Q4_0 has ggml's own scale, it stays.
      #expect(abs(whole - 1) < max(5e-4, format == .q4_0 ? 0.5 * abs(short - 1) : 0), "\(short) → \(whole)")
    }
  }

  @Test(arguments: withBaseline)
  func searchGainsOnNoise(format: BlockFormat) throws {
    let twin = try #require(reference(format))
    let values = Self.noisy(512 * 256, seed: 12)
    let baseline = squaredError(values[...], twin.decodeAll(try #require(twin.encodeAll(values)))[...])
    let codec = try #require(codecs(of: format).first).codec
    #expect(codec.encode(values).statistics.squaredError < 0.97 * baseline)
  }

  @Test(arguments: packed)
  func weightsSteerTheSearch(format: BlockFormat) throws {
    let codec = try #require(codecs(of: format).first).codec
    let columns = 4 * format.elementsPerBlock
    let values = Self.noisy(64 * columns, seed: 13)
    let weights = (0..<columns).map { $0 % 3 == 0 ? Float(20) : 0.1 }
    let plain = codec.decode(codec.encode(values).bytes, count: values.count)
    let weighted = codec.decode(codec.encode(values, importance: weights).bytes, count: values.count)
    let gain =
      squaredError(values[...], weighted[...], weights: weights)
      / squaredError(values[...], plain[...], weights: weights)
    // A ternary block has one scale for 256 columns, and little to choose.
    #expect(gain < (format == .tq2_0 || format == .tq1_0 ? 0.999 : 0.97))
    #expect(codec.encode(values, importance: [Float](repeating: 1, count: columns)).bytes == codec.encode(values).bytes)
    // Weights of zero leave nothing to choose by, and must still encode.
    let unweighted = codec.encode(values, importance: [Float](repeating: 0, count: columns))
    #expect(unweighted.statistics.squaredError.isFinite)
  }

  @Test(arguments: formats)
  func nonFiniteValuesAreCounted(format: BlockFormat) throws {
    var values = Self.noisy(40 * 256, seed: 14)
    for i in [0, 31, 32, 777, 5000, 40 * 256 - 1] { values[i] = [.nan, .infinity, -.infinity][i % 3] }
    let clean = values.map { $0.isFinite ? $0 : 0 }
    for (table, codec) in codecs(of: format) {
      let (bytes, statistics) = codec.encode(values)
      #expect(statistics.nonFiniteCount == 6, "\(table)")
      if format.kind == .packed { #expect(bytes == codec.encode(clean).bytes, "\(table)") }
    }
  }
}
