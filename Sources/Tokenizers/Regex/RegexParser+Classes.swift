/// Escapes, properties and bracketed classes.
extension RegexParser {
  mutating func escape(_ start: Int) throws(RegexError) -> RegexNode {
    if let scalar = peek {
      let anchors: [UInt32: RegexNode.Anchor] = [
        0x62: .wordBoundary, 0x42: .notWordBoundary, 0x41: .textStart, 0x7A: .textEnd, 0x5A: .textEndOrNewline,
      ]
      if let anchor = anchors[scalar] {
        offset += 1
        return .anchor(anchor)
      }
      if (0x31...0x39).contains(scalar) { throw .unsupported("back reference", offset: start) }
    }
    return .set(try escapedSet(start))
  }

  /// What a backslash and the next characters stand for, in or out of a class.
  func isSetEscape(_ scalar: UInt32) -> Bool { "sSdDwWpPR".unicodeScalars.contains { $0.value == scalar } }

  mutating func escapedSet(_ start: Int) throws(RegexError) -> ScalarSet {
    let scalar = try next("an escaped character")
    switch scalar {
    case 0x73: return .whiteSpace
    case 0x53: return ScalarSet.whiteSpace.complement
    case 0x64: return .decimalDigits
    case 0x44: return ScalarSet.decimalDigits.complement
    case 0x77: return .word
    case 0x57: return ScalarSet.word.complement
    case 0x70: return try property(start)
    case 0x50: return try property(start).complement
    default: return literal(try escapedScalar(scalar, start))
    }
  }

  private mutating func escapedScalar(_ scalar: UInt32, _ start: Int) throws(RegexError) -> UInt32 {
    switch scalar {
    case 0x6E: return 0x0A
    case 0x72: return 0x0D
    case 0x74: return 0x09
    case 0x66: return 0x0C
    case 0x76: return 0x0B
    case 0x61: return 0x07
    case 0x65: return 0x1B
    case 0x30: return 0
    case 0x78: return take("{") ? try hexadecimal(1...8, closing: true) : try hexadecimal(1...2, closing: false)
    case 0x75: return take("{") ? try hexadecimal(1...8, closing: true) : try hexadecimal(4...4, closing: false)
    case 0x41...0x5A, 0x61...0x7A, 0x30...0x39: throw .unsupported("\\\(shown(scalar))", offset: start)
    default: return scalar
    }
  }

  private mutating func hexadecimal(_ length: ClosedRange<Int>, closing: Bool) throws(RegexError) -> UInt32 {
    let start = offset
    var value: UInt32 = 0
    while offset - start < length.upperBound, let scalar = peek, let digit = Unicode.Scalar(scalar),
      let nibble = Character(digit).hexDigitValue
    {
      value = value << 4 | UInt32(nibble)
      offset += 1
    }
    guard offset - start >= length.lowerBound, value < ScalarSet.end, !closing || take("}") else {
      throw .syntax("invalid hexadecimal escape", offset: start)
    }
    return value
  }

  private mutating func property(_ start: Int) throws(RegexError) -> ScalarSet {
    var name = ""
    if take("{") {
      while true {
        let scalar = try next("'}'")
        if scalar == 0x7D { break }
        name += shown(scalar)
      }
    } else {
      name = shown(try next("a property"))
    }
    var isNegated = false
    if name.hasPrefix("^") {
      isNegated = true
      name.removeFirst()
    }
    for prefix in ["gc=", "General_Category=", "sc=", "Script=", "Is"] where name.hasPrefix(prefix) {
      name.removeFirst(prefix.count)
    }
    guard let set = Self.propertySet(name) else { throw .unknownProperty(name, offset: start) }
    return isNegated ? set.complement : set
  }

  private static func propertySet(_ name: String) -> ScalarSet? {
    if let categories = GeneralCategory.named(name) { return ScalarSet(categories: categories) }
    switch name.lowercased() {
    case "any": return .all
    case "ascii": return ScalarSet(0...0x7F)
    case "space", "white_space", "whitespace": return .whiteSpace
    case "blank": return ScalarSet(categories: [.zs]).union(ScalarSet(0x09))
    case "digit": return .decimalDigits
    case "punct": return ScalarSet(categories: [.pc, .pd, .ps, .pe, .pi, .pf, .po])
    case "cntrl": return ScalarSet(categories: [.cc])
    case "word": return .wordInClass
    case "xdigit": return ScalarSet(ranges: [0x30..<0x3A, 0x41..<0x47, 0x61..<0x67])
    case "han": return .han
    case "hiragana": return .hiragana
    case "katakana": return .katakana
    case "hangul": return .hangul
    default: return nil
    }
  }

  /// After `[`: items, ranges, nested classes and `&&`, to the closing bracket.
  mutating func characterClass(depth: Int) throws(RegexError) -> ScalarSet {
    let start = offset - 1
    guard depth < Self.depthLimit else { throw .tooDeep(limit: Self.depthLimit) }
    let isNegated = take("^")
    var collected: [Range<UInt32>] = []
    var required: ScalarSet?
    var isFirst = true
    func current() -> ScalarSet {
      let set = ScalarSet(ranges: collected)
      return ignoresCase ? set.caseClosed : set
    }
    while true {
      guard peek != nil else { throw .syntax("unclosed class", offset: start) }
      if !isFirst, take("]") { break }
      isFirst = false
      if take("&&") {
        required = required.map { $0.intersection(current()) } ?? current()
        collected = []
        continue
      }
      if take("[:") {
        collected += try posixClass(start).ranges
        continue
      }
      if take("[") {
        collected += try characterClass(depth: depth + 1).ranges
        continue
      }
      let itemStart = offset
      let first = try next("a class item")
      if first == 0x5C, let kind = peek, isSetEscape(kind) {
        let set = try escapedSet(itemStart)
        collected += (kind == 0x77 ? .wordInClass : kind == 0x57 ? ScalarSet.wordInClass.complement : set).ranges
        continue
      }
      let low = try classScalar(first, itemStart)
      var high = low
      if peek == 0x2D, offset + 1 < scalars.count, scalars[offset + 1] != 0x5D {
        offset += 1
        let upper = try next("a range's end")
        if upper == 0x5C, let kind = peek, isSetEscape(kind) {
          throw .syntax("class as a range's end", offset: itemStart)
        }
        high = try classScalar(upper, itemStart)
        guard low <= high else { throw .syntax("range with its ends reversed", offset: itemStart) }
      }
      collected.append(low..<(high + 1))
    }
    let set = required.map { $0.intersection(current()) } ?? current()
    return isNegated ? set.complement : set
  }

  private mutating func classScalar(_ scalar: UInt32, _ start: Int) throws(RegexError) -> UInt32 {
    guard scalar == 0x5C else { return scalar }
    let escaped = try next("an escaped character")
    return escaped == 0x62 ? 0x08 : try escapedScalar(escaped, start)
  }

  private mutating func posixClass(_ start: Int) throws(RegexError) -> ScalarSet {
    let isNegated = take("^")
    var name = ""
    while !take(":]") { name += shown(try next("':]'")) }
    guard var set = Self.propertySet(name) else { throw .unknownProperty(name, offset: start) }
    // Unlike the property of this name, the bracket takes in symbols.
    if name == "punct" { set = set.union(ScalarSet(categories: [.sm, .sc, .sk, .so])) }
    return isNegated ? set.complement : set
  }
}

extension ScalarSet {
  // Scripts that published patterns name, from Unicode 16.0's Scripts.txt.
  static let han = ScalarSet(ranges: [
    0x2E80..<0x2E9A, 0x2E9B..<0x2EF4, 0x2F00..<0x2FD6, 0x3005..<0x3006, 0x3007..<0x3008, 0x3021..<0x302A,
    0x3038..<0x303C, 0x3400..<0x4DC0, 0x4E00..<0xA000, 0xF900..<0xFA6E, 0xFA70..<0xFADA, 0x16FE2..<0x16FE4,
    0x16FF0..<0x16FF2, 0x20000..<0x2A6E0, 0x2A700..<0x2B73A, 0x2B740..<0x2B81E, 0x2B820..<0x2CEA2, 0x2CEB0..<0x2EBE1,
    0x2EBF0..<0x2EE5E, 0x2F800..<0x2FA1E, 0x30000..<0x3134B, 0x31350..<0x323B0,
  ])
  static let hiragana = ScalarSet(ranges: [
    0x3041..<0x3097, 0x309D..<0x30A0, 0x1B001..<0x1B120, 0x1B132..<0x1B133, 0x1B150..<0x1B153, 0x1F200..<0x1F201,
  ])
  static let katakana = ScalarSet(ranges: [
    0x30A1..<0x30FB, 0x30FD..<0x3100, 0x31F0..<0x3200, 0x32D0..<0x32FF, 0x3300..<0x3358, 0xFF66..<0xFF70,
    0xFF71..<0xFF9E, 0x1AFF0..<0x1AFF4, 0x1AFF5..<0x1AFFC, 0x1AFFD..<0x1AFFF, 0x1B000..<0x1B001, 0x1B120..<0x1B123,
    0x1B155..<0x1B156, 0x1B164..<0x1B168,
  ])
  static let hangul = ScalarSet(ranges: [
    0x1100..<0x1200, 0x302E..<0x3030, 0x3131..<0x318F, 0x3200..<0x321F, 0x3260..<0x327F, 0xA960..<0xA97D,
    0xAC00..<0xD7A4, 0xD7B0..<0xD7C7, 0xD7CB..<0xD7FC, 0xFFA0..<0xFFBF, 0xFFC2..<0xFFC8, 0xFFCA..<0xFFD0,
    0xFFD2..<0xFFD8, 0xFFDA..<0xFFDD,
  ])
}
