import Bytes
import Catalog
import ContainerTesting
import SystemPackage
import Testing

/// README's table of families, made of the descriptors and of what llama.cpp answered (Fixtures/llama/answers.json).
@Suite struct FamilyTableTests {
  @Test("README's table of families is the catalog's")
  func readme() throws {
    let root = fixtures.removingLastComponent()
    let readme = String(
      decoding: try InputFile.contents(of: root.appending("README.md"), limit: 1 << 20), as: UTF8.self)
    let table = try Self.table()
    #expect(readme.contains(table), "README.md should hold:\n\(table)")
  }

  private static func table() throws -> String {
    let catalog = try Catalog()
    let agreements = try agreements(catalog)
    let released = try ReleasedModels(catalog).all()
    var lines = [
      "| family | `model_type` | kind | released, known by name | GGUF | llama.cpp agrees |",
      "|---|---|---|---|---|---|",
    ]
    for family in try catalog.architectures() {
      let names = released.filter { $0.family == family.family }.map(\.name)
      let kind = ["decoder": "decoder", "encoder": "encoder"]["\(family.graph.kind)"] ?? "both"
      let cells = [
        family.family, family.modelTypes.joined(separator: ", "), kind,
        names.isEmpty ? "–" : names.prefix(2).joined(separator: ", ") + (names.count > 2 ? ", … (\(names.count))" : ""),
        family.ggufArchitecture ?? "–",
        family.ggufArchitecture == nil ? "–" : agreements[family.family] ?? "not compared",
      ]
      lines.append("| " + cells.joined(separator: " | ") + " |")
    }
    return lines.joined(separator: "\n")
  }

  /// By family: all outputs, or the best tokens alone, in some case.
  private static func agreements(_ catalog: Catalog) throws -> [String: String] {
    func json(_ path: String) throws -> JSONValue {
      try JSONValue.parse(try InputFile.contents(of: fixtures.appending(path), limit: 1 << 22))
    }
    var result: [String: String] = [:]
    for answer in try json("llama/answers.json").array ?? [] where answer["recipe"] == nil {
      guard let name = answer["case"]?.string?.text,
        let configuration = try json("conformance/\(name)/config.json").object
      else { continue }
      let family = try catalog.architecture(configuration: configuration).family
      if answer["agrees"]?.bool == true {
        result[family] = "yes"
      } else if answer["tops agree"]?.bool == true, result[family] == nil {
        result[family] = "best tokens"
      }
    }
    return result
  }
}
