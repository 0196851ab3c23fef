public import Bytes

/// A regular expression over Unicode scalars, of the kind tokenizers split text with.
///
/// Alternation, classes with properties and intersections, greedy, lazy and possessive quantifiers, groups, look-ahead,
/// look-behind of fixed length, anchors, `(?i)`. Matching backtracks, first alternative first, with a limit on steps
/// proportional to the text. Text is bytes; a byte outside valid UTF-8 counts as U+FFFD.
public struct ScalarRegex: Sendable {
  public let pattern: ByteString
  let program: RegexProgram

  public init(_ pattern: ByteString) throws(RegexError) {
    self.pattern = pattern
    program = try RegexCompiler.compile(RegexParser.parse(pattern.bytes))
  }

  /// Byte ranges of all matches, left to right; they do not overlap. Empty matches are included, but
  /// for one at the very end.
  public func matches(in text: [UInt8]) throws(RegexError) -> [Range<Int>] {
    var classes: [UInt8] = []
    program.classes.classify(text.span, into: &classes)
    var found: [Range<Int>] = []
    var matcher = RegexMatcher(textLength: text.count)
    try forEachMatch(classes: classes.span, within: 0..<text.count, &matcher) { found.append($0) }
    return found
  }

  /// Whether the pattern is found anywhere in the text.
  public func isFound(in text: ByteString) throws(RegexError) -> Bool { try !matches(in: text.bytes).isEmpty }

  /// Calls `body` with each match in `bounds`, which are all the text that anchors and assertions see.
  @inline(__always)
  func forEachMatch(
    classes: Span<UInt8>, within bounds: Range<Int>, _ matcher: inout RegexMatcher, _ body: (Range<Int>) -> Void
  ) throws(RegexError) {
    let candidates = program.candidates.span
    var position = bounds.lowerBound
    var lastEnd = -1
    while position < bounds.upperBound {
      var remaining = candidates[Int(classes[position])]
      var end = -1
      while remaining != 0 {
        let branch = remaining.trailingZeroBitCount
        remaining &= remaining - 1
        end = try matcher.match(
          program, entry: program.entries[branch], classes: classes, at: position, within: bounds)
        if end >= 0 { break }
      }
      if end > position {
        body(position..<end)
        lastEnd = end
        position = end
        continue
      }
      // An empty match right behind another one does not count.
      if end == position, lastEnd != position {
        body(position..<position)
        lastEnd = position
      }
      repeat { position += 1 } while position < bounds.upperBound && classes[position] == ClassMap.continuation
    }
  }
}
