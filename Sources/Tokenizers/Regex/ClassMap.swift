/// Divides all scalars into the classes that a pattern's sets cannot tell apart, at most 255 of them.
///
/// Class 0 is reserved for UTF-8 continuation bytes; classification yields one class per byte, so that positions in the
/// text stay byte offsets and ASCII costs one table look-up.
struct ClassMap: Sendable {
  let classCount: Int
  /// Page number of each 256 scalars; a page is 256 classes in `pages`.
  private var pageIndex: [UInt16]
  private var pages: [UInt8]
  /// One scalar of each class.
  private var representatives: [UInt32]

  static let continuation: UInt8 = 0

  /// Cost: the boundaries of all sets, some thousands, times the number of sets.
  init(sets: [ScalarSet]) throws(RegexError) {
    var boundaries: Set<UInt32> = [0, ScalarSet.end]
    for set in sets { boundaries.formUnion(set.boundaries) }
    let ordered = boundaries.sorted()
    let wordCount = (sets.count + 63) / 64
    var classes: [[UInt64]: UInt8] = [:]
    representatives = [0]
    pageIndex = [UInt16](repeating: 0, count: Int(ScalarSet.end >> 8))
    pages = []
    var page = [UInt8](repeating: 0, count: 256)
    var uniformPages: [UInt8: UInt16] = [:]
    var pageNumber = 0
    for (start, end) in zip(ordered, ordered.dropFirst()) {
      var signature = [UInt64](repeating: 0, count: wordCount)
      for (index, set) in sets.enumerated() where set.contains(start) {
        signature[index / 64] |= 1 << UInt64(index % 64)
      }
      var number = classes[signature] ?? 0
      if number == 0 {
        guard classes.count < 255 else { throw .tooLarge(limit: 255) }
        number = UInt8(classes.count + 1)
        classes[signature] = number
        representatives.append(start)
      }
      var scalar = start
      while scalar < end {
        let pageEnd = min((scalar | 0xFF) + 1, end)
        for index in Int(scalar & 0xFF)...Int((pageEnd - 1) & 0xFF) { page[index] = number }
        scalar = pageEnd
        guard scalar & 0xFF == 0 else { break }
        // The page is full: share it with an equal one where all of it is one class.
        let isUniform = page.allSatisfy { $0 == number }
        if isUniform, let shared = uniformPages[number] {
          pageIndex[pageNumber] = shared
        } else {
          let new = UInt16(pages.count >> 8)
          pages += page
          pageIndex[pageNumber] = new
          if isUniform { uniformPages[number] = new }
        }
        pageNumber += 1
      }
    }
    classCount = classes.count + 1
  }

  /// For each class whether it lies in the set; continuation bytes lie in all, so loops run over them.
  func members(of set: ScalarSet) -> [Bool] {
    [true] + representatives.dropFirst().map { set.contains($0) }
  }

  /// As `classify`, each byte being the character that spells it in the byte alphabet.
  func classifySpelled(_ text: Span<UInt8>, into classes: inout [UInt8]) {
    let table = ByteAlphabet.scalars.map { pages[Int(pageIndex[Int($0 >> 8)]) << 8 | Int($0 & 0xFF)] }
    if classes.count < text.count { classes += [UInt8](repeating: 0, count: text.count - classes.count) }
    for offset in text.indices { classes[offset] = table[Int(text[offset])] }
  }

  /// Writes one class per byte of `text` into `classes`, which is resized to fit.
  func classify(_ text: Span<UInt8>, into classes: inout [UInt8]) {
    if classes.count < text.count { classes += [UInt8](repeating: 0, count: text.count - classes.count) }
    var out = classes.mutableSpan
    let pages = self.pages.span
    let index = pageIndex.span
    let ascii = Int(index[0]) << 8
    var offset = 0
    while offset < text.count {
      let byte = text[offset]
      if byte < 0x80 {
        out[offset] = pages[ascii | Int(byte)]
        offset += 1
        continue
      }
      let scalar = UTF8Scalar(text, at: offset, end: text.count)
      out[offset] = pages[Int(index[Int(scalar.value >> 8)]) << 8 | Int(scalar.value & 0xFF)]
      for following in 1..<scalar.byteCount { out[offset + following] = Self.continuation }
      offset += scalar.byteCount
    }
  }
}
