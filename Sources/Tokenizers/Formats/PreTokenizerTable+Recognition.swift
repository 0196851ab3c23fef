internal import Bytes
internal import IR

extension PreTokenizerRow {
  /// How well a row stands for a model's pipeline.
  enum Fit: Comparable {
    case different, sameOnProbe, same
  }

  /// The row whose behaviour equals the model's, or the one that cuts the probe text most like it: `fit` tells which.
  static func recognize(_ model: TokenizerModel) throws(TokenizerError) -> (row: PreTokenizerRow, fit: Fit) {
    let wanted = normalForm(model.preTokenizers)
    let pieces = Set(try probePieces(model.preTokenizers))
    var best: (row: PreTokenizerRow, fit: Fit, score: Double)?
    for row in all {
      let isSame = normalForm(row.steps) == wanted
      let own = isSame ? pieces : Set(try probePieces(row.steps))
      let common = Double(own.intersection(pieces).count) / Double(max(own.union(pieces).count, 1))
      var fit: Fit = isSame ? .same : own == pieces ? .sameOnProbe : .different
      // Looking words up before merging matters less than where the words end.
      if row.ignoresMerges != model.ignoresMerges { fit = .different }
      let score = common + (fit == .different ? 0 : 1) + (isSame ? 1 : 0)
      if let known = best, known.score >= score { continue }
      best = (row, fit, score)
    }
    return best.map { ($0.row, $0.fit) } ?? (all[0], .different)
  }

  /// Steps as patterns, without those that cut nothing.
  private static func normalForm(_ steps: [TokenizerModel.PreTokenizer]) -> [TokenizerModel.PreTokenizer] {
    steps.compactMap { step in
      switch step {
      case .byteLevel(false, false, _): nil
      case .byteLevel(let addsPrefixSpace, let usesRegex, _):
        .byteLevel(addsPrefixSpace: addsPrefixSpace, usesRegex: usesRegex, trimsOffsets: false)
      case .digits(true), .split(.regex(#"\p{N}"#), .isolated, _): .digits(isIndividual: true)
      default: step
      }
    }
  }

  /// Where a pipeline cuts a text that has something for every published pattern to disagree about.
  private static func probePieces(_ steps: [TokenizerModel.PreTokenizer]) throws(TokenizerError) -> [Range<Int>] {
    var text = Array(probe.utf8)
    var scratch = SplitPipeline.Scratch()
    try SplitPipeline(steps, path: "pre_tokenizer").split(&text, &scratch)
    return scratch.pieces
  }

  private static let probe = """
    I'm it's WE'LL They'Ve o'clock don't DON'T 'tis 're 'ſ x's'd'll\n\n \n  indented\n\t\ttabs \r\n\r\n  trailing   \n\
     1 12 123 1234 12345 123456 1234567 3.14 1,000,000 v2 x86_64 Ⅷ ½ ١٢٣ ४५६ 10kg 5% \
    CamelCase HTTPServer iPhone McDonald ÉCOLE Été ǅungla straße ΑΒΓ αβγ МОСКВА Москва mIxEd \
    漢字かなカナ한국어1234漢字 ไทย๑๒ ភាសាខ្មែរ हिन्दी नमस्ते עִבְרִית العَرَبِيَّة e\u{301}a\u{308} 你好，世界。！？ \
    ... !!! ?? -- --- ---- ==== >>> <<= && || ~~ ^^ `code` ```\n// /* */ #include <a/b.h>\n\t/path/to/x\n\
    "quoted" ‘curly’ “double” (paren) [brack] {brace} $5 €6 £7 + < = > | @user #tag _under_ a_b a-b a.b a/b !Word .Word \
    😀 👨‍👩‍👧 🇫🇮 ✅️ → ≠ ∑ ™ © ª º   \u{A0}nbsp\u{A0} \u{3000}wide \u{2028}line\u{85}next\u{B}vt end  \n
    """
}
