package import Bytes

/// Byte strings in one buffer, numbered from 0, found by content. Half the memory of a dictionary, and look-up by a
/// range of a larger text needs no copy.
package struct PieceIndex: Sendable {
  private var storage: [UInt8] = []
  private var ends: [Int] = []
  /// Open addressing: piece number + 1, or 0.
  private var slots: [Int32]

  package init(capacity: Int) {
    slots = [Int32](repeating: 0, count: Self.slotCount(capacity))
    ends.reserveCapacity(capacity)
  }

  private static func slotCount(_ capacity: Int) -> Int {
    var count = 16
    while count < capacity * 2 { count *= 2 }
    return count
  }

  package var count: Int { ends.count }

  package func range(_ number: Int) -> Range<Int> { (number == 0 ? 0 : ends[number - 1])..<ends[number] }

  package func bytes(_ number: Int) -> ArraySlice<UInt8> { storage[range(number)] }

  /// Appends the piece under the next number. Where an equal one stands already, look-up goes on finding that one, and
  /// its number is returned; otherwise nil.
  @discardableResult
  package mutating func append(_ piece: [UInt8]) -> Int? {
    if (ends.count + 1) * 2 > slots.count { grow() }
    let (slot, earlier) = probe(piece.span, 0..<piece.count)
    storage += piece
    ends.append(storage.count)
    if earlier == nil { slots[slot] = Int32(ends.count) }
    return earlier
  }

  package func find(_ text: Span<UInt8>, _ part: Range<Int>) -> Int? { probe(text, part).number }

  /// The slot and the number of an equal piece, or the slot where it would go and nil.
  private func probe(_ text: Span<UInt8>, _ part: Range<Int>) -> (slot: Int, number: Int?) {
    let mask = slots.count - 1
    let slots = self.slots.span
    let storage = self.storage.span
    let ends = self.ends.span
    var next = Int(truncatingIfNeeded: Self.hash(text, part)) & mask
    probe: while true {
      let slot = next
      let number = Int(slots[slot]) - 1
      if number < 0 { return (slot, nil) }
      next = (slot + 1) & mask
      let start = number == 0 ? 0 : ends[number - 1]
      if ends[number] - start != part.count { continue }
      for offset in 0..<part.count where storage[start + offset] != text[part.lowerBound + offset] { continue probe }
      return (slot, number)
    }
  }

  package func find(_ piece: ByteString) -> Int? { find(piece.bytes.span, 0..<piece.count) }

  private mutating func insert(_ number: Int) {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: Self.hash(storage.span, range(number))) & mask
    while slots[slot] != 0 { slot = (slot + 1) & mask }
    slots[slot] = Int32(number + 1)
  }

  private mutating func grow() {
    let old = slots
    slots = [Int32](repeating: 0, count: old.count * 2)
    for entry in old where entry != 0 { insert(Int(entry) - 1) }
  }

  private static func hash(_ text: Span<UInt8>, _ part: Range<Int>) -> UInt64 {
    var hash: UInt64 = 0x9E37_79B9_7F4A_7C15 ^ UInt64(part.count)
    for offset in part { hash = (hash ^ UInt64(text[offset])) &* 0x0000_0100_0000_01B3 }
    hash ^= hash >> 29
    return hash &* 0xBF58_476D_1CE4_E5B9 >> 17
  }
}
