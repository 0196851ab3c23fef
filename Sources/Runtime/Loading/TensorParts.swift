public import Bytes
import IR
import Kernels

/// A matrix as the model stores it: a tensor, or one of the equal parts of a stacked one (an expert).
public struct TensorPart: Hashable, Sendable {
  public let tensor: ByteString
  public let index: Int
  /// Parts of the tensor.
  public let count: Int

  public init(tensor: ByteString, index: Int = 0, count: Int = 1) {
    self.tensor = tensor
    self.index = index
    self.count = count
  }

  /// Its rows in the tensor.
  public func rows(of total: Int) -> Range<Int> { index * (total / count)..<(index + 1) * (total / count) }
}

/// Which part of which tensor each loaded matrix is.
final class TensorParts {
  private(set) var all: [TensorPart] = []
  private var byMatrix: [ObjectIdentifier: TensorPart] = [:]

  func add(_ matrices: [WeightMatrix], of tensor: TensorRef) {
    for (index, matrix) in matrices.enumerated() {
      let part = TensorPart(tensor: tensor.name, index: index, count: matrices.count)
      all.append(part)
      byMatrix[ObjectIdentifier(matrix)] = part
    }
  }

  subscript(matrix: WeightMatrix) -> TensorPart? { byMatrix[ObjectIdentifier(matrix)] }
}
