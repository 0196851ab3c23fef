import Kernels

/// A small deterministic generator: the same test data everywhere.
struct Random {
  var state: UInt64

  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678 }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }

  /// Uniform in −1 ..< 1.
  mutating func float() -> Float { Float(Int32(truncatingIfNeeded: next() >> 32)) / 2_147_483_648 }

  mutating func floats(_ count: Int, scale: Float = 1) -> [Float] { (0..<count).map { _ in float() * scale } }
}

func matrix(_ values: [Float], rows: Int, columns: Int) -> Matrix {
  Matrix(Floats(values), rows: rows, columns: columns)
}

func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

func bits(_ m: Matrix) -> [UInt32] { (0..<m.rows).flatMap { bits(m[$0].array()) } }

/// Every table this processor runs with one thread, and the best of them with two and three.
let processors: [Processor] = {
  let one = WorkerPool(threads: 1)
  return Kernels.available.map { Processor(kernels: $0, pool: one) }
    + [2, 3].map { Processor(kernels: .best(), pool: WorkerPool(threads: $0)) }
}()

let generic = Processor(kernels: Kernels.available[Kernels.available.count - 1], pool: WorkerPool(threads: 1))

extension Array where Element == UInt8 {
  mutating func append(half value: Float16) {
    append(UInt8(truncatingIfNeeded: value.bitPattern))
    append(UInt8(truncatingIfNeeded: value.bitPattern >> 8))
  }
}
