extension JSONValue {
  /// The value as JSON text. `pretty` indents by two spaces as Hugging Face's files do; otherwise one line.
  public func serialized(pretty: Bool = false) -> [UInt8] {
    var out: [UInt8] = []
    write(into: &out, indent: pretty ? 0 : nil)
    return out
  }

  private func write(into out: inout [UInt8], indent: Int?) {
    switch self {
    case .null: out += "null".utf8
    case .bool(let value): out += (value ? "true" : "false").utf8
    case .number(let value): out += value.literal.utf8
    case .string(let value): Self.write(value, into: &out)
    case .array(let values):
      Self.writeItems(values, "[", "]", into: &out, indent: indent) { value, out, indent in
        value.write(into: &out, indent: indent)
      }
    case .object(let object):
      Self.writeItems(object.members, "{", "}", into: &out, indent: indent) { member, out, indent in
        Self.write(member.key, into: &out)
        out += (indent == nil ? ":" : ": ").utf8
        member.value.write(into: &out, indent: indent)
      }
    }
  }

  private static func writeItems<Item>(
    _ items: [Item], _ open: String, _ close: String, into out: inout [UInt8], indent: Int?,
    item write: (Item, inout [UInt8], Int?) -> Void
  ) {
    out += open.utf8
    let inner = indent.map { $0 + 2 }
    for (position, item) in items.enumerated() {
      if position > 0 { out.append(UInt8(ascii: ",")) }
      newLine(into: &out, indent: inner)
      write(item, &out, inner)
    }
    if !items.isEmpty { newLine(into: &out, indent: indent) }
    out += close.utf8
  }

  private static func newLine(into out: inout [UInt8], indent: Int?) {
    guard let indent else { return }
    out.append(UInt8(ascii: "\n"))
    out.append(contentsOf: repeatElement(UInt8(ascii: " "), count: indent))
  }

  private static func write(_ string: ByteString, into out: inout [UInt8]) {
    let hexadecimal = Array("0123456789abcdef".utf8)
    out.append(UInt8(ascii: "\""))
    for byte in string.bytes {
      switch byte {
      case UInt8(ascii: "\""): out += "\\\"".utf8
      case UInt8(ascii: "\\"): out += "\\\\".utf8
      case 10: out += "\\n".utf8
      case 13: out += "\\r".utf8
      case 9: out += "\\t".utf8
      case 0..<0x20: out += "\\u00".utf8 + [hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]]
      default: out.append(byte)
      }
    }
    out.append(UInt8(ascii: "\""))
  }
}
