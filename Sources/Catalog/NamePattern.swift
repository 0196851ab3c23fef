public import Bytes

/// A tensor's name with numbers left open: `blk.{layer}.attn_q.weight`, `…experts.{expert}.w1.weight`. What stands in
/// braces is an expression (`{layer / block.inner_count}`); `{*}` is any text, for names that are only recognised.
public struct NamePattern: Hashable, Sendable {
  private enum Segment: Hashable, Sendable {
    case text([UInt8])
    case number(Expression)
    case anything
  }

  private let segments: [Segment]
  /// Whether the layer's number, or the expert's, is part of the name.
  public let isPerLayer: Bool
  public let isPerExpert: Bool

  /// Braces that hold no expression are taken as text.
  package init(_ text: String) {
    var segments: [Segment] = []
    var rest = Substring(text)
    while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
      if open > rest.startIndex { segments.append(.text(Array(rest[..<open].utf8))) }
      let inner = rest[rest.index(after: open)..<close]
      if inner == "*" {
        segments.append(.anything)
      } else if let expression = Expression(String(inner)) {
        segments.append(.number(expression))
      } else {
        segments.append(.text(Array(rest[open...close].utf8)))
      }
      rest = rest[rest.index(after: close)...]
    }
    if !rest.isEmpty { segments.append(.text(Array(rest.utf8))) }
    self.segments = segments
    let mentions = { (name: String) in
      segments.contains { if case .number(let expression) = $0 { expression.mentions(name) } else { false } }
    }
    isPerLayer = mentions("layer")
    isPerExpert = mentions("expert")
  }

  public func name(layer: Int) -> ByteString { name { $0 == "layer" ? layer : nil } }

  /// A number that has no value is written as 0.
  package func name(_ lookup: (String) -> Int?) -> ByteString {
    var bytes: [UInt8] = []
    for segment in segments {
      switch segment {
      case .text(let text): bytes += text
      case .number(let expression): bytes += Array(String(expression.value(lookup) ?? 0).utf8)
      case .anything: break
      }
    }
    return ByteString(bytes: bytes)
  }

  public func matches(_ name: ByteString) -> Bool { layerNumber(in: name) != nil }

  /// The number at `{layer}` (0 where the pattern has none), or nil when the name is another.
  package func layerNumber(in name: ByteString) -> Int? {
    var layer = 0
    var at = 0
    let bytes = name.bytes
    for (position, segment) in segments.enumerated() {
      switch segment {
      case .text(let text):
        guard bytes[at...].starts(with: text) else { return nil }
        at += text.count
      case .number(let expression):
        let digits = bytes[at...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard !digits.isEmpty else { return nil }
        at += digits.count
        if expression.root == .name("layer") {
          guard let number = Int(String(decoding: digits, as: UTF8.self)) else { return nil }
          layer = number
        }
      case .anything:
        // Up to the first place where the text that follows stands; to the end where none does.
        guard position + 1 < segments.count, case .text(let text) = segments[position + 1] else {
          at = bytes.count
          continue
        }
        guard let next = (at..<bytes.count).first(where: { bytes[$0...].starts(with: text) }) else { return nil }
        at = next
      }
    }
    return at == bytes.count ? layer : nil
  }
}
