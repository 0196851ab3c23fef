/// DEFLATE (RFC 1951) and the zlib frame around it (RFC 1950), expanded in memory up to a limit that the caller knows.
public struct Inflate {
  private let input: [UInt8]
  private var position: Int
  private var bits: UInt32 = 0
  private var bitCount = 0
  private var output: [UInt8] = []
  private let limit: Int

  /// What is wrong, and at which byte of the input.
  public struct Fault: Error, Hashable, Sendable {
    public let reason: String
    public let offset: Int
  }

  /// Expands a zlib stream and checks its sum. More than `limit` bytes are a fault.
  public static func zlib(_ input: [UInt8], limit: Int) throws(Fault) -> [UInt8] {
    guard input.count >= 6, input[0] & 15 == 8, (Int(input[0]) << 8 | Int(input[1])) % 31 == 0, input[1] & 32 == 0
    else { throw Fault(reason: "no zlib stream", offset: 0) }
    var state = Inflate(input, from: 2, limit: limit)
    try state.run()
    let end = state.position
    guard end + 4 <= input.count else { throw Fault(reason: "the stream is cut off", offset: end) }
    let sum = input[end..<end + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    guard sum == adler32(state.output) else { throw Fault(reason: "its checksum is another", offset: end) }
    return state.output
  }

  /// Expands bare DEFLATE data, as zip holds it.
  public static func raw(_ input: [UInt8], limit: Int) throws(Fault) -> [UInt8] {
    var state = Inflate(input, from: 0, limit: limit)
    try state.run()
    return state.output
  }

  private init(_ input: [UInt8], from position: Int, limit: Int) {
    self.input = input
    self.position = position
    self.limit = limit
  }

  private static func adler32(_ bytes: [UInt8]) -> UInt32 {
    var a: UInt32 = 1
    var b: UInt32 = 0
    var index = 0
    while index < bytes.count {
      // 5552 additions cannot overflow.
      for byte in bytes[index..<min(index + 5552, bytes.count)] {
        a &+= UInt32(byte)
        b &+= a
      }
      a %= 65521
      b %= 65521
      index += 5552
    }
    return b << 16 | a
  }

  private mutating func take(_ count: Int) throws(Fault) -> Int {
    while bitCount < count {
      guard position < input.count else { throw Fault(reason: "the stream is cut off", offset: position) }
      bits |= UInt32(input[position]) << UInt32(bitCount)
      position += 1
      bitCount += 8
    }
    let value = bits & (1 << UInt32(count) - 1)
    bits >>= UInt32(count)
    bitCount -= count
    return Int(value)
  }

  private mutating func run() throws(Fault) {
    var isLast = false
    while !isLast {
      isLast = try take(1) == 1
      switch try take(2) {
      case 0: try stored()
      case 1: try compressed(Self.fixedLiterals, Self.fixedDistances)
      case 2:
        let (literals, distances) = try tables()
        try compressed(literals, distances)
      default: throw Fault(reason: "a block of an unknown kind", offset: position)
      }
    }
  }

  private mutating func stored() throws(Fault) {
    position -= bitCount / 8
    bits = 0
    bitCount = 0
    guard position + 4 <= input.count else { throw Fault(reason: "the stream is cut off", offset: position) }
    let count = Int(input[position]) | Int(input[position + 1]) << 8
    guard count ^ 0xFFFF == Int(input[position + 2]) | Int(input[position + 3]) << 8 else {
      throw Fault(reason: "a stored block's length is damaged", offset: position)
    }
    position += 4
    guard count <= input.count - position else { throw Fault(reason: "the stream is cut off", offset: position) }
    guard count <= limit - output.count else { throw tooLong }
    output += input[position..<position + count]
    position += count
  }

  private var tooLong: Fault { Fault(reason: "it expands to more than \(limit) bytes", offset: position) }

  /// Codes by length: the first code, the first symbol's place, and the symbols in order.
  private struct Table {
    var counts = [Int](repeating: 0, count: 16)
    var symbols: [Int] = []

    init?(_ lengths: some Sequence<Int>) {
      let lengths = Array(lengths)
      for length in lengths { counts[length] += 1 }
      counts[0] = 0
      var left = 1
      for length in 1...15 {
        left = left * 2 - counts[length]
        if left < 0 { return nil }
      }
      var starts = [Int](repeating: 0, count: 16)
      for length in 1..<15 { starts[length + 1] = starts[length] + counts[length] }
      symbols = [Int](repeating: 0, count: lengths.count)
      for (symbol, length) in lengths.enumerated() where length > 0 {
        symbols[starts[length]] = symbol
        starts[length] += 1
      }
    }
  }

  private mutating func symbol(_ table: Table) throws(Fault) -> Int {
    var code = 0
    var first = 0
    var index = 0
    for length in 1...15 {
      code |= try take(1)
      let count = table.counts[length]
      if code - count < first { return table.symbols[index + code - first] }
      index += count
      first = (first + count) << 1
      code <<= 1
    }
    throw Fault(reason: "a code that means nothing", offset: position)
  }

  private static let fixedLiterals = Table(
    [Int](repeating: 8, count: 144) + [Int](repeating: 9, count: 112) + [Int](repeating: 7, count: 24)
      + [Int](repeating: 8, count: 8))
  private static let fixedDistances = Table([Int](repeating: 5, count: 30))
  private static let lengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

  private mutating func tables() throws(Fault) -> (Table?, Table?) {
    let literalCount = try take(5) + 257
    let distanceCount = try take(5) + 1
    let codeCount = try take(4) + 4
    guard literalCount <= 286, distanceCount <= 30 else { throw Fault(reason: "too many codes", offset: position) }
    var codeLengths = [Int](repeating: 0, count: 19)
    for index in 0..<codeCount { codeLengths[Self.lengthOrder[index]] = try take(3) }
    guard let codes = Table(codeLengths) else { throw Fault(reason: "impossible codes", offset: position) }
    var lengths: [Int] = []
    while lengths.count < literalCount + distanceCount {
      let code = try symbol(codes)
      switch code {
      case ..<16: lengths.append(code)
      case 16:
        guard let last = lengths.last else { throw Fault(reason: "a repetition of nothing", offset: position) }
        lengths += [Int](repeating: last, count: 3 + (try take(2)))
      case 17: lengths += [Int](repeating: 0, count: 3 + (try take(3)))
      default: lengths += [Int](repeating: 0, count: 11 + (try take(7)))
      }
    }
    guard lengths.count == literalCount + distanceCount else { throw Fault(reason: "too many codes", offset: position) }
    return (Table(lengths[..<literalCount]), Table(lengths[literalCount...]))
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

  private mutating func compressed(_ literals: Table?, _ distances: Table?) throws(Fault) {
    guard let literals, let distances else { throw Fault(reason: "impossible codes", offset: position) }
    while true {
      let code = try symbol(literals)
      if code == 256 { return }
      if code < 256 {
        guard output.count < limit else { throw tooLong }
        output.append(UInt8(truncatingIfNeeded: code))
        continue
      }
      guard code - 257 < 29 else { throw Fault(reason: "an impossible length", offset: position) }
      let length = Self.lengthBases[code - 257] + (try take(Self.lengthBits[code - 257]))
      let place = try symbol(distances)
      guard place < 30 else { throw Fault(reason: "an impossible distance", offset: position) }
      let distance = Self.distanceBases[place] + (try take(max(0, place / 2 - 1)))
      guard distance <= output.count else { throw Fault(reason: "a distance before the beginning", offset: position) }
      guard length <= limit - output.count else { throw tooLong }
      for _ in 0..<length { output.append(output[output.count - distance]) }
    }
  }
}
