/// Matrices of one shape in one buffer: the experts of a layer, the heads of a latent projection.
///
/// In the file they are one tensor [count, rows, columns]; each is arranged for products of its own.
public final class StackedWeights: Sendable {
  public let matrices: [WeightMatrix]
  private let buffer: Buffer

  /// `columns` must be a multiple of the block's elements.
  public init(count: Int, rows: Int, columns: Int, storage: WeightStorage) {
    precondition(count > 0 && rows > 0 && columns > 0 && columns % storage.block.elements == 0)
    // Each starts on a cache line.
    let step = (WeightMatrix.byteCount(rows: rows, columns: columns, storage: storage) + 63) / 64 * 64
    let buffer = Buffer(byteCount: count * step)
    self.buffer = buffer
    matrices = (0..<count).map {
      WeightMatrix(rows: rows, columns: columns, storage: storage, buffer: buffer, offset: $0 * step)
    }
  }

  public var count: Int { matrices.count }
  public var byteCount: Int { buffer.byteCount }

  public subscript(index: Int) -> WeightMatrix { matrices[index] }
}
