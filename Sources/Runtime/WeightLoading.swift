import Bytes
import Codecs
import IR
import Kernels
import Synchronization

/// Brings tensors from their files into the kernels' arrangement, a few panels at a time on all threads.
struct WeightLoader {
  let model: Model
  let processor: Processor
  let arithmetic: Arithmetic
  let progress: @Sendable (Int) -> Void

  /// Rows read at once: whole panels of 16.
  private static let slabByteCount = 1 << 20

  func matrix(_ name: ByteString) throws(RuntimeError) -> WeightMatrix {
    guard let tensor = model[name] else { throw .missingTensor(name) }
    let matrix = WeightMatrix(
      rows: tensor.shape.rows, columns: tensor.shape.columns, storage: try storage(of: tensor))
    let rowsPerSlab = max(16, Self.slabByteCount / max(1, tensor.rowByteCount) / 16 * 16)
    let rows = tensor.shape.rows
    let failure = Mutex<FileError?>(nil)
    processor.pool.run(tasks: (rows + rowsPerSlab - 1) / rowsPerSlab) { index in
      guard failure.withLock({ $0 == nil }) else { return }
      let range = index * rowsPerSlab..<min((index + 1) * rowsPerSlab, rows)
      do throws(FileError) {
        var bytes = [UInt8](repeating: 0, count: range.count * tensor.rowByteCount)
        try bytes.withMutableRawSpan { (span) throws(FileError) in try tensor.read(rows: range, into: &span) }
        matrix.fill(rows: range, from: bytes.rawSpan)
        progress(bytes.count)
      } catch {
        failure.withLock { $0 = $0 ?? error }
      }
    }
    if let error = failure.withLock({ $0 }) { throw .file(error) }
    return matrix
  }

  /// A norm's weight or a bias, as F32.
  func vector(_ name: ByteString) throws(RuntimeError) -> Floats {
    guard let tensor = model[name] else { throw .missingTensor(name) }
    guard let codec = Codec.for(tensor.format, kernels: processor.kernels) else {
      throw .undecodable(tensor: name, format: tensor.format)
    }
    let bytes: [UInt8]
    do { bytes = try tensor.readAll() } catch { throw .file(error) }
    var values = [Float](repeating: 0, count: tensor.shape.elementCount)
    var span = values.mutableSpan
    codec.decode(bytes.rawSpan, into: &span)
    return Floats(values)
  }

  func optionalVector(_ name: ByteString) throws(RuntimeError) -> Floats? {
    model[name] == nil ? nil : try vector(name)
  }

  private func storage(of tensor: TensorRef) throws(RuntimeError) -> WeightStorage {
    switch tensor.format {
    case .f32: return .f32
    case .f16: return .f16
    case .bf16: return .bf16
    case .q8_0 where arithmetic == .fast: return .q8_0
    case .q4_0 where arithmetic == .fast: return .q4_0
    case .q4_1 where arithmetic == .fast: return .q4_1
    case .q5_0 where arithmetic == .fast: return .q5_0
    case .q5_1 where arithmetic == .fast: return .q5_1
    default:
      guard let codec = Codec.for(tensor.format, kernels: processor.kernels) else {
        throw .undecodable(tensor: tensor.name, format: tensor.format)
      }
      return .encoded(codec.blockDecoder)
    }
  }
}
