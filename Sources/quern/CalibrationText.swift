import Calibration
import Conversion
import Kernels
import Passes

/// A text that a model reads to be quantized with less loss, and what the gradient on it told.
struct CalibrationText {
  let opened: OpenedModel
  let windows: [[Int]]
  /// Nil for blocks whose gradient is not known.
  let fisher: Fisher?

  /// What each matrix would lose in each format, measured on `tokens` of the text; nil where there are no logits to
  /// measure at.
  func choices(tokens: Int = 8192, _ processor: Processor, isQuiet: Bool) throws -> [TensorChoices]? {
    let (model, graph) = (opened.model, opened.architecture.graph)
    guard ProbedSensitivity.supports(model, graph: graph) else { return nil }
    let count = max(1, min(windows.count, tokens / max(1, windows[0].count)))
    let progress = Progress(
      "sensitivity", total: model.hyperparameters.integer("block_count") ?? 0, unit: .blocks, isShown: !isQuiet)
    let measured: [TensorChoices]
    do {
      if let fisher {
        measured = try SensitivityEstimator(
          model, graph: graph, windows: windows, count: count, fisher: fisher, settings: FeedbackSettings(),
          processor: processor
        ).run { _ in progress.advance(1) }
      } else {
        measured = try ProbedSensitivity(
          model, graph: graph, windows: (0..<count).map { windows[$0 * windows.count / count] },
          settings: FeedbackSettings(), processor: processor
        ).run { _ in progress.advance(1) }
      }
    } catch { throw ConversionError.calibration(path: opened.checkpoint.path, error) }
    progress.finish()
    return measured
  }
}
