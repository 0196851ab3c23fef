/// Unicode's general categories, version 16.0, in the order of the generated table's letters.
enum GeneralCategory: UInt8, CaseIterable, Sendable {
  case lu, ll, lt, lm, lo, mn, mc, me, nd, nl, no, pc, pd, ps, pe, pi, pf, po, sm, sc, sk, so, zs, zl, zp, cc, cf, cs,
    co, cn

  /// Those that a property name such as `L`, `Lu` or `Letter` stands for; nil for an unknown name.
  static func named(_ name: String) -> [GeneralCategory]? {
    let key = String(name.lowercased().filter { $0 != "_" && $0 != " " && $0 != "-" })
    if key == "lc" { return [.lu, .ll, .lt] }
    if key.utf8.count <= 2 {
      let found = allCases.filter { String(describing: $0).hasPrefix(key) }
      return found.isEmpty ? nil : found
    }
    return longNames[key]
  }

  private static let longNames: [String: [GeneralCategory]] = [
    "letter": [.lu, .ll, .lt, .lm, .lo], "uppercaseletter": [.lu], "lowercaseletter": [.ll], "titlecaseletter": [.lt],
    "modifierletter": [.lm], "otherletter": [.lo], "mark": [.mn, .mc, .me], "nonspacingmark": [.mn],
    "spacingmark": [.mc], "enclosingmark": [.me], "number": [.nd, .nl, .no], "decimalnumber": [.nd],
    "letternumber": [.nl], "othernumber": [.no], "punctuation": [.pc, .pd, .ps, .pe, .pi, .pf, .po],
    "symbol": [.sm, .sc, .sk, .so], "mathsymbol": [.sm], "currencysymbol": [.sc], "modifiersymbol": [.sk],
    "othersymbol": [.so], "separator": [.zs, .zl, .zp], "spaceseparator": [.zs], "lineseparator": [.zl],
    "paragraphseparator": [.zp], "other": [.cc, .cf, .cs, .co, .cn], "control": [.cc], "format": [.cf],
    "privateuse": [.co], "unassigned": [.cn],
  ]
}

/// The generated table as runs of scalars of one category, covering 0...10FFFF in order.
struct CategoryRun: Sendable {
  let start: UInt32
  let category: GeneralCategory

  static let all: [CategoryRun] = {
    var categories = [UInt8](repeating: 0, count: 256)
    for (index, letter) in UnicodeData.categoryLetters.utf8.enumerated() { categories[Int(letter)] = UInt8(index) }
    var runs: [CategoryRun] = []
    var start: UInt32 = 0
    var length: UInt32 = 0
    for byte in UnicodeData.categories.utf8 {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): length = length * 36 + UInt32(byte - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "z"): length = length * 36 + UInt32(byte - UInt8(ascii: "a")) + 10
      default:
        let category = GeneralCategory(rawValue: categories[Int(byte)]) ?? .cn
        runs.append(CategoryRun(start: start, category: category))
        start += max(length, 1)
        length = 0
      }
    }
    precondition(start == 0x110000, "the generated category table covers every scalar")
    return runs
  }()
}
