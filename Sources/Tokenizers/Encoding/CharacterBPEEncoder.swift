internal import Bytes
internal import IR

/// SentencePiece's BPE: characters become symbols, merges join them, unknown characters fall apart into byte tokens.
///
/// Merges come from the model, or from the tokens' scores: any two symbols that spell a token may join, the best score
/// first. Byte tokens take no part in merging.
struct CharacterBPEEncoder: Sendable {
  /// Tokens, then spellings that merging knows and the vocabulary lacks.
  private var index: PieceIndex
  private let vocabularyCount: Int
  private var merges: MergeTable
  /// By byte: its token, or −1.
  private var byteTokens: [Int32]
  private let unknown: Int32?
  private let ignoresMerges: Bool
  /// No token has the space mark after another character: text may be cut before each run of marks.
  private var splitsAtMarks = true

  static let mark: [UInt8] = [0xE2, 0x96, 0x81]

  init(_ model: TokenizerModel) throws(TokenizerError) {
    vocabularyCount = model.tokens.count
    unknown = model.unknownID.flatMap { Int32(exactly: $0) }
    ignoresMerges = model.ignoresMerges
    index = PieceIndex(capacity: model.tokens.count)
    byteTokens = [Int32](repeating: -1, count: 256)
    for (id, token) in model.tokens.enumerated() {
      index.append(token.piece.bytes)
      if token.kind == .byte, let byte = TokenizerJSON.byteValue(token.piece) { byteTokens[Int(byte)] = Int32(id) }
    }
    for piece in model.mergePieces { index.append(piece.bytes) }
    merges = MergeTable(capacity: 0)
    if model.merges.isEmpty { addMerges(byScoresOf: model) } else { try addMerges(of: model) }
    for number in 0..<index.count where Self.hasInnerMark(index.bytes(number)) {
      // Unless it is an added token, which is found before anything is merged.
      if number >= vocabularyCount || model.tokens[number].kind == .normal { splitsAtMarks = false }
    }
  }

  private static func hasInnerMark(_ piece: ArraySlice<UInt8>) -> Bool {
    guard piece.count > 3 else { return false }
    for start in (piece.startIndex + 1)...(piece.endIndex - 3) where piece[start...].starts(with: mark) {
      if start - piece.startIndex < 3 || !piece[(start - 3)...].starts(with: mark) { return true }
    }
    return false
  }

  private mutating func addMerges(of model: TokenizerModel) throws(TokenizerError) {
    merges = MergeTable(capacity: model.merges.count)
    var joined: [UInt8] = []
    for (rank, merge) in model.merges.enumerated() {
      let (left, right) = (Int(merge.left), Int(merge.right))
      guard left < index.count, right < index.count else {
        throw .invalid(path: "merges[\(rank)]", "names a piece that does not exist")
      }
      joined.removeAll(keepingCapacity: true)
      joined += index.bytes(left)
      joined += index.bytes(right)
      guard let result = index.find(joined.span, 0..<joined.count) else {
        throw .invalid(path: "merges[\(rank)]", "\"\(ByteString(bytes: joined))\" is not in the vocabulary")
      }
      merges.insert(Int32(left), Int32(right), rank: rank, result: Int32(result))
    }
  }

  private mutating func addMerges(byScoresOf model: TokenizerModel) {
    let found = ScoredMerges(model, &index)
    merges = MergeTable(capacity: found.merges.count)
    for merge in found.merges {
      merges.insert(Int32(merge.left), Int32(merge.right), rank: merge.rank, result: Int32(merge.result))
    }
  }

  /// Calls `body` with parts of the piece that no merge crosses.
  @inline(__always)
  func forEachWord(_ text: Span<UInt8>, _ piece: Range<Int>, _ body: (Range<Int>) -> Void) {
    guard splitsAtMarks else {
      body(piece)
      return
    }
    var start = piece.lowerBound
    var position = start
    var afterMark = true
    while position < piece.upperBound {
      if text[position] == 0xE2, position + 2 < piece.upperBound, text[position + 1] == 0x96, text[position + 2] == 0x81
      {
        if !afterMark {
          body(start..<position)
          start = position
        }
        afterMark = true
        position += 3
      } else {
        afterMark = false
        position += 1
      }
    }
    if start < piece.upperBound { body(start..<piece.upperBound) }
  }

  func encode(_ text: Span<UInt8>, _ word: Range<Int>, _ run: inout EncodingRun) {
    if ignoresMerges, let whole = index.find(text, word), whole < vocabularyCount {
      run.output.append(Int32(whole))
      return
    }
    run.merger.symbols.removeAll(keepingCapacity: true)
    var position = word.lowerBound
    var afterUnknown = false
    while position < word.upperBound {
      let end = position + UTF8Scalar(text, at: position, end: word.upperBound).byteCount
      let symbol = index.find(text, position..<end)
      if let symbol {
        run.merger.symbols.append(Int32(symbol))
      } else if (position..<end).allSatisfy({ byteTokens[Int(text[$0])] >= 0 }) {
        for offset in position..<end { run.merger.symbols.append(byteTokens[Int(text[offset])]) }
      } else if let unknown, !afterUnknown {
        run.merger.symbols.append(unknown)
      }
      afterUnknown = symbol == nil && byteTokens[Int(text[position])] < 0
      position = end
    }
    run.merger.merge(merges)
    for symbol in run.merger.symbols {
      if symbol < vocabularyCount { run.output.append(symbol) } else { spell(Int(symbol), &run.output) }
    }
  }

  private func spell(_ symbol: Int, _ output: inout [Int32]) {
    for byte in index.bytes(symbol) {
      if byteTokens[Int(byte)] >= 0 {
        output.append(byteTokens[Int(byte)])
      } else if let unknown {
        output.append(unknown)
        return
      }
    }
  }
}

/// The merges that tokens' scores imply: each way to cut a token into two symbols, ranked by the token's score.
struct ScoredMerges {
  struct Merge {
    var left: Int
    var right: Int
    var result: Int
    /// Equal for equal scores.
    var rank: Int
  }

  private(set) var merges: [Merge] = []

  /// Characters that are no tokens themselves but part of one are added to `index`.
  init(_ model: TokenizerModel, _ index: inout PieceIndex) {
    let order = model.tokens.indices.sorted { (-model.tokens[$0].score, $0) < (-model.tokens[$1].score, $1) }
    var rank = -1
    var last: Float = .nan
    for id in order {
      let token = model.tokens[id]
      if token.score != last { rank += 1 }
      last = token.score
      let piece = token.piece.bytes
      guard token.kind != .byte, piece.count > 1, index.find(token.piece) == id else { continue }
      for cut in 1..<piece.count where piece[cut] & 0xC0 != 0x80 {
        guard let left = Self.symbol(piece[..<cut], &index), let right = Self.symbol(piece[cut...], &index) else {
          continue
        }
        merges.append(Merge(left: left, right: right, result: id, rank: rank))
      }
    }
  }

  private static func symbol(_ piece: ArraySlice<UInt8>, _ index: inout PieceIndex) -> Int? {
    let bytes = Array(piece)
    if let known = index.find(bytes.span, 0..<bytes.count) { return known }
    guard UTF8Scalar(bytes.span, at: 0, end: bytes.count).byteCount == bytes.count else { return nil }
    index.append(bytes)
    return index.count - 1
  }
}
