import Bytes
import Testing
import Tokenizers

@Suite struct RegexTests {
  private func check(_ pattern: String, _ text: String, _ expected: [String], _ at: SourceLocation = #_sourceLocation)
    throws
  {
    let bytes = Array(text.utf8)
    let found = try ScalarRegex(ByteString(pattern)).matches(in: bytes).map {
      String(decoding: bytes[$0], as: UTF8.self)
    }
    #expect(found == expected, "\(pattern) on \(text)", sourceLocation: at)
  }

  @Test func matches() throws {
    try check("a|ab", "ab", ["a"])
    try check("(?:a|ab)c", "abc", ["abc"])
    try check("a*", "baac", ["", "aa"])
    try check("(a|b)*c", "abac", ["abac"])
    try check("(a*)*b", "aab", ["aab"])
    try check("(?:a?)*?b", "aab", ["aab"])
    try check("(?:){3}x", "x", ["x"])
    try check("a{2,3}", "aaaaaaa", ["aaa", "aaa"])
    try check("a{2}", "aaa", ["aa"])
    try check("a{,2}b", "aaab", ["aab"])
    try check("a{x", "a{x", ["a{x"])
    try check("(?:ab){2,}", "ababab ab", ["ababab"])
    try check("a+?", "aa", ["a", "a"])
    try check("a++a", "aaa", [])
    try check("(?>a+)a", "aaa", [])
    try check("(?:a|b)++c", "abc", ["abc"])
    try check(#"\s+(?!\S)"#, "a   b  ", ["  ", "  "])
    try check(#"x(?=y)"#, "xyx", ["x"])
    try check(#"(?<=é)x|(?<!é)y"#, "éxéyzy", ["x", "y"])
    try check(#"\bcat\b"#, "cat concat cat", ["cat", "cat"])
    try check("^b|c$", "b\nbc\nc", ["b", "b", "c", "c"])
    try check(#"\Aa|a\z"#, "aaa", ["a", "a"])
    try check("(?i:straße|K)", "STRAßE k \u{212A}", ["STRAßE", "k", "\u{212A}"])
    try check("(?i)x(?-i)y|z", "XyXYZ", ["Xy"])
    try check(#"\p{Lu}\p{^Lu}|\P{L}"#, "Ab1", ["Ab", "1"])
    try check(#"[\p{L}&&[^a-z]]"#, "aBcÉ", ["B", "É"])
    try check(#"[]a\-z]+"#, "a]-z", ["a]-z"])
    try check("[^\\r\\n]", "\n\u{301}\r😀", ["\u{301}", "😀"])
    try check(#"[一-龥]+\x{1F600}\u00e9"#, "漢字😀é", ["漢字😀é"])
    try check(#"\p{Han}+"#, "漢字かな", ["漢字"])
    try check("(?:a+|b+)+c", "aabbc", ["aabbc"])
  }

  @Test func invalidBytesAreReplacementCharacters() throws {
    let text: [UInt8] = [0x61, 0xFF, 0xE2, 0x82, 0x62]
    #expect(try ScalarRegex(#"\p{L}+"#).matches(in: text) == [0..<1, 4..<5])
    #expect(try ScalarRegex("\u{FFFD}").matches(in: text) == [1..<2, 2..<3, 3..<4])
  }

  @Test(arguments: [
    ("(", RegexError.syntax("unclosed group", offset: 0)), ("a)", .syntax("unmatched ')'", offset: 1)),
    ("[a", .syntax("unclosed class", offset: 0)), ("*a", .syntax("nothing to repeat", offset: 0)),
    ("[z-a]", .syntax("range with its ends reversed", offset: 1)),
    ("a{3,2}", .syntax("interval with its bounds reversed", offset: 1)),
    (#"(a)\1"#, .unsupported("back reference", offset: 3)), (#"\p{Foo}"#, .unknownProperty("Foo", offset: 0)),
    ("(?<=a+)b", .unsupported("look-behind of varying length", offset: 0)),
    (#"a\"#, .syntax("the pattern ends where an escaped character should be", offset: 2)),
    ("(?x:a)", .unsupported("flag 'x'", offset: 0)),
    (String(repeating: "(", count: 100), .tooDeep(limit: 64)),
    ("(?:(?:(?:ab){1000}){1000}){1000}", .tooLarge(limit: 65536)),
  ])
  func refusals(_ pattern: String, _ expected: RegexError) throws {
    #expect(throws: expected) { try ScalarRegex(ByteString(pattern)) }
  }

  /// Exponential and quadratic patterns end in an error, not in a hang.
  @Test(arguments: ["(a+)+$b", "(?:a|a)*b", "a*a*a*a*b", "(?:a?){30}a{30}b"])
  func hostilePatternsHitTheStepLimit(_ pattern: String) throws {
    let text = [UInt8](repeating: UInt8(ascii: "a"), count: 3000)
    let regex = try ScalarRegex(ByteString(pattern))
    #expect(throws: RegexError.stepLimit(limit: 1 << 16 + 512 * 3000)) { try regex.matches(in: text) }
  }
}
