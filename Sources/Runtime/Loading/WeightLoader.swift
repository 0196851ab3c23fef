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
  /// Remembers which tensor a matrix came from, where someone wants to know.
  var parts: TensorParts?
  /// What the names of all tensors begin with: `blk.3.`.
  private(set) var prefix = ""

  init(
    model: Model, processor: Processor, arithmetic: Arithmetic, progress: @escaping @Sendable (Int) -> Void
  ) {
    self.model = model
    self.processor = processor
    self.arithmetic = arithmetic
    self.progress = progress
  }

  /// The loader of what is named `part.…` in this one's scope.
  func scope(_ part: String) -> WeightLoader {
    var result = self
    result.prefix += part + "."
    return result
  }

  func has(_ name: String) -> Bool { model[ByteString(prefix + name)] != nil }

  /// The tensor's shape, or nil where the model does not have it.
  func shape(_ name: String) -> Shape? { model[ByteString(prefix + name)]?.shape }

  func tensor(_ name: String) throws(RuntimeError) -> TensorRef {
    let name = ByteString(prefix + name)
    guard let tensor = model[name] else { throw .missingTensor(name) }
    return tensor
  }

  /// Rows read at once: whole panels of 16.
  private static let slabByteCount = 1 << 20

  /// A weight [rows, columns]; `rows` and `columns` are checked where they are given. A vector is one row.
  func matrix(_ name: String, rows: Int? = nil, columns: Int? = nil) throws(RuntimeError) -> WeightMatrix {
    let tensor = try tensor(name)
    try check(tensor, rows: rows, columns: columns)
    let matrix = WeightMatrix(
      rows: tensor.shape.rows, columns: tensor.shape.columns, storage: try storage(of: tensor))
    try fill([matrix], from: tensor)
    parts?.add([matrix], of: tensor)
    return matrix
  }

  /// `count` weights [rows, columns] that are stored as one tensor.
  func stacked(_ name: String, count: Int, rows: Int? = nil, columns: Int? = nil) throws(RuntimeError) -> StackedWeights
  {
    let tensor = try tensor(name)
    guard tensor.shape.rows % count == 0, tensor.shape.rows > 0 else {
      throw .misshapen(tensor: tensor.name, found: tensor.shape, expected: "\(count) matrices")
    }
    try check(tensor, rows: rows.map { $0 * count }, columns: columns)
    let stack = StackedWeights(
      count: count, rows: tensor.shape.rows / count, columns: tensor.shape.columns, storage: try storage(of: tensor))
    try fill(stack.matrices, from: tensor)
    parts?.add(stack.matrices, of: tensor)
    return stack
  }

  /// A norm's weight or a bias, as F32.
  func vector(_ name: String, count: Int? = nil) throws(RuntimeError) -> Floats {
    let tensor = try tensor(name)
    if let count, tensor.shape.elementCount != count {
      throw .misshapen(tensor: tensor.name, found: tensor.shape, expected: "\(count) numbers")
    }
    return try floats(tensor)
  }

  func optionalVector(_ name: String, count: Int? = nil) throws(RuntimeError) -> Floats? {
    has(name) ? try vector(name, count: count) : nil
  }

  /// A table whose rows are looked up, as F32.
  func table(_ name: String, columns: Int? = nil) throws(RuntimeError) -> Matrix {
    let tensor = try tensor(name)
    try check(tensor, rows: nil, columns: columns)
    return Matrix(try floats(tensor), rows: tensor.shape.rows, columns: tensor.shape.columns)
  }

  func optionalTable(_ name: String, columns: Int? = nil) throws(RuntimeError) -> Matrix? {
    has(name) ? try table(name, columns: columns) : nil
  }

  private func check(_ tensor: TensorRef, rows: Int?, columns: Int?) throws(RuntimeError) {
    let shape = tensor.shape
    guard rows == nil || rows == shape.rows, columns == nil || columns == shape.columns, shape.elementCount > 0 else {
      throw .misshapen(
        tensor: tensor.name, found: shape,
        expected: "\(rows.map(String.init) ?? "any number of") rows of \(columns.map(String.init) ?? "any length")")
    }
  }

  private func floats(_ tensor: TensorRef) throws(RuntimeError) -> Floats {
    guard let codec = Codec.for(tensor.format, kernels: processor.kernels) else {
      throw .undecodable(tensor: tensor.name, format: tensor.format)
    }
    let bytes: [UInt8]
    do { bytes = try tensor.readAll() } catch { throw .file(error) }
    var values = [Float](repeating: 0, count: tensor.shape.elementCount)
    var span = values.mutableSpan
    codec.decode(bytes.rawSpan, into: &span)
    return Floats(values)
  }

  /// The tensor's rows go to the matrices in order, an equal number to each.
  private func fill(_ matrices: [WeightMatrix], from tensor: TensorRef) throws(RuntimeError) {
    let rows = tensor.shape.rows / matrices.count
    let rowsPerSlab = max(16, Self.slabByteCount / max(1, tensor.rowByteCount) / 16 * 16)
    let slabs = (rows + rowsPerSlab - 1) / rowsPerSlab
    let failure = Mutex<FileError?>(nil)
    let progress = progress
    processor.pool.run(tasks: matrices.count * slabs) { index in
      guard failure.withLock({ $0 == nil }) else { return }
      let start = index % slabs * rowsPerSlab
      let range = start..<min(start + rowsPerSlab, rows)
      let first = index / slabs * rows
      do throws(FileError) {
        var bytes = [UInt8](repeating: 0, count: range.count * tensor.rowByteCount)
        try bytes.withMutableRawSpan { (span) throws(FileError) in
          try tensor.read(rows: first + range.lowerBound..<first + range.upperBound, into: &span)
        }
        matrices[index / slabs].fill(rows: range, from: bytes.rawSpan)
        progress(bytes.count)
      } catch {
        failure.withLock { $0 = $0 ?? error }
      }
    }
    if let error = failure.withLock({ $0 }) { throw .file(error) }
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
