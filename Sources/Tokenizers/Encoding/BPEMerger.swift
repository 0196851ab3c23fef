internal import HeapModule

/// Applies merges to one word's symbols: always the best-ranked pair, the leftmost of equals.
///
/// Short words are searched again after each merge, which is quadratic but fastest up to some dozens of symbols; long
/// ones go through a heap, n log n.
struct BPEMerger {
  var symbols: [Int32] = []
  private var pairs: [UInt64] = []
  private var previous: [Int32] = []
  private var next: [Int32] = []

  static let shortLimit = 48
  private static let rankMask: UInt64 = 0xFFFF_FFFF_0000_0000

  mutating func merge(_ table: borrowing MergeTable) {
    if symbols.count < 2 { return }
    if symbols.count <= Self.shortLimit { mergeShort(table) } else { mergeLong(table) }
  }

  private mutating func mergeShort(_ table: borrowing MergeTable) {
    var count = symbols.count
    if pairs.count < count { pairs = [UInt64](repeating: MergeTable.none, count: max(count, Self.shortLimit)) }
    // Two members' spans cannot be open at once; moved out, the arrays are apart.
    var keptSymbols: [Int32] = []
    var keptPairs: [UInt64] = []
    swap(&keptSymbols, &self.symbols)
    swap(&keptPairs, &self.pairs)
    defer {
      keptSymbols.removeLast(keptSymbols.count - count)
      swap(&keptSymbols, &self.symbols)
      swap(&keptPairs, &self.pairs)
    }
    var symbols = keptSymbols.mutableSpan
    var pairs = keptPairs.mutableSpan
    for index in 0..<(count - 1) { pairs[index] = table.find(symbols[index], symbols[index + 1]) }
    while count > 1 {
      var best = MergeTable.none
      var place = 0
      // Ranks alone are compared: of pairs with one rank (SentencePiece has equal scores) the leftmost comes first.
      for index in 0..<(count - 1) where pairs[index] & Self.rankMask < best & Self.rankMask {
        best = pairs[index]
        place = index
      }
      if best == MergeTable.none { break }
      symbols[place] = Int32(truncatingIfNeeded: best)
      count -= 1
      var index = place + 1
      while index < count {
        symbols[index] = symbols[index + 1]
        pairs[index - 1] = pairs[index]
        index += 1
      }
      if place > 0 { pairs[place - 1] = table.find(symbols[place - 1], symbols[place]) }
      if place + 1 < count { pairs[place] = table.find(symbols[place], symbols[place + 1]) }
    }
  }

  private mutating func mergeLong(_ table: borrowing MergeTable) {
    let count = symbols.count
    pairs = [UInt64](repeating: MergeTable.none, count: count)
    previous = (0..<Int32(count)).map { $0 - 1 }
    next = (1...Int32(count)).map { $0 == count ? -1 : $0 }
    // A queue entry is rank and place; the pair standing there tells whether it still holds.
    var entries: [UInt64] = []
    entries.reserveCapacity(count)
    for index in 0..<(count - 1) {
      pairs[index] = table.find(symbols[index], symbols[index + 1])
      if pairs[index] != MergeTable.none { entries.append(pairs[index] & Self.rankMask | UInt64(index)) }
    }
    var queue = Heap(entries)
    while let entry = queue.popMin() {
      let place = Int(entry & 0xFFFF_FFFF)
      let pair = pairs[place]
      guard pair != MergeTable.none, pair >> 32 == entry >> 32 else { continue }
      let right = Int(next[place])
      symbols[place] = Int32(truncatingIfNeeded: pair)
      symbols[right] = -1
      pairs[right] = MergeTable.none
      next[place] = next[right]
      if next[place] >= 0 { previous[Int(next[place])] = Int32(place) }
      for left in [Int(previous[place]), place] where left >= 0 {
        let follower = Int(next[left])
        pairs[left] = follower < 0 ? MergeTable.none : table.find(symbols[left], symbols[follower])
        if pairs[left] != MergeTable.none { queue.insert(pairs[left] & Self.rankMask | UInt64(left)) }
      }
    }
    symbols.removeAll { $0 < 0 }
  }
}
