/// Text from a file, kept and compared as the bytes it is.
///
/// Swift's `String` compares by canonical equivalence and repairs invalid UTF-8; vocabularies hold canonically equal
/// pairs and tensor names may hold anything, so names, keys and tokens stay bytes until they are shown.
public struct ByteString: Hashable, Sendable {
  public var bytes: [UInt8]

  public init(bytes: [UInt8]) { self.bytes = bytes }
  public init(_ text: String) { bytes = Array(text.utf8) }

  public var count: Int { bytes.count }
  public var isEmpty: Bool { bytes.isEmpty }

  /// The text, with invalid UTF-8 replaced: for messages and for values that are known to be ASCII.
  public var text: String { String(decoding: bytes, as: UTF8.self) }

  public func hasPrefix(_ prefix: ByteString) -> Bool { bytes.starts(with: prefix.bytes) }
  /// What follows a prefix that is known to be there.
  public func dropPrefix(_ prefix: ByteString) -> ByteString { ByteString(bytes: Array(bytes.dropFirst(prefix.count))) }
  public func hasSuffix(_ suffix: ByteString) -> Bool { bytes.reversed().starts(with: suffix.bytes.reversed()) }
}

extension ByteString: Comparable {
  public static func < (a: Self, b: Self) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }
}

extension ByteString: ExpressibleByStringLiteral {
  public init(stringLiteral text: String) { self.init(text) }
}

extension ByteString: CustomStringConvertible {
  public var description: String { text }
}
