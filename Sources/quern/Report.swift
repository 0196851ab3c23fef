import Bytes

/// Prints a line on standard output; hides Swift's own, which does not notice a full disk.
func print(_ line: String = "") { Terminal.standardOutput(Array((line + "\n").utf8)) }

/// Prints one JSON object on standard output.
func printJSON(_ object: JSONObject) {
  print(String(decoding: JSONValue.object(object).serialized(pretty: true), as: UTF8.self))
}

extension JSONValue {
  /// Null for a number JSON cannot say.
  static func double(_ value: Double) -> JSONValue { value.isFinite ? .number(JSONNumber(value)) : .null }
  static func texts(_ values: some Sequence<ByteString>) -> JSONValue { .array(values.map { .string($0) }) }
}
