public import Kernels

extension Codec {
  /// Whether `encode(_:hessian:…)` knows the format.
  public var canEncodeWithFeedback: Bool { format.ggmlType.map { kernels.hasFeedback(type: $0) } ?? false }

  /// Encodes `targets` [rows, hessian.columns] so that the layer's output changes least: each column is rounded after
  /// the errors before it were fed forward, scales are chosen with that feedback inside, and `sweeps` passes of
  /// coordinate descent follow. About columns² multiplications a row, and as many for each sweep.
  ///
  /// - Parameter decoded: receives the values that the bytes stand for, if given.
  public func encode(
    _ targets: Matrix, hessian: InputHessian, sweeps: Int, decoded: Matrix? = nil, on processor: Processor
  ) -> FeedbackBlocks {
    guard let type = format.ggmlType, let rowByteCount = format.byteCount(elements: hessian.columns) else {
      preconditionFailure("\(format.name): rows of \(hessian.columns) fill no blocks")
    }
    return processor.encodeWithFeedback(
      type: type, rowByteCount: rowByteCount, targets: targets, panels: hessian.panels, sweeps: sweeps, decoded: decoded
    )
  }
}
