import Bytes
import Codecs
import IR
import Kernels
import Synchronization

/// Brings whole tensors into memory as floats: calibration works on one layer at a time.
struct WeightReader: Sendable {
  let model: Model
  let processor: Processor

  /// [rows, columns]
  func matrix(_ name: ByteString) throws(CalibrationError) -> Matrix {
    guard let tensor = model[name] else { throw .missingTensor(name) }
    return try matrix(tensor, rows: 0..<tensor.shape.rows)
  }

  /// Some rows of a tensor.
  func matrix(_ tensor: TensorRef, rows: Range<Int>) throws(CalibrationError) -> Matrix {
    guard let codec = Codec.for(tensor.format, kernels: processor.kernels) else {
      throw .undecodable(tensor: tensor.name, format: tensor.format.name)
    }
    let columns = tensor.shape.columns
    let result = Matrix(rows: rows.count, columns: columns)
    let rowsPerTask = max(1, (1 << 16) / max(1, columns))
    let failure = Mutex<FileError?>(nil)
    processor.pool.run(tasks: (rows.count + rowsPerTask - 1) / rowsPerTask) { task in
      let part = task * rowsPerTask..<min((task + 1) * rowsPerTask, rows.count)
      do throws(FileError) {
        var bytes = [UInt8](repeating: 0, count: part.count * tensor.rowByteCount)
        let wanted = rows.lowerBound + part.lowerBound..<rows.lowerBound + part.upperBound
        try bytes.withMutableRawSpan { (span) throws(FileError) in try tensor.read(rows: wanted, into: &span) }
        result.rows(part).floats[0..<part.count * columns].withMutableSpan { values in
          codec.decode(bytes.rawSpan, into: &values)
        }
      } catch {
        failure.withLock { $0 = $0 ?? error }
      }
    }
    if let error = failure.withLock({ $0 }) { throw .file(error) }
    return result
  }

  func vector(_ name: ByteString) throws(CalibrationError) -> Floats {
    let matrix = try matrix(name)
    return matrix.floats[0..<matrix.rows * matrix.columns]
  }

  func optionalVector(_ name: ByteString) throws(CalibrationError) -> Floats? {
    model[name] == nil ? nil : try vector(name)
  }
}

extension WeightMatrix {
  /// The product y = x · weightsᵀ of a matrix of floats.
  convenience init(_ matrix: Matrix) {
    self.init(rows: matrix.rows, columns: matrix.columns, storage: .f32)
    let start = matrix.floats.offset * 4
    matrix.floats.buffer.withBytes(start..<start + matrix.rows * matrix.columns * 4) { bytes in
      fill(rows: 0..<matrix.rows, from: bytes)
    }
  }

  /// The product y = x · weights, as gradients flow back.
  convenience init(transposing matrix: Matrix) {
    let transposed = Matrix(rows: matrix.columns, columns: matrix.rows)
    matrix.floats.withSpan { from in
      transposed.floats.withMutableSpan { to in
        // In squares, so that both sides stay in the cache.
        for row in stride(from: 0, to: matrix.rows, by: 32) {
          for column in stride(from: 0, to: matrix.columns, by: 32) {
            for r in row..<min(row + 32, matrix.rows) {
              for c in column..<min(column + 32, matrix.columns) {
                to[c * matrix.rows + r] = from[r * matrix.stride + c]
              }
            }
          }
        }
      }
    }
    self.init(transposed)
  }
}
