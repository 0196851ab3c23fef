internal import IR

extension Tokenizer {
  static func decoding(_ model: TokenizerModel) -> (PieceIndex, [Bool]) {
    var decoded = PieceIndex(capacity: model.tokens.count)
    var isSpecial = model.tokens.map { $0.kind == .control || $0.kind == .unknown }
    var isAdded = [Bool](repeating: false, count: model.tokens.count)
    for token in model.addedTokens where model.tokens.indices.contains(token.id) {
      isAdded[token.id] = true
      isSpecial[token.id] = token.isSpecial
    }
    for (id, token) in model.tokens.enumerated() {
      let piece = token.piece.bytes
      decoded.append(isAdded[id] ? piece : spelled(token, model))
    }
    return (decoded, isSpecial)
  }

  private static func spelled(_ token: TokenizerModel.Token, _ model: TokenizerModel) -> [UInt8] {
    let piece = token.piece.bytes
    switch model.algorithm {
    case .byteLevelBPE: return ByteAlphabet.decoded(piece) ?? piece
    case .sentencePieceBPE, .unigram:
      if token.kind == .byte, let byte = TokenizerJSON.byteValue(token.piece) { return [byte] }
      return piece.replacing([0xE2, 0x96, 0x81], with: [0x20])
    case .wordPiece:
      // A word's first piece brings the space before it; the first of the text loses it again.
      return token.piece.hasPrefix(model.continuationPrefix)
        ? Array(piece.dropFirst(model.continuationPrefix.count)) : [0x20] + piece
    }
  }

  static func addsLeadingSpace(_ model: TokenizerModel) -> Bool {
    if model.algorithm == .wordPiece { return true }
    guard model.algorithm != .byteLevelBPE else { return false }
    return model.normalizers.contains { if case .prepend = $0 { true } else { false } }
      || model.preTokenizers.contains { if case .metaspace(_, let scheme, _) = $0 { scheme != .never } else { false } }
  }

  /// The bytes one token stands for.
  public func bytes(of id: Int32) throws(TokenizerError) -> ArraySlice<UInt8> {
    guard id >= 0, id < model.tokens.count else { throw .unknownID(Int(id), vocabularyCount: model.tokens.count) }
    return decoded.bytes(Int(id))
  }

  /// The bytes that the ids stand for, which need not be valid UTF-8.
  public func decode(_ ids: [Int32], skipsSpecial: Bool = false) throws(TokenizerError) -> [UInt8] {
    var result: [UInt8] = []
    var isStart = stripsLeadingSpace
    for id in ids {
      let piece = try bytes(of: id)
      if skipsSpecial, isSpecial[Int(id)] { continue }
      result += isStart && piece.first == 0x20 ? piece.dropFirst() : piece
      if !isSpecial[Int(id)] { isStart = false }
    }
    return result
  }

  public func isSpecialToken(_ id: Int32) -> Bool { isSpecial.indices.contains(Int(id)) && isSpecial[Int(id)] }

  public func makeStreamingDecoder(skipsSpecial: Bool = true) -> StreamingDecoder {
    StreamingDecoder(tokenizer: self, skipsSpecial: skipsSpecial)
  }
}

/// Decodes one token after another into text that is always whole characters: bytes of an unfinished UTF-8 sequence are
/// held back until the rest comes.
public struct StreamingDecoder: Sendable {
  private let tokenizer: Tokenizer
  private let skipsSpecial: Bool
  private var held: [UInt8] = []
  private var isStart: Bool

  init(tokenizer: Tokenizer, skipsSpecial: Bool) {
    self.tokenizer = tokenizer
    isStart = tokenizer.stripsLeadingSpace
    self.skipsSpecial = skipsSpecial
  }

  /// The text that is complete with this token. Bytes that can never become valid come out as they are.
  public mutating func append(_ id: Int32) throws(TokenizerError) -> [UInt8] {
    let piece = try tokenizer.bytes(of: id)
    if skipsSpecial, tokenizer.isSpecialToken(id) { return [] }
    held += isStart && piece.first == 0x20 ? piece.dropFirst() : piece
    if !tokenizer.isSpecialToken(id) { isStart = false }
    let whole = held.count - Self.unfinishedCount(held)
    defer { held.removeFirst(whole) }
    return Array(held.prefix(whole))
  }

  /// What is still held back, at the end of the stream.
  public mutating func finish() -> [UInt8] {
    defer { held = [] }
    return held
  }

  /// The number of last bytes that begin a UTF-8 sequence and lack its end.
  private static func unfinishedCount(_ bytes: [UInt8]) -> Int {
    for count in 1...3 where count <= bytes.count {
      let byte = bytes[bytes.count - count]
      let needed =
        byte >= 0xF0 && byte < 0xF5 ? 4 : byte >= 0xE0 && byte < 0xF0 ? 3 : byte >= 0xC2 && byte < 0xE0 ? 2 : 0
      if needed > 0 { return needed > count ? count : 0 }
      if byte & 0xC0 != 0x80 { return 0 }
    }
    return 0
  }
}
