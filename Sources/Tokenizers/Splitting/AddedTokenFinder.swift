internal import Bytes
internal import IR

/// Finds added tokens in text: leftmost, the longest of those that begin there, by a trie over bytes.
struct AddedTokenFinder: Sendable {
  private struct Node: Sendable {
    /// First of the node's edges in `edges`, which are sorted by byte.
    var firstEdge = 0
    var edgeCount = 0
    /// Index in `tokens`, or −1.
    var token = -1
  }

  private struct Edge: Sendable {
    var byte: UInt8
    var node: Int
  }

  private var nodes: [Node] = []
  private var edges: [Edge] = []
  private var roots = [Int](repeating: -1, count: 256)
  private(set) var tokens: [TokenizerModel.AddedToken]

  /// A token longer than this is refused, so that looking for it at every byte stays cheap.
  static let lengthLimit = 1024

  struct Match {
    var token: TokenizerModel.AddedToken
    /// With the white space it takes along.
    var range: Range<Int>
  }

  init(_ tokens: [TokenizerModel.AddedToken]) throws(TokenizerError) {
    self.tokens = tokens.filter { !$0.content.isEmpty }
    if let long = tokens.first(where: { $0.content.count > Self.lengthLimit }) {
      throw .invalid(path: "added_tokens", "token \(long.id) is longer than \(Self.lengthLimit) bytes")
    }
    // Sorted contents make a node's children neighbours; of equal ones the first counts.
    let order = self.tokens.indices.sorted { (self.tokens[$0].content, $0) < (self.tokens[$1].content, $1) }
    var children: [[UInt8: Int]] = [[:]]
    nodes = [Node()]
    for index in order {
      var node = 0
      for byte in self.tokens[index].content.bytes {
        if let child = children[node][byte] {
          node = child
        } else {
          children[node][byte] = nodes.count
          node = nodes.count
          nodes.append(Node())
          children.append([:])
        }
      }
      if nodes[node].token < 0 { nodes[node].token = index }
    }
    for node in nodes.indices {
      nodes[node].firstEdge = edges.count
      nodes[node].edgeCount = children[node].count
      for (byte, child) in children[node].sorted(by: { $0.key < $1.key }) {
        edges.append(Edge(byte: byte, node: child))
      }
    }
    for (byte, child) in children[0] { roots[Int(byte)] = child }
  }

  var isEmpty: Bool { tokens.isEmpty }

  /// The next token at or after `start` that `isWanted` admits.
  func next(in text: Span<UInt8>, from start: Int, isWanted: (TokenizerModel.AddedToken) -> Bool) -> Match? {
    let roots = self.roots.span
    var position = start
    while position < text.count {
      let root = roots[Int(text[position])]
      if root >= 0, let (token, end) = longest(text, position, root, isWanted) {
        if let match = extended(token, position..<end, text, from: start) { return match }
        position = end
        continue
      }
      position += 1
    }
    return nil
  }

  private func longest(
    _ text: Span<UInt8>, _ start: Int, _ root: Int, _ isWanted: (TokenizerModel.AddedToken) -> Bool
  ) -> (TokenizerModel.AddedToken, Int)? {
    var found: (TokenizerModel.AddedToken, Int)?
    var node = nodes[root]
    var position = start + 1
    while true {
      if node.token >= 0, isWanted(tokens[node.token]) { found = (tokens[node.token], position) }
      guard position < text.count else { return found }
      var next = -1
      for edge in node.firstEdge..<(node.firstEdge + node.edgeCount) where edges[edge].byte == text[position] {
        next = edges[edge].node
      }
      if next < 0 { return found }
      node = nodes[next]
      position += 1
    }
  }

  /// Applies the token's own conditions: nil where it must be a word by itself and is not.
  private func extended(_ token: TokenizerModel.AddedToken, _ range: Range<Int>, _ text: Span<UInt8>, from start: Int)
    -> Match?
  {
    var (low, high) = (range.lowerBound, range.upperBound)
    if token.isSingleWord {
      let before = Self.scalar(before: low, in: text)
      let after = high < text.count ? UTF8Scalar(text, at: high, end: text.count).value : nil
      if before.map(ScalarSet.word.contains) == true || after.map(ScalarSet.word.contains) == true { return nil }
    }
    if token.stripsLeft {
      while low > start, let scalar = Self.scalar(before: low, in: text), ScalarSet.whiteSpace.contains(scalar) {
        low -= 1
        while low > start, text[low] & 0xC0 == 0x80 { low -= 1 }
      }
    }
    if token.stripsRight {
      while high < text.count {
        let scalar = UTF8Scalar(text, at: high, end: text.count)
        guard ScalarSet.whiteSpace.contains(scalar.value) else { break }
        high += scalar.byteCount
      }
    }
    return Match(token: token, range: low..<high)
  }

  private static func scalar(before position: Int, in text: Span<UInt8>) -> UInt32? {
    guard position > 0 else { return nil }
    var start = position - 1
    while start > 0, position - start < 4, text[start] & 0xC0 == 0x80 { start -= 1 }
    let scalar = UTF8Scalar(text, at: start, end: position)
    return start + scalar.byteCount == position ? scalar.value : UTF8Scalar.replacement
  }
}
