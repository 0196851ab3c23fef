/// A pattern's syntax tree. Literals and classes are both sets, so the matcher knows one kind of character test.
indirect enum RegexNode {
  case empty
  case set(ScalarSet)
  case sequence([RegexNode])
  case alternatives([RegexNode])
  case repetition(RegexNode, minimum: Int, maximum: Int?, Greed)
  case lookAhead(RegexNode, isNegative: Bool)
  case lookBehind(RegexNode, isNegative: Bool)
  case atomic(RegexNode)
  case anchor(Anchor)

  enum Greed { case greedy, lazy, possessive }

  enum Anchor { case lineStart, lineEnd, textStart, textEnd, textEndOrNewline, wordBoundary, notWordBoundary }

  /// The number of scalars every match has, or nil where it varies.
  var fixedLength: Int? {
    switch self {
    case .empty, .lookAhead, .lookBehind, .anchor: return 0
    case .set: return 1
    case .atomic(let node): return node.fixedLength
    case .sequence(let nodes):
      var total = 0
      for node in nodes {
        guard let length = node.fixedLength, total < 1 << 16 else { return nil }
        total += length
      }
      return total
    case .alternatives(let nodes):
      let lengths = Set(nodes.map(\.fixedLength))
      return lengths.count == 1 ? lengths.first ?? nil : nil
    case .repetition(let node, let minimum, let maximum, _):
      guard minimum == maximum, minimum < 1 << 16, let length = node.fixedLength, length < 1 << 16 else { return nil }
      return length * minimum
    }
  }
}
