import Bytes
import Testing

@Suite struct JSONTests {
  @Test(arguments: [
    (#"{"b":1,"a":[true,null,-0.5e3,"x"]}"#, #"{"b":1,"a":[true,null,-0.5e3,"x"]}"#),
    (#" [ "\u00e9\ud83d\ude00\n" , 1e-05 ] "#, "[\"é😀\\n\",1e-05]"),
    (#"["\ud800x"]"#, "[\"\u{FFFD}x\"]"),
    ("{}", "{}"), ("[]", "[]"), ("0", "0"),
  ])
  func roundTrip(text: String, expected: String) throws {
    let value = try JSONValue.parse(Array(text.utf8))
    #expect(String(decoding: value.serialized(), as: UTF8.self) == expected)
    #expect(try JSONValue.parse(value.serialized(pretty: true)) == value)
  }

  /// Equal under Unicode's canonical equivalence, different as bytes: both must survive.
  @Test func canonicallyEqualKeysStayApart() throws {
    let value = try JSONValue.parse(Array("{\"\u{e9}\":1,\"e\u{301}\":2}".utf8))
    #expect(value.object?.count == 2)
    #expect(value["e\u{301}"]?.int == 2)
  }

  @Test(arguments: [
    (#"{"a":1,"a":2}"#, JSONError.duplicateKey("a", offset: 7)),
    ("[1,]", .unexpected(found: "']'", expected: "a value", offset: 3)),
    ("[1", .endOfText(offset: 2)),
    ("\"\u{1}\"", .controlCharacter(offset: 1)),
    (#""\x""#, .invalidEscape(offset: 1)),
    ("-", .invalidNumber(offset: 0)),
    ("1 2", .unexpected(found: "'2'", expected: "the end", offset: 2)),
    ("", .endOfText(offset: 0)),
  ])
  func refused(text: String, error: JSONError) {
    #expect(throws: error) { try JSONValue.parse(Array(text.utf8)) }
  }

  @Test func depthIsLimited() {
    let text = [UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)
    #expect(throws: JSONError.tooDeep(limit: 128, offset: 128)) { try JSONValue.parse(text) }
  }
}
