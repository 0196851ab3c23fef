internal import Bytes

/// A descriptor under Formats/ that does not say what it must. Only our own files can raise it, and a test reads them all.
public enum DescriptorError: Error, Hashable, Sendable, CustomStringConvertible {
  case invalid(file: String, key: String)

  public var description: String {
    switch self {
    case .invalid(let file, let key): "Formats/\(file): '\(key)' is missing or of the wrong kind"
    }
  }
}

/// Reads one object of a descriptor.
struct DescriptorReader {
  private let json: JSONObject
  private let file: String

  init(_ json: JSONObject, in file: String) {
    self.json = json
    self.file = file
  }

  func problem(_ key: String) -> DescriptorError { .invalid(file: file, key: key) }

  func text(_ key: String) throws(DescriptorError) -> String {
    guard let value = json[ByteString(key)]?.string else { throw problem(key) }
    return value.text
  }

  /// Nil when absent.
  func texts(_ key: String) throws(DescriptorError) -> [String]? {
    guard let value = json[ByteString(key)] else { return nil }
    guard let items = value.array else { throw problem(key) }
    var result: [String] = []
    for item in items {
      guard let text = item.string else { throw problem(key) }
      result.append(text.text)
    }
    return result
  }

  func objects(_ key: String) throws(DescriptorError) -> [JSONObject] {
    guard let items = json[ByteString(key)]?.array else { throw problem(key) }
    var result: [JSONObject] = []
    for item in items {
      guard let object = item.object else { throw problem(key) }
      result.append(object)
    }
    return result
  }
}
