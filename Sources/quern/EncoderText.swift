import Conversion
import Kernels
import Runtime
import Tokenizers

/// Texts on their way into an encoder: tokens with the special ones around them, no longer than the model takes.
struct EncoderText {
  let tokenizer: Tokenizer
  /// The most tokens of one text.
  let limit: Int

  /// - Parameter maximum: the user's limit, or nil for the model's own.
  init(_ running: RunningModel, tokenizer: Tokenizer, maximum: Int?) throws {
    self.tokenizer = tokenizer
    let trained = running.transformer.configuration.contextLength
    let own = trained > 0 ? trained : 512
    if let maximum, trained > 0, maximum > trained {
      throw UsageError("--max-tokens \(maximum) exceeds the \(trained) positions of this model")
    }
    limit = maximum ?? own
  }

  /// Longer texts lose their end, not the special tokens after it.
  func tokens(of text: String) throws -> [Int] {
    let ids = try tokenizer.encode(text, addsSpecial: true).map(Int.init)
    guard ids.count > limit else { return ids }
    let suffix = tokenizer.model.suffixIDs
    let kept = max(0, limit - suffix.count)
    return Array(ids.prefix(kept) + suffix.suffix(limit - kept))
  }

  /// Whether a text may need cutting is the caller's to say; this cuts it into pieces of one batch each.
  /// - Returns: ranges of `sequences` with at most `rows` tokens in all.
  static func batches(_ sequences: [[Int]], rows: Int) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var start = 0
    var count = 0
    for (index, sequence) in sequences.enumerated() {
      if count + sequence.count > rows, index > start {
        result.append(start..<index)
        start = index
        count = 0
      }
      count += sequence.count
    }
    if start < sequences.count { result.append(start..<sequences.count) }
    return result
  }
}

/// How the states of a text's tokens become one vector.
enum Pooling: String, CaseIterable, Sendable {
  case mean, cls, pooler
}

extension Encoder {
  /// One vector for each sequence of a batch. [sequences, width]
  func vectors(_ batch: Batch, pooling: Pooling, normalizes: Bool) throws -> Matrix {
    let vectors =
      switch pooling {
      case .mean: means(batch)
      case .cls: firstStates(batch)
      case .pooler: try pooled(batch)
      }
    if normalizes { normalize(vectors) }
    return vectors
  }
}
