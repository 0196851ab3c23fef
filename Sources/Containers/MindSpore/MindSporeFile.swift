//  Checkpoint (protobuf): 1: Value {1: tag, 2: TensorProto {1: dims, 2: type's name, 3: elements}}, …
//  A parameter too large for one message has several values of one tag, one after the other. A checksum may follow:
//  "crc_num" and ten digits.
//
//  mindspore/ccsrc/utils/checkpoint.proto.

import Archives
public import Bytes
public import IR
public import SystemPackage

/// A MindSpore .ckpt.
public struct MindSporeFile: Sendable {
  public let contents: ContainerContents

  /// The first value must be a tag and a tensor with a type's name.
  public static func recognizes(_ file: InputFile, head: [UInt8]) -> Bool {
    guard head.first == 0x0A else { return false }
    var reader = ProtobufReader(file, range: 0..<file.byteCount)
    guard let field = try? reader.next(), case .bytes(let range) = field.value,
      let value = try? MindSporeValue(file, range: range, limits: Limits())
    else { return false }
    return !value.tag.isEmpty && (MindSporeValue.formats[value.type] != nil || value.type == "str")
  }

  public init(_ path: FilePath, limits: Limits = Limits()) throws(ContainerError) {
    let file: InputFile
    do throws(FileError) { file = try InputFile(path) } catch { throw .file(error) }
    var order: [ByteString] = []
    var parts: [ByteString: [Range<Int>]] = [:]
    var formats: [ByteString: BlockFormat] = [:]
    var shapes: [ByteString: [Int]] = [:]
    var otherCount = 0
    func place(_ name: ByteString, _ offset: Int) -> ContainerError.Place {
      .init(path, "MindSpore", name: name, offset: offset)
    }
    do throws(ProtobufError) {
      var end = file.byteCount
      if end >= 17, let tail = try? file.read(at: end - 17, count: 7), tail == Array("crc_num".utf8) { end -= 17 }
      var reader = ProtobufReader(file, range: 0..<end)
      while let field = try reader.next() {
        guard field.number == 1, case .bytes(let range) = field.value else {
          throw .malformed(reason: "field \(field.number) is none of a checkpoint's", offset: field.offset)
        }
        let value = try MindSporeValue(file, range: range, limits: limits)
        guard let format = MindSporeValue.formats[value.type], let content = value.content else {
          otherCount += 1
          continue
        }
        guard content.count % format.bytesPerBlock == 0, parts.count < limits.tensorCount else {
          throw .malformed(reason: "\(value.tag) of \(content.count) bytes", offset: range.lowerBound)
        }
        if parts[value.tag] == nil {
          order.append(value.tag)
          // A scalar has one axis of 0 or none.
          shapes[value.tag] = value.dimensions == [0] && content.count > 0 ? [] : value.dimensions
        }
        guard formats.updateValue(format, forKey: value.tag) ?? format == format else {
          throw .malformed(reason: "the pieces of \(value.tag) are of several types", offset: range.lowerBound)
        }
        parts[value.tag, default: []].append(content)
      }
    } catch {
      switch error {
      case .file(let error): throw .file(error)
      case .malformed(let reason, let offset): throw .malformed(place("", offset), reason: reason)
      }
    }
    var tensors: [TensorRef] = []
    for name in order {
      guard let pieces = parts[name], let format = formats[name], let shape = Shape(shapes[name] ?? []),
        format.byteCount(elements: shape.elementCount) == pieces.reduce(0, { $0 + $1.count })
      else { throw .malformed(place(name, 0), reason: "its pieces do not make its shape") }
      tensors.append(
        TensorRef(
          name: name, shape: shape, format: format,
          source: FlatPieces(file: file, pieces: pieces, rowByteCount: shape.columns * format.bytesPerBlock)))
    }
    contents = ContainerContents(
      tensors: tensors, fileByteCount: file.byteCount,
      notes: otherCount > 0 ? ["\(otherCount) other values left alone"] : [])
  }
}

/// One value, without its elements.
struct MindSporeValue {
  private(set) var tag = ByteString("")
  private(set) var type = ""
  private(set) var dimensions: [Int] = []
  private(set) var content: Range<Int>?

  static let formats: [String: BlockFormat] = [
    "Float32": .f32, "Float16": .f16, "BFloat16": .bf16, "Float64": .f64, "Int8": .i8, "Int16": .i16, "Int32": .i32,
    "Int64": .i64, "UInt8": .u8, "UInt16": .u16, "UInt32": .u32, "UInt64": .u64, "Bool": .bool,
  ]

  init(_ file: InputFile, range: Range<Int>, limits: Limits) throws(ProtobufError) {
    func text(_ range: Range<Int>) throws(ProtobufError) -> ByteString {
      guard range.count <= limits.nameByteCount else {
        throw .malformed(reason: "a name of \(range.count) bytes", offset: range.lowerBound)
      }
      do throws(FileError) { return ByteString(bytes: try file.read(at: range.lowerBound, count: range.count)) } catch {
        throw .file(error)
      }
    }
    var reader = ProtobufReader(file, range: range)
    while let field = try reader.next() {
      guard case .bytes(let bytes) = field.value else { continue }
      if field.number == 1 { tag = try text(bytes) }
      guard field.number == 2 else { continue }
      var tensor = ProtobufReader(file, range: bytes)
      while let field = try tensor.next() {
        switch (field.number, field.value) {
        case (1, .varint(let value)): dimensions.append(Int(truncatingIfNeeded: value))
        case (1, .bytes(let packed)):
          var numbers = ProtobufReader(file, range: packed)
          while let value = try numbers.nextPackedVarint() {
            guard dimensions.count <= limits.dimensionCount else { break }
            dimensions.append(Int(truncatingIfNeeded: value))
          }
        case (2, .bytes(let name)): type = try text(name).text
        case (3, .bytes(let elements)): content = elements
        default: break
        }
        guard dimensions.count <= limits.dimensionCount else {
          throw .malformed(reason: "too many axes", offset: field.offset)
        }
      }
    }
  }
}
