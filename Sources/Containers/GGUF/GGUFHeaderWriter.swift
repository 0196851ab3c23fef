import Bytes
import IR

/// Writes a GGUF header; the diagram is in GGUFPart.swift.
enum GGUFHeaderWriter {
  /// All bytes before the data, padded. `offsets` are the tensors', from the start of the data.
  static func header(metadata: Metadata, tensors: [TensorRef], offsets: [Int], alignment: Int) -> [UInt8] {
    var bytes = ByteWriter()
    bytes.append(bytes: "GGUF".utf8)
    bytes.append(UInt32(3))
    bytes.append(UInt64(tensors.count))
    bytes.append(UInt64(metadata.entries.count))
    for entry in metadata.entries {
      append(entry.key, to: &bytes)
      bytes.append(entry.value.ggufType.rawValue)
      append(entry.value, to: &bytes)
    }
    for (tensor, offset) in zip(tensors, offsets) {
      guard let type = tensor.format.ggmlType else {
        preconditionFailure("\(tensor.name): \(tensor.format.name) in GGUF")
      }
      append(tensor.name, to: &bytes)
      bytes.append(UInt32(tensor.shape.dimensions.count))
      for dimension in tensor.shape.dimensions.reversed() { bytes.append(UInt64(dimension)) }
      bytes.append(type)
      bytes.append(UInt64(offset))
    }
    bytes.pad(toMultipleOf: alignment)
    return bytes.bytes
  }

  private static func append(_ string: ByteString, to bytes: inout ByteWriter) {
    bytes.append(UInt64(string.count))
    bytes.append(bytes: string.bytes)
  }

  private static func append(_ value: MetadataValue, to bytes: inout ByteWriter) {
    switch value {
    case .uint8(let value): bytes.append(value)
    case .int8(let value): bytes.append(value)
    case .uint16(let value): bytes.append(value)
    case .int16(let value): bytes.append(value)
    case .uint32(let value): bytes.append(value)
    case .int32(let value): bytes.append(value)
    case .uint64(let value): bytes.append(value)
    case .int64(let value): bytes.append(value)
    case .float32(let value): bytes.append(value)
    case .float64(let value): bytes.append(value)
    case .bool(let value): bytes.append(UInt8(value ? 1 : 0))
    case .string(let value): append(value, to: &bytes)
    case .array(let values): append(values, to: &bytes)
    }
  }

  private static func append(_ array: MetadataArray, to bytes: inout ByteWriter) {
    bytes.append(array.ggufType.rawValue)
    bytes.append(UInt64(array.count))
    switch array {
    case .uint8(let values): bytes.append(bytes: values)
    case .int8(let values): for value in values { bytes.append(value) }
    case .uint16(let values): for value in values { bytes.append(value) }
    case .int16(let values): for value in values { bytes.append(value) }
    case .uint32(let values): for value in values { bytes.append(value) }
    case .int32(let values): for value in values { bytes.append(value) }
    case .uint64(let values): for value in values { bytes.append(value) }
    case .int64(let values): for value in values { bytes.append(value) }
    case .float32(let values): for value in values { bytes.append(value) }
    case .float64(let values): for value in values { bytes.append(value) }
    case .bool(let values): for value in values { bytes.append(UInt8(value ? 1 : 0)) }
    case .string(let values): for value in values { append(value, to: &bytes) }
    case .array(let values): for value in values { append(value, to: &bytes) }
    }
  }
}
