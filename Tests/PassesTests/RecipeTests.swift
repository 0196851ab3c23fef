import Bytes
import ContainerTesting
import IR
import Passes
import Testing

/// Fixtures/recipes/llama-quantize.json: what llama-quantize chooses, asked with --dry-run.
struct Answers: Sendable {
  struct Row: Sendable, CustomStringConvertible {
    let model: Model
    let modelName: String
    let recipe: String
    let isCalibrated: Bool
    let formats: [BlockFormat]
    var description: String { "\(modelName): \(recipe)\(isCalibrated ? " with imatrix" : "")" }
  }

  static let rows: [Row] = (try? read()) ?? []

  private static func read() throws -> [Row] {
    let text = try InputFile.contents(of: fixtures.appending("recipes/llama-quantize.json"), limit: 1 << 20)
    let json = try JSONValue.parse(text)
    var types: [UInt8: BlockFormat] = [:]
    for member in json["types"]?.object?.members ?? [] {
      // Types that are read by no codec of ours stand in no recipe of ours either.
      types[member.key.bytes[0]] = member.value.string.flatMap { BlockFormat.named($0.text) }
    }
    var rows: [Row] = []
    for entry in json["models"]?.array ?? [] {
      let model = try model(entry)
      for answer in entry["answers"]?.array ?? [] {
        let plain = answer["plain"]?.string
        for (letters, isCalibrated) in [(plain, false), (answer["imatrix"]?.string ?? plain, true)] {
          rows.append(
            Row(
              model: model, modelName: entry["name"]?.string?.text ?? "", recipe: answer["recipe"]?.string?.text ?? "",
              isCalibrated: isCalibrated, formats: (letters?.bytes ?? []).compactMap { types[$0] }))
        }
      }
    }
    return rows
  }

  private static func model(_ entry: JSONValue) throws -> Model {
    var hyperparameters = Hyperparameters()
    for member in entry["hyperparameters"]?.object?.members ?? [] {
      hyperparameters[member.key.text] = member.value.int.map { .integer($0) }
    }
    let tensors = (entry["tensors"]?.array ?? []).compactMap { row -> TensorRef? in
      guard let pair = row.array, let name = pair[0].string, let shape = Shape(pair[1].array?.compactMap(\.int) ?? [])
      else { return nil }
      let isPlain = shape.dimensions.count == 1 || name.text.contains("ffn_gate_inp")
      return TensorRef(
        name: name, shape: shape, format: isPlain ? .f32 : .f16,
        source: MemoryTensorSource(bytes: [], rowByteCount: 0))
    }
    return Model(
      family: entry["architecture"]?.string?.text ?? "", hyperparameters: hyperparameters, tensors: tensors)
  }
}

private let book = Result { try RecipeBook() }

@Suite struct RecipeTests {
  @Test("the fixture is there")
  func fixture() { #expect(Answers.rows.count == 13 * 29 * 2) }

  @Test("llama.cpp's names choose llama-quantize's types", arguments: Answers.rows)
  func agreesWithLlamaQuantize(row: Answers.Row) throws {
    let book = try book.get()
    guard let recipe = book[row.recipe] else { return }
    let plan = try recipe.plan(for: row.model, isCalibrated: row.isCalibrated)
    try #require(plan.steps.count == row.formats.count)
    for (step, expected) in zip(plan.steps, row.formats) {
      #expect(step.to == expected, "\(step.name) \(step.shape): \(step.reason)")
    }
  }

  @Test("every one of llama.cpp's recipes that can be encoded is there")
  func names() throws {
    let book = try book.get()
    for name in [
      "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q2_k_s", "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_s", "q4_k_m",
      "q5_k_s", "q5_k_m", "q6_k", "iq4_nl", "iq4_xs", "tq1_0", "tq2_0", "q2_0", "iq3_m", "iq3_s",
      "iq3_xs", "iq3_xxs", "iq2_m", "iq2_s", "iq2_xs", "iq2_xxs", "mxfp4_moe", "int4", "int4-max", "int8", "f16",
      "bf16", "f32", "Q4_K",
    ] {
      #expect(book[name] != nil, "\(name)")
    }
  }
}
