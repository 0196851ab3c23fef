import Bytes
import IR

/// Shapes and types as messages state them.
enum HDF5Type {
  /// The shape and how far each axis may grow (nil: without end); nil for a dataset without a shape.
  static func dimensions(
    _ reader: HDF5Reader, at offset: Int, limit: Int
  ) throws(ContainerError) -> (now: [Int], most: [Int?])? {
    let version = try reader.number(at: offset, count: 1)
    let rank = try reader.number(at: offset + 1, count: 1)
    let flags = try reader.number(at: offset + 2, count: 1)
    guard version == 1 || version == 2, rank <= limit else { throw reader.fault("a shape of \(rank) axes", at: offset) }
    if version == 2, try reader.number(at: offset + 3, count: 1) == 2 { return nil }
    let start = offset + (version == 1 ? 8 : 4)
    var result: [Int] = []
    for axis in 0..<rank {
      result.append(try reader.number(at: start + axis * reader.lengthSize, count: reader.lengthSize))
    }
    var most: [Int?] = result
    if flags & 1 != 0 {
      for axis in 0..<rank {
        let at = start + (rank + axis) * reader.lengthSize
        let isEndless = try reader.bytes(at: at, count: reader.lengthSize).allSatisfy { $0 == 0xFF }
        most[axis] = isEndless ? nil : try reader.number(at: at, count: reader.lengthSize)
      }
    }
    return (result, most)
  }

  /// The element that stands where nothing was written; all zeros unless the file says otherwise.
  static func fill(
    _ reader: HDF5Reader, _ messages: [HDF5ObjectHeader.Message], byteCount: Int
  ) throws(ContainerError) -> [UInt8] {
    var place: Int?
    if let message = messages.first(where: { $0.type == 5 }) {
      let version = try reader.number(at: message.offset, count: 1)
      switch version {
      case 1: place = message.offset + 4
      case 2: place = try reader.number(at: message.offset + 3, count: 1) != 0 ? message.offset + 4 : nil
      case 3: place = try reader.number(at: message.offset + 1, count: 1) & 0x20 != 0 ? message.offset + 2 : nil
      default: throw reader.fault("a fill value of version \(version)", at: message.offset)
      }
    } else if let message = messages.first(where: { $0.type == 4 }) {
      place = message.offset
    }
    guard let place, try reader.number(at: place, count: 4) == byteCount else {
      return [UInt8](repeating: 0, count: byteCount)
    }
    return try reader.bytes(at: place + 4, count: byteCount)
  }

  /// A number's format, and whether its most significant byte lies first; nil for what is no plain number.
  static func format(
    _ reader: HDF5Reader, at offset: Int
  ) throws(ContainerError) -> (format: BlockFormat, isBigEndian: Bool)? {
    guard let format = try plainFormat(reader, at: offset) else { return nil }
    return (format, try reader.number(at: offset + 1, count: 1) & 1 != 0)
  }

  private static func plainFormat(_ reader: HDF5Reader, at offset: Int) throws(ContainerError) -> BlockFormat? {
    let head = try reader.bytes(at: offset, count: 8)
    let size = try reader.number(at: offset + 4, count: 4)
    switch head[0] & 15 {
    case 0:
      let isSigned = head[1] & 8 != 0
      return [
        1: isSigned ? .i8 : .u8, 2: isSigned ? .i16 : .u16, 4: isSigned ? .i32 : .u32, 8: isSigned ? .i64 : .u64,
      ][size]
    case 1:
      guard head[1] & 0x40 == 0 else {
        throw .unsupported(.init(reader.file.path, "HDF5", offset: offset), reason: "numbers in the VAX's byte order")
      }
      let exponent = try reader.number(at: offset + 13, count: 1)
      return switch (size, exponent) {
      case (2, 5): .f16
      case (2, 8): .bf16
      case (4, 8): .f32
      case (8, 11): .f64
      default: nil
      }
    case 8:
      // h5py's booleans: an enumeration of bytes.
      return size == 1 ? .bool : nil
    default: return nil
    }
  }
}

/// What was done to each chunk.
enum HDF5Filter: Sendable {
  case deflate
  /// h5py's own.
  case lzf
  case shuffle(width: Int)
  /// A checksum of four bytes behind.
  case fletcher32

  static func list(_ reader: HDF5Reader, at offset: Int) throws(ContainerError) -> [HDF5Filter] {
    let version = try reader.number(at: offset, count: 1)
    let count = try reader.number(at: offset + 1, count: 1)
    guard version == 1 || version == 2, count <= 32 else { throw reader.fault("\(count) filters", at: offset) }
    var at = offset + (version == 1 ? 8 : 2)
    var result: [HDF5Filter] = []
    for _ in 0..<count {
      let id = try reader.number(at: at, count: 2)
      let hasName = version == 1 || id >= 256
      let nameCount = hasName ? try reader.number(at: at + 2, count: 2) : 0
      let valuesAt = at + (hasName ? 6 : 4)
      let valueCount = try reader.number(at: valuesAt, count: 2)
      let values = valuesAt + 2 + (version == 1 ? (nameCount + 7) / 8 * 8 : nameCount)
      switch id {
      case 1: result.append(.deflate)
      case 2:
        let width = valueCount > 0 ? try reader.number(at: values, count: 4) : 0
        guard (1...8).contains(width) else { throw reader.fault("a shuffle of \(width) bytes", at: at) }
        result.append(.shuffle(width: width))
      case 3: result.append(.fletcher32)
      case 32000: result.append(.lzf)
      default: throw .unsupported(.init(reader.file.path, "HDF5", offset: at), reason: "filter \(id)")
      }
      at = values + valueCount * 4 + (version == 1 && valueCount % 2 == 1 ? 4 : 0)
    }
    return result
  }

  /// LZF: literals, or copies of what stands before; nil when it is damaged.
  static func expandLZF(_ input: [UInt8], byteCount: Int) -> [UInt8]? {
    var output: [UInt8] = []
    output.reserveCapacity(byteCount)
    var at = 0
    while at < input.count {
      let head = Int(input[at])
      at += 1
      if head < 32 {
        guard head + 1 <= input.count - at, head + 1 <= byteCount - output.count else { return nil }
        output += input[at...at + head]
        at += head + 1
        continue
      }
      var count = head >> 5
      if count == 7 {
        guard at < input.count else { return nil }
        count += Int(input[at])
        at += 1
      }
      guard at < input.count else { return nil }
      let distance = ((head & 31) << 8) + Int(input[at]) + 1
      at += 1
      guard distance <= output.count, count + 2 <= byteCount - output.count else { return nil }
      let from = output.count - distance
      for index in from..<from + count + 2 { output.append(output[index]) }
    }
    return output
  }
}
