internal import IR

/// BERT's WordPiece: the longest token that begins the word, then the longest continuation, and so on; a word that
/// cannot be made up so is unknown as a whole.
struct WordPieceEncoder: Sendable {
  private var heads: PieceIndex
  private var headIDs: [Int32] = []
  private var continuations: PieceIndex
  private var continuationIDs: [Int32] = []
  private var longest = 0
  private let unknown: Int32

  /// Words of more characters are unknown.
  static let characterLimit = 100

  init(_ model: TokenizerModel) {
    heads = PieceIndex(capacity: model.tokens.count)
    continuations = PieceIndex(capacity: model.tokens.count)
    unknown = Int32(model.unknownID ?? 0)
    let prefix = model.continuationPrefix
    for (id, token) in model.tokens.enumerated() {
      let piece = token.piece.bytes
      heads.append(piece)
      headIDs.append(Int32(id))
      longest = max(longest, piece.count)
      if !prefix.isEmpty, token.piece.hasPrefix(prefix), piece.count > prefix.count {
        continuations.append(Array(piece.dropFirst(prefix.count)))
        continuationIDs.append(Int32(id))
      }
    }
  }

  func encode(_ text: Span<UInt8>, _ word: Range<Int>, _ output: inout [Int32]) {
    let start = output.count
    var characters = 0
    for offset in word where text[offset] & 0xC0 != 0x80 { characters += 1 }
    var position = characters > Self.characterLimit ? word.upperBound + 1 : word.lowerBound
    while position < word.upperBound {
      var end = min(word.upperBound, position + longest)
      var found: Int32 = -1
      while end > position {
        let isBoundary = end == word.upperBound || text[end] & 0xC0 != 0x80
        if isBoundary {
          if position == word.lowerBound {
            if let number = heads.find(text, position..<end) { found = headIDs[number] }
          } else if let number = continuations.find(text, position..<end) {
            found = continuationIDs[number]
          }
          if found >= 0 { break }
        }
        end -= 1
      }
      if found < 0 {
        position = word.upperBound + 1
        break
      }
      output.append(found)
      position = end
    }
    if position > word.upperBound {
      output.removeLast(output.count - start)
      output.append(unknown)
    }
  }
}
