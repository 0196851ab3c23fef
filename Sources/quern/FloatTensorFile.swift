import Bytes
import Conversion
import IR
import Kernels
import Safetensors
import SystemPackage

/// A safetensors file of F32 tensors that are written piece by piece; it has no name until it is complete.
final class FloatTensorFile {
  private let file: AtomicFile
  private var offsets: [ByteString: Int] = [:]

  init(_ path: FilePath, tensors: [(name: ByteString, shape: Shape)], overwrites: Bool) throws {
    let layout: FileLayout
    do {
      let source = MemoryTensorSource(bytes: [], rowByteCount: 0)
      let references = tensors.map { TensorRef(name: $0.name, shape: $0.shape, format: .f32, source: source) }
      layout = try SafetensorsLayout(tensors: references, metadata: Metadata(), maximumShardBytes: nil).files[0]
    } catch { throw ConversionError.safetensors(error) }
    file = try AtomicFile(path, overwrites: overwrites)
    try file.write(layout.header, at: 0)
    for placement in layout.placements { offsets[placement.tensor.name] = placement.offset }
  }

  /// The tensor's next rows.
  func append(_ matrix: Matrix, to name: ByteString) throws {
    var bytes = ByteWriter()
    for row in 0..<matrix.rows {
      for value in matrix[row].array() { bytes.append(value) }
    }
    guard let offset = offsets[name] else { preconditionFailure("no tensor \(name) in this file") }
    try file.write(bytes.bytes, at: offset)
    offsets[name] = offset + bytes.count
  }

  func commit() throws { try file.commit() }
}
