public import Runtime

/// Text that a model writes itself, to calibrate on where none is at hand. What it writes is what it knows, so its
/// inputs are spread much as on a text (Williams et al. 2024, "Self-calibration for Language Model Quantization").
public struct OwnText: Sendable {
  private let transformer: Transformer
  /// Tokens of a window.
  private let context: Int
  /// The first token of each; nil for another one each time, drawn from the vocabulary.
  private let beginning: Int?

  /// - Precondition: the transformer is a decoder.
  public init(_ transformer: Transformer, context: Int, beginning: Int?) {
    self.transformer = transformer
    self.context = context
    self.beginning = beginning
  }

  /// Window `index` is the same whatever the threads and however many are asked for. Generating reads all weights for
  /// each token, so this takes longer than calibrating on what it wrote.
  /// - Parameter progress: called with the tokens written since it was called last.
  public func windows(_ count: Int, progress: (Int) -> Void = { _ in }) throws(RuntimeError) -> [[Int]] {
    let session = Session(transformer, capacity: context)
    var windows: [[Int]] = []
    for index in 0..<count {
      var sampler = Sampler(temperature: 1, seed: UInt64(index + 1))
      session.reset()
      var window = [beginning ?? sampler.pick(below: session.vocabularySize)]
      while window.count < context {
        try session.append([window[window.count - 1]])
        window.append(sampler.pick(session.lastLogits()))
        progress(1)
      }
      progress(1)
      windows.append(window)
    }
    return windows
  }
}
