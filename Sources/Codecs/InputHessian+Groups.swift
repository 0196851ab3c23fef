public import Kernels

extension InputHessian {
  /// Fits `targets` [rows, columns] to groups with a scale each, with error feedback as in `Codec.encode(_:hessian:…)`.
  public func encodeGroups(_ grid: GroupGrid, targets: Matrix, on processor: Processor) -> FeedbackGroups {
    processor.encodeGroups(grid, targets: targets, panels: panels)
  }
}
