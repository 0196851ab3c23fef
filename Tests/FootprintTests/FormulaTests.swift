import Footprint
import Testing

@Suite struct FormulaTests {
  @Test(
    "value and text come from one expression",
    arguments: [
      (Formula("a", 3) * Formula("b", 4) * 2, 24, "a 3 × b 4 × 2"),
      ((Formula("a", 3) + 4) * Formula("c", 5), 35, "(a 3 + 4) × c 5"),
      (Formula("n", 33).roundedUp(to: 16), 48, "⌈n 33⌉16"),
      (Formula("n", 33).divided(by: 32) * 34, 68, "n 33 ÷ 32 × 34"),
      (Formula.max(Formula("a", 3), Formula("b", 7)), 7, "max(a 3, b 7)"),
      (Formula.sum([]), 0, "0"),
    ])
  func evaluates(formula: Formula, value: Int, text: String) {
    #expect(formula.value == value)
    #expect("\(formula)" == text)
  }

  @Test(
    "overflow has no value",
    arguments: [
      Formula("a", .max) * 2, Formula("a", .max) + 1, Formula("a", .max).roundedUp(to: 2),
      Formula("a", .max).divided(by: 2),
    ])
  func overflows(formula: Formula) { #expect(formula.value == nil) }
}
