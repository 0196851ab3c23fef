/// Parses the part of Oniguruma's syntax that tokenizers use. Recursion is bounded by `depthLimit`.
struct RegexParser {
  var scalars: [UInt32]
  var offset = 0
  var ignoresCase = false
  var dotMatchesNewline = false
  private var depth = 0

  static let depthLimit = 64
  static let lengthLimit = 1 << 16

  static func parse(_ pattern: [UInt8]) throws(RegexError) -> RegexNode {
    guard pattern.isValidUTF8 else { throw .invalidUTF8 }
    guard pattern.count <= lengthLimit else { throw .tooLarge(limit: lengthLimit) }
    var parser = RegexParser(scalars: pattern.scalars)
    let node = try parser.alternatives()
    if let extra = parser.peek { throw .syntax("unmatched '\(parser.shown(extra))'", offset: parser.offset) }
    return node
  }

  private init(scalars: [UInt32]) { self.scalars = scalars }

  var peek: UInt32? { offset < scalars.count ? scalars[offset] : nil }

  func shown(_ scalar: UInt32) -> String { Unicode.Scalar(scalar).map { String(Character($0)) } ?? "?" }

  mutating func take(_ text: String) -> Bool {
    let wanted = text.unicodeScalars.map(\.value)
    guard scalars[offset...].starts(with: wanted) else { return false }
    offset += wanted.count
    return true
  }

  mutating func next(_ what: String) throws(RegexError) -> UInt32 {
    guard let scalar = peek else { throw .syntax("the pattern ends where \(what) should be", offset: offset) }
    offset += 1
    return scalar
  }

  private mutating func alternatives() throws(RegexError) -> RegexNode {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.depthLimit else { throw .tooDeep(limit: Self.depthLimit) }
    // Inline flags such as (?i) last until the group ends.
    let flags = (ignoresCase, dotMatchesNewline)
    defer { (ignoresCase, dotMatchesNewline) = flags }
    var branches = [try sequence()]
    while take("|") { branches.append(try sequence()) }
    return branches.count == 1 ? branches[0] : .alternatives(branches)
  }

  private mutating func sequence() throws(RegexError) -> RegexNode {
    var nodes: [RegexNode] = []
    while let scalar = peek, scalar != 0x7C, scalar != 0x29 {
      var node = try atom()
      while let quantified = try quantified(node) { node = quantified }
      nodes.append(node)
    }
    return nodes.count == 1 ? nodes[0] : nodes.isEmpty ? .empty : .sequence(nodes)
  }

  private mutating func quantified(_ node: RegexNode) throws(RegexError) -> RegexNode? {
    let minimum: Int
    let maximum: Int?
    var isInterval = false
    if take("*") {
      (minimum, maximum) = (0, nil)
    } else if take("+") {
      (minimum, maximum) = (1, nil)
    } else if take("?") {
      (minimum, maximum) = (0, 1)
    } else if let bounds = try interval() {
      (minimum, maximum) = bounds
      isInterval = true
    } else {
      return nil
    }
    if take("?") { return .repetition(node, minimum: minimum, maximum: maximum, .lazy) }
    // In Oniguruma's own syntax {m,n}+ repeats the interval; only *+, ++ and ?+ are possessive.
    if !isInterval, take("+") { return .repetition(node, minimum: minimum, maximum: maximum, .possessive) }
    return .repetition(node, minimum: minimum, maximum: maximum, .greedy)
  }

  /// `{m}`, `{m,}`, `{,n}`, `{m,n}`; anything else after a brace makes the brace a literal.
  private mutating func interval() throws(RegexError) -> (Int, Int?)? {
    let start = offset
    guard take("{") else { return nil }
    let low = number()
    let hasComma = take(",")
    let high = hasComma ? number() : low
    guard take("}"), low != nil || high != nil else {
      offset = start
      return nil
    }
    if let low, let high, low > high { throw .syntax("interval with its bounds reversed", offset: start) }
    return (low ?? 0, high)
  }

  private mutating func number() -> Int? {
    var value: Int?
    while let scalar = peek, (0x30...0x39).contains(scalar), (value ?? 0) < 100_000 {
      value = (value ?? 0) * 10 + Int(scalar - 0x30)
      offset += 1
    }
    return value
  }

  private mutating func atom() throws(RegexError) -> RegexNode {
    let start = offset
    let scalar = try next("an expression")
    switch scalar {
    case 0x28: return try group(start)
    case 0x5B: return .set(try characterClass(depth: 0))
    case 0x5C: return try escape(start)
    case 0x2E: return .set(dotMatchesNewline ? .all : ScalarSet(0x0A).complement)
    case 0x5E: return .anchor(.lineStart)
    case 0x24: return .anchor(.lineEnd)
    case 0x2A, 0x2B, 0x3F: throw .syntax("nothing to repeat", offset: start)
    default: return .set(literal(scalar))
    }
  }

  func literal(_ scalar: UInt32) -> ScalarSet {
    ignoresCase ? ScalarSet(scalar).caseClosed : ScalarSet(scalar)
  }

  private mutating func group(_ start: Int) throws(RegexError) -> RegexNode {
    guard take("?") else { return try closed(start) }
    if take(":") { return try closed(start) }
    if take("=") { return .lookAhead(try closed(start), isNegative: false) }
    if take("!") { return .lookAhead(try closed(start), isNegative: true) }
    if take(">") { return .atomic(try closed(start)) }
    if take("<=") { return try lookBehind(start, isNegative: false) }
    if take("<!") { return try lookBehind(start, isNegative: true) }
    if take("#") {
      while try next("')'") != 0x29 {}
      return .empty
    }
    if take("<") || take("P<") {
      while try next("a group's name") != 0x3E {}
      return try closed(start)
    }
    return try flags(start)
  }

  private mutating func closed(_ start: Int) throws(RegexError) -> RegexNode {
    let node = try alternatives()
    guard take(")") else { throw .syntax("unclosed group", offset: start) }
    return node
  }

  private mutating func lookBehind(_ start: Int, isNegative: Bool) throws(RegexError) -> RegexNode {
    let node = try closed(start)
    guard node.fixedLength != nil else { throw .unsupported("look-behind of varying length", offset: start) }
    return .lookBehind(node, isNegative: isNegative)
  }

  private mutating func flags(_ start: Int) throws(RegexError) -> RegexNode {
    let outer = (ignoresCase, dotMatchesNewline)
    var isOn = true
    while true {
      switch try next("a flag") {
      case 0x2D: isOn = false
      case 0x69: ignoresCase = isOn
      case 0x6D: dotMatchesNewline = isOn
      case 0x29:  // (?i): to the end of the enclosing group, alternatives included
        return try alternatives()
      case 0x3A:
        let node = try closed(start)
        (ignoresCase, dotMatchesNewline) = outer
        return node
      case let other: throw .unsupported("flag '\(shown(other))'", offset: start)
      }
    }
  }
}
