import Bytes

/// Numbers of a few bits each, one after the other from the least significant bit of little-endian words or bytes.
struct BitFields {
  let bits: Int
  private let mask: UInt32

  init(bits: Int) {
    precondition((1...8).contains(bits), "fields have one to eight bits")
    self.bits = bits
    mask = (1 << UInt32(bits)) - 1
  }

  /// Field `index` of the fields that begin at `start` (in bytes).
  @inline(__always)
  func value(_ index: Int, in bytes: RawSpan, from start: Int) -> UInt32 {
    let bit = index &* bits
    let byte = start &+ bit >> 3
    var word = UInt32(bytes.integer(at: byte, as: UInt8.self))
    if bit & 7 &+ bits > 8 { word |= UInt32(bytes.integer(at: byte &+ 1, as: UInt8.self)) << 8 }
    return word >> UInt32(bit & 7) & mask
  }
}
