import Bytes
import Glibc

/// Prints one JSON object on standard output.
func printJSON(_ object: JSONObject) {
  print(String(decoding: JSONValue.object(object).serialized(pretty: true), as: UTF8.self))
}

extension JSONValue {
  /// Null for a number JSON cannot say.
  static func double(_ value: Double) -> JSONValue { value.isFinite ? .number(JSONNumber(value)) : .null }
  static func texts(_ values: some Sequence<ByteString>) -> JSONValue { .array(values.map { .string($0) }) }
}
