import Codecs
import Foundation
import IR
import Kernels

/// The tables this processor can run, as codecs: (table name, codec of a format); the last is the generic one.
func codecs(of format: BlockFormat) -> [(table: String, codec: Codec)] {
  Kernels.available.compactMap { kernels in Codec.for(format, kernels: kernels).map { (kernels.name, $0) } }
}

func reference(_ format: BlockFormat) -> ReferenceCodec? { ReferenceCodec.all.first { $0.format == format } }

let fixtures = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Fixtures")

func fixture(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: fixtures.appending(path: path))) }

/// Little-endian floats.
func floats(_ bytes: ArraySlice<UInt8>) -> [Float] {
  stride(from: bytes.startIndex, to: bytes.endIndex, by: 4).map { i in
    Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[i + $1]) << UInt32(8 * $1) })
  }
}

extension Codec {
  func decode(_ bytes: [UInt8], count: Int) -> [Float] {
    var values = [Float](repeating: -77, count: count)
    var span = values.mutableSpan
    decode(unsafe bytes.span.bytes, into: &span)
    return values
  }

  func encode(
    _ values: [Float], importance: [Float]? = nil, isUnbiased: Bool = false
  ) -> (bytes: [UInt8], statistics: EncodeStatistics) {
    var bytes = [UInt8](repeating: 0xaa, count: format.byteCount(elements: values.count) ?? 0)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    let statistics =
      if let importance {
        encode(values.span, importance: importance.span, isUnbiased: isUnbiased, into: &raw)
      } else {
        encode(values.span, isUnbiased: isUnbiased, into: &raw)
      }
    return (bytes, statistics)
  }
}

extension ReferenceCodec {
  func decodeAll(_ bytes: [UInt8]) -> [Float] {
    stride(from: 0, to: bytes.count, by: format.bytesPerBlock).flatMap {
      decode(Array(bytes[$0..<$0 + format.bytesPerBlock]))
    }
  }
  func encodeAll(_ values: [Float]) -> [UInt8]? {
    guard let encode else { return nil }
    let step = format.elementsPerBlock
    return stride(from: 0, to: values.count, by: step).flatMap { encode(Array(values[$0..<$0 + step])) }
  }
}

/// Bits, with every NaN made the same one.
func bits(_ values: [Float]) -> [UInt32] { values.map { $0.isNaN ? 0x7fc0_0000 : $0.bitPattern } }

func squaredError(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>, weights: [Float] = [1]) -> Double {
  zip(a, b).enumerated().reduce(0) { sum, pair in
    let e = Double(pair.element.0) - Double(pair.element.1)
    return sum + e * e * Double(weights[pair.offset % weights.count])
  }
}

/// xorshift64*: the same numbers everywhere.
struct Noise {
  var state: UInt64
  init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_f491_4f6c_dd1d
  }
  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 32) } }
  mutating func uniform() -> Float { Float(next() >> 40) / Float(1 << 24) }
  /// Roughly normal, variance one.
  mutating func normal() -> Float { (0..<12).reduce(-6) { sum, _ in sum + uniform() } }
}
