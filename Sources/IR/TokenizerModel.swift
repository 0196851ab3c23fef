/// A vocabulary and how text is split into it.
public struct TokenizerModel: Sendable {}
