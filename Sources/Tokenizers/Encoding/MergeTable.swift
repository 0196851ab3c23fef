/// Which two symbols become one, and how soon: open addressing over pairs of symbol numbers.
struct MergeTable: Sendable {
  private var keys: [UInt64]
  /// Rank in the high half, the symbol that results in the low.
  private var values: [UInt64]
  private let shift: UInt64

  static let none = UInt64.max

  init(capacity: Int) {
    var bits: UInt64 = 4
    while 1 << bits < capacity + capacity / 2 { bits += 1 }
    shift = 64 - bits
    keys = [UInt64](repeating: .max, count: 1 << Int(bits))
    values = [UInt64](repeating: Self.none, count: 1 << Int(bits))
  }

  /// The first merge of a pair stays, as its rank is the better one.
  mutating func insert(_ left: Int32, _ right: Int32, rank: Int, result: Int32) {
    let key = Self.key(left, right)
    var slot = slot(of: key)
    while keys[slot] != .max {
      if keys[slot] == key { return }
      slot = (slot + 1) & (keys.count - 1)
    }
    keys[slot] = key
    values[slot] = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: result))
  }

  @inline(__always)
  func find(_ left: Int32, _ right: Int32) -> UInt64 {
    let key = Self.key(left, right)
    let keys = self.keys.span
    var slot = slot(of: key)
    while true {
      let found = keys[slot]
      if found == key { return values[slot] }
      if found == .max { return Self.none }
      slot = (slot + 1) & (keys.count - 1)
    }
  }

  @inline(__always)
  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  @inline(__always)
  private func slot(of key: UInt64) -> Int { Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> shift) }
}
