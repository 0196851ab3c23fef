/// How a text is cut for scoring, as llama-perplexity cuts it, so that figures compare.
///
/// The tokens are cut into whole windows of `context`; the first token of each is replaced by the beginning-of-sequence
/// token where the tokenizer adds one; the second half of each window is scored, every token given all before it.
public struct Windows: Sendable {
  public let context: Int
  private let tokens: [Int]
  private let beginning: Int?

  /// - Parameters:
  ///   - beginning: the token that replaces each window's first, or nil for none.
  ///   - limit: the most windows, or nil for all.
  public init(_ tokens: [Int], context: Int, beginning: Int?, limit: Int? = nil) {
    precondition(context >= 4, "a window needs something to score")
    self.context = context
    self.beginning = beginning
    count = min(tokens.count / context, limit ?? .max)
    self.tokens = tokens
  }

  /// Whole windows; 0 when the text is too short.
  public let count: Int

  /// Positions whose next token is scored.
  public var scored: Range<Int> { context / 2..<context - 1 }

  public subscript(index: Int) -> [Int] {
    var window = Array(tokens[index * context..<(index + 1) * context])
    if let beginning { window[0] = beginning }
    return window
  }
}
