internal import Bytes
package import IR

/// Pre-tokenization compiled: cuts text into the pieces that no token crosses.
package struct SplitPipeline: Sendable {
  private enum Stage: Sendable {
    /// `isSpelled`: the step comes after ByteLevel, so it sees the byte alphabet's characters instead of the text's.
    case split(ScalarRegex, TokenizerModel.SplitBehavior, isInverted: Bool, isSpelled: Bool)
    /// Puts a space before every piece that does not begin with one.
    case prefixSpace
    /// Spells spaces as the mark and puts one before a piece that does not begin with it.
    case mark(ByteString, TokenizerModel.PrependScheme)
  }

  private var stages: [Stage] = []
  private var isSpelled = false

  /// What the runs over one text need, kept so that nothing is allocated per text.
  package struct Scratch {
    var classes: [UInt8] = []

    /// The pieces, as ranges of the text that `split` was given (or has rewritten).
    package internal(set) var pieces: [Range<Int>] = []
    var earlier: [Range<Int>] = []

    package init() {}
  }

  static let gpt2: ByteString =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  package init(_ steps: [TokenizerModel.PreTokenizer], path: String) throws(TokenizerError) {
    for (index, step) in steps.enumerated() { try append(step, path: "\(path)[\(index)]") }
  }

  private mutating func append(_ step: TokenizerModel.PreTokenizer, path: String) throws(TokenizerError) {
    switch step {
    case .split(.regex(let pattern), let behavior, let isInverted):
      try append(pattern, behavior, isInverted, path)
    case .split(.string(let text), let behavior, let isInverted):
      try append(Self.quoted(text), behavior, isInverted, path)
    case .delimiter(let text): try append(Self.quoted(text), .removed, false, path)
    case .digits(let isIndividual): try append(isIndividual ? #"\p{N}"# : #"\p{N}+"#, .isolated, false, path)
    case .punctuation(let behavior): try append(#"[\p{P}!-/:-@\[-`{-~]"#, behavior, false, path)
    case .whitespace:
      // Rust's \w, which this step uses, has the two joiners.
      try append(#"[\w\u200c\u200d]+|[^\w\u200c\u200d\s]+"#, .removed, true, path)
    case .whitespaceSplit: try append(#"\s"#, .removed, false, path)
    case .bert:
      try append(#"\s"#, .removed, false, path)
      try append(#"[\p{P}!-/:-@\[-`{-~]"#, .isolated, false, path)
    case .byteLevel(let addsPrefixSpace, let usesRegex, _):
      if addsPrefixSpace { stages.append(.prefixSpace) }
      if usesRegex { try append(Self.gpt2, .isolated, false, path) }
      isSpelled = true
    case .metaspace(let mark, let scheme, let splits):
      stages.append(.mark(mark, scheme))
      if splits { try append(Self.quoted(mark), .mergedWithNext, false, path) }
    }
  }

  private mutating func append(
    _ pattern: ByteString, _ behavior: TokenizerModel.SplitBehavior, _ isInverted: Bool, _ path: String
  ) throws(TokenizerError) {
    do {
      stages.append(.split(try ScalarRegex(pattern), behavior, isInverted: isInverted, isSpelled: isSpelled))
    } catch {
      throw .regex(path: path, pattern: pattern, error)
    }
  }

  /// A pattern that matches just this text.
  static func quoted(_ text: ByteString) -> ByteString {
    var result: [UInt8] = []
    for byte in text.bytes {
      if byte < 0x80, !(0x30...0x39).contains(byte), !(0x41...0x5A).contains(byte & 0xDF), byte > 0x20 {
        result.append(UInt8(ascii: "\\"))
      }
      result.append(byte)
    }
    return ByteString(bytes: result)
  }

  /// Leaves the pieces of `text` in `scratch.pieces`; `text` itself changes only where a prefix space is wanted.
  /// `isFirst`: nothing stands before the text.
  package func split(_ text: inout [UInt8], isFirst: Bool = true, _ scratch: inout Scratch) throws(TokenizerError) {
    scratch.pieces.removeAll(keepingCapacity: true)
    if !text.isEmpty { scratch.pieces.append(0..<text.count) }
    for stage in stages {
      swap(&scratch.pieces, &scratch.earlier)
      scratch.pieces.removeAll(keepingCapacity: true)
      switch stage {
      case .split(let regex, let behavior, let isInverted, let isSpelled):
        do {
          try Self.split(regex, behavior, isInverted, isSpelled, text, &scratch)
        } catch {
          throw .regex(path: "pre-tokenizer", pattern: regex.pattern, error)
        }
      case .prefixSpace: Self.prefixSpace(&text, &scratch)
      case .mark(let mark, let scheme): Self.mark(&text, mark.bytes, scheme, isFirst, &scratch)
      }
    }
  }

  private static func prefixSpace(_ text: inout [UInt8], _ scratch: inout Scratch) {
    var result: [UInt8] = []
    result.reserveCapacity(text.count + scratch.earlier.count)
    for piece in scratch.earlier {
      let start = result.count
      if text[piece.lowerBound] != UInt8(ascii: " ") { result.append(UInt8(ascii: " ")) }
      result += text[piece]
      scratch.pieces.append(start..<result.count)
    }
    text = result
  }

  private static func mark(
    _ text: inout [UInt8], _ mark: [UInt8], _ scheme: TokenizerModel.PrependScheme, _ isFirst: Bool,
    _ scratch: inout Scratch
  ) {
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 2)
    for piece in scratch.earlier {
      let start = result.count
      let bytes = text[piece]
      let isWanted = scheme == .always || scheme == .first && isFirst && piece.lowerBound == 0
      if isWanted, bytes.first != UInt8(ascii: " "), !bytes.starts(with: mark) { result += mark }
      for byte in bytes {
        if byte == UInt8(ascii: " ") { result += mark } else { result.append(byte) }
      }
      scratch.pieces.append(start..<result.count)
    }
    text = result
  }

  private static func split(
    _ regex: ScalarRegex, _ behavior: TokenizerModel.SplitBehavior, _ isInverted: Bool, _ isSpelled: Bool,
    _ text: [UInt8], _ scratch: inout Scratch
  ) throws(RegexError) {
    // Moved out for the while: two members' spans cannot be open at once.
    var classArray: [UInt8] = []
    var pieces: [Range<Int>] = []
    swap(&classArray, &scratch.classes)
    swap(&pieces, &scratch.pieces)
    defer {
      swap(&classArray, &scratch.classes)
      swap(&pieces, &scratch.pieces)
    }
    if isSpelled {
      regex.program.classes.classifySpelled(text.span, into: &classArray)
    } else {
      regex.program.classes.classify(text.span, into: &classArray)
    }
    var matcher = RegexMatcher(textLength: text.count)
    let classes = classArray.span
    for piece in scratch.earlier {
      var collector = SplitCollector(behavior: behavior, isInverted: isInverted, start: piece.lowerBound)
      try regex.forEachMatch(classes: classes, within: piece, &matcher) { match in
        collector.add(match: match, to: &pieces)
      }
      collector.finish(at: piece.upperBound, to: &pieces)
    }
  }
}

/// Turns matches and the gaps between them into pieces, as one split behaviour says.
struct SplitCollector {
  private let behavior: TokenizerModel.SplitBehavior
  private let isInverted: Bool
  private var position: Int
  private var previousWasMatch: Bool?
  /// MergedWithNext: where the piece under way began.
  private var pending: Int?

  init(behavior: TokenizerModel.SplitBehavior, isInverted: Bool, start: Int) {
    self.behavior = behavior
    self.isInverted = isInverted
    position = start
  }

  @inline(__always)
  mutating func add(match: Range<Int>, to pieces: inout [Range<Int>]) {
    if behavior == .isolated {
      if match.lowerBound > position { pieces.append(position..<match.lowerBound) }
      if !match.isEmpty { pieces.append(match) }
      position = match.upperBound
      return
    }
    if match.lowerBound > position { add(position..<match.lowerBound, isMatch: isInverted, to: &pieces) }
    if !match.isEmpty { add(match, isMatch: !isInverted, to: &pieces) }
    position = match.upperBound
  }

  mutating func finish(at end: Int, to pieces: inout [Range<Int>]) {
    if end > position {
      if behavior == .isolated {
        pieces.append(position..<end)
      } else {
        add(position..<end, isMatch: isInverted, to: &pieces)
      }
    }
    if let pending { pieces.append(pending..<end) }
    pending = nil
  }

  private mutating func add(_ range: Range<Int>, isMatch: Bool, to pieces: inout [Range<Int>]) {
    defer { previousWasMatch = isMatch }
    switch behavior {
    case .isolated: pieces.append(range)
    case .removed: if !isMatch { pieces.append(range) }
    case .contiguous:
      if previousWasMatch == isMatch, let last = pieces.last {
        pieces[pieces.count - 1] = last.lowerBound..<range.upperBound
      } else {
        pieces.append(range)
      }
    case .mergedWithPrevious:
      if isMatch, previousWasMatch == false, let last = pieces.last {
        pieces[pieces.count - 1] = last.lowerBound..<range.upperBound
      } else {
        pieces.append(range)
      }
    case .mergedWithNext:
      if isMatch {
        if let pending { pieces.append(pending..<range.lowerBound) }
        pending = range.lowerBound
      } else {
        pieces.append((pending ?? range.lowerBound)..<range.upperBound)
        pending = nil
      }
    }
  }
}
