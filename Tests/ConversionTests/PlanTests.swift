import IR
import ModelTesting
import Passes
import Testing

@Suite struct PlanTests {
  @Test("an override packs matrices only, however wide its pattern")
  func vectorsStayFloats() throws {
    let model = try openCase("llama").model
    let override = try #require(FormatOverride(".*weight=q8_0"))
    let plan = try #require(try RecipeBook()["q4_0"]).plan(for: model, overrides: [override])
    for step in plan.steps {
      #expect(step.to == (step.shape.dimensions.count > 1 ? .q8_0 : .f32), "\(step.name)")
    }
  }

  @Test("a plain type reaches vectors too")
  func plainTypes() throws {
    let model = try openCase("llama").model
    let override = try #require(FormatOverride("norm=f16"))
    let plan = try #require(try RecipeBook()["q4_0"]).plan(for: model, overrides: [override])
    #expect(plan.steps.contains { $0.to == .f16 && $0.shape.dimensions.count == 1 })
  }
}
