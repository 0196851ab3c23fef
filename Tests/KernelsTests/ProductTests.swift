import Kernels
import Testing

/// A matrix in the file's encoding, beside the values it stands for.
struct EncodedWeights {
  var bytes: [UInt8] = []
  var values: [Double] = []
}

/// Random blocks of a storage, with the odd zero scale.
func randomWeights(_ name: String, rows: Int, columns: Int, seed: UInt64) -> EncodedWeights {
  var random = Random(seed)
  var out = EncodedWeights()
  func code(_ range: Int) -> Int { Int(random.next() >> 33) % range }
  if !name.hasPrefix("q") {
    for _ in 0..<rows * columns {
      let x = random.float()
      switch name {
      case "f32":
        out.values.append(Double(x))
        for shift in [0, 8, 16, 24] { out.bytes.append(UInt8(truncatingIfNeeded: x.bitPattern >> UInt32(shift))) }
      case "f16":
        let half = Float16(x)
        out.values.append(Double(half))
        out.bytes.append(half: half)
      default:
        let brain = x.bitPattern >> 16
        out.values.append(Double(Float(bitPattern: brain << 16)))
        out.bytes += [UInt8(truncatingIfNeeded: brain), UInt8(truncatingIfNeeded: brain >> 8)]
      }
    }
    return out
  }
  for _ in 0..<rows * columns / 32 {
    let d = code(50) == 0 ? 0 : Float16(random.float() * 0.01)
    let m = Float16(random.float() * 0.1)
    out.bytes.append(half: d)
    if name.hasSuffix("_1") { out.bytes.append(half: m) }
    var codes = (0..<32).map { _ in name == "q8_0" ? code(256) - 128 : name.hasPrefix("q5") ? code(32) : code(16) }
    if name == "q8_0" {
      out.bytes += codes.map { UInt8(bitPattern: Int8($0)) }
    } else {
      if name.hasPrefix("q5") {
        let high = (0..<32).reduce(UInt32(0)) { $0 | UInt32(codes[$1] >> 4) << UInt32($1) }
        for shift in [0, 8, 16, 24] { out.bytes.append(UInt8(truncatingIfNeeded: high >> UInt32(shift))) }
      }
      out.bytes += (0..<16).map { UInt8(codes[$0] & 15 | (codes[$0 + 16] & 15) << 4) }
      if name == "q4_0" { codes = codes.map { $0 - 8 } }
      if name == "q5_0" { codes = codes.map { $0 - 16 } }
    }
    out.values += codes.map { Double(d) * Double($0) + (name.hasSuffix("_1") ? Double(m) : 0) }
  }
  return out
}

/// Q8_0 as a codec would expand it.
private let decodeQ8: BlockDecoder.Function = { blocks, out, count in
  guard let blocks = unsafe blocks, let out = unsafe out else { return }
  for i in 0..<count {
    let block = unsafe blocks + i / 32 * 34
    let d = unsafe Float16(bitPattern: UInt16(block[0]) | UInt16(block[1]) << 8)
    unsafe out[i] = unsafe Float(d) * Float(Int8(bitPattern: block[2 + i % 32]))
  }
}

func storage(_ name: String) -> WeightStorage {
  switch name {
  case "f32": .f32
  case "f16": .f16
  case "bf16": .bf16
  case "q8_0": .q8_0
  case "q4_0": .q4_0
  case "q4_1": .q4_1
  case "q5_0": .q5_0
  case "q5_1": .q5_1
  default: .encoded(unsafe BlockDecoder(blockElements: 32, blockBytes: 34, decode: decodeQ8))
  }
}

let storageNames = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "encoded q8_0"]

func weightMatrix(_ name: String, rows: Int, columns: Int, seed: UInt64 = 1) -> (WeightMatrix, [Double]) {
  let encoded = randomWeights(name == "encoded q8_0" ? "q8_0" : name, rows: rows, columns: columns, seed: seed)
  let matrix = WeightMatrix(rows: rows, columns: columns, storage: storage(name))
  // In two pieces that do not end with a panel.
  let cut = rows / 2
  let bytes = unsafe encoded.bytes.span.bytes
  matrix.fill(rows: 0..<cut, from: bytes.extracting(first: cut * matrix.rowByteCount))
  matrix.fill(rows: cut..<rows, from: bytes.extracting(droppingFirst: cut * matrix.rowByteCount))
  return (matrix, encoded.values)
}

@Suite struct ProductTests {
  @Test(arguments: storageNames)
  func equalOnEveryTableAndNearTheTruth(_ name: String) {
    for (rows, columns) in [(1, 32), (7, 64), (16, 96), (17, 576), (33, 1056)] {
      let (weights, values) = weightMatrix(name, rows: rows, columns: columns)
      var random = Random(7)
      let all = random.floats(31 * columns)
      for tokens in [1, 2, 7, 8, 12, 13, 31] {
        let x = matrix(Array(all[..<(tokens * columns)]), rows: tokens, columns: columns)
        var expected: [UInt32] = []
        for processor in processors {
          let input = ProductInput(tokens: tokens, columns: columns)
          input.set(x)
          let out = Matrix(rows: tokens, columns: rows)
          processor.multiply(input, weights, into: out)
          if expected.isEmpty {
            expected = bits(out)
            checkAgainstDoubles(out, x, values, isInt8: weights.storage.isInt8)
          }
          #expect(bits(out) == expected, "\(name) \(rows)×\(columns), \(tokens) tokens, \(processor.kernels.name)")
        }
      }
    }
  }

  /// Floats: n roundings. Int8: the input's rounding, half a step of amax/127 in each block.
  private func checkAgainstDoubles(_ out: Matrix, _ x: Matrix, _ w: [Double], isInt8: Bool) {
    for t in 0..<out.rows {
      let a = x[t].array().map(Double.init)
      let y = out[t].array()
      for r in 0..<out.columns {
        var sum = 0.0
        var bound = 1e-6
        for k in a.indices {
          let product = w[r * a.count + k] * a[k]
          sum += product
          bound += abs(product) * 2e-7 * (isInt8 ? 10 : Double(a.count).squareRoot())
          if isInt8 { bound += abs(w[r * a.count + k]) * 0.5 / 127 }
        }
        #expect(abs(Double(y[r]) - sum) <= bound, "token \(t), row \(r)")
      }
    }
  }

  @Test(arguments: storageNames)
  func aTokenDoesNotDependOnItsBatch(_ name: String) {
    let (rows, columns, tokens) = (40, 320, 31)
    let (weights, _) = weightMatrix(name, rows: rows, columns: columns)
    var random = Random(9)
    let x = matrix(random.floats(tokens * columns), rows: tokens, columns: columns)
    for processor in processors {
      let input = ProductInput(tokens: tokens, columns: columns)
      input.set(x)
      let together = Matrix(rows: tokens, columns: rows)
      processor.multiply(input, weights, into: together)
      for t in 0..<tokens {
        input.set(x.rows(t..<t + 1))
        let alone = Matrix(rows: 1, columns: rows)
        processor.multiply(input, weights, into: alone)
        #expect(bits(alone) == bits(together.rows(t..<t + 1)))
      }
    }
  }

  @Test func addsBiasAndAccumulatesIntoPartOfARow() {
    let (weights, _) = weightMatrix("f32", rows: 20, columns: 32)
    var random = Random(3)
    let x = matrix(random.floats(3 * 32), rows: 3, columns: 32)
    let bias = Floats(random.floats(20))
    for processor in processors {
      let input = ProductInput(tokens: 3, columns: 32)
      input.set(x)
      let plain = Matrix(rows: 3, columns: 20)
      processor.multiply(input, weights, into: plain)
      let wide = Matrix(rows: 3, columns: 64)
      for t in 0..<3 { wide[t].withMutableSpan { for i in $0.indices { $0[i] = 5 } } }
      processor.multiply(input, weights, into: wide.columns(8..<28), bias: bias, accumulate: true)
      for t in 0..<3 {
        let (before, b, after) = (plain[t].array(), bias.array(), wide[t].array())
        for i in 0..<64 {
          #expect(after[i] == (8..<28 ~= i ? 5 + (before[i - 8] + b[i - 8]) : 5))
        }
      }
    }
  }

  @Test func severalAtOnceAreTheSameAsOneByOne() {
    let names = ["q8_0", "q4_0", "f32", "encoded q8_0"]
    let all = names.enumerated().map { weightMatrix($1, rows: 20 + 30 * $0, columns: 64, seed: UInt64($0)).0 }
    var random = Random(8)
    let x = matrix(random.floats(5 * 64), rows: 5, columns: 64)
    for processor in processors {
      let input = ProductInput(tokens: 5, columns: 64)
      input.set(x)
      let together = all.map { Matrix(rows: 5, columns: $0.rows) }
      processor.multiply(input, zip(all, together).map { Product($0, into: $1) })
      for (weights, got) in zip(all, together) {
        let alone = Matrix(rows: 5, columns: weights.rows)
        processor.multiply(input, weights, into: alone)
        #expect(bits(got) == bits(alone))
      }
    }
  }

  @Test(arguments: storageNames)
  func readsRowsBack(_ name: String) {
    let (weights, values) = weightMatrix(name, rows: 19, columns: 64)
    let row = Floats(count: 64)
    for r in 0..<19 {
      weights.read(row: r, into: row)
      #expect(row.array() == (0..<64).map { Float(values[r * 64 + $0]) })
    }
  }

  @Test(arguments: storageNames)
  func oddInputsDoNotCrash(_ name: String) {
    let (weights, _) = weightMatrix(name, rows: 16, columns: 64)
    for value in [Float.nan, .infinity, -.infinity, 3e38, .leastNonzeroMagnitude, -0.0] {
      var expected: [Bool] = []
      for processor in processors {
        let x = matrix([Float](repeating: value, count: 32) + [Float](repeating: 0, count: 32), rows: 1, columns: 64)
        let input = ProductInput(tokens: 1, columns: 64)
        input.set(x)
        let out = Matrix(rows: 1, columns: 16)
        processor.multiply(input, weights, into: out)
        let nan = out[0].array().map(\.isNaN)
        if expected.isEmpty { expected = nan }
        #expect(nan == expected, "\(name) \(value) \(processor.kernels.name)")
      }
    }
  }
}
