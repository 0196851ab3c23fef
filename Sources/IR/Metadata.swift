public import Bytes

/// Ordered, typed key–value pairs as GGUF has them; other containers' metadata is put in the same form.
public struct Metadata: Hashable, Sendable {
  public struct Entry: Hashable, Sendable {
    public var key: ByteString
    public var value: MetadataValue

    public init(key: ByteString, value: MetadataValue) {
      self.key = key
      self.value = value
    }
  }

  public private(set) var entries: [Entry] = []
  private var index: [ByteString: Int] = [:]

  public init() {}

  public var keys: [ByteString] { entries.map(\.key) }

  /// Setting nil removes the entry; setting a new key appends it.
  public subscript(key: ByteString) -> MetadataValue? {
    get { index[key].map { entries[$0].value } }
    set {
      switch (index[key], newValue) {
      case (let position?, let value?): entries[position].value = value
      case (nil, let value?):
        index[key] = entries.count
        entries.append(Entry(key: key, value: value))
      case (let position?, nil):
        entries.remove(at: position)
        index = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.key, $0) })
      case (nil, nil): break
      }
    }
  }

  public mutating func removeAll(where predicate: (ByteString) -> Bool) {
    entries.removeAll { predicate($0.key) }
    index = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.key, $0) })
  }
}

/// One metadata value, with the width it has in the file.
public indirect enum MetadataValue: Hashable, Sendable {
  case uint8(UInt8)
  case int8(Int8)
  case uint16(UInt16)
  case int16(Int16)
  case uint32(UInt32)
  case int32(Int32)
  case uint64(UInt64)
  case int64(Int64)
  case float32(Float)
  case float64(Double)
  case bool(Bool)
  case string(ByteString)
  case array(MetadataArray)
}

/// A metadata array: one element type, held flat.
public indirect enum MetadataArray: Hashable, Sendable {
  case uint8([UInt8])
  case int8([Int8])
  case uint16([UInt16])
  case int16([Int16])
  case uint32([UInt32])
  case int32([Int32])
  case uint64([UInt64])
  case int64([Int64])
  case float32([Float])
  case float64([Double])
  case bool([Bool])
  case string([ByteString])
  case array([MetadataArray])
}

extension MetadataValue {
  /// Any integer case that fits.
  public var int: Int? {
    switch self {
    case .uint8(let value): Int(value)
    case .int8(let value): Int(value)
    case .uint16(let value): Int(value)
    case .int16(let value): Int(value)
    case .uint32(let value): Int(value)
    case .int32(let value): Int(value)
    case .uint64(let value): Int(exactly: value)
    case .int64(let value): Int(value)
    default: nil
    }
  }

  /// A float, or an integer as one.
  public var double: Double? {
    switch self {
    case .float32(let value): Double(value)
    case .float64(let value): value
    default: int.map(Double.init)
    }
  }

  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var string: ByteString? { if case .string(let value) = self { value } else { nil } }
  public var array: MetadataArray? { if case .array(let value) = self { value } else { nil } }
}

extension MetadataArray {
  public var count: Int {
    switch self {
    case .uint8(let values): values.count
    case .int8(let values): values.count
    case .uint16(let values): values.count
    case .int16(let values): values.count
    case .uint32(let values): values.count
    case .int32(let values): values.count
    case .uint64(let values): values.count
    case .int64(let values): values.count
    case .float32(let values): values.count
    case .float64(let values): values.count
    case .bool(let values): values.count
    case .string(let values): values.count
    case .array(let values): values.count
    }
  }

  public var strings: [ByteString]? { if case .string(let values) = self { values } else { nil } }

  /// Any integer or boolean element type, or nil.
  public var ints: [Int]? {
    switch self {
    case .uint8(let values): values.map(Int.init)
    case .int8(let values): values.map(Int.init)
    case .uint16(let values): values.map(Int.init)
    case .int16(let values): values.map(Int.init)
    case .uint32(let values): values.map(Int.init)
    case .int32(let values): values.map(Int.init)
    case .int64(let values): values.map(Int.init)
    case .uint64(let values): values.allSatisfy { Int(exactly: $0) != nil } ? values.map { Int($0) } : nil
    case .bool(let values): values.map { $0 ? 1 : 0 }
    default: nil
    }
  }

  public var floats: [Float]? {
    switch self {
    case .float32(let values): values
    case .float64(let values): values.map(Float.init)
    default: nil
    }
  }
}
