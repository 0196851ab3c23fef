import Archives
import Bytes
import IR

/// LoD tensors, one after the other.
struct PaddleTensors {
  private(set) var contents: ContainerContents

  private static let formats: [Int: BlockFormat] = [
    0: .bool, 1: .i16, 2: .i32, 3: .i64, 4: .f16, 5: .f32, 6: .f64, 20: .u8, 21: .i8, 22: .bf16,
  ]

  init(_ file: InputFile, limits: Limits) throws(ContainerError) {
    var tensors: [TensorRef] = []
    let names = PaddleProgram.names(beside: file.path, limits: limits)
    func fail(_ reason: String, _ offset: Int) -> ContainerError {
      .malformed(
        .init(file.path, "Paddle", name: ByteString("tensor \(tensors.count)"), offset: offset), reason: reason)
    }
    var cursor = FileCursor(file, windowByteCount: 4096)
    do throws(FileError) {
      var problem: (String, Int)?
      scan: while cursor.remaining > 0, problem == nil {
        let start = cursor.offset
        let version = try cursor.readInteger(UInt32.self)
        let levels = try cursor.readInteger(UInt64.self)
        guard version == 0, levels <= 16 else {
          problem = ("version \(version) with \(levels) levels", start)
          break
        }
        for _ in 0..<levels {
          let length = try cursor.readInteger(UInt64.self)
          guard length <= UInt64(cursor.remaining) else {
            problem = ("a level of \(length) bytes", start)
            break scan
          }
          try cursor.skip(Int(length))
        }
        guard try cursor.readInteger(UInt32.self) == 0 else {
          problem = ("an unknown tensor version", start)
          break
        }
        let length = Int(try cursor.readInteger(Int32.self))
        guard (0...4096).contains(length), length <= cursor.remaining, tensors.count < limits.tensorCount else {
          problem = ("a description of \(length) bytes", start)
          break
        }
        guard let (type, dimensions) = Self.description(file, cursor.offset..<cursor.offset + length),
          let format = Self.formats[type], dimensions.count <= limits.dimensionCount, let shape = Shape(dimensions),
          let bytes = format.byteCount(elements: shape.elementCount)
        else {
          problem = ("a description that is not read", cursor.offset)
          break
        }
        try cursor.skip(length)
        guard bytes <= cursor.remaining else {
          problem = ("\(shape) reaches past the end of the file", start)
          break
        }
        let name = names.indices.contains(tensors.count) ? names[tensors.count] : ByteString("tensor_\(tensors.count)")
        tensors.append(
          TensorRef(
            name: name, shape: shape, format: format,
            source: FileTensorSource(
              file: file, offset: cursor.offset, rowByteCount: shape.columns * format.bytesPerBlock)))
        try cursor.skip(bytes)
      }
      if let problem { throw FileError.damaged(path: file.path, reason: "Paddle: \(problem.0)", offset: problem.1) }
    } catch { throw .file(error) }
    if !names.isEmpty, names.count != tensors.count {
      for index in tensors.indices { tensors[index].name = ByteString("tensor_\(index)") }
    }
    for index in tensors.indices { tensors[index].sourceName = tensors[index].name }
    guard Set(tensors.map(\.name)).count == tensors.count else { throw fail("a name stands twice", 0) }
    contents = ContainerContents(tensors: tensors, fileByteCount: file.byteCount)
    if names.count != tensors.count {
      contents.notes = ["names are numbers: no .pdmodel or .json beside it that names \(tensors.count) parameters"]
    }
  }

  private static func description(_ file: InputFile, _ range: Range<Int>) -> (Int, [Int])? {
    var type: Int?
    var dimensions: [Int] = []
    var reader = ProtobufReader(file, range: range)
    while let field = try? reader.next() {
      switch (field.number, field.value) {
      case (1, .varint(let value)): type = Int(clamping: value)
      case (2, .varint(let value)): dimensions.append(Int(truncatingIfNeeded: value))
      case (2, .bytes(let packed)):
        var numbers = ProtobufReader(file, range: packed)
        while let value = try? numbers.nextPackedVarint() { dimensions.append(Int(truncatingIfNeeded: value)) }
      default: break
      }
      if dimensions.count > 64 { return nil }
    }
    return type.map { ($0, dimensions) }
  }
}
