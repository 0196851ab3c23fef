public import Bytes
import Codecs
public import IR
public import Kernels

/// How far a tensor of the candidate is from the reference's, as numbers.
public struct Distortion: Sendable, Hashable {
  public let name: ByteString
  public let shape: Shape
  public let reference: BlockFormat
  public let candidate: BlockFormat
  /// Root of the mean squared difference.
  public let rootMeanSquare: Double
  /// That divided by the root mean square of the reference: 0 is equal, 1 is noise as large as the signal.
  public let relative: Double
  public let largest: Double

  /// Reads both tensors slab by slab on the pool's threads.
  /// - Returns: nil when one of the formats cannot be decoded.
  public static func measure(
    _ reference: TensorRef, _ candidate: TensorRef, kernels: Kernels, pool: WorkerPool
  ) throws(FileError) -> Distortion? {
    guard let left = Codec.for(reference.format, kernels: kernels),
      let right = Codec.for(candidate.format, kernels: kernels)
    else { return nil }
    let rowsPerSlab = max(1, 65536 / max(1, reference.shape.columns))
    let slabs = (reference.shape.rows + rowsPerSlab - 1) / rowsPerSlab
    let parts = concurrentMap(slabs, pool: pool) { index -> Result<Sums, FileError> in
      let rows = index * rowsPerSlab..<min((index + 1) * rowsPerSlab, reference.shape.rows)
      do throws(FileError) {
        return .success(Sums(try values(reference, left, rows), try values(candidate, right, rows)))
      } catch { return .failure(error) }
    }
    var total = Sums([], [])
    for part in parts { total.add(try part.get()) }
    let count = Double(max(1, reference.shape.elementCount))
    return Distortion(
      name: reference.name, shape: reference.shape, reference: reference.format, candidate: candidate.format,
      rootMeanSquare: (total.error / count).squareRoot(),
      relative: total.signal > 0 ? (total.error / total.signal).squareRoot() : (total.error > 0 ? .infinity : 0),
      largest: total.largest)
  }

  private static func values(_ tensor: TensorRef, _ codec: Codec, _ rows: Range<Int>) throws(FileError) -> [Float] {
    var bytes = [UInt8](repeating: 0, count: rows.count * tensor.rowByteCount)
    try bytes.withMutableRawSpan { (span) throws(FileError) in try tensor.read(rows: rows, into: &span) }
    var values = [Float](repeating: 0, count: rows.count * tensor.shape.columns)
    var span = values.mutableSpan
    codec.decode(bytes.rawSpan, into: &span)
    return values
  }

  private struct Sums: Sendable {
    var error = 0.0
    var signal = 0.0
    var largest = 0.0

    init(_ reference: [Float], _ candidate: [Float]) {
      for (a, b) in zip(reference, candidate) {
        let difference = Double(a) - Double(b)
        error += difference * difference
        signal += Double(a) * Double(a)
        largest = max(largest, abs(difference))
      }
    }

    mutating func add(_ other: Sums) {
      error += other.error
      signal += other.signal
      largest = max(largest, other.largest)
    }
  }
}
