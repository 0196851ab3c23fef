import ArgumentParser
import Bytes
import Catalog
import Passes

struct Architectures: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "List the model families this program knows.")

  @OptionGroup var common: CommonOptions

  func run() throws {
    let architectures = try common.catalog().architectures()
    if common.json {
      return printJSON([
        "architectures": .array(
          architectures.map {
            .object([
              "family": .text($0.family), "describes": .text($0.summary),
              "modelTypes": .array($0.modelTypes.map { .text($0) }),
              "gguf": $0.ggufArchitecture.map { .text($0) } ?? .null,
            ])
          })
      ])
    }
    var table = Table([
      .init(title: "family"), .init(title: "model_type"), .init(title: "GGUF"),
      .init(title: "describes", isFlexible: true),
    ])
    for row in architectures {
      table.add(row.family, row.modelTypes.joined(separator: ", "), row.ggufArchitecture ?? "–", row.summary)
    }
    print(table.text())
  }
}

struct Recipes: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "List the quantization recipes.")

  @OptionGroup var common: CommonOptions

  func run() throws {
    let recipes = try RecipeBook().recipes
    if common.json {
      return printJSON([
        "recipes": .array(recipes.map { .object(["recipe": .text($0.name), "describes": .text($0.summary)]) })
      ])
    }
    var table = Table([.init(title: "recipe"), .init(title: "describes", isFlexible: true)])
    for recipe in recipes { table.add(recipe.name, recipe.summary) }
    print(table.text())
  }
}
