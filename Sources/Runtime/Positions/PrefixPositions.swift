import Catalog

/// Where the context of a sequence ends, in models whose context sees itself (ChatGLM-6B).
///
/// The tokens of the context count on; those after it all stay at the position of the mask that they fill, and count in
/// a second dimension from 1.
struct PrefixPositions {
  /// Tokens of the context.
  let count: Int
  /// What the tokens after the context stand for.
  let maskPosition: Int

  /// The context ends before the first beginning-of-answer token, the mask is the last one in it. Prompts of the
  /// published tokenizer end with [gMASK] and the beginning token; a prompt without either is taken to end like that.
  init(_ tokens: [Int], _ configuration: TransformerConfiguration) {
    let beginning = configuration.prefixEndToken.flatMap { tokens.firstIndex(of: $0) }
    count = beginning ?? max(0, tokens.count - 1)
    let masks = configuration.prefixMaskTokens
    let mask = masks.lazy.compactMap { mask in tokens.firstIndex(of: mask) }.first
    maskPosition = mask ?? max(0, count - 1)
  }

  /// The context without causality, the rest with it.
  func spans(from position: Int, rows: Int) -> [AttentionSpan] {
    let split = min(max(0, count - position), rows)
    var spans: [AttentionSpan] = []
    if split > 0 {
      spans.append(AttentionSpan(rows: 0..<split, position: position, length: count, isCausal: false))
    }
    if split < rows {
      spans.append(
        AttentionSpan(rows: split..<rows, position: position + split, length: position + rows, isCausal: true))
    }
    return spans
  }

  func positions(from position: Int, rows: Int) -> [Int32] {
    (position..<position + rows).map { Int32($0 < count ? $0 : maskPosition) }
  }

  func blockPositions(from position: Int, rows: Int) -> [Int32] {
    (position..<position + rows).map { Int32($0 < count ? 0 : $0 - count + 1) }
  }
}
