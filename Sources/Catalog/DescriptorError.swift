internal import Bytes

/// A descriptor that does not say what it must: one under Formats/, all of which a test reads, or a user's own.
public enum DescriptorError: Error, Hashable, Sendable, CustomStringConvertible {
  case invalid(file: String, key: String)

  public var description: String {
    switch self {
    case .invalid(let file, let key): "\(file): '\(key)' is missing or of the wrong kind"
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

  /// Nil when absent. A whole number is an expression, too.
  func expression(_ key: String) throws(DescriptorError) -> Expression? {
    guard let value = json[ByteString(key)] else { return nil }
    guard let expression = Expression(value.string?.text ?? value.int.map(String.init) ?? "") else {
      throw problem(key)
    }
    return expression
  }

  /// Nil when absent.
  func expressions(_ key: String) throws(DescriptorError) -> [Expression]? {
    guard let value = json[ByteString(key)] else { return nil }
    guard let items = value.array else { throw problem(key) }
    var result: [Expression] = []
    for item in items {
      guard let expression = Expression(item.string?.text ?? item.int.map(String.init) ?? "") else {
        throw problem(key)
      }
      result.append(expression)
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
