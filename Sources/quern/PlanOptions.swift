import ArgumentParser
import Bytes
import Codecs
import Conversion
import IR
import Kernels
import Passes
import SystemPackage

/// How a quantization decides on types: a recipe with overrides, or a saved plan.
struct PlanOptions: ParsableArguments {
  @Option(help: "How to choose types; see: quern recipes (default: int4)")
  var recipe: String?

  @Option(name: .customLong("tensor"), help: ArgumentHelp("A type for some tensors.", valueName: "regex=type"))
  var tensors: [String] = []

  @Option(name: .customLong("plan"), help: "Follow a plan that --save-plan wrote, edited or not.")
  var saved: FilePath?

  @Option(help: "Write the plan here, to be edited and followed later.")
  var savePlan: FilePath?

  /// The recipe asked for; nil when a saved plan is followed.
  func chosenRecipe() throws -> Recipe? {
    if saved != nil {
      guard recipe == nil else { throw UsageError("--plan says every tensor's type; leave --recipe out") }
      return nil
    }
    return try RecipeBook().recipe(called: recipe ?? "int4")
  }

  func overrides(for model: Model, at path: FilePath, kernels: Kernels) throws -> [FormatOverride] {
    let overrides = try tensors.map { text throws(UsageError) in
      guard let override = FormatOverride(text) else {
        throw UsageError("--tensor takes 'REGEX=TYPE' with a type such as q8_0 or f16, not '\(text)'")
      }
      guard Codec.for(override.format, kernels: kernels)?.canEncode == true else {
        let possible = BlockFormat.all.filter { Codec.for($0, kernels: kernels)?.canEncode == true }
        throw UsageError(
          "\(override.format.name) can only be read, not written; for --tensor there are: "
            + possible.map { $0.name.lowercased() }.joined(separator: ", "))
      }
      return override
    }
    for override in overrides where !model.tensors.contains(where: { override.matches($0.name) }) {
      throw UsageError("--tensor \(override.pattern) finds no tensor; for the names: quern inspect --tensors \(path)")
    }
    return overrides
  }

  func plan(for model: Model, at path: FilePath, isCalibrated: Bool, kernels: Kernels) throws -> QuantizationPlan {
    let overrides = try overrides(for: model, at: path, kernels: kernels)
    var plan: QuantizationPlan
    if let recipe = try chosenRecipe() {
      do { plan = try recipe.plan(for: model, overrides: overrides, isCalibrated: isCalibrated) } catch {
        throw ConversionError.pass(error)
      }
    } else if let saved {
      let bytes = try InputFile.contents(of: saved, limit: 1 << 28)
      do { plan = try QuantizationPlan(parsing: bytes, for: model) } catch { throw UsageError("\(saved): \(error)") }
      do { try plan.apply(overrides, to: model) } catch { throw ConversionError.pass(error) }
    } else {
      preconditionFailure("neither a recipe nor a plan")
    }
    return plan
  }

  /// Keeps the plan where that is asked for.
  func save(_ plan: QuantizationPlan) throws {
    guard let savePlan else { return }
    let file = try AtomicFile(savePlan, overwrites: true)
    try file.write(plan.serialized(), at: 0)
    try file.commit()
  }
}

extension RecipeBook {
  /// - Throws: an error with the name that was probably meant
  func recipe(called name: String) throws(UsageError) -> Recipe {
    if let recipe = self[name] { return recipe }
    let advice =
      UsageMessage.suggestion(for: name, among: names).map { $0 + " `quern recipes` lists all" }
      ?? "there are: \(names.joined(separator: ", "))"
    throw UsageError("no recipe is called '\(name)'; \(advice)")
  }
}
