/// The state of an expansion, a value between any two calls: a copy of it can go on later, or again.
struct InflateMachine: Sendable {
  private var input: [UInt8]
  /// Of the next byte of `input` that is not in `bits` yet.
  private var next: Int
  private var bits: UInt64 = 0
  private var bitCount = 0
  private var hasAllInput: Bool
  private var stage = Stage.header
  private var isLast = false

  private enum Stage {
    case header
    case stored(remaining: Int)
    case codes(literals: InflateTable, distances: InflateTable)
    case finished
  }

  /// The longest header of a block: 14 bits, 19 lengths of codes, 316 codes of at most 14 bits.
  private static let headerByteCount = 600

  /// - Parameter isWhole: whether no more input will come.
  init(_ input: [UInt8], from position: Int, isWhole: Bool = true) {
    self.input = input
    next = position
    hasAllInput = isWhole
  }

  /// Of the first byte of the input that was not needed.
  var position: Int { next - bitCount / 8 }
  var isFinished: Bool { if case .finished = stage { true } else { false } }
  /// Whether `run` stopped for want of input.
  private(set) var wantsInput = false

  /// Drops what was used and appends `more`; returns how many bytes were dropped.
  mutating func feed(_ more: [UInt8], isLast: Bool) -> Int {
    let dropped = next
    input = input[next...] + more
    next = 0
    hasAllInput = isLast
    wantsInput = false
    return dropped
  }

  /// Drops all input, used or not; returns how many bytes of it were used. `feed` then goes on behind those.
  mutating func dropInput() -> Int {
    let used = next
    input = []
    next = 0
    hasAllInput = false
    return used
  }

  /// Appends to `output`, which holds what was made before (as far as distances reach), until it is `limit` long or a
  /// match longer, all is expanded, or more input is wanted.
  mutating func run(into output: inout [UInt8], until limit: Int) throws(Inflate.Fault) {
    while output.count < limit, !wantsInput {
      switch stage {
      case .finished: return
      case .header: try readHeader()
      case .stored(let remaining): try copyStored(remaining, into: &output, until: limit)
      case .codes(let literals, let distances): try expand(literals, distances, into: &output, until: limit)
      }
    }
  }

  private func fault(_ reason: String) -> Inflate.Fault { .init(reason: reason, offset: position) }

  private mutating func refill() {
    while bitCount <= 56, next < input.count {
      bits |= UInt64(input[next]) << UInt64(bitCount)
      next += 1
      bitCount += 8
    }
  }

  private mutating func take(_ count: Int) throws(Inflate.Fault) -> Int {
    if bitCount < count {
      refill()
      guard bitCount >= count else { throw fault("the stream is cut off") }
    }
    let value = bits & (1 << UInt64(count) - 1)
    bits >>= UInt64(count)
    bitCount -= count
    return Int(value)
  }

  private mutating func readHeader() throws(Inflate.Fault) {
    if isLast {
      // Whole bytes that were taken ahead belong to what follows.
      next -= bitCount / 8
      bits = 0
      bitCount = 0
      stage = .finished
      return
    }
    guard hasAllInput || input.count - next >= Self.headerByteCount else {
      wantsInput = true
      return
    }
    isLast = try take(1) == 1
    switch try take(2) {
    case 0:
      next -= bitCount / 8
      bits = 0
      bitCount = 0
      let count = try take(16)
      guard count ^ 0xFFFF == (try take(16)) else { throw fault("a stored block's length is damaged") }
      next -= bitCount / 8
      bits = 0
      bitCount = 0
      stage = .stored(remaining: count)
    case 1: stage = .codes(literals: InflateTable.fixedLiterals, distances: InflateTable.fixedDistances)
    case 2: stage = try readTables()
    default: throw fault("a block of an unknown kind")
    }
  }

  private mutating func copyStored(
    _ remaining: Int, into output: inout [UInt8], until limit: Int
  ) throws(Inflate.Fault) {
    let count = min(remaining, limit - output.count, input.count - next)
    output += input[next..<next + count]
    next += count
    stage = remaining == count ? .header : .stored(remaining: remaining - count)
    if count < remaining, next == input.count {
      guard !hasAllInput else { throw fault("the stream is cut off") }
      wantsInput = true
    }
  }

  private static let lengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

  private mutating func readTables() throws(Inflate.Fault) -> Stage {
    let literalCount = try take(5) + 257
    let distanceCount = try take(5) + 1
    let codeCount = try take(4) + 4
    guard literalCount <= 286, distanceCount <= 30 else { throw fault("too many codes") }
    var codeLengths = [Int](repeating: 0, count: 19)
    for index in 0..<codeCount { codeLengths[Self.lengthOrder[index]] = try take(3) }
    guard let codes = InflateTable(codeLengths[...]) else { throw fault("impossible codes") }
    var lengths: [Int] = []
    while lengths.count < literalCount + distanceCount {
      refill()
      let code = try symbol(codes)
      switch code {
      case ..<16: lengths.append(code)
      case 16:
        guard let last = lengths.last else { throw fault("a repetition of nothing") }
        lengths += [Int](repeating: last, count: 3 + (try take(2)))
      case 17: lengths += [Int](repeating: 0, count: 3 + (try take(3)))
      default: lengths += [Int](repeating: 0, count: 11 + (try take(7)))
      }
    }
    guard lengths.count == literalCount + distanceCount else { throw fault("too many codes") }
    guard let literals = InflateTable(lengths[..<literalCount]), let distances = InflateTable(lengths[literalCount...])
    else { throw fault("impossible codes") }
    return .codes(literals: literals, distances: distances)
  }

  /// The next code's symbol; `refill` was just called, so that only the end of the input can cut it off.
  private mutating func symbol(_ table: InflateTable) throws(Inflate.Fault) -> Int {
    guard let (symbol, length) = table.symbol(bits) else { throw fault("a code that means nothing") }
    guard length <= bitCount else { throw fault("the stream is cut off") }
    bits >>= UInt64(length)
    bitCount -= length
    return symbol
  }

  private static let lengthBases = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
  ]
  private static let lengthBits = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
  ]
  private static let distanceBases = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
    8193, 12289, 16385, 24577,
  ]

  private mutating func expand(
    _ literals: InflateTable, _ distances: InflateTable, into output: inout [UInt8], until limit: Int
  ) throws(Inflate.Fault) {
    while output.count < limit {
      refill()
      // A length and a distance take 48 bits at the most.
      guard bitCount >= 48 || hasAllInput else {
        wantsInput = true
        return
      }
      let code = try symbol(literals)
      if code < 256 {
        output.append(UInt8(truncatingIfNeeded: code))
        continue
      }
      if code == 256 {
        stage = .header
        return
      }
      guard code - 257 < 29 else { throw fault("an impossible length") }
      let length = Self.lengthBases[code - 257] + (try take(Self.lengthBits[code - 257]))
      let place = try symbol(distances)
      guard place < 30 else { throw fault("an impossible distance") }
      let distance = Self.distanceBases[place] + (try take(max(0, place / 2 - 1)))
      guard distance <= output.count else { throw fault("a distance before the beginning") }
      let start = output.count - distance
      for index in start..<start + length { output.append(output[index]) }
    }
  }
}

/// A prefix code: what most codes mean at once by their first ten bits, the longer ones by counting.
struct InflateTable: Sendable {
  private static let fastBits = 10
  /// By the next ten bits: symbol << 4 | length, 0 where the code is longer.
  private var fast: [UInt16]
  private var counts = [Int](repeating: 0, count: 16)
  /// In the order of their codes.
  private var symbols: [Int]

  static let fixedLiterals = fixed(
    [Int](repeating: 8, count: 144) + [Int](repeating: 9, count: 112) + [Int](repeating: 7, count: 24)
      + [Int](repeating: 8, count: 8))
  static let fixedDistances = fixed([Int](repeating: 5, count: 30))

  private static func fixed(_ lengths: [Int]) -> InflateTable {
    guard let table = InflateTable(lengths[...]) else { preconditionFailure("the fixed codes are possible") }
    return table
  }

  /// Nil where there are more codes than their lengths can tell apart.
  init?(_ lengths: ArraySlice<Int>) {
    for length in lengths { counts[length] += 1 }
    counts[0] = 0
    var left = 1
    for length in 1...15 {
      left = left * 2 - counts[length]
      if left < 0 { return nil }
    }
    var starts = [Int](repeating: 0, count: 16)
    var codes = [Int](repeating: 0, count: 16)
    for length in 1..<15 {
      starts[length + 1] = starts[length] + counts[length]
      codes[length + 1] = (codes[length] + counts[length]) << 1
    }
    symbols = [Int](repeating: 0, count: lengths.count)
    fast = [UInt16](repeating: 0, count: 1 << Self.fastBits)
    for (symbol, length) in lengths.enumerated() where length > 0 {
      symbols[starts[length]] = symbol
      starts[length] += 1
      let code = codes[length]
      codes[length] += 1
      guard length <= Self.fastBits else { continue }
      // Codes come with their first bit lowest.
      let reversed = Int(UInt16(truncatingIfNeeded: code).bitReversed >> UInt16(16 - length))
      for index in stride(from: reversed, to: fast.count, by: 1 << length) {
        fast[index] = UInt16(truncatingIfNeeded: symbol << 4 | length)
      }
    }
  }

  /// What the lowest bits mean and how many of them it takes.
  func symbol(_ bits: UInt64) -> (symbol: Int, length: Int)? {
    let entry = Int(fast[Int(bits & UInt64(1 << Self.fastBits - 1))])
    if entry != 0 { return (entry >> 4, entry & 15) }
    var code = 0
    var first = 0
    var index = 0
    for length in 1...15 {
      code |= Int(bits >> UInt64(length - 1) & 1)
      let count = counts[length]
      if code - count < first { return (symbols[index + code - first], length) }
      index += count
      first = (first + count) << 1
      code <<= 1
    }
    return nil
  }
}

extension UInt16 {
  fileprivate var bitReversed: UInt16 {
    var value = self
    var result: UInt16 = 0
    for _ in 0..<16 {
      result = result << 1 | value & 1
      value >>= 1
    }
    return result
  }
}
