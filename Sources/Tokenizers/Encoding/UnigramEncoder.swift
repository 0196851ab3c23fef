internal import Bytes
internal import IR

/// SentencePiece's unigram model: of all ways to make up the text from tokens, the one with the highest sum of scores,
/// found from left to right (Viterbi). Characters that no token covers are unknown, or fall apart into byte tokens.
struct UnigramEncoder: Sendable {
  /// Token ids in order of their spelling: a prefix's tokens are neighbours, so looking further narrows a range.
  private var sorted: [Int32] = []
  private var pieces: PieceIndex
  private var scores: [Double]
  private var firstByte: [Range<Int>] = []
  private let unknownScore: Double
  private let unknown: Int32
  private var byteTokens = [Int32](repeating: -1, count: 256)

  /// The best way to the end of one byte.
  struct Node {
    var score = -Double.infinity
    var start = -1
    /// −1 for a character that no token covers.
    var token: Int32 = -1
  }

  init(_ model: TokenizerModel) {
    pieces = PieceIndex(capacity: model.tokens.count)
    scores = []
    var isFromGGUF = false
    if case .gguf = model.source { isFromGGUF = true }
    var lowest = Double.infinity
    for (id, token) in model.tokens.enumerated() {
      pieces.append(token.piece.bytes)
      scores.append(Double(token.score))
      if token.kind == .byte, let byte = TokenizerJSON.byteValue(token.piece) { byteTokens[Int(byte)] = Int32(id) }
      let isUsable: Bool =
        switch token.kind {
        case .normal, .userDefined, .unused: true
        case .control, .unknown, .byte, .undefined: !isFromGGUF && token.kind != .byte
        }
      if token.kind == .normal || !isFromGGUF { lowest = min(lowest, Double(token.score)) }
      if isUsable, !token.piece.isEmpty { sorted.append(Int32(id)) }
    }
    unknownScore = lowest - 10
    unknown = Int32(model.unknownID ?? 0)
    sorted.sort { model.tokens[Int($0)].piece < model.tokens[Int($1)].piece }
    firstByte = [Range<Int>](repeating: 0..<0, count: 256)
    var start = 0
    while start < sorted.count {
      let byte = model.tokens[Int(sorted[start])].piece.bytes[0]
      var end = start
      while end < sorted.count, model.tokens[Int(sorted[end])].piece.bytes[0] == byte { end += 1 }
      firstByte[Int(byte)] = start..<end
      start = end
    }
  }

  func encode(_ text: Span<UInt8>, _ piece: Range<Int>, _ run: inout EncodingRun) {
    var nodes: [Node] = []
    swap(&nodes, &run.lattice)
    defer { swap(&nodes, &run.lattice) }
    nodes.removeAll(keepingCapacity: true)
    nodes.append(contentsOf: repeatElement(Node(), count: piece.count + 1))
    nodes[0].score = 0
    var position = 0
    while position < piece.count {
      let step = UTF8Scalar(text, at: piece.lowerBound + position, end: piece.upperBound).byteCount
      let reached = nodes[position].score
      var coversCharacter = false
      forEachToken(text, piece.lowerBound + position, piece.upperBound) { token, length in
        let score = reached + scores[Int(token)]
        let end = position + length
        if nodes[end].start < 0 || score > nodes[end].score {
          nodes[end] = Node(score: score, start: position, token: token)
        }
        if length == step { coversCharacter = true }
      }
      if !coversCharacter {
        let score = reached + unknownScore
        let end = position + step
        if nodes[end].start < 0 || score > nodes[end].score {
          nodes[end] = Node(score: score, start: position, token: -1)
        }
      }
      position += step
    }
    emit(text, piece, nodes, &run.output)
  }

  private func emit(_ text: Span<UInt8>, _ piece: Range<Int>, _ nodes: [Node], _ output: inout [Int32]) {
    var path: [Int] = []
    var end = piece.count
    while end > 0 {
      path.append(end)
      end = nodes[end].start
    }
    var afterUnknown = false
    for end in path.reversed() {
      let node = nodes[end]
      let isUnknown = node.token < 0 || node.token == unknown
      defer { afterUnknown = isUnknown }
      if !isUnknown {
        output.append(node.token)
        continue
      }
      let part = (piece.lowerBound + node.start)..<(piece.lowerBound + end)
      if part.allSatisfy({ byteTokens[Int(text[$0])] >= 0 }) {
        for offset in part { output.append(byteTokens[Int(text[offset])]) }
      } else if !afterUnknown {
        output.append(unknown)
      }
    }
  }

  /// Calls `body` with each token that the text at `start` begins with, and its length.
  @inline(__always)
  private func forEachToken(_ text: Span<UInt8>, _ start: Int, _ end: Int, _ body: (Int32, Int) -> Void) {
    var range = firstByte[Int(text[start])]
    var length = 1
    while !range.isEmpty {
      // The shortest of a range sorts first.
      let first = pieces.bytes(Int(sorted[range.lowerBound]))
      if first.count == length { body(sorted[range.lowerBound], length) }
      guard start + length < end else { return }
      let byte = text[start + length]
      range = bound(range, length, byte)..<bound(range, length, UInt16(byte) + 1)
      length += 1
    }
  }

  private func bound(_ range: Range<Int>, _ depth: Int, _ byte: UInt8) -> Int { bound(range, depth, UInt16(byte)) }

  /// The first of the range whose byte at `depth` is not below `byte`.
  private func bound(_ range: Range<Int>, _ depth: Int, _ byte: UInt16) -> Int {
    var low = range.lowerBound
    var high = range.upperBound
    while low < high {
      let middle = (low + high) / 2
      let piece = pieces.bytes(Int(sorted[middle]))
      let value = piece.count <= depth ? -1 : Int(piece[piece.startIndex + depth])
      if value < Int(byte) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
