import Bytes
import IR
import Passes
import Testing

@Suite struct PlanFileTests {
  static let model = Model(
    family: "llama", hyperparameters: Hyperparameters(),
    tensors: [
      tensor("token_embd.weight", [96, 256]), tensor("blk.0.attn_q.weight", [64, 256]),
      tensor("blk.0.attn_norm.weight", [256], .f32),
    ])

  static func tensor(_ name: ByteString, _ dimensions: [Int], _ format: BlockFormat = .f16) -> TensorRef {
    TensorRef(
      name: name, shape: Shape(dimensions) ?? .vector(0), format: format,
      source: MemoryTensorSource(bytes: [], rowByteCount: 0))
  }

  @Test("a plan that was written is read as it was")
  func roundTrip() throws {
    var plan = try #require(try RecipeBook()["q4_k_m"]).plan(for: Self.model)
    plan.steps[1].method = .feedback
    #expect(try QuantizationPlan(parsing: plan.serialized(), for: Self.model) == plan)
  }

  @Test("name and type are enough, in any order")
  func shortest() throws {
    let text = """
      {"plan": 1, "tensors": [{"name": "blk.0.attn_norm.weight", "type": "f32"},
       {"name": "blk.0.attn_q.weight", "type": "q5_k"}, {"name": "token_embd.weight", "type": "iq4_xs"}]}
      """
    let plan = try QuantizationPlan(parsing: Array(text.utf8), for: Self.model)
    #expect(plan.steps.map(\.to) == [.iq4_XS, .q5_K, .f32])
    #expect(plan.recipe == nil && plan.ggufFileType == nil)
  }

  @Test(
    "what is wrong with a plan is said",
    arguments: [
      ("{", "not JSON"), ("[]", "tensors"), (#"{"plan": 2, "tensors": []}"#, "plan"),
      (#"{"plan": 1, "tensors": [{"type": "f16"}]}"#, "name"),
      (#"{"plan": 1, "tensors": []}"#, "leaves out token_embd.weight"),
      (edited("Q6_K", "Q7_K"), "type"), (edited("[96,256]", "[96,255]"), "[96, 255]"),
      (edited(#""F32","because""#, #""Q8_0","because""#), "vectors"),
      (edited(#""because""#, #""method":"magic","because""#), "feedback"),
      (edited("attn_q", "attn_k"), "names blk.0.attn_k.weight"),
    ])
  func refusals(text: String, words: String) {
    do {
      _ = try QuantizationPlan(parsing: Array(text.utf8), for: Self.model)
      Issue.record("accepted: \(text)")
    } catch {
      #expect("\(error)".contains(words), "\(error)")
    }
  }

  /// A good plan with the first `old` replaced.
  static func edited(_ old: String, _ new: String) -> String {
    guard let plan = try? RecipeBook()["q4_k_m"]?.plan(for: model) else { return "" }
    let text = String(decoding: plan.serialized(), as: UTF8.self)
    guard let range = text.firstRange(of: old) else { return "nothing to edit: \(old)" }
    return text[..<range.lowerBound] + new + text[range.upperBound...]
  }
}
