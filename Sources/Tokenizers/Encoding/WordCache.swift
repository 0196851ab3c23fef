/// The tokens of recent short words: two places for each hash, the newer first. Words of more than 15 bytes or more
/// than 7 tokens are not kept.
struct WordCache {
  struct Key: Equatable {
    var low: UInt64
    var high: UInt64
  }

  private struct Entry {
    var key = Key(low: 0, high: 0)
    var tokens = InlineArray<8, Int32>(repeating: 0)
  }

  private var entries: [Entry]
  private let mask: Int

  /// About 48 bytes for each of `capacity` words, a power of two.
  init(capacity: Int) {
    entries = [Entry](repeating: Entry(), count: capacity)
    mask = capacity / 2 - 1
  }

  /// Nil for a word that is empty or too long.
  @inline(__always)
  static func key(_ text: Span<UInt8>, _ word: Range<Int>) -> Key? {
    let count = word.count
    if count == 0 || count > 15 { return nil }
    var low: UInt64 = 0
    var high: UInt64 = UInt64(count) << 56
    for offset in 0..<min(count, 8) { low |= UInt64(text[word.lowerBound + offset]) << UInt64(8 * offset) }
    if count > 8 {
      for offset in 8..<count { high |= UInt64(text[word.lowerBound + offset]) << UInt64(8 * (offset - 8)) }
    }
    return Key(low: low, high: high)
  }

  @inline(__always)
  private func place(of key: Key) -> Int {
    let mixed = (key.low ^ key.high &* 0xFF51_AFD7_ED55_8CCD) &* 0x9E37_79B9_7F4A_7C15
    return (Int(truncatingIfNeeded: mixed >> 40) & mask) * 2
  }

  /// Appends the word's tokens if they are known.
  @inline(__always)
  func append(_ key: Key, to output: inout [Int32]) -> Bool {
    let entries = self.entries.span
    var place = place(of: key)
    if entries[place].key != key {
      place += 1
      if entries[place].key != key { return false }
    }
    let count = Int(entries[place].tokens[7])
    for index in 0..<count { output.append(entries[place].tokens[index]) }
    return true
  }

  mutating func insert(_ key: Key, _ tokens: ArraySlice<Int32>) {
    if tokens.count > 7 { return }
    let place = place(of: key)
    entries[place + 1] = entries[place]
    entries[place].key = key
    entries[place].tokens[7] = Int32(tokens.count)
    for (index, token) in tokens.enumerated() { entries[place].tokens[index] = token }
  }
}
