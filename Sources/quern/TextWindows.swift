import Bytes
import Conversion
import SystemPackage
import Tokenizers
import Verification

extension OpenedModel {
  /// A text as windows of tokens, cut as llama-perplexity cuts it.
  /// - Parameter context: tokens per window; nil for the model's own context, at most 512.
  func windows(of text: FilePath, context: Int?, limit: Int? = nil, option: String = "--context") throws -> Windows {
    let tokenizer = try tokenizer()
    let bytes = try InputFile.contents(of: text, limit: 1 << 30)
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw ConversionError.unrecognized(path: text, detail: "not a UTF-8 text")
    }
    let ids = try tokenizer.encode(bytes, addsSpecial: true).map(Int.init)
    let trained = model.hyperparameters.integer("context_length") ?? 512
    let length = context ?? min(trained, 512)
    guard length >= 8 else {
      throw UsageError("the model's context of \(length) is too short to score; give \(option)")
    }
    let windows = Windows(ids, context: length, beginning: tokenizer.model.prefixIDs.first, limit: limit)
    guard windows.count > 0 else {
      throw UsageError(
        "\(text) has \(ids.count) tokens, less than one window of \(length); give more text or a smaller \(option)")
    }
    return windows
  }
}
